"""The suite fails where a test is skipped for a reason that is not listed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("reason", "code"), [("no op was measured: nothing", 0), ("no data", 1)])
def test_a_skip_needs_a_listed_reason(tmp_path: Path, reason: str, code: int) -> None:
    shutil.copy(HERE / "conftest.py", tmp_path)
    (tmp_path / "test_x.py").write_text(
        f"import pytest\n\ndef test_a():\n    pytest.skip({reason!r})\n\ndef test_b():\n    pass\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("SKIPPED WITHOUT A LISTED REASON" in done.stdout) == bool(code)


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "2"]])
def test_so_does_that_of_a_whole_file(tmp_path: Path, workers: list[str]) -> None:
    shutil.copy(HERE / "conftest.py", tmp_path)
    (tmp_path / "test_x.py").write_text('import pytest\n\npytest.importorskip("nowhere_to_be_found")\n')
    (tmp_path / "test_y.py").write_text("def test_b():\n    pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", *workers]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 1 and "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("SKIPPED WITHOUT A LISTED REASON") == 1
