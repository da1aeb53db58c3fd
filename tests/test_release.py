"""A release: the version is said once, the changelog knows it, wheels are for the Pythons that the metadata names."""

from __future__ import annotations

import re
from pathlib import Path

import ncnn_builder as nb

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text()


def said(pattern: str, text: str = PROJECT) -> str:
    (found,) = re.findall(pattern, text, re.M)
    return str(found)


def test_the_version_is_said_once() -> None:
    assert "version" in said(r"^dynamic = \[(.*)\]$") and not re.search(r"^version = ", PROJECT, re.M)
    assert said(r'^__version__ = "(.*)"$', (ROOT / said(r'^input = "(.*version.*)"$')).read_text()) == nb.__version__


def test_the_changelog_begins_with_this_version_and_goes_down() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    form = re.compile(r"(\d+)\.(\d+)\.(\d+), (not released yet|\d{4}-\d\d-\d\d)")
    versions = [tuple(map(int, each.groups()[:3])) for each in map(form.fullmatch, headings) if each]
    assert len(versions) == len(headings)
    assert ".".join(map(str, versions[0])) == nb.__version__
    assert versions == sorted(set(versions), reverse=True)
    assert not any("not released" in heading for heading in headings[1:])


def test_wheels_are_for_pythons_that_the_metadata_takes() -> None:
    oldest = int(said(r'^requires-python = ">=3\.(\d+)"$'))
    wheels = [int(minor) for minor in re.findall(r"cp3(\d+)-", said(r'^build = "(cp.*)"$'))]
    assert wheels == list(range(oldest, wheels[-1] + 1))
    tested = re.findall(r'python: "3\.(\d+)"', (ROOT / ".github" / "workflows" / "test.yml").read_text())
    assert set(map(str, wheels)) <= set(tested)
