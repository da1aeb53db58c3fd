"""Damaged nets by the hundred, in programs of their own: none may crash, hang or print."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

BATCH = 100


@pytest.mark.parametrize("first", range(0, 800, BATCH))
def test_damaged_nets_raise_or_run(first: int) -> None:
    program = Path(__file__).with_name("fuzz.py")
    done = subprocess.run(
        [sys.executable, str(program), str(first), str(BATCH)], capture_output=True, text=True, timeout=300
    )
    last = done.stdout.strip().splitlines()[-2:]
    assert done.returncode == 0, f"exit status {done.returncode} after {last}: {done.stderr[-2000:]}"
    assert done.stderr == ""
    results = Counter(ast.literal_eval(done.stdout.splitlines()[-1].removeprefix("results ")))
    assert sum(results.values()) == BATCH
    # The damage reaches every stage: the text, the weights, the layers; and some nets survive it.
    assert all(results[kind] for kind in ("ParamError", "WeightsError", "LayerError", "ran")), results
