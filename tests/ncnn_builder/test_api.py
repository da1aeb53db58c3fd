"""docs/api.md lists what is public; nothing of it goes, or is called in another way, without a new version."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import ncnn_builder as nb
from ncnn_builder import api, docs

PROMISED = api.read(api.PAGE.read_text())[1]


def test_the_page_is_current() -> None:
    assert api.PAGE.read_text() == api.page(), "run `python -m ncnn_builder.docs api`"


@pytest.mark.parametrize("module", PROMISED)
def test_every_name_is_there(module: str) -> None:
    held = importlib.import_module(module)
    for name in PROMISED[module]:
        value, *members = name.split(".")
        assert hasattr(held, value), name
        made = getattr(held, value)
        for member in members:  # of the class, or set when it is made
            assert hasattr(made, member) or f"self.{member}" in inspect.getsource(made), name


def test_it_is_all_that_the_pages_need() -> None:
    """Every function of the DSL, and what docs/own.md registers by."""
    names = PROMISED["ncnn_builder"]
    assert names.keys() >= nb.functions.keys() - {"neg"} and {"NcnnBuilderError", "Value.mean"} <= names.keys()
    assert {"append", "converts", "dsl", "lowers", "register", "rewrites", "Matcher.interior"} <= names.keys()
    assert "Net.run" in PROMISED["runtime"] and names["save"].startswith("(graph, param_path, bin_path, target=")


@pytest.mark.parametrize(
    "before, now, kept",
    [
        ("(g, x)", "(g, x)", True),
        ("(g, x)", "(g, x, axis=0)", True),
        ("(g, x)", "(g, x, *, axis=0)", True),
        ("(g, x, *, axis=0)", "(g, x, axis=0)", True),
        ("(g, x)", "(g, x, **more)", True),
        ("(g, x)", "(g, x=None)", True),
        ("", "(g)", True),
        ("(g, x)", "", False),
        ("(g, x)", "(g)", False),
        ("(g, x)", "(x, g)", False),
        ("(g, x)", "(g, y)", False),
        ("(g, x)", "(g, x, axis)", False),
        ("(g, x)", "(g, x, *, axis)", False),
        ("(g, x)", "(g, *, x)", False),
        ("(g, *, x=1)", "(g, **more)", True),
        ("(g, x=1)", "(g, **more)", False),
        ("(g, x=1)", "(g, x=2)", False),
        ("(g, x=1)", "(g, x)", False),
        ("(g, **more)", "(g)", False),
        ("(g, *more)", "(g, x=1, *more)", False),
    ],
)
def test_what_breaks_a_call(before: str, now: str, kept: bool) -> None:
    assert (api.broken({"m": {"f": before}}, {"m": {"f": now}}) == []) is kept


def test_a_name_that_goes_takes_a_new_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "api.md"
    monkeypatch.setattr(api, "PAGE", page)
    docs.main(["api"])
    before = page.read_text()
    assert before == api.page()
    monkeypatch.setattr(nb, "__all__", [n for n in nb.__all__ if n != "relu"])
    with pytest.raises(nb.NcnnBuilderError, match=r"ncnn_builder\.relu is gone.*raise API"):
        docs.main(["api"])
    assert page.read_text() == before
    monkeypatch.setattr(api, "API", api.API + 1)
    docs.main(["api"])
    assert "`relu(" not in page.read_text() and f"Version {api.API} " in page.read_text()


def test_a_call_that_is_refused_takes_a_new_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "api.md"
    monkeypatch.setattr(api, "PAGE", page)
    docs.main(["api"])

    def save(graph: Any, path: Any) -> None: ...

    monkeypatch.setattr(nb, "save", save)
    with pytest.raises(nb.NcnnBuilderError, match=r"ncnn_builder\.save\(graph, param_path.* is \(graph, path\) now"):
        docs.main(["api"])


def test_a_new_name_may_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "api.md"
    monkeypatch.setattr(api, "PAGE", page)
    docs.main(["api"])
    monkeypatch.setattr(nb, "newly_made", lambda g, *, axis=float("nan"): None, raising=False)
    monkeypatch.setattr(nb, "__all__", [*nb.__all__, "newly_made"])
    docs.main(["api"])
    assert "- `newly_made(g, *, axis=...)`" in page.read_text()
