"""What the tests of passes share: small graphs, their numbers before and after, what fired and what refused."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from parity_support import run_emitted

import ncnn_builder as nb
from ncnn_builder.parity import Report, interpret
from ncnn_builder.passes.rules import Rules

Rewrite = Callable[[nb.Graph], nb.Graph]
STREAMS: dict[str, np.random.Generator] = {}
"""By module, and each test begins its own: no number depends on which tests ran before in the process."""


def normal(*shape: int) -> np.ndarray:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]  # none while modules are imported
    name = test or sys._getframe(1).f_globals["__name__"]
    rng = STREAMS.setdefault(name, np.random.default_rng(zlib.crc32(name.encode())))
    return rng.standard_normal(shape).astype(np.float32)


def graph_of(build: Callable[..., Any], *shapes: tuple[int, ...]) -> nb.Graph:
    """Inputs x0, x1, ... of these shapes through the DSL; outputs y0, y1, ..."""
    g = nb.Graph("pass")
    values = nb.check_bottom_names(build(g, *(g.input(f"x{i}", s) for i, s in enumerate(shapes))))
    for i, value in enumerate(values):
        g.output(f"y{i}", value)
    return g


def const(g: nb.Graph, data: np.ndarray) -> nb.Value:
    """A constant of one to four dimensions."""
    full = data.reshape((1,) * (4 - data.ndim) + data.shape) if data.ndim != 3 else data[:, None]
    return nb.shell(g, [], full, None, data.ndim)[0]


FIR = np.array([[1, 2, 3], [2, 5, 1], [4, 1, 2]], np.float32) / 21


def fir(g: nb.Graph, x: Any, f: np.ndarray = FIR, **kw: Any) -> list[nb.Value]:
    """A filter as the predecessor writes it: one kernel, repeated, as a value."""
    x = nb.check_bottom_names(x)[0]
    kernel = np.broadcast_to(f, (x.shape[0], 1, *f.shape))
    return nb.Fconv2d_depthwise(g, [x, *nb.shell(g, [], kernel)], groups=x.shape[0], **kw)


def types(g: nb.Graph) -> list[str]:
    return [n.spec.type for n in g.nodes]


def inputs_of(g: nb.Graph, positive: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(len(g.nodes))
    draw = (lambda s: rng.random(s) + 0.1) if positive else rng.standard_normal
    return {v.name: draw(v.shape).astype(np.float32) for v in g.inputs}


def numbers(g: nb.Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs and taps, by the references of the ops."""
    values = interpret(g, inputs)
    named = {**g.outputs, **{f"tap {path}": value for path, value in g.taps.items()}}
    return {name: values[value] for name, value in named.items()}


def fires(rewrite: Rewrite, g: nb.Graph, expected: list[str], tolerance: float = 2e-6, **draw: bool) -> nb.Graph:
    """The pass makes these layers of the graph, keeps its numbers and its taps, and has nothing more to do."""
    before = str(g)
    after = rewrite(g)
    assert types(after) == expected
    nb.verify(after, stage="after the pass")
    inputs = inputs_of(g, **draw)
    Report(str(rewrite)).add_all(numbers(after, inputs), numbers(g, inputs), tolerance).check()
    assert after.taps.keys() == g.taps.keys()
    assert rewrite(after) is after  # idempotent
    assert str(g) == before  # the old graph is as it was
    return after


def refuses(rewrite: Rewrite, g: nb.Graph, reason: str | None = None) -> None:
    """The pass leaves the graph alone, and says why where it looks like a pattern."""
    assert rewrite(g) is g
    if isinstance(rewrite, Rules):
        reasons = rewrite.refusals(g)
        assert set(reasons) <= {node.name for node in g.nodes} and all(reasons.values())
        assert reason is None or any(reason in said for said in reasons.values()), reasons


def same_on_ncnn(before: nb.Graph, after: nb.Graph, tolerance: float = 1e-5, **draw: bool) -> None:
    """Both graphs, of layers, emitted and run: the same outputs."""
    inputs = inputs_of(before, **draw)
    models = [nb.compile_graph(g, "reference") for g in (before, after)]
    expected, got = (run_emitted(m, inputs, list(before.outputs)) for m in models)
    Report("on ncnn").add_all(got, expected, tolerance).check()
