"""crops_to_slice: parts that are asked for one by one become the one layer that makes all of them."""

from __future__ import annotations

from typing import Any

import pytest
from pass_support import fires, graph_of, refuses, same_on_ncnn

import ncnn_builder as nb
from ncnn_builder.passes.crops_to_slice import crops_to_slice


def crops(g: Any, x: Any, axis: int, *cuts: tuple[int, int]) -> list[nb.Value]:
    return [nb.crop(g, x, [a], [b], [axis])[0] for a, b in cuts]


@pytest.mark.parametrize("shape", [(7,), (7, 3), (3, 7), (7, 4, 5), (2, 7, 5), (2, 3, 7), (7, 2, 3, 4), (2, 3, 4, 7)])
@pytest.mark.parametrize("cuts", [((0, 3), (3, 7)), ((4, 7), (0, 1), (1, 4))])
def test_crops_that_are_all_parts_are_a_slice(shape: tuple[int, ...], cuts: tuple[tuple[int, int], ...]) -> None:
    def build(g: Any, x: Any) -> Any:
        return [nb.MulConstant(g, v, i + 2.0)[0] for i, v in enumerate(crops(g, x, shape.index(7), *cuts))]

    g = graph_of(build, shape)
    same_on_ncnn(g, fires(crops_to_slice, g, ["Slice", *["MulConstant"] * len(cuts)]))


def test_channels_that_ncnn_packs() -> None:
    def build(g: Any, x: Any) -> Any:
        return [nb.MulConstant(g, v, 2.0)[0] for v in crops(g, nb.activation(g, x, "relu"), 0, (0, 3), (3, 8), (8, 16))]

    g = graph_of(build, (16, 3, 5))
    same_on_ncnn(g, fires(crops_to_slice, g, ["ReLU", "Slice", "MulConstant", "MulConstant", "MulConstant"]))


def test_outputs_and_taps_are_the_parts() -> None:
    def build(g: Any, x: Any) -> Any:
        with g.scope("second"):
            (b,) = crops(g, x, 1, (2, -233))
            g.tap(b)
        (a,) = crops(g, x, 1, (-6, -4))
        return [a, *nb.abs(g, b), b]

    g = graph_of(build, (3, 6))
    same_on_ncnn(g, fires(crops_to_slice, g, ["Slice", "Abs"]))


def test_parts_of_a_part() -> None:
    def build(g: Any, x: Any) -> Any:
        a, b = crops(g, x, 0, (0, 4), (4, 6))
        return [b, *crops(g, a, 0, (2, 4), (0, 2)), *crops(g, a, 1, (0, 1), (1, 3))]

    g = graph_of(build, (6, 3))
    same_on_ncnn(g, fires(crops_to_slice, g, ["Slice", "Slice", "Slice"]))


@pytest.mark.parametrize(
    ("cuts", "reason"),
    [
        (((0, 3), (4, 7)), "leave something out"),
        (((0, 3), (3, 6)), "leave something out"),
        (((1, 3), (3, 7)), "leave something out"),
        (((0, 4), (3, 7)), "parts that overlap"),
        (((0, 3), (3, 7), (0, 3)), "parts that overlap"),
        (((0, 3),), None),
    ],
)
def test_crops_that_are_not_all_parts_stay(cuts: tuple[tuple[int, int], ...], reason: str | None) -> None:
    refuses(crops_to_slice, graph_of(lambda g, x: crops(g, x, 1, *cuts), (2, 7)), reason)


def test_crops_of_several_axes_stay() -> None:
    corners = lambda g, x: [nb.crop(g, x, [0, a], [1, b], [0, 1])[0] for a, b in ((0, 3), (3, 7))]
    refuses(crops_to_slice, graph_of(corners, (2, 7)))


@pytest.mark.parametrize("which", [0, 1])
def test_features_that_are_off_for_a_part_stay_off_for_it_alone(which: int) -> None:
    g = graph_of(lambda g, x: crops(g, x, 1, (0, 3), (3, 7)), (2, 7))
    g.nodes[which].mask = 1
    refuses(crops_to_slice, g, "features that are switched off for a part")


def test_an_input_of_any_shape_keeps_its_crops() -> None:
    g = nb.Graph("open")
    for i, value in enumerate(crops(g, g.input("x", (2, 7), any_shape=True), 1, (0, 3), (3, 7))):
        g.output(f"y{i}", value)
    refuses(crops_to_slice, g)


def test_the_check_sees_parts_that_are_others() -> None:
    g = graph_of(lambda g, x: crops(g, x, 1, (0, 3), (3, 6)), (2, 6))
    after = crops_to_slice(g)
    same_on_ncnn(g, after)
    a, b = (after.outputs[f"y{i}"] for i in range(2))
    after.outputs = {"y0": b, "y1": a}
    with pytest.raises(nb.ParityError):
        same_on_ncnn(g, after)
