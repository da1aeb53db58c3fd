"""Every op in the registry on numbers that reach edges: ncnn computes what the reference says,
and so does torch, or the declaration says where it departs."""

from __future__ import annotations

import pytest
import torch
from parity_support import build, draw_edge, edge_report, named, oracle, referenced, run_emitted, spread

import ncnn_builder as nb
from ncnn_builder.parity import EDGES

torch.manual_seed(0)  # samples that hold torch modules draw their weights when they are made
MOST = 4
UNSEEN = {name: "no function of the DSL makes a ramp that falls" for name in ("HardSigmoid", "HardSwish")}
OPS = [spec for spec in nb.registry.values() if not spec.off and not spec.open_length]
CASES = [(spec, sample) for spec in OPS for sample in spread(spec.samples(), MOST)]
IDS = [f"{spec.type}-{sample.id}" for spec, sample in CASES]


@pytest.mark.parametrize(("spec", "sample"), CASES, ids=IDS)
def test_ncnn_computes_what_the_reference_says(spec: nb.OpSpec, sample: nb.Sample) -> None:
    graph = build(sample)[0]
    model = nb.compile_graph(graph, "reference")
    for kind in EDGES:
        got = run_emitted(model, named(draw_edge(sample, kind)), list(graph.outputs))
        edge_report(spec, sample, kind, got).check()


@pytest.mark.parametrize("spec", OPS, ids=[spec.type for spec in OPS])
def test_the_reference_is_the_formula_or_departs(spec: nb.OpSpec) -> None:
    samples, seen = [s for s in spec.samples() if s.torch is not None], False
    for sample in samples if spec.departs else spread(samples, MOST):
        declared = {node.spec.type for node in build(sample)[0].nodes if node.spec.departs}
        for kind in EDGES:
            report = edge_report(spec, sample, kind, referenced(sample, draw_edge(sample, kind)), oracle)
            if not declared:
                report.check()
            seen = seen or report.first_divergence is not None
        if seen:
            return
    assert not spec.departs or spec.type in UNSEEN, "it is declared, and not seen"
