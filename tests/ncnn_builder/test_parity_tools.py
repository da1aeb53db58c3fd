"""Comparisons and reports, the interpreter, and the search for the one wrong node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

import ncnn_builder as nb
from ncnn_builder.emit.blob import read_bin
from ncnn_builder.emit.text import read_param
from ncnn_builder.ir import Node
from ncnn_builder.parity import Report, compare, interpret, isolated_nodes, node_graph, smallest_failure
from ncnn_builder.targets import lower

RNG = np.random.default_rng(5)
WEIGHT, BIAS = RNG.standard_normal((4, 5)).astype(np.float32), RNG.standard_normal(4).astype(np.float32)


def outputs_of(graph: nb.Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    values = interpret(graph, inputs)
    return {name: values[value] for name, value in graph.outputs.items()}


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


@pytest.mark.parametrize("flipped", ["filter", "weight"])
def test_interpreting_takes_a_flipped_weight_of_one_tap(flipped: str) -> None:
    """numpy calls it contiguous whatever its strides are; torch takes no negative ones."""
    g = nb.Graph()
    x = g.input("x", (3, 4, 4))
    if flipped == "filter":
        g.output("y", nb.upfirdn2d(g, x, np.ones((1, 2), np.float32)[::-1]))
    else:
        weight = np.ones((2, 3, 1, 1), np.float32)
        g.output("y", nb.modulated_conv2d(g, [x, g.input("s", (3,))], weight, flip_weight=False))
    inputs = {v.name: np.ones(v.shape) for v in g.inputs}
    got = outputs_of(lower(g, "reference"), inputs)
    Report(flipped).add_all(got, outputs_of(g, inputs), 1e-5).check()


# -- parts of a graph, and which node it is ---------------------------------------------------------------------------


def test_a_node_as_a_graph() -> None:
    g = small()
    alone, sources = node_graph(by_type(g, "Fmatmul"))
    nb.verify(alone, stage="alone")
    assert [n.spec.type for n in alone.nodes] == ["Fmatmul"]
    values = interpret(g, {"x": np.ones(5)})
    got = outputs_of(alone, {name: values[v] for name, v in sources.items()})
    assert np.array_equal(got["out0"], values[by_type(g, "Fmatmul").outputs[0]])


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
    g = small()
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
    assert op in str(finding) and "test_parity_tools.py:" in str(finding)


def test_the_wrong_layer_of_a_composite_op_is_found_in_its_module() -> None:
    g = nb.Graph()
    x = g.input("x", (5,))
    with g.scope("pair.layers.0"):
        x = nb.fully_connected(g, x, WEIGHT, BIAS)
    g.output("y", nb.abs(g, x))
    finding = smallest_failure(g, X, lambda m, i, o: run_text(m, i, o, corrupt="Fmatmul"))
    assert finding is not None
    assert (finding.node.spec.type, finding.node.scope) == ("fully_connected", "pair.layers.0")
