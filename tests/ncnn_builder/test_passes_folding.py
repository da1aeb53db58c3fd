"""Constants are computed when compiling, by the references of the ops."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pass_support import const, fires, graph_of, normal, refuses, types

import ncnn_builder as nb
from ncnn_builder.consumed import Consumed
from ncnn_builder.ops.stock import memory
from ncnn_builder.parity import interpret
from ncnn_builder.passes.constant_folding import SMALL, constant_folding

Build = Callable[..., Any]
torch.manual_seed(0)
M = normal(3, 4)


def of_constants(sample: nb.Sample, hold: Callable[[nb.Graph, np.ndarray], nb.Value]) -> nb.Graph:
    """A sample's call, of constants."""
    kinds: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {"normal": lambda shape: normal(*shape)}
    draw = kinds.get(sample.draw, lambda shape: np.clip(np.abs(normal(*shape)), 0.1, 0.9))
    return graph_of(lambda g: sample.build(g, *(hold(g, draw(shape)) for shape in sample.inputs)))


def settled(spec: nb.OpSpec, sample: nb.Sample) -> bool:
    """Whether ncnn gives numbers to rely on all the way, and the reference looks at all that the layer says."""
    g = of_constants(sample, const)
    values = interpret(g, {}, double=True)
    plain = all(np.isfinite(data.astype(np.float32)).all() for data in values.values())
    for node in (n for n in g.nodes if n.spec is spec):
        seen = Consumed(node.params)
        spec.infer([v.shape for v in node.inputs], seen, node.weights)
        weights = {name: torch.tensor(data) for name, data in node.weights.items()}
        spec.reference([torch.tensor(values[v]).float() for v in node.inputs], seen, weights)
        plain = plain and not seen.ignored(spec)
    return plain


SPECS = [spec for spec in nb.registry.values() if not spec.integer_input and any(s.inputs for s in spec.samples())]


@pytest.mark.parametrize("hold", [const, memory])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
def test_constants_are_computed(spec: nb.OpSpec, hold: Callable[[nb.Graph, np.ndarray], nb.Value]) -> None:
    """By any op, with no word about it; only what says that it does not fold stays."""
    samples = [s for s in spec.samples() if s.inputs]
    if not spec.folds:
        g = of_constants(samples[0], hold)
        assert types(constant_folding(g)).count(spec.type) == types(g).count(spec.type)
        return
    sample = next(s for s in samples if settled(spec, s))
    g = of_constants(sample, hold)
    exact, after = interpret(g, {}, double=True), constant_folding(g)
    assert {*types(after)} <= {"Shell", "MemoryData"}
    for name, value in after.outputs.items():
        wanted = exact[g.outputs[name]]
        assert value.data is not None
        assert np.abs(value.data - wanted).max(initial=0) <= 1e-6 * np.abs(wanted).max(initial=1)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceSumSquare", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"])
@pytest.mark.parametrize("keep", [False, True])
def test_every_reduction_that_is_computed(op: str, keep: bool) -> None:
    x = normal(2, 3, 4)
    fires(constant_folding, graph_of(lambda g: nb.really_reduction(g, const(g, x), op, (0, 2), keep)), ["Shell"])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min", "RSub", "RDiv"])
@pytest.mark.parametrize("number", [False, True])
def test_every_binary_op_that_is_computed(op: str, number: bool) -> None:
    def build(g: nb.Graph) -> list[nb.Value]:
        return nb.binaryOp(g, [const(g, M), 0.7 if number else const(g, np.abs(M) + 1)], op)

    fires(constant_folding, graph_of(build), ["Shell"])


@pytest.mark.parametrize("op", ["Mul", "Div", "Add", "Sub"])
@pytest.mark.parametrize("dim", range(4))
def test_every_vector_op_that_is_computed(op: str, dim: int) -> None:
    w = normal(2, 3, 4, 5)
    v = np.abs(normal(w.shape[dim])) + 1
    fires(constant_folding, graph_of(lambda g: nb.F4DOp1D(g, [const(g, w), const(g, v)], dim, op)), ["Shell"])


def test_a_chain_of_constants_is_one() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        w = nb.really_reshape(g, nb.MulConstant(g, const(g, normal(4, 6, 1, 1)), 0.1), (4, 6))
        return nb.Fmatmul(g, [x, *w], (4, 6))

    fires(constant_folding, graph_of(build, (6,)), ["Shell", "Fmatmul"])


def _grows(n: int) -> Build:
    return lambda g: nb.binaryOp(g, [const(g, normal(n, 1)), const(g, normal(1, n))], "Mul")


def test_a_small_result_may_grow() -> None:
    fires(constant_folding, graph_of(_grows(int(SMALL**0.5))), ["Shell"])


@pytest.mark.parametrize(
    "build",
    [
        _grows(int(SMALL**0.5) + 1),
        lambda g: nb.rsqrt(g, const(g, np.zeros((3,)))),  # infinite
        lambda g: nb.log(g, const(g, -np.abs(M))),  # no number
        lambda g: nb.cast(g, const(g, M), "float32", "float16"),  # no blob of float32
        lambda g: const(g, M),
    ],
)
def test_constants_that_stay(build: Build) -> None:
    refuses(constant_folding, graph_of(build))


def test_what_depends_on_an_input_stays() -> None:
    refuses(constant_folding, graph_of(lambda g, x: nb.binaryOp(g, [x, const(g, M)], "Mul"), (3, 4)))


def test_an_op_without_a_reference_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(type(nb.registry["Sin"]), "reference")
    refuses(constant_folding, graph_of(lambda g: nb.sin(g, const(g, M))), "plain numbers")


def test_without_torch_a_constant_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    g = graph_of(lambda g: nb.sin(g, const(g, M)))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(nb.NcnnBuilderError, match=r"Sin .*a constant is computed with torch, which is not installed"):
        constant_folding(g)
    refuses(constant_folding, graph_of(lambda g, x: nb.sin(g, x), (4,)))  # nor is it asked for where there is none


def test_folding_makes_the_same_bytes() -> None:
    models = [nb.compile_graph(graph_of(lambda g: nb.rsqrt(g, const(g, np.abs(M)))), "fused") for _ in range(2)]
    assert models[0].bin == models[1].bin and models[0].param == models[1].param
