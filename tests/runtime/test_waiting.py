"""How long OpenMP's threads wait awake: what its library reads when the runtime loads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from runtime.waiting import COUNT, environment

SHOW = "import os, runtime; print(os.environ.get('GOMP_SPINCOUNT'))"


def test_the_library_is_told_and_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_DISPLAY_ENV", "VERBOSE")
    for given, spins in (({}, COUNT), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "0")):
        for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        assert environment() == {**os.environ, **({} if given else {"GOMP_SPINCOUNT": COUNT})}
        done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(given.get("GOMP_SPINCOUNT"))
        told = re.findall(r"GOMP_SPINCOUNT = '(\w+)'", done.stderr)
        assert spins in told or (not told and sys.platform != "linux"), given  # elsewhere OpenMP is not GNU's
