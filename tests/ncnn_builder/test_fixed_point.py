"""Passes run until none finds anything to do, whatever the length of a chain; compiled again, a net stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from parity_support import build, run_emitted
from pass_support import graph_of, inputs_of, types
from torch import nn

import ncnn_builder as nb
from ncnn_builder import pipeline
from ncnn_builder.features import features_of
from ncnn_builder.ir import Graph, Node, Value
from ncnn_builder.ops.layers import Abs
from ncnn_builder.parity import Report
from ncnn_builder.passes import match
from ncnn_builder.passes.match import Matcher, rewrite_all
from ncnn_builder.pipeline import Pass, lower_and_optimise, run_passes

torch.manual_seed(0)
OPTIMISED = sorted(set(nb.TARGETS) - {"reference"})
CONV = nn.Conv2d(3, 4, 1)
WIDE, TALL = np.float32([[1, 3, 2]]), np.float32([[1, 2], [3, 1], [2, 5]])


def chain(n: int, step: Callable[[nb.Graph, nb.Value, int], Any], behind: bool) -> nb.Graph:
    """n steps behind a convolution, or in front of it."""

    def make(g: nb.Graph, x: nb.Value) -> Any:
        y = nb.conv2d(g, x, CONV)[0] if behind else x
        for i in range(n):
            y = step(g, y, i)[0]
        return y if behind else nb.conv2d(g, y, CONV)

    return graph_of(make, (3, 4, 5))


def scales(g: nb.Graph, x: nb.Value, i: int) -> Any:
    return nb.scale(g, x, np.full(x.shape[0], 1 + 0.1 / (i + 1), np.float32))


def factors(g: nb.Graph, x: nb.Value, i: int) -> Any:
    return nb.binaryOp(g, [x, 1 + 0.1 / (i + 1)], "Mul")


def addends(g: nb.Graph, x: nb.Value, i: int) -> Any:
    return nb.binaryOp(g, [x, 0.01 * i], "Add")


@pytest.mark.parametrize("target", OPTIMISED)
@pytest.mark.parametrize(("step", "behind"), [(scales, True), (factors, True), (addends, True), (factors, False)])
def test_a_long_chain_becomes_one_layer(step: Any, behind: bool, target: str) -> None:
    g = chain(250, step, behind)
    assert types(lower_and_optimise(g, target)) == ["Convolution"]
    inputs = inputs_of(g)
    expected = run_emitted(nb.compile_graph(g), inputs, ["y0"])
    Report(target).add_all(run_emitted(nb.compile_graph(g, target), inputs, ["y0"]), expected, 1e-4).check()


def test_a_chain_is_visited_once() -> None:
    """Each link costs the same, however many there are: no sweep over the whole for each of them."""

    def visits(n: int) -> int:
        seen = 0

        def rewrite(g: Graph, node: Node, matcher: Matcher) -> list[Value] | None:
            nonlocal seen
            seen += 1
            before = matcher.maybe(node.inputs[0], Abs)
            if node.spec.type != "Abs" or before is None:
                return None
            return list(nb.abs(g, before.inputs[0]))

        def make(g: nb.Graph, x: nb.Value) -> Any:
            for _ in range(n):
                x = nb.abs(g, x)[0]
            return x

        assert types(rewrite_all(graph_of(make, (3,)), rewrite, "abs")) == ["Abs"]
        return seen

    assert visits(200) <= 2 * visits(100) + 2


SECOND_LOOK: list[Callable[..., Any]] = [
    # the factor behind the activation goes into the weight once the activation is in the layer
    lambda g, x: nb.binaryOp(g, [nb.activation(g, nb.conv2d(g, x, CONV), "relu"), 0.5], "Mul"),
    lambda g, x: nb.scale(g, nb.activation(g, nb.conv2d(g, x, CONV), "relu"), np.full(4, 0.5, np.float32)),
    lambda g, x: nb.binaryOp(g, [nb.activation(g, nb.conv2d(g, x, CONV), "sigmoid"), 0.5], "Mul"),
    lambda g, x: nb.activation(g, nb.binaryOp(g, [nb.conv2d(g, x, CONV), 0.5], "Mul"), "relu6"),
]


@pytest.mark.parametrize("target", OPTIMISED)
@pytest.mark.parametrize("make", SECOND_LOOK)
def test_a_net_that_is_compiled_stays_as_it_is(make: Callable[..., Any], target: str) -> None:
    once = lower_and_optimise(graph_of(make, (3, 4, 5)), target)
    twice = lower_and_optimise(once, target)
    assert [(n.spec.type, n.params) for n in twice.nodes] == [(n.spec.type, n.params) for n in once.nodes]


@pytest.mark.parametrize("how", [{"down": [1, 2]}, {"up": [1, 2]}, {"up": [1, 4], "down": [1, 2]}, {"down": [1, 3]}])
def test_an_axis_that_is_only_padded(how: dict[str, Any]) -> None:
    """Its border stays with its own filter: behind it, it would be taken for that of the next one."""
    for size in ((1, 1, 5), (5, 4, 6)):
        g = graph_of(lambda g, x: nb.upfirdn2d(g, nb.upfirdn2d(g, x, WIDE, padding=[1, 1, 1, 1], **how), TALL), size)
        once = lower_and_optimise(g, "stock")
        assert types(lower_and_optimise(once, "stock")) == types(once)
        expected = run_emitted(nb.compile_graph(g), inputs_of(g), ["y0"])
        Report("stock").add_all(run_emitted(nb.compile_graph(g, "stock"), inputs_of(g), ["y0"]), expected, 1e-5).check()


def test_what_a_late_pass_leaves_an_early_one_finds() -> None:
    g = graph_of(SECOND_LOOK[0], (3, 4, 5))
    assert types(lower_and_optimise(g, "stock")) == ["Convolution"]


@pytest.mark.parametrize("spec", [s for s in nb.registry.values() if s.samples()], ids=lambda s: s.type)
@pytest.mark.parametrize("target", OPTIMISED)
def test_every_op_that_is_compiled_stays_as_it_is(spec: nb.OpSpec, target: str) -> None:
    samples = spec.samples()
    for sample in {s.id: s for s in (samples[0], samples[len(samples) // 2])}.values():
        once = lower_and_optimise(build(sample)[0], target)
        assert types(lower_and_optimise(once, target)) == types(once)


def test_passes_that_undo_each_other_are_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def to(op: str) -> Callable[[Graph], Graph]:
        def rewrite(g: Graph, node: Node, matcher: Matcher) -> list[Value] | None:
            other = "Square" if op == "Abs" else "Abs"
            if node.spec.type != other:
                return None
            return list((nb.abs if op == "Abs" else nb.square)(g, node.inputs[0]))

        return lambda g: rewrite_all(g, rewrite, f"to {op}")

    monkeypatch.setattr(pipeline, "ROUNDS", 5)
    g = graph_of(lambda g, x: nb.abs(g, x), (3,))
    with pytest.raises(AssertionError, match="after 5 rounds"):
        run_passes(g, [Pass("there", to("Square")), Pass("back", to("Abs"))], "stock")


def test_a_pass_that_goes_on_and_on_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "MOST", 5)
    g = graph_of(lambda g, x: nb.abs(g, x), (3,))
    with pytest.raises(AssertionError, match="pass again"):
        rewrite_all(g, lambda new, node, matcher: list(nb.abs(new, node.inputs[0])), "again")


def test_a_rewrite_that_has_not_looked_at_a_parameter_does_not_take_place() -> None:
    def rewrite(g: Graph, node: Node, matcher: Matcher) -> list[Value] | None:
        if node.spec.type != "ReLU":
            return None
        return list(nb.activation(g, node.inputs[0], "relu"))  # whatever its slope is

    plain = graph_of(lambda g, x: nb.activation(g, x, "relu"), (3,))
    leaky = graph_of(lambda g, x: nb.activation(g, x, "leaky_relu"), (3,))
    assert rewrite_all(leaky, rewrite, "relu") is leaky
    with pytest.raises(AssertionError):  # it would go on and on
        rewrite_all(plain, rewrite, "relu")


def test_a_lowering_that_has_not_looked_at_a_parameter_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def lowering(g: Graph, node: Node, inputs: list[Value]) -> list[Value]:
        return list(nb.abs(g, inputs[0]))

    monkeypatch.setitem(nb.TARGETS["stock"], "ReLU", lowering)  # type: ignore[index]
    g = graph_of(lambda g, x: nb.activation(g, x, "leaky_relu", {"negative_slope": 0.5}), (3,))
    with pytest.raises(nb.BuildError, match=r"ReLU .*argument slope .*does not know a parameter") as caught:
        nb.compile_graph(g, "stock")
    assert caught.value.got == {"slope": 0.5}


def test_feature_masks_of_all_that_becomes_one_layer() -> None:
    def make(g: nb.Graph, x: nb.Value) -> Any:
        with nb.without(g, "winograd"):
            y = nb.conv2d(g, x, CONV)[0]
        with nb.without(g, "bf16"):
            y = nb.binaryOp(g, [y, 0.5], "Mul")[0]
        with nb.without(g, "threads"):
            return nb.activation(g, y, "relu")

    lowered = lower_and_optimise(graph_of(make, (3, 4, 5)), "stock")
    assert types(lowered) == ["Convolution"]
    assert features_of(lowered.nodes[0].mask) == ["bf16", "winograd", "threads"]
