"""Graphs: scopes, taps, names, printing; the verifier; rebuilding and dead code; comparisons and bisection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.emit.blob import read_bin
from ncnn_builder.emit.text import read_param
from ncnn_builder.ir import Node, Value
from ncnn_builder.parity import (
    Report,
    compare,
    interpret,
    isolated_nodes,
    module_graph,
    node_graph,
    smallest_failure,
    torch_taps,
)
from ncnn_builder.passes.dead_code import dead_code
from ncnn_builder.passes.pipeline import PASSES, run_passes
from ncnn_builder.passes.rebuild import rebuild
from ncnn_builder.targets import TARGETS, lower

RNG = np.random.default_rng(5)
WEIGHT, BIAS = RNG.standard_normal((4, 5)).astype(np.float32), RNG.standard_normal(4).astype(np.float32)


class Dense(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in))
        self.bias = nn.Parameter(torch.randn(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T + self.bias

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> list[nb.Value]:
        return nb.fully_connected(g, x, self.weight, self.bias)


class Pair(nn.Module):
    """Returns two results, the second of which may be missing."""

    def __init__(self, both: bool = True) -> None:
        super().__init__()
        self.both = both
        self.layers = nn.ModuleList([Dense(5, 4), Dense(4, 3)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        x = self.layers[0](x)
        return x, self.layers[1](x) if self.both else None

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> list[nb.Value | None]:
        x = nb.child(g, self, "layers.0", x)
        return [x[0], nb.child(g, self, "layers.1", x)[0] if self.both else None]


class Net(nn.Module):
    def __init__(self, both: bool = True) -> None:
        super().__init__()
        self.pair = Pair(both)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.pair(x)
        return a.abs().sum(1, keepdim=True) * (1 if b is None else b)

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> list[nb.Value]:
        a, b = nb.child(g, self, "pair", x)
        total = nb.reduction(g, nb.abs(g, a), "ReduceSum", 2, (1,), True)
        return total if b is None else nb.binaryOp(g, [total[0], b], "Mul")


def exported(both: bool = True) -> tuple[nb.Graph, Net]:
    torch.manual_seed(6)
    net = Net(both)
    g = nb.Graph("net")
    g.output("y", net.export_ncnn(g, g.input("x", (5,))))
    return g, net


def outputs_of(graph: nb.Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    values = interpret(graph, inputs)
    return {name: values[value] for name, value in graph.outputs.items()}


# -- scopes, taps, names ------------------------------------------------------------------------------------------


def test_children_give_scopes_and_taps() -> None:
    g, _ = exported()
    assert [n.scope for n in g.nodes] == ["pair.layers.0", "pair.layers.1", "", "", ""]
    assert list(g.taps) == ["pair.layers.0", "pair.layers.1", "pair:0", "pair:1"]
    assert g.taps["pair:0"] is g.taps["pair.layers.0"]
    assert g.current_scope == ""


def test_a_missing_result_keeps_its_place() -> None:
    g, _ = exported(both=False)
    assert list(g.taps) == ["pair.layers.0", "pair:0"]


def test_taps_are_what_the_modules_return() -> None:
    g, net = exported()
    x = torch.randn(1, 5)
    expected = torch_taps(net, lambda: net(x), g.taps)
    values = interpret(g, {"x": x[0].numpy()})
    got = {path: values[value] for path, value in g.taps.items()}
    report = Report("taps").add_all(got, expected, 1e-5).check()
    assert [c.name for c in report.comparisons] == list(g.taps)


def test_torch_taps_refuses_what_it_cannot_find() -> None:
    _, net = exported(both=False)
    x = torch.randn(1, 5)
    with pytest.raises(nb.ParityError, match=r"no modules.*pair\.other"):
        torch_taps(net, lambda: net(x), ["pair.other"])
    with pytest.raises(nb.ParityError, match="did not return"):
        torch_taps(net, lambda: net(x), ["pair.layers.1"])
    with pytest.raises(nb.ParityError, match="batch"):
        torch_taps(net, lambda: net(torch.randn(2, 5)), ["pair.layers.0"])


def test_torch_taps_with_a_prefix_and_without_hooks_left() -> None:
    _, net = exported()
    x = torch.randn(1, 5)
    got = torch_taps(net, lambda: net(x), ["main.pair.layers.0"], prefix="main")
    assert np.allclose(got["main.pair.layers.0"], net.pair.layers[0](x)[0].detach())
    assert not any(m._forward_hooks for m in net.modules())


def test_a_module_called_twice_needs_two_scopes() -> None:
    g, net = nb.Graph(), Net()
    x = g.input("x", (5,))
    nb.child(g, net.pair, "layers.0", x)
    with pytest.raises(nb.BuildError, match=r"layers\.0: this module path was tapped before"):
        nb.child(g, net.pair, "layers.0", x)
    with g.scope("again"):
        nb.child(g, net.pair, "layers.0", x)
    assert list(g.taps) == ["layers.0", "again.layers.0"]


def test_a_scope_ends_with_an_error() -> None:
    g = nb.Graph()
    with pytest.raises(ZeroDivisionError), g.scope("a.b"):
        raise ZeroDivisionError
    assert g.current_scope == ""


def test_names_come_from_scope_op_and_a_counter_of_the_graph() -> None:
    (a, _), (b, _) = exported(), exported()
    assert [n.name for n in a.nodes] == [n.name for n in b.nodes]
    assert [n.name for n in a.nodes] == [
        "pair.layers.0/fully_connected_1",
        "pair.layers.1/fully_connected_2",
        "Abs_3",
        "Reduction_4",
        "BinaryOp_5",
    ]


def test_a_name_that_an_author_took_is_left_alone() -> None:
    g = nb.Graph()
    x = g.input("Square_1", (3,))
    assert nb.square(g, x)[0].name == "Square_2"


def test_the_results_of_one_node_are_numbered() -> None:
    g = nb.Graph()
    w, b = nb.shell(g, [], np.ones((2, 3, 1, 1)), np.ones(2))
    assert (w.name, b.name) == ("Shell_1:0", "Shell_1:1")
    assert (w.data == 1).all() and w.data.shape == w.shape == (2, 3, 1, 1)
    assert b.data.shape == b.shape == (2,)


def test_uses_are_kept() -> None:
    g = nb.Graph()
    x = g.input("x", (3,))
    nb.binaryOp(g, [x, x], "Mul")
    assert [(n.spec.type, i) for n, i in x.uses] == [("BinaryOp", 0), ("BinaryOp", 1)]


def test_a_printed_graph_can_be_read() -> None:
    g, _ = exported()
    text = str(g)
    assert text.startswith("graph net(x[5])\n")
    assert text.endswith("\n  return y=BinaryOp_5")
    assert "  [pair.layers.0]\n    pair.layers.0/fully_connected_1[4] = fully_connected(x, act=0, " in text
    assert "weight[4, 5], bias[4])  # test_passes_and_graph.py:" in text
    lowered = str(lower(g, "reference"))
    assert "by target reference" in lowered and "fully_connected" not in lowered


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
    return Value("stranger", (4,))


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
    g.nodes[-1].inputs[0] = stranger()


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
    g, _ = exported()
    again = rebuild(g, lambda new, node, inputs: None, "nothing")
    assert again is not g
    assert facts(again) == facts(g)
    assert {p: v.name for p, v in again.taps.items()} == {p: v.name for p, v in g.taps.items()}
    assert str(again) == str(g)
    nb.verify(again, stage="rebuilt")


def test_rebuilding_keeps_where_things_come_from() -> None:
    g, _ = exported()
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
    assert np.array_equal(outputs_of(run_passes(g), {})["y"], np.abs(BIAS))


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
        g.nodes[-1].outputs[0].shape = (9,)
        return g

    monkeypatch.setattr("ncnn_builder.passes.pipeline.PASSES", (*PASSES, ("spoil", spoil)))
    with pytest.raises(nb.VerifyError, match="after pass spoil"):
        run_passes(small())


# -- comparisons ----------------------------------------------------------------------------------------------------


def test_a_comparison_says_what_would_have_been_needed() -> None:
    c = compare("y", [1.0, 2.0, 4.1], [1.0, 2.0, 4.0], 1e-2)
    assert c.max_abs == pytest.approx(0.1)
    assert c.required == pytest.approx(0.025)
    assert not c.ok and c.problem is None
    assert compare("y", [1.0, 2.0, 4.1], [1.0, 2.0, 4.0], 0.03).ok
    assert "required 2.50e-02 of 1e-02" in str(c) and "FAIL" in str(c)


@pytest.mark.parametrize(
    ("got", "problem"),
    [
        ([1.0, np.nan], "1 numbers are NaN or infinite"),
        ([np.inf, np.nan], "2 numbers are NaN or infinite"),
        ([1.0], "shape [1], expected [2]"),
        ([[1.0, 2.0]], "shape [1, 2], expected [2]"),
        ([], "shape [0], expected [2]"),
    ],
)
def test_what_cannot_be_compared_is_a_mismatch(got: list[float], problem: str) -> None:
    c = compare("y", got, [1.0, 2.0], float("inf"))
    assert c.problem == problem and not c.ok
    assert problem in str(c)


def test_a_reference_of_zeros() -> None:
    assert compare("y", [0.0, 0.0], [0.0, 0.0], 1e-5).ok
    assert not compare("y", [0.0, 1e-30], [0.0, 0.0], 1e-5).ok


@pytest.mark.parametrize("reference", [[], [np.nan], [1.0, np.inf]])
def test_a_reference_that_proves_nothing_is_refused(reference: list[float]) -> None:
    with pytest.raises(nb.ParityError, match="empty or not finite"):
        compare("y", reference, reference, 1.0)


def test_integers_do_not_wrap() -> None:
    assert not compare("y", np.uint8([0]), np.uint8([255]), 0.5).ok
    assert compare("y", np.uint8([250]), np.uint8([255]), 0.5).max_abs == 5


def test_a_report_is_in_order_and_names_the_first_and_the_worst() -> None:
    expected = {"a": np.ones(2), "b": np.ones(2), "c": np.ones(2)}
    got = {"c": np.ones(2) * 1.5, "b": np.ones(2) * 1.01, "a": np.ones(2)}
    report = Report("net").add_all(got, expected, 1e-3)
    assert [c.name for c in report.comparisons] == ["a", "b", "c"]
    assert report.first_divergence.name == "b" and report.worst.name == "c"
    with pytest.raises(nb.ParityError, match="net: 2 of 3 differ, the first is b"):
        report.check()


def test_what_was_not_got_is_a_mismatch() -> None:
    report = Report("net").add_all({}, {"a": np.ones(2)}, 1.0)
    assert report.first_divergence.problem == "there is no such result"
    with pytest.raises(nb.ParityError, match="no such result"):
        report.check()


def test_a_report_of_nothing_is_an_error() -> None:
    with pytest.raises(nb.ParityError, match="nothing was compared"):
        Report("net").check()
    with pytest.raises(nb.ParityError, match="nothing was compared"):
        _ = Report("net").worst


def test_a_good_report_passes() -> None:
    report = Report("net").add_all({"a": np.ones(2)}, {"a": np.ones(2)}, 0.0)
    assert report.check() is report
    assert report.first_divergence is None


def test_interpreting_wants_the_inputs_of_the_graph() -> None:
    with pytest.raises(nb.ParityError, match="inputs do not match"):
        interpret(small(), {})
    with pytest.raises(nb.ParityError, match="inputs do not match"):
        interpret(small(), {"x": np.ones(5), "z": np.ones(5)})


def test_interpreting_sees_a_shape_that_was_inferred_wrongly() -> None:
    g = small()
    g.nodes[-1].outputs[0].shape = (9,)
    with pytest.raises(nb.ParityError, match=r"another shape.*\[9\].*\[4\]"):
        interpret(g, {"x": np.ones(5)})


def test_interpreting_in_double_is_closer_to_the_truth() -> None:
    g = nb.Graph()
    g.output("y", nb.MulConstant(g, g.input("x", (1,)), 1.0, 1e-9))
    x = {"x": np.ones(1)}
    assert outputs_of(g, x)["y"][0] == 1
    (y,) = (v for value, v in interpret(g, x, double=True).items() if value is g.outputs["y"])
    assert y.dtype == np.float64 and y[0] == 1 + 1e-9


# -- parts of a graph, and which node it is ---------------------------------------------------------------------------


def test_a_node_as_a_graph() -> None:
    g = small()
    alone, sources = node_graph(by_type(g, "Fmatmul"))
    nb.verify(alone, stage="alone")
    assert [n.spec.type for n in alone.nodes] == ["Fmatmul"]
    values = interpret(g, {"x": np.ones(5)})
    got = outputs_of(alone, {name: values[v] for name, v in sources.items()})
    assert np.array_equal(got["out0"], values[by_type(g, "Fmatmul").outputs[0]])


def test_a_module_as_a_graph() -> None:
    g, _ = exported()
    part, sources = module_graph(g, "pair")
    nb.verify(part, stage="part")
    assert [n.scope for n in part.nodes] == ["pair.layers.0", "pair.layers.1"]
    assert list(sources.values()) == g.inputs
    values = interpret(g, {"x": np.ones(5)})
    got = outputs_of(part, {"in0": np.ones(5)})
    assert np.array_equal(got["out0"], values[g.taps["pair:0"]])
    assert np.array_equal(got["out1"], values[g.taps["pair:1"]])
    one, sources = module_graph(g, "pair.layers.1")
    assert len(one.nodes) == 1 and list(sources.values()) == [g.taps["pair:0"]]


@pytest.mark.parametrize("path", ["pai", "pair.layers", "nothing"])
def test_a_module_that_is_not_there(path: str) -> None:
    with pytest.raises(nb.ParityError, match="no nodes or no tap"):
        module_graph(exported()[0], path)


def run_text(
    model: nb.EmittedModel, inputs: Mapping[str, Any], outputs: list[str], corrupt: str | None = None
) -> dict[str, Any]:
    """A runner without ncnn: it reads the emitted files and computes each layer by the reference of its op.

    corrupt: an op whose layers are computed wrong by 1 %.
    """
    layers = read_param(model.param)
    read_bin(model.bin, layers)
    blobs = {name: torch.as_tensor(np.asarray(a), dtype=torch.float32) for name, a in inputs.items()}
    for layer in layers:
        kind = layer.spec.type
        if kind == "Input":
            continue
        if kind == "Split":
            blobs.update(dict.fromkeys(layer.outputs, blobs[layer.inputs[0]]))
            continue
        weights = {k: torch.tensor(w) for k, w in layer.weights.items()}
        results = layer.spec.reference([blobs[i] for i in layer.inputs], layer.params, weights)
        factor = 1.01 if kind == corrupt else 1.0
        blobs.update(zip(layer.outputs, [r * factor for r in results], strict=True))
    return {name: blobs[name].numpy() for name in outputs}


X = {"x": np.linspace(-1, 1, 5, dtype=np.float32)}


def test_the_emitted_files_mean_what_the_graph_means() -> None:
    for g in (small(), exported()[0]):
        got = run_text(nb.compile_graph(g), X, list(g.outputs))
        Report(g.name).add_all(got, outputs_of(g, X), 1e-5).check()


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert smallest_failure(small(), X, run_text) is None
    findings = list(isolated_nodes(small(), X, run_text))
    assert [f.node.spec.type for f in findings] == ["Shell", "Shell", "Fmatmul", "Square", "Rsqrt"]


@pytest.mark.parametrize("op", ["Shell", "Fmatmul", "Square", "Rsqrt"])
def test_the_wrong_node_is_found(op: str) -> None:
    finding = smallest_failure(small(), X, lambda m, i, o: run_text(m, i, o, corrupt=op))
    assert finding is not None
    assert finding.node.spec.type == op
    assert [n.spec.type for n in finding.graph.nodes] == [op]
    assert finding.comparison.required == pytest.approx(0.01, rel=1e-3)
    assert op in str(finding) and "test_passes_and_graph.py:" in str(finding)


def test_the_wrong_layer_of_a_composite_op_is_found_in_its_module() -> None:
    g, _ = exported()
    finding = smallest_failure(g, X, lambda m, i, o: run_text(m, i, o, corrupt="Fmatmul"))
    assert finding is not None
    assert (finding.node.spec.type, finding.node.scope) == ("fully_connected", "pair.layers.0")
