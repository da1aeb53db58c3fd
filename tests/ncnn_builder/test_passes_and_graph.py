"""What the verifier refuses, what rebuilding keeps, and what dead code is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import ncnn_builder as nb
from ncnn_builder.ir import Node, Value
from ncnn_builder.parity import interpret
from ncnn_builder.passes.dead_code import dead_code
from ncnn_builder.pipeline import LOWERED, Pass, everywhere, lower_and_optimise
from ncnn_builder.rebuild import rebuild
from ncnn_builder.targets import TARGETS, lower

RNG = np.random.default_rng(5)
WEIGHT, BIAS = RNG.standard_normal((4, 5)).astype(np.float32), RNG.standard_normal(4).astype(np.float32)


def outputs_of(graph: nb.Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    values = interpret(graph, inputs)
    return {name: values[value] for name, value in graph.outputs.items()}


def nested() -> nb.Graph:
    """Two layers of a module, composite, and an op outside."""
    g = nb.Graph("nested")
    x = g.input("x", (5,))
    with g.scope("pair"):
        with g.scope("layers.0"):
            x = nb.fully_connected(g, x, WEIGHT, BIAS)
            g.tap(*x)
        with g.scope("layers.1"):
            y = nb.bias_act(g, x, BIAS, "lrelu")
            g.tap(*y)
        g.tap(*x, *y)
    g.output("y", nb.abs(g, y))
    return g


# -- the verifier ---------------------------------------------------------------------------------------------------


def small() -> nb.Graph:
    """x -> Shell, Fmatmul -> Rsqrt, with a tap."""
    g = nb.Graph("small")
    x = g.input("x", (5,))
    with g.scope("fc"):
        y = nb.Fmatmul(g, [x, *nb.shell(g, [], WEIGHT[:, :, None, None], BIAS)], (4, 5))
        g.tap(*y)
    g.output("y", nb.rsqrt(g, nb.square(g, y), eps=0.5))
    return g


def by_type(g: nb.Graph, op: str) -> Node:
    return next(n for n in g.nodes if n.spec.type == op)


def stranger() -> Value:
    return Value(nb.Graph(), "stranger", (4,))


def _reorder(g: nb.Graph) -> None:
    g.nodes.reverse()


def _other_producer(g: nb.Graph) -> None:
    g.nodes[-1].outputs[0].producer = g.nodes[0]


def _twice(g: nb.Graph) -> None:
    g.nodes[-1].outputs[0].name = "x"


def _no_use(g: nb.Graph) -> None:
    g.inputs[0].uses.clear()


def _one_use_more(g: nb.Graph) -> None:
    g.inputs[0].uses.append((g.nodes[-1], 0))


def _foreign_input(g: nb.Graph) -> None:
    g.nodes[-1].inputs = (stranger(),)


def _shape(g: nb.Graph) -> None:
    g.nodes[-1].outputs[0].shape = (5,)


def _param_missing(g: nb.Graph) -> None:
    g.nodes[-1].params = {"eps": 0.5}


def _param_wrong(g: nb.Graph) -> None:
    node = by_type(g, "Fmatmul")
    node.params = {**node.params, "num_output": 3}


def _weight(value: Any) -> Callable[[nb.Graph], None]:
    def change(g: nb.Graph) -> None:
        node = by_type(g, "Shell")
        node.weights = {**node.weights, "bias": value(node.weights["bias"])}

    return change


def _unregistered(g: nb.Graph) -> None:
    g.nodes[-1].spec = type(g.nodes[-1].spec)()


def _foreign_output(g: nb.Graph) -> None:
    g.outputs["y"] = stranger()


def _foreign_tap(g: nb.Graph) -> None:
    g.taps["fc"] = stranger()


def _no_output(g: nb.Graph) -> None:
    g.outputs.clear()


def _node_gone(g: nb.Graph) -> None:
    g.nodes.remove(by_type(g, "Square"))


VIOLATIONS: list[tuple[Callable[[nb.Graph], None], str]] = [
    (_reorder, "made by no earlier node"),
    (_other_producer, "another producer"),
    (_twice, "used twice"),
    (_no_use, "use list of x"),
    (_one_use_more, "use list of x"),
    (_foreign_input, "stranger is made by no earlier node"),
    (_shape, r"should be \[\(4,\)\]"),
    (_param_missing, "do not match the declaration"),
    (_param_wrong, "does not fit the weight"),
    (_weight(lambda b: b * np.float32(np.nan)), "weight bias holds 4 numbers"),
    (_weight(lambda b: b / np.float32([1, 1, 1, np.inf]) - np.float32([0, 0, np.inf, 0])), "weight bias holds 1 numb"),
    (_weight(lambda b: b.astype(np.float64)), "float64, not float32"),
    (_weight(lambda b: b[:3]), "wrong shape"),
    (_unregistered, "not in the registry"),
    (_foreign_output, "output y is no value"),
    (_foreign_tap, "tap fc is no value"),
    (_no_output, "no output"),
    (_node_gone, "made by no earlier node"),
]


@pytest.mark.parametrize(
    ("break_it", "message"), VIOLATIONS, ids=[f"{i}-{m[:24]}" for i, (_, m) in enumerate(VIOLATIONS)]
)
def test_a_broken_graph_is_refused(break_it: Callable[[nb.Graph], None], message: str) -> None:
    g = small()
    nb.verify(g, stage="whole")
    break_it(g)
    with pytest.raises(nb.VerifyError, match=message) as caught:
        nb.verify(g, stage="after pass x")
    assert "after pass x" in str(caught.value)


def test_a_composite_op_after_lowering_is_refused() -> None:
    g = nb.Graph()
    g.output("y", nb.bias_act(g, g.input("x", (3,)), act="relu"))
    nb.verify(g, stage="built")
    with pytest.raises(nb.VerifyError, match=r"bias_act bias_act_1 at test_passes_and_graph\.py:\d+: .*composite"):
        nb.verify(g, stage="after lowering", lowered=True)


def test_a_target_without_a_lowering_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "bare", {})
    g = nb.Graph()
    g.output("y", nb.bias_act(g, g.input("x", (3,)), act="relu"))
    with pytest.raises(nb.BuildError, match=r"bias_act bias_act_1 at .*target bare has no lowering"):
        lower(g, "bare")


# -- rebuilding -----------------------------------------------------------------------------------------------------


def facts(g: nb.Graph) -> list[tuple[Any, ...]]:
    return [
        (n.spec.type, n.scope, n.source, n.params, [v.shape for v in n.outputs], [v.name for v in n.inputs])
        for n in g.nodes
    ]


def test_a_rebuilt_graph_is_the_same_graph() -> None:
    g = nested()
    again = rebuild(g, lambda new, node, inputs: None, "nothing")
    assert again is not g
    assert facts(again) == facts(g)
    assert {p: v.name for p, v in again.taps.items()} == {p: v.name for p, v in g.taps.items()}
    assert str(again) == str(g)
    nb.verify(again, stage="rebuilt")


def test_rebuilding_keeps_where_things_come_from() -> None:
    g = nested()
    lowered = lower(g, "reference")
    first = [n for n in lowered.nodes if n.scope == "pair.layers.0"]
    assert [n.spec.type for n in first] == ["Shell", "Fmatmul"]
    assert {n.source for n in first} == {g.nodes[0].source}
    assert {n.made_by for n in first} == {"target reference"}
    assert all(n.name.startswith("pair.layers.0/") for n in first)
    assert by_type(lowered, "Abs").made_by is None
    assert lowered.taps.keys() == g.taps.keys()
    assert lowered.source is lowered.made_by is None
    x = {"x": RNG.standard_normal(5).astype(np.float32)}
    assert np.allclose(outputs_of(lowered, x)["y"], outputs_of(g, x)["y"], rtol=1e-5)


def test_rebuilding_keeps_the_input_that_takes_any_shape_and_known_data() -> None:
    g = nb.Graph()
    x = g.input("x", (3,), any_shape=True)
    w = nb.shell(g, [], np.ones((1, 1, 1, 3)), None, 1)[0]
    g.output("y", nb.binaryOp(g, [x, w], "Add"))
    again = rebuild(g, lambda new, node, inputs: None, "nothing")
    assert again.inputs[0].any_shape
    assert (by_type(again, "Shell").outputs[0].data == 1).all()


def test_a_rewrite_replaces_a_node() -> None:
    g = small()

    def rewrite(new: nb.Graph, node: Node, inputs: list[Value]) -> list[Value] | None:
        return nb.binaryOp(new, [inputs[0], inputs[0]], "Mul") if node.spec.type == "Square" else None

    again = rebuild(g, rewrite, "pass square")
    nb.verify(again, stage="rewritten", lowered=True)
    new = by_type(again, "BinaryOp")
    assert (new.made_by, new.source) == ("pass square", by_type(g, "Square").source)
    x = {"x": RNG.standard_normal(5).astype(np.float32)}
    assert np.array_equal(outputs_of(again, x)["y"], outputs_of(g, x)["y"])


# -- dead code ------------------------------------------------------------------------------------------------------


def test_dead_code_goes() -> None:
    g = nb.Graph()
    x = g.input("x", (5,))
    nb.abs(g, nb.square(g, x))
    g.output("y", nb.sqrt(g, nb.square(g, x)))
    after = dead_code(g)
    assert [n.spec.type for n in after.nodes] == ["Square", "Sqrt"]
    assert len(after.inputs[0].uses) == 1
    nb.verify(after, stage="after dead code")
    assert "Abs" not in nb.compile_graph(g).param


def test_dead_code_is_idempotent_and_leaves_a_clean_graph_alone() -> None:
    g = nb.Graph()
    x = g.input("x", (5,))
    nb.abs(g, x)
    g.output("y", nb.sqrt(g, x))
    once = dead_code(g)
    assert once is not g
    assert dead_code(once) is once
    clean = small()
    assert dead_code(clean) is clean


def test_dead_code_keeps_a_tap() -> None:
    g = nb.Graph()
    x = g.input("x", (5,))
    with g.scope("seen"):
        g.tap(*nb.abs(g, nb.square(g, x)))
    g.output("y", nb.sqrt(g, x))
    assert [n.spec.type for n in dead_code(g).nodes] == ["Square", "Abs", "Sqrt"]


def test_dead_code_keeps_a_node_of_which_one_result_is_needed() -> None:
    g = nb.Graph()
    _, b = nb.shell(g, [], WEIGHT[:, :, None, None], BIAS)
    g.output("y", nb.abs(g, b))
    assert dead_code(g) is g
    assert np.array_equal(outputs_of(lower_and_optimise(g, "reference"), {})["y"], np.abs(BIAS))


def test_dead_code_keeps_an_input_that_nothing_reads() -> None:
    g = nb.Graph()
    x, unused = g.input("x", (5,)), g.input("unused", (3,))
    nb.abs(g, unused)
    g.output("y", nb.sqrt(g, x))
    after = dead_code(g)
    assert [v.name for v in after.inputs] == ["x", "unused"]
    assert nb.compile_graph(g).inputs == {"x": (5,), "unused": (3,)}


def test_the_pipeline_verifies_after_every_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(g: nb.Graph) -> nb.Graph:
        new = rebuild(g, lambda new, node, inputs: None, "pass spoil")
        new.nodes[-1].outputs[0].shape = (9,)
        return new

    def spoil_what_it_is_given(g: nb.Graph) -> nb.Graph:
        g.nodes[-1].outputs[0].shape = (9,)
        return g

    for pass_, stage in ((spoil, "after pass spoil"), (spoil_what_it_is_given, "after the passes")):
        monkeypatch.setattr("ncnn_builder.pipeline.LOWERED", (*LOWERED, Pass("spoil", pass_, everywhere)))
        with pytest.raises(nb.VerifyError, match=stage):
            lower_and_optimise(small(), "reference")
