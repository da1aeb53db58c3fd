"""A short run of fuzz_param.py, with its memory limit, and a control that it sees what it is for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_damaged_nets_end_in_results_or_in_our_errors() -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz_param.py"), "60", "3"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("60 cases in ") and " 0 failed" in done.stdout


@pytest.mark.parametrize("kind", [ValueError, IndexError, MemoryError])
def test_another_error_is_seen(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("fuzz_param", HERE / "fuzz_param.py")
    assert spec is not None and spec.loader is not None
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)

    def broken(*args: object, **kwargs: object) -> None:
        raise kind("on purpose")

    monkeypatch.setattr(fuzz.nb, "load", broken)
    with tempfile.TemporaryDirectory() as folder, pytest.raises(kind):
        fuzz.try_case(Path(folder), b"", b"")
