"""Samples of ncnn's own layers on plain ncnn: the wheel from PyPI, all of them in one process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from parity_support import build, draw, named, oracle

import ncnn_builder as nb
from ncnn_builder.parity import Report

RUNNER = Path(__file__).resolve().parents[1] / "wheel_ops_runner.py"
MOST = 6  # samples of an op, spread over all that it has: the others run on our runtime

torch.manual_seed(0)
OWN = [spec for spec in nb.registry.values() if not spec.custom and not spec.composite and not spec.off]


def spread(samples: list[nb.Sample]) -> list[nb.Sample]:
    return samples if len(samples) <= MOST else [samples[i * (len(samples) - 1) // (MOST - 1)] for i in range(MOST)]


CASES = [(spec, sample) for spec in OWN for sample in spread(spec.samples())]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all results."""
    if importlib.util.find_spec("ncnn") is None:
        pytest.fail('no ncnn wheel: pip install -c constraints.txt -e ".[dev]" brings it')
    folder = tmp_path_factory.mktemp("ops")
    for i, (_, sample) in enumerate(CASES):
        graph = build(sample)[0]
        model = nb.compile_graph(graph, "stock")
        job = folder / f"{i:04d}"
        nb.write_files({job.with_suffix(".param"): [model.param.encode()], job.with_suffix(".bin"): [model.bin]})
        arrays = {f"in:{name}": array for name, array in named(draw(sample)).items()}
        np.savez(job.with_suffix(".npz"), outputs=list(graph.outputs), **arrays)
    done = subprocess.run([sys.executable, "-I", str(RUNNER), str(folder)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.mark.parametrize("i", range(len(CASES)), ids=[f"{spec.type}-{sample.id}" for spec, sample in CASES])
def test_an_op_on_the_wheel(i: int, results: Path) -> None:
    spec, sample = CASES[i]
    got = dict(np.load(results / f"{i:04d}.out.npz"))
    expected = oracle(sample, draw(sample))
    Report(f"{spec.type} {sample.id}, wheel").add_all(got, expected, spec.tolerance.fp32).check()


def test_another_result_is_seen(results: Path) -> None:
    i = next(i for i, (spec, _) in enumerate(CASES) if spec.type == "LSTM")
    got = {name: array * 1.001 for name, array in np.load(results / f"{i:04d}.out.npz").items()}
    with pytest.raises(nb.ParityError, match="differ"):
        Report("LSTM").add_all(got, oracle(CASES[i][1], draw(CASES[i][1])), CASES[i][0].tolerance.fp32).check()
