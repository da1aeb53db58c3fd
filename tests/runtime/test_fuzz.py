"""Damaged nets by the hundred, in programs of their own: none may crash, hang or print."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import fuzz
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


def test_a_case_that_ends_its_program_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next program goes on behind it."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "first = int(sys.argv[1])\n"
        "print(f\"case {first}\\nresults {{'ran': 1}}\\ncase {first + 1}\", flush=True)\n"
        "os.abort()\n"
    )
    monkeypatch.setattr(fuzz, "__file__", str(program))
    run = fuzz.Run(40, 39, False)
    for last in (41, 43):
        how, _ = fuzz.watch(run, time.monotonic() + 60)
        assert (how, run.last) == ("exit status -6", last)
    assert run.results == Counter(ran=2)


def test_a_case_without_end_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint(f'case {sys.argv[1]}', flush=True)\nwhile True: pass\n")
    monkeypatch.setattr(fuzz, "__file__", str(program))
    monkeypatch.setattr(fuzz, "HANG", 0.2)
    assert fuzz.watch(fuzz.Run(7, 6, False), time.monotonic() + 60)[0] == "hangs"
