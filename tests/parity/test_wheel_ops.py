"""Samples of ncnn's own layers on plain ncnn: the wheel from PyPI, all of them in one process of its own."""

from __future__ import annotations

import importlib.util
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
EDGE_CASES = [
    (spec, sample, kind)
    for spec, samples in SAMPLES
    if not spec.open_length
    for sample in spread(samples, AT_EDGES)
    for kind in EDGES
]

Results = list[dict[str, Any] | str]


@pytest.fixture(scope="module")
def results() -> Results:
    """Of CASES, and behind them of EDGE_CASES."""
    if importlib.util.find_spec("ncnn") is None:
        pytest.fail('no ncnn wheel: pip install -c constraints.txt -e ".[dev]" brings it')
    models: dict[str, nb.EmittedModel] = {}

    def job(spec: nb.OpSpec, sample: nb.Sample, arrays: list[Any]) -> Any:
        graph, key = build(sample)[0], f"{spec.type} {sample.id}"
        models[key] = models.get(key) or nb.compile_graph(graph, "stock")
        return models[key], named(arrays), list(graph.outputs)

    usual = [job(spec, sample, draw(sample)) for spec, sample in CASES]
    return wheel_results([*usual, *(job(spec, sample, draw_edge(sample, kind)) for spec, sample, kind in EDGE_CASES)])


@pytest.mark.parametrize("i", range(len(CASES)), ids=[f"{spec.type}-{sample.id}" for spec, sample in CASES])
def test_an_op_on_the_wheel(i: int, results: Results) -> None:
    spec, sample = CASES[i]
    got = results[i]
    assert isinstance(got, dict), got
    Report(f"{spec.type} {sample.id}, wheel").add_all(got, oracle(sample, draw(sample)), spec.tolerance.fp32).check()


@pytest.mark.parametrize("i", range(len(EDGE_CASES)), ids=[f"{o.type}-{s.id}-{kind}" for o, s, kind in EDGE_CASES])
def test_an_op_at_edges_on_the_wheel(i: int, results: Results) -> None:
    spec, sample, kind = EDGE_CASES[i]
    got = results[len(CASES) + i]
    assert isinstance(got, dict), got
    edge_report(spec, sample, kind, got).check()


def test_another_result_is_seen(results: Results) -> None:
    i = next(i for i, (spec, _) in enumerate(CASES) if spec.type == "LSTM")
    (spec, sample), got = CASES[i], results[i]
    assert isinstance(got, dict), got
    got = {name: array * 1.001 for name, array in got.items()}
    with pytest.raises(nb.ParityError, match="differ"):
        Report("LSTM").add_all(got, oracle(sample, draw(sample)), spec.tolerance.fp32).check()


def test_another_result_at_edges_is_seen(results: Results) -> None:
    i = next(i for i, (spec, _, kind) in enumerate(EDGE_CASES) if (spec.type, kind) == ("Softplus", "large"))
    (spec, sample, kind), got = EDGE_CASES[i], results[len(CASES) + i]
    assert isinstance(got, dict), got
    with pytest.raises(nb.ParityError, match="NaN or infinite"):  # of torch's softplus, which the layer is not
        edge_report(spec, sample, kind, got, oracle).check()
