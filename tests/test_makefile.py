"""What `make` installs, and when, with a python that only says what it was asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

Asked = Callable[..., list[str]]


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """Runs `make TARGET`, and says what pip was asked for; pip ends with this code."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "CMakeLists.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("cmake/Ncnn.cmake", "custom_layers/a.h", "runtime/src/a.cpp", "ncnn_builder/version.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> asked\nexit $CODE\n')
    python.chmod(0o755)
    for path in tmp_path.rglob("*"):
        os.utime(path, (1e9, 1e9))

    def make(target: str, code: int = 0) -> list[str]:
        log = tmp_path / "asked"
        log.unlink(missing_ok=True)
        environment = {**os.environ, "CODE": str(code), "MAKEFLAGS": ""}
        done = subprocess.run(["make", "-s", target], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (done.returncode == 0) == (code == 0), done.stderr
        return log.read_text().splitlines() if log.exists() else []

    return make


DEMO = "-m pip install -q -c constraints.txt -e .[stylegan,video,studio]"
STUDIO = "-m pip install -q -c constraints.txt -e .[studio,video]"
DEV = "-m pip install -q -c constraints.txt -e .[dev] unearth cmake"


def test_pip_is_asked_once_and_again_when_a_source_is_newer(asked: Asked, tmp_path: Path) -> None:
    assert asked("setup-demo") == [DEMO] and asked("setup-demo") == []
    for name in ("runtime/src/a.cpp", "constraints.txt", "custom_layers/a.h", "cmake/Ncnn.cmake"):
        os.utime(tmp_path / name, (4e9, 4e9))
        assert asked("setup-demo") == [DEMO], name
        os.utime(tmp_path / name, (1e9, 1e9))
        assert asked("setup-demo") == [], name


def test_an_installation_that_failed_is_no_installation(asked: Asked) -> None:
    assert asked("setup-demo", code=1) == [DEMO]
    assert asked("setup-demo") == [DEMO] and asked("setup-demo") == []


def test_what_developers_need_is_enough_for_the_demo(asked: Asked) -> None:
    assert asked("setup-demo") == [DEMO] and asked("setup-dev") == [DEV]
    assert asked("setup-demo") == [] and asked("setup-dev") == [] and asked("setup-studio") == []


def test_the_studio_needs_little(asked: Asked) -> None:
    assert asked("setup-studio") == [STUDIO] and asked("setup-studio") == []
    assert asked("setup-demo") == [DEMO] and asked("setup-studio") == []
