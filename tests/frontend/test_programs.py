"""Random programs of up to six dimensions: layouts, their layers and broadcasting against torch.

NCNN_BUILDER_PROGRAMS=5000 tries so many.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from layout_programs import Program, programs
from torch.fx.experimental.proxy_tensor import make_fx

from ncnn_builder import Graph, compile_graph
from ncnn_builder.frontend.blobs import as_tensor, natural
from ncnn_builder.frontend.capture import declared
from ncnn_builder.frontend.exported import Program as Exported
from ncnn_builder.frontend.walk import Walk
from ncnn_builder.parity import Comparison, compare, interpret, wheel_results

COUNT = int(os.environ.get("NCNN_BUILDER_PROGRAMS", "40"))
TOLERANCE = 2e-5


def _converted(program: Program) -> tuple[Graph, dict[str, np.ndarray], np.ndarray]:
    """The graph, its input and torch's result; without torch.export, which takes longer than all the rest."""
    x = torch.randn(program.shape, generator=torch.Generator().manual_seed(len(program.steps)))
    traced = make_fx(program, tracing_mode="fake", _allow_non_fake_inputs=True, pre_dispatch=True)(x)
    g = Graph("program")
    t, port = declared(g, "in0", x, batched=program.batched)
    placeholder = next(n.name for n in traced.graph.nodes if n.op == "placeholder")
    (returned,) = Walk(g, Exported(traced.graph, {}, (placeholder,), traced)).whole({placeholder: t})
    g.output("out0", natural(g, as_tensor(g, returned)))
    data = x.numpy()
    return g, {"in0": data.reshape(t.value.shape) if port.batch_axis is None else data}, program(x).numpy()


def test_programs_against_torch():
    """As graphs, by the references of their layers, where hypothesis makes what fails small; then all on the wheel."""
    jobs, told = [], []

    @settings(max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck), derandomize=COUNT < 1000)
    @given(programs())
    def as_graph(program):
        graph, feeds, want = _converted(program)
        if not program.batched:  # of which a graph knows nothing
            values = interpret(graph, {name: data.reshape(graph.inputs[0].shape) for name, data in feeds.items()})
            comparison = _compared(values[graph.outputs["out0"]], want)
            assert comparison.ok, f"{comparison}\n{graph}"
        jobs.append((compile_graph(graph, "stock"), feeds, ["out0"]))
        told.append((program, want))

    as_graph()
    wrong = []
    for (program, want), got in zip(told, wheel_results(jobs), strict=True):
        comparison = got if isinstance(got, str) else _compared(got["out0"], want)
        if isinstance(comparison, str) or not comparison.ok:
            wrong.append(f"{comparison}: {program}")
    assert len(told) >= min(COUNT, 20)
    assert not wrong, f"{len(wrong)} of {len(told)}:\n" + "\n".join(sorted(wrong, key=len)[:10])


def _compared(got: np.ndarray, want: np.ndarray) -> Comparison:
    """By the largest magnitude, but at least 1: differences of equal numbers are nothing but rounding."""
    if got.size != want.size:
        return compare("out0", got, want, TOLERANCE)
    return compare("out0", *(np.append(array.ravel(), np.float32(1)) for array in (got, want)), TOLERANCE)
