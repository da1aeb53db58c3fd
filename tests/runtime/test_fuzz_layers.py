"""Parameters and inputs of each type of layer, bent to the edges, in programs of their own: none may crash or hang."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ncnn_builder as nb

TYPES = [name for name, spec in sorted(nb.registry.items()) if not spec.composite and not spec.off]
CASES = 3  # of each type; ``python tests/runtime/fuzz_layers.py 0 1000`` tries more
PARTS = 4  # each program imports torch, for the samples


@pytest.mark.parametrize("part", range(PARTS))
def test_bent_layers_raise_or_run(part: int) -> None:
    program = Path(__file__).with_name("fuzz_layers.py")
    names = TYPES[part::PARTS]
    done = subprocess.run(
        [sys.executable, str(program), "0", str(CASES), *names], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    total = json.loads(done.stdout.splitlines()[-1])
    assert total["broken"] == 0, done.stdout
    assert total["total"] == CASES * len(names)
    assert total.get("ran") and total.get("ParamError", 0) + total.get("LayerError", 0), (
        "the edges are reached, and some nets survive"
    )
