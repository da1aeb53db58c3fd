"""raise_upfirdn2d and raise_filtered_lrelu on ncnn's own layers, of which a captured forward() is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn

import ncnn_builder as nb
from ncnn_builder.builder import append
from ncnn_builder.ops.pools.pool_windows import pool_windows
from ncnn_builder.opspec import spec_of
from ncnn_builder.passes.raise_filtered_lrelu import raise_filtered_lrelu
from ncnn_builder.passes.raise_upfirdn2d import raise_upfirdn2d
from ncnn_builder.pipeline import lower_and_optimise

Build = Callable[..., Any]
F4 = np.outer([1, 3, 3, 2], [1, 2, 3, 3]).astype(np.float32) / 20


def layer(g: nb.Graph, kind: str, inputs: Any, **params: Any) -> nb.Value:
    return append(g, spec_of(kind), inputs, params)[0]


# -- zeros ----------------------------------------------------------------------------------------------------------


def zeros(factors: tuple[int, int] = (2, 2), value: float = 0.0, front: int = 0, onto: str | None = None) -> Build:
    """A picture with zeros inserted, as reshape - pad - reshape is captured; onto: written over that constant."""

    def build(g: nb.Graph, x: nb.Value) -> Any:
        c, h, w = x.shape
        rows, columns = factors
        if onto is None:
            y = nb.pad(g, nb.really_reshape(g, x, (c * h, 1, w)), bottom=rows - 1, top=front, value=value)
            y = nb.pad(g, nb.really_reshape(g, y, (-1, 1)), right=columns - 1)
        else:
            empty = normal if onto == "numbers" else lambda *s: np.zeros(s, np.float32)
            y = nb.really_reshape(g, x, (c * h * w, 1))
            y = nb.copyto(g, [*nb.memorydata(g, empty(c * h * w, columns)), *y], (0, 0))
            y = nb.really_reshape(g, y, (c * h, w * columns))
            y = nb.copyto(g, [*nb.memorydata(g, empty(c * h, w * columns * rows)), *y], (0, 0))
        y = nb.really_reshape(g, y, (c, -1, w * columns))
        taps = np.broadcast_to(F4, (c, 1, 4, 4))
        return nb.Fconv2d_depthwise(g, [*nb.pad(g, y, 2, 1, 2, 1), *nb.shell(g, [], taps)], groups=c)

    return build


@pytest.mark.parametrize(
    ("build", "factors", "picture"),
    [
        (zeros(), (2, 2), (3, 4, 5)),
        (zeros((3, 3)), (3, 3), (3, 1, 5)),
        (zeros((2, 3)), (2, 3), (2, 4, 1)),
        (zeros((1, 2)), (1, 2), (3, 4, 5)),
        (zeros((2, 1)), (2, 1), (3, 4, 5)),
        (zeros(onto="zeros"), (2, 2), (3, 4, 5)),
        (zeros((2, 3), onto="zeros"), (2, 3), (3, 1, 5)),
    ],
)
def test_inserted_zeros_are_recognised(build: Build, factors: tuple[int, int], picture: tuple[int, int, int]) -> None:
    g = graph_of(build, picture)
    after = fires(raise_upfirdn2d, g, ["upfirdn2d"])
    assert tuple(after.nodes[0].params[k] for k in ("up_y", "up_x")) == factors
    for target in nb.TARGETS:
        same_on_ncnn(g, lower_and_optimise(g, target))


@pytest.mark.parametrize("build", [zeros(value=0.5), zeros(front=1), zeros(onto="numbers")])
def test_what_is_no_insertion_of_zeros(build: Build) -> None:
    after = raise_upfirdn2d(graph_of(build, (3, 4, 5)))
    assert after.nodes[-1].spec.type == "upfirdn2d" and after.nodes[-1].params["up_y"] == 1


LINE = np.array([1, 3, 2, 1], np.float32) / 7


def axis_by_axis(first: dict[str, Any], second: dict[str, Any]) -> Build:
    """Along the rows, then along the columns, as a filter of one dimension is applied; padding: (before, behind)."""

    def build(g: nb.Graph, x: nb.Value) -> Any:
        y = nb.upfirdn2d(g, x, LINE[None], flip_filter=True, **first)
        return nb.upfirdn2d(g, y, LINE[:, None], flip_filter=True, **second)

    return build


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (dict(up=(1, 2), padding=(0, 0, 2, 1)), dict(up=(2, 1), padding=(2, 1, 0, 0))),
        (dict(up=(1, 2), padding=(0, 0, 2, 1), gain=2), dict(up=(3, 1), down=(2, 1), padding=(2, 1, 0, 0))),
        (dict(up=(2, 2), padding=(2, 1, 2, 1)), dict(down=(1, 1))),
    ],
)
def test_a_filter_applied_axis_by_axis_is_one(first: dict[str, Any], second: dict[str, Any]) -> None:
    g = graph_of(axis_by_axis(first, second), (3, 4, 5))
    after = fires(raise_upfirdn2d, g, ["upfirdn2d"])
    assert after.nodes[0].weights["f"].shape == (4,)
    for target in ("fused", "stock"):
        same_on_ncnn(lower_and_optimise(g, "reference"), lower_and_optimise(g, target))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (dict(up=(1, 2), padding=(1, 0, 2, 1)), dict(up=(2, 1), padding=(2, 1, 0, 0))),  # a border before the zeros
        (dict(up=(2, 2), padding=(2, 1, 2, 1)), dict(up=(2, 1))),
        (dict(padding=(0, 0, 2, 1)), dict(up=(1, 2), padding=(2, 1, 0, 0))),  # zeros behind the filter of their axis
    ],
)
def test_filters_that_are_not_one(first: dict[str, Any], second: dict[str, Any]) -> None:
    refuses(raise_upfirdn2d, graph_of(axis_by_axis(first, second), (3, 4, 5)))


# -- raise_filtered_lrelu -------------------------------------------------------------------------------------------


def filtered(
    slope: float | None = 0.2, gain: float | None = 1.4, limits: Any = (-0.9, 0.9), wide: Any = None, tap: bool = False
) -> Build:
    """Bias, filter, activation by ncnn's layers, filter; wide: the bias."""

    def build(g: nb.Graph, x: nb.Value) -> Any:
        y = nb.binaryOp(g, [x, *nb.memorydata(g, normal(3, 1, 1) if wide is None else wide)], "Add")
        y = nb.upfirdn2d(g, y, LINE, up=2, padding=2, gain=4)
        if tap:
            g.tap(y[0])
        y = nb.activation(g, y, "leaky_relu", {"negative_slope": slope}) if slope is not None else y
        y = nb.binaryOp(g, [*y, gain], "Mul") if gain is not None else y
        y = [layer(g, "Clamp", y, min=limits[0], max=limits[1])] if limits else y
        return nb.upfirdn2d(g, y, LINE, down=2)

    return build


@pytest.mark.parametrize(
    ("build", "params"),
    [
        (filtered(), {"slope": 0.2, "gain": 1.4, "clamp": 0.9, "up": 2, "down": 2}),
        (filtered(gain=None), {"gain": 1.0}),
        (filtered(limits=None), {"clamp": -1.0}),
        (filtered(slope=None), {"slope": 1.0}),
        (filtered(slope=0.0), {"slope": 0.0}),
    ],
)
def test_a_filtered_activation_of_ncnns_layers(build: Build, params: dict[str, Any]) -> None:
    g = graph_of(build, (3, 6, 5))
    after = fires(raise_filtered_lrelu, g, ["filtered_lrelu"], tolerance=1e-5)
    assert {k: after.nodes[0].params[k] for k in params} == params and "b" in after.nodes[0].weights
    for target in ("fused", "stock"):
        same_on_ncnn(lower_and_optimise(g, "reference"), lower_and_optimise(g, target))


def test_a_bias_that_is_none_stays_in_front() -> None:
    g = graph_of(filtered(wide=normal(3, 6, 5)), (3, 6, 5))
    fires(raise_filtered_lrelu, g, ["MemoryData", "BinaryOp", "filtered_lrelu"], tolerance=1e-5)


@pytest.mark.parametrize(
    "build",
    [filtered(limits=(-0.9, 0.8)), filtered(limits=(0.0, 0.0)), filtered(tap=True), filtered(None, None, None)],
)
def test_what_is_no_filtered_activation(build: Build) -> None:
    refuses(raise_filtered_lrelu, graph_of(build, (3, 6, 5)))


# -- fewer pixels ---------------------------------------------------------------------------------------------------


def kept(stride: tuple[int, int], kernel: int = 1, padding: int = 0, average: bool = False) -> Build:
    def build(g: nb.Graph, x: nb.Value) -> Any:
        y = nb.upfirdn2d(g, x, F4, padding=1)
        return pool_windows(g, y[0], (kernel,) * 2, stride, (padding,) * 2, average=average)

    return build


@pytest.mark.parametrize("stride", [(2, 2), (1, 3), (2, 1)])
def test_a_filter_keeps_the_pixels_itself(stride: tuple[int, int]) -> None:
    g = graph_of(kept(stride), (3, 8, 9))
    after = fires(raise_upfirdn2d, g, ["upfirdn2d"])
    assert tuple(after.nodes[0].params[k] for k in ("down_y", "down_x")) == stride
    for target in nb.TARGETS:
        same_on_ncnn(lower_and_optimise(g, "reference"), lower_and_optimise(g, target))


@pytest.mark.parametrize("build", [kept((2, 2), 2), kept((2, 2), 2, 1), kept((2, 2), average=True)])
def test_windows_that_are_not_one_pixel_stay(build: Build) -> None:
    refuses(raise_upfirdn2d, graph_of(build, (3, 8, 9)))
