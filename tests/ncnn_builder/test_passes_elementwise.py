"""merge_elementwise, no_ops and sum_of_squares: they fire, they refuse, they come to an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, numbers, refuses, same_on_ncnn, types

import ncnn_builder as nb
from ncnn_builder.passes.merge_elementwise import merge_elementwise
from ncnn_builder.passes.no_ops import no_ops
from ncnn_builder.passes.sum_of_squares import sum_of_squares

Build = Callable[..., Any]
GREATEST = float(np.finfo(np.float32).max)


def scalar(g: nb.Graph, x: Any, op: str, b: float) -> list[nb.Value]:
    return nb.binaryOp(g, [*nb.check_bottom_names(x), b], op)


# -- merge_elementwise ----------------------------------------------------------------------------------------------

MERGES: list[tuple[Build, list[str]]] = [
    (lambda g, x: nb.MulConstant(g, nb.MulConstant(g, x, 2.0, 0.5), -3.0, 0.25), ["MulConstant"]),
    (lambda g, x: scalar(g, scalar(g, x, "Mul", 2.0), "Mul", 0.3), ["BinaryOp"]),
    (lambda g, x: scalar(g, scalar(g, x, "Add", 2.0), "Sub", 0.3), ["BinaryOp"]),
    (lambda g, x: scalar(g, scalar(g, x, "Mul", 2.0), "Div", 0.3), ["BinaryOp"]),
    (lambda g, x: scalar(g, scalar(g, x, "RSub", 2.0), "RSub", 0.3), ["BinaryOp"]),
    (lambda g, x: scalar(g, nb.MulConstant(g, x, 2.0, 1.0), "RSub", 0.3), ["MulConstant"]),
    (lambda g, x: nb.MulConstant(g, scalar(g, x, "Add", 2.0), 0.3), ["MulConstant"]),
    (lambda g, x: nb.clamp(g, nb.clamp(g, x, -1.0, 0.5), -0.5, 2.0), ["Clamp"]),
    (lambda g, x: nb.clamp(g, nb.clamp(g, x, 0.2, 0.5), 1.0, 2.0), ["Clamp"]),
    (lambda g, x: nb.clamp(g, nb.activation(g, x, "relu"), -0.5, 0.7), ["Clamp"]),
    (lambda g, x: nb.activation(g, nb.clamp(g, x, -0.5, 0.7), "relu"), ["Clamp"]),
    (lambda g, x: nb.activation(g, nb.activation(g, x, "relu"), "relu"), ["ReLU"]),
    (
        lambda g, x: nb.MulConstant(g, nb.MulConstant(g, nb.MulConstant(g, x, 2.0), 1.0, 3.0), 0.5, -1.0),
        ["MulConstant"],
    ),
]


@pytest.mark.parametrize(("build", "expected"), MERGES)
def test_merging(build: Build, expected: list[str]) -> None:
    g = graph_of(build, (5, 3, 4))
    after = fires(merge_elementwise, g, expected)
    same_on_ncnn(g, after)
    assert after.nodes[0].made_by == "pass merge_elementwise"
    assert after.nodes[0].source == g.nodes[-1].source


def _shared(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.MulConstant(g, x, 2.0)
    return [*nb.MulConstant(g, y, 3.0), *nb.abs(g, y)]


def _an_output(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.MulConstant(g, x, 2.0)
    return [*y, *nb.MulConstant(g, y, 3.0)]


def _tapped(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    with g.scope("a"):
        y = nb.MulConstant(g, x, 2.0)
        g.tap(*y)
    return nb.MulConstant(g, y, 3.0)


KEPT: list[Build] = [
    _shared,
    _an_output,
    _tapped,
    lambda g, x: nb.MulConstant(g, nb.MulConstant(g, x, 0.0, 1.0), 3.0),  # a factor of 0
    lambda g, x: nb.MulConstant(g, nb.MulConstant(g, x, 1e30), 1e30),  # no float32
    lambda g, x: nb.MulConstant(g, nb.MulConstant(g, x, 1e-30), 1e-30),
    lambda g, x: nb.MulConstant(g, nb.MulConstant(g, x, 1.0, 1e30), 1e10),
    lambda g, x: scalar(g, scalar(g, x, "Mul", 2.0), "Add", 1.0),  # no BinaryOp does both
    lambda g, x: scalar(g, scalar(g, x, "Max", 2.0), "Max", 1.0),
    lambda g, x: scalar(g, scalar(g, x, "Mul", 2.0), "RDiv", 1.0),
    lambda g, x: nb.activation(g, nb.activation(g, x, "leaky_relu"), "relu"),
    lambda g, x: nb.clamp(g, nb.MulConstant(g, x, 2.0), 0, 1),
]


@pytest.mark.parametrize("build", KEPT)
def test_no_merging(build: Build) -> None:
    refuses(merge_elementwise, graph_of(build, (5, 3, 4)))


# -- no_ops ---------------------------------------------------------------------------------------------------------

NOTHING: list[Build] = [
    lambda g, x: nb.MulConstant(g, x, 1.0, 0.0),
    lambda g, x: scalar(g, x, "Add", 0.0),
    lambda g, x: scalar(g, x, "Sub", 0.0),
    lambda g, x: scalar(g, x, "Mul", 1.0),
    lambda g, x: scalar(g, x, "Div", 1.0),
    lambda g, x: nb.really_reshape(g, x, (5, 3, 4)),
    lambda g, x: nb.really_permute(g, x, (0, 1, 2)),
    lambda g, x: nb.crop(g, x, [0, -4], [3, -233], [1, 2]),
    lambda g, x: nb.concat(g, [x], 1),
    lambda g, x: nb.clamp(g, x, -GREATEST, GREATEST),
    lambda g, x: nb.activation(g, x, "leaky_relu", {"negative_slope": 1.0}),
    lambda g, x: nb.BiasAct(g, x, "linear"),
    lambda g, x: nb.bias_act(g, x),
    lambda g, x: nb.upfirdn2d(g, x, None),
]


@pytest.mark.parametrize("build", NOTHING)
def test_what_does_nothing_goes(build: Build) -> None:
    g = graph_of(lambda g, x: nb.abs(g, build(g, nb.square(g, x))), (5, 3, 4))
    after = fires(no_ops, g, ["Square", "Abs"], tolerance=1e-9)
    assert len(g.nodes) == 3 and after.nodes[1].inputs[0] is after.nodes[0].outputs[0]


def test_a_padding_of_nothing_goes() -> None:
    g = graph_of(lambda g, x: nb.pad(g, x, top=1), (5, 3, 4))
    g.nodes[0].params = {**g.nodes[0].params, "top": 0}  # pad() itself emits none
    g.nodes[0].outputs[0].shape = (5, 3, 4)
    assert types(no_ops(g)) == []


def test_two_reshapes_are_one() -> None:
    g = graph_of(lambda g, x: nb.really_reshape(g, nb.really_reshape(g, x, (4, 15)), (12, 5)), (5, 3, 4))
    fires(no_ops, g, ["Reshape"], tolerance=1e-9)


@pytest.mark.parametrize(
    ("first", "second"), [((1, 2, 0), (2, 1, 0)), ((0, 2, 1), (1, 0, 2)), ((1, 3, 0, 2), (3, 1, 0, 2))]
)
def test_two_permutations_are_one(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    shape = (2, 3, 4, 5)[: len(first)]
    g = graph_of(lambda g, x: nb.really_permute(g, nb.really_permute(g, x, first), second), shape)
    fires(no_ops, g, ["Permute"], tolerance=1e-9)


def test_a_permutation_and_its_inverse_are_none() -> None:
    g = graph_of(lambda g, x: nb.abs(g, nb.really_permute(g, nb.really_permute(g, x, (1, 2, 0)), (2, 0, 1))), (2, 3, 4))
    fires(no_ops, g, ["Abs"], tolerance=1e-9)


def test_a_permutation_that_somebody_else_reads_stays() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        first = nb.really_permute(g, x, (1, 2, 0))
        return [*nb.really_permute(g, first, (2, 1, 0)), *nb.abs(g, first)]

    refuses(no_ops, graph_of(build, (2, 3, 4)))


def test_a_reshape_there_and_back_is_none() -> None:
    g = graph_of(lambda g, x: nb.abs(g, nb.really_reshape(g, nb.really_reshape(g, x, (60,)), (5, 3, 4))), (5, 3, 4))
    fires(no_ops, g, ["Abs"], tolerance=1e-9)


def test_a_tap_of_what_does_nothing_holds_its_number() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        with g.scope("a"):
            y = nb.MulConstant(g, nb.square(g, x), 1.0)
            g.tap(*y)
        return nb.abs(g, y)

    after = fires(no_ops, graph_of(build, (5,)), ["Square", "Abs"])
    assert after.taps["a"] is after.nodes[0].outputs[0]


SOMETHING: list[Build] = [
    lambda g, x: nb.MulConstant(g, x, 1.0, 0.5),
    lambda g, x: scalar(g, x, "RSub", 0.0),
    lambda g, x: scalar(g, x, "Max", 0.0),
    lambda g, x: nb.really_reshape(g, x, (3, 5, 4)),
    lambda g, x: nb.really_permute(g, x, (0, 2, 1)),
    lambda g, x: nb.crop(g, x, [1], [3], [1]),
    lambda g, x: nb.concat(g, [x, x], 1),
    lambda g, x: nb.clamp(g, x, -1, 1),
    lambda g, x: nb.activation(g, x, "relu"),
    lambda g, x: nb.BiasAct(g, x, "linear", gain=2.0),
    lambda g, x: nb.BiasAct(g, x, "linear", clamp=0.5),
    lambda g, x: nb.BiasAct(g, x, "relu", gain=1.0),
    lambda g, x: nb.bias_act(g, x, np.ones(5)),
    lambda g, x: nb.upfirdn2d(g, x, None, padding=(1, -1, 0, 0)),
    lambda g, x: nb.upfirdn2d(g, x, None, gain=2.0),
]


@pytest.mark.parametrize("build", SOMETHING)
def test_what_does_something_stays(build: Build) -> None:
    refuses(no_ops, graph_of(build, (5, 3, 4)))


def test_the_first_reshape_stays_where_it_is_read() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        y = nb.really_reshape(g, x, (4, 15))
        return [*y, *nb.really_reshape(g, y, (12, 5))]

    refuses(no_ops, graph_of(build, (5, 3, 4)))


def test_nothing_is_known_of_an_input_of_any_shape() -> None:
    g = nb.Graph()
    g.output("y", nb.really_reshape(g, g.input("x", (6,), any_shape=True), (6,)))
    refuses(no_ops, g)


# -- sum_of_squares -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((7,), (0,)), ((3, 5), (1,)), ((5, 3, 7), (1, 2)), ((4, 5, 3, 3), (1, 2, 3)), ((2, 3, 4), None)]
)
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("product", [False, True])
def test_squares_are_summed_by_the_reduction(
    op: str, shape: tuple[int, ...], axes: tuple[int, ...] | None, keepdim: bool, product: bool
) -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        y = nb.binaryOp(g, [x, x], "Mul") if product else nb.square(g, x)
        if axes is None:
            return nb.reduction(g, y, op, 0, (), keepdim)
        return nb.really_reduction(g, y, op, axes, keepdim)

    g = graph_of(build, shape)
    same_on_ncnn(g, fires(sum_of_squares, g, ["Reduction"]))


def _read_squares(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.square(g, x)
    return [*nb.really_reduction(g, y, "ReduceSum", (0,)), *y]


@pytest.mark.parametrize(
    "build",
    [
        _read_squares,
        lambda g, x: nb.really_reduction(g, nb.square(g, x), "ReduceMax", (0,)),
        lambda g, x: nb.really_reduction(g, nb.abs(g, x), "ReduceSum", (0,)),
        lambda g, x: nb.really_reduction(g, nb.binaryOp(g, [x, *nb.abs(g, x)], "Mul"), "ReduceSum", (0,)),
        lambda g, x: nb.really_reduction(g, nb.binaryOp(g, [x, x], "Add"), "ReduceSum", (0,)),
        lambda g, x: nb.really_reduction(g, scalar(g, x, "Mul", 2.0), "ReduceSum", (0,)),
    ],
)
def test_other_sums_stay(build: Build) -> None:
    refuses(sum_of_squares, graph_of(build, (6, 4)))


def test_the_mean_of_an_input_of_any_shape_stays() -> None:
    g = nb.Graph()
    y = nb.square(g, g.input("x", (6,), any_shape=True))
    g.output("y", nb.really_reduction(g, y, "ReduceMean", (0,)))
    refuses(sum_of_squares, g)


def test_a_broken_merge_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the comparison before and after notices a factor that is a thousandth off."""
    from ncnn_builder.passes import merge_elementwise as module

    monkeypatch.setattr(module, "affine", lambda node: dict(node.params) and (2.002, 0.0))  # as if it knew them
    g = graph_of(MERGES[0][0], (5, 3, 4))
    with pytest.raises(nb.ParityError, match="differ"):
        fires(merge_elementwise, g, ["MulConstant"])
    assert numbers(g, {"x0": np.zeros((5, 3, 4))})["y0"].shape == (5, 3, 4)
