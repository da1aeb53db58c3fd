"""raise_row_norms, rows_by_gemm and share: norms by hand, rows that ncnn does not pack, and what is computed twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn, types

import ncnn_builder as nb
from ncnn_builder.ops.shapes.permute import really_permute
from ncnn_builder.ops.stock import inner_product
from ncnn_builder.passes.raise_row_norms import raise_row_norms
from ncnn_builder.passes.rows_by_gemm import rows_by_gemm
from ncnn_builder.passes.share import share
from ncnn_builder.passes.sum_of_squares import sum_of_squares

ROWS = (3, 6)


def rms(g: Any, x: Any, **other: Any) -> Any:
    """The norm step by step; `other` says what is done in another way."""
    given = {
        "eps": 1e-2,
        "axis": len(x.shape),
        "root": "rsqrt",
        "mean": True,
        "of": None,
        "keepdim": True,
        "least": None,
        **other,
    }
    kind = "ReduceMean" if given["mean"] else "ReduceSum"
    squares = nb.unaryOp(g, x if given["of"] is None else given["of"], "square")
    total = nb.reduction(g, squares, kind, len(x.shape) + 1, (given["axis"],), keepdim=given["keepdim"])[0]
    total = total + given["eps"]
    if given["least"] is not None:
        total = nb.clamp(g, total, *given["least"])[0]
    if given["root"] == "rsqrt":
        root, op = nb.unaryOp(g, total, "rsqrt")[0], "Mul"
    elif given["root"] == "sqrt":
        root, op = nb.unaryOp(g, total, "sqrt")[0], "Div"
    else:
        root, op = nb.binaryOp(g, [total, given["root"]], "Pow")[0], "Mul"
    return [nb.binaryOp(g, [x, root], given.get("op", op))[0], *([root] if given.get("read") else [])]


def layer_norm(g: Any, x: Any, axis: int | None = None) -> Any:
    mean = nb.reduction(g, x, "ReduceMean", len(x.shape) + 1, (axis or len(x.shape),), keepdim=True)
    return rms(g, nb.binaryOp(g, [x, *mean], "Sub")[0])


def squared(g: nb.Graph) -> nb.Graph:
    return sum_of_squares(g)


@pytest.mark.parametrize("shape", [ROWS, (2, 3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("root", ["rsqrt", "sqrt", -0.5])
def test_an_rms_norm(shape: tuple[int, ...], root: Any) -> None:
    g = squared(graph_of(lambda g, x: rms(g, x, root=root), shape))
    same_on_ncnn(g, fires(raise_row_norms, g, ["RMSNorm"]))


@pytest.mark.parametrize("shape", [ROWS, (2, 3, 5)])
def test_a_layer_norm(shape: tuple[int, ...]) -> None:
    g = squared(graph_of(layer_norm, shape))
    same_on_ncnn(g, fires(raise_row_norms, g, ["LayerNorm"]))


@pytest.mark.parametrize("kind", ["RMSNorm", "LayerNorm"])
def test_factors_and_addends_behind(kind: str) -> None:
    gamma, beta = normal(1, 6), normal(1, 6)

    def build(g: Any, x: Any) -> Any:
        (y,) = rms(g, x) if kind == "RMSNorm" else layer_norm(g, x)
        y = nb.binaryOp(g, [*nb.memorydata(g, gamma), y], "Mul")[0]
        y = nb.binaryOp(g, [y, 3.0], "Mul")[0]
        return y if kind == "RMSNorm" else nb.binaryOp(g, [y, *nb.memorydata(g, beta)], "Add")

    g = squared(graph_of(build, ROWS))
    after = fires(raise_row_norms, g, [kind])
    assert np.allclose(after.nodes[0].weights["gamma"], 3 * gamma)
    same_on_ncnn(g, after)
    spoiled = raise_row_norms(g)
    spoiled.nodes[0].weights = {name: data + 0.1 for name, data in spoiled.nodes[0].weights.items()}
    with pytest.raises(nb.ParityError):
        same_on_ncnn(g, spoiled)


@pytest.mark.parametrize(
    "other",
    [
        {"mean": False},
        {"axis": 1},
        {"eps": -0.01, "root": "sqrt"},
        {"root": -0.25},
        {"root": 0.5},
        {"op": "Div"},
        {"op": "Add"},
        {"read": True},
        {"least": (0.1, 3.4e38)},
        {"least": (0.0, 10.0)},
    ],
    ids=str,
)
def test_no_norm(other: dict[str, Any]) -> None:
    refuses(raise_row_norms, squared(graph_of(lambda g, x: rms(g, x, **other), ROWS)))


def test_no_norm_of_another_value_or_of_a_vector() -> None:
    refuses(raise_row_norms, squared(graph_of(lambda g, x, y: rms(g, x, of=y), ROWS, ROWS)))
    refuses(raise_row_norms, squared(graph_of(rms, (6,))))


def test_rms_norm_takes_no_addend_and_no_factor_of_each_row() -> None:
    for numbers, op in ((normal(1, 6), "Add"), (normal(3, 1), "Mul"), (normal(3, 6), "Mul")):
        build = lambda g, x, n=numbers, op=op: nb.binaryOp(g, [*rms(g, x), *nb.memorydata(g, n)], op)
        after = raise_row_norms(squared(graph_of(build, ROWS)))
        assert sorted(types(after)) == ["BinaryOp", "MemoryData", "RMSNorm"]


# -- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2, 3, 5, 197])
@pytest.mark.parametrize("bias", [True, False])
def test_rows_that_are_not_packed_go_by_gemm(rows: int, bias: bool) -> None:
    w, b = normal(5, 6), normal(5) if bias else None
    g = graph_of(lambda g, x: [inner_product(g, x, w, b)], (rows, 6))
    after = fires(rows_by_gemm, g, ["Gemm"])
    same_on_ncnn(g, after)
    after.nodes[0].weights = {**after.nodes[0].weights, "B": w + 0.1}
    with pytest.raises(nb.ParityError):
        same_on_ncnn(g, after)


@pytest.mark.parametrize("shape", [(6,), (1, 6), (4, 6), (196, 6)])
def test_rows_that_are_packed_stay(shape: tuple[int, ...]) -> None:
    w = normal(5, 6)
    refuses(rows_by_gemm, graph_of(lambda g, x: [inner_product(g, x, w, None)], shape))


def test_an_activation_stays_in_its_layer() -> None:
    w = normal(5, 6)
    g = graph_of(lambda g, x: [inner_product(g, x, w, None)], (3, 6))
    g.nodes[0].params = {**g.nodes[0].params, "activation_type": 1}
    refuses(rows_by_gemm, g)


def test_rows_of_an_open_number_are_gemms() -> None:
    g = nb.Graph()
    g.output("y", inner_product(g, g.input("x", ("n", 6)), normal(5, 6), None))
    made = rows_by_gemm(g)
    assert [node.spec.type for node in made.nodes] == ["Gemm"] and made.outputs["y"].shape == g.outputs["y"].shape


def test_rows_of_any_shape_stay() -> None:
    g, w = nb.Graph("open"), normal(5, 6)
    g.output("y", inner_product(g, g.input("x", (3, 6), any_shape=True), w, None))
    refuses(rows_by_gemm, g)


# -- what is computed twice ------------------------------------------------------------------------------------------


def test_what_is_the_same_is_made_once() -> None:
    def build(g: Any, x: Any) -> Any:
        a, b = (nb.unaryOp(g, really_permute(g, x, (1, 0)), "exp")[0] for _ in range(2))
        first, second = (nb.memorydata(g, np.full((4, 3), 0.5, np.float32))[0] for _ in range(2))
        return nb.binaryOp(g, [nb.binaryOp(g, [a, first], "Mul")[0], nb.binaryOp(g, [b, second], "Add")[0]], "Mul")

    g = graph_of(build, (3, 4))
    after = fires(share, g, ["Permute", "UnaryOp", "MemoryData", "BinaryOp", "BinaryOp", "BinaryOp"])
    same_on_ncnn(g, after)


def test_taps_of_both_are_kept() -> None:
    g = nb.Graph("taps")
    x = g.input("x", (3, 4))
    for name in "ab":
        with g.scope(name):
            g.tap(nb.unaryOp(g, x, "exp")[0])
    g.output("y", nb.binaryOp(g, list(g.taps.values()), "Add"))
    assert len(set(fires(share, g, ["UnaryOp", "BinaryOp"]).taps.values())) == 1


@pytest.mark.parametrize(
    "build",
    [
        lambda g, x: [nb.unaryOp(g, x, "exp"), nb.unaryOp(g, x, "exp")],  # two outputs, each a blob
        lambda g, x: nb.binaryOp(g, [*nb.unaryOp(g, x, "exp"), *nb.unaryOp(g, x, "sqrt")], "Add"),
        lambda g, x: nb.binaryOp(g, [nb.binaryOp(g, [x, 1.0], "Add")[0], nb.binaryOp(g, [x, 2.0], "Add")[0]], "Mul"),
        lambda g, x: nb.binaryOp(g, [*nb.memorydata(g, zeros(0.0)), *nb.memorydata(g, zeros(-0.0))], "Add"),
        lambda g, x: nb.binaryOp(g, [*nb.memorydata(g, last(1)), *nb.memorydata(g, last(2))], "Add"),
        lambda g, x: [nb.binaryOp(g, [inner_product(g, x, w, None) for w in (last(1), last(2))], "Add")],
    ],
    ids=["outputs", "operations", "numbers", "signs", "constants", "weights"],
)
def test_what_differs_is_made_twice(build: Any) -> None:
    refuses(share, graph_of(build, (3, 4)))


def zeros(value: float) -> np.ndarray:
    return np.full((3, 4), value, np.float32)


def last(value: float) -> np.ndarray:
    """Like one another but for the last number."""
    data = np.zeros((3, 4), np.float32)
    data[-1, -1] = value
    return data
