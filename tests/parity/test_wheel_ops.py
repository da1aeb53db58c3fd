"""Samples of ncnn's own layers on plain ncnn: the wheel from PyPI, in processes of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
import torch
from parity_support import build, draw, draw_edge, edge_report, named, oracle, spread

import ncnn_builder as nb
from ncnn_builder.parity import EDGES, Report, wheel_results

MOST = 6  # samples of an op, spread over all that it has: the others run on our runtime
AT_EDGES = 2

torch.manual_seed(0)
OWN = [spec for spec in nb.registry.values() if not spec.custom and not spec.composite and not spec.off]
SAMPLES = [(spec, spec.samples()) for spec in OWN]
CASES = [(spec, sample) for spec, samples in SAMPLES for sample in spread(samples, MOST)]
AT_EDGE = [spec for spec in OWN if not spec.open_length]
EDGE_CASES = [
    (spec, sample, kind)
    for spec, samples in SAMPLES
    if spec in AT_EDGE
    for sample in spread(samples, AT_EDGES)
    for kind in EDGES
]

OPS_AT_ONCE = 10
"""Of so many ops one process runs the samples: a worker that gets some of the tests does not run all."""
PLACE = {spec.type: i // OPS_AT_ONCE for i, spec in enumerate(OWN)}

Result = dict[str, Any] | str


@cache
def model(spec: nb.OpSpec, sample: nb.Sample) -> tuple[nb.EmittedModel, list[str]]:
    """A model, and its outputs."""
    graph = build(sample)[0]
    return nb.compile_graph(graph, "stock"), list(graph.outputs)


def run(cases: Iterable[tuple[nb.OpSpec, nb.Sample, list[Any]]]) -> list[Result]:
    if importlib.util.find_spec("ncnn") is None:
        pytest.fail('no ncnn wheel: pip install -c constraints.txt -e ".[dev]" brings it')
    compiled = [(*model(spec, sample), arrays) for spec, sample, arrays in cases]
    return wheel_results([(net, named(arrays), outputs) for net, outputs, arrays in compiled])


@cache
def usual(place: int) -> dict[int, Result]:
    """Number in CASES -> what the wheel gives."""
    own = {i: case for i, case in enumerate(CASES) if PLACE[case[0].type] == place}
    return dict(zip(own, run((spec, sample, draw(sample)) for spec, sample in own.values()), strict=True))


@cache
def at_edges(place: int) -> dict[int, Result]:
    """Likewise of EDGE_CASES."""
    own = {i: case for i, case in enumerate(EDGE_CASES) if PLACE[case[0].type] == place}
    jobs = ((spec, sample, draw_edge(sample, kind)) for spec, sample, kind in own.values())
    return dict(zip(own, run(jobs), strict=True))


@pytest.mark.parametrize("spec", OWN, ids=[spec.type for spec in OWN])
def test_an_op_on_the_wheel(spec: nb.OpSpec) -> None:
    results = usual(PLACE[spec.type])
    own = [i for i, case in enumerate(CASES) if case[0] is spec]
    assert own
    for i in own:
        sample, got = CASES[i][1], results[i]
        assert isinstance(got, dict), f"{sample.id}: {got}"
        report = Report(f"{spec.type} {sample.id}, wheel")
        report.add_all(got, oracle(sample, draw(sample)), spec.tolerance.fp32).check()


@pytest.mark.parametrize("spec", AT_EDGE, ids=[spec.type for spec in AT_EDGE])
def test_an_op_at_edges_on_the_wheel(spec: nb.OpSpec) -> None:
    results = at_edges(PLACE[spec.type])
    own = [i for i, case in enumerate(EDGE_CASES) if case[0] is spec]
    assert own
    for i in own:
        _, sample, kind = EDGE_CASES[i]
        got = results[i]
        assert isinstance(got, dict), f"{sample.id} {kind}: {got}"
        edge_report(spec, sample, kind, got).check()


def test_another_result_is_seen() -> None:
    i = next(i for i, (spec, _) in enumerate(CASES) if spec.type == "LSTM")
    spec, sample = CASES[i]
    got = usual(PLACE[spec.type])[i]
    assert isinstance(got, dict), got
    got = {name: array * 1.001 for name, array in got.items()}
    with pytest.raises(nb.ParityError, match="differ"):
        Report("LSTM").add_all(got, oracle(sample, draw(sample)), spec.tolerance.fp32).check()


def test_another_result_at_edges_is_seen() -> None:
    i = next(i for i, (spec, _, kind) in enumerate(EDGE_CASES) if (spec.type, kind) == ("Softplus", "large"))
    spec, sample, kind = EDGE_CASES[i]
    got = at_edges(PLACE[spec.type])[i]
    assert isinstance(got, dict), got
    with pytest.raises(nb.ParityError, match="NaN or infinite"):  # of torch's softplus, which the layer is not
        edge_report(spec, sample, kind, got, oracle).check()
