"""raise_upfirdn2d along both axes, and raise_filtered_lrelu: StyleGAN3's activation, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn

import ncnn_builder as nb
from ncnn_builder.passes.constant_folding import constant_folding
from ncnn_builder.passes.raise_filtered_lrelu import raise_filtered_lrelu
from ncnn_builder.passes.raise_upfirdn2d import raise_upfirdn2d
from ncnn_builder.targets import lower

Build = Callable[..., Any]
F = np.array([[1, 2, 3], [2, 5, 1], [4, 1, 2]], np.float32) / 21


def fir(g: nb.Graph, x: Any, f: np.ndarray = F, **kw: Any) -> Any:
    """A filter as the predecessor writes it: one kernel, repeated, as a value."""
    x = nb.check_bottom_names(x)[0]
    kernel = np.broadcast_to(f, (x.shape[0], 1, *f.shape))
    return nb.Fconv2d_depthwise(g, [x, *nb.shell(g, [], kernel)], groups=x.shape[0], **kw)


# -- filters along both axes, and filtered_lrelu ----------------------------------------------------------------------

LINE = np.float32([1, 4, 2, 3]) / 10


def both(g: nb.Graph, x: Any, first: np.ndarray = LINE[None], second: np.ndarray | None = None, **kw: Any) -> Any:
    """A row and then a column, as the predecessor writes a separable filter."""
    return fir(g, fir(g, x, first, **kw), LINE[:, None] if second is None else second)


@pytest.mark.parametrize(
    ("build", "params"),
    [
        (lambda g, x: both(g, nb.pad(g, nb.up2(g, x), 2, 1, 3, 4)), {"up_x": 2, "pad_top": 2, "pad_right": 4}),
        (lambda g, x: both(g, x, padding=2), {"pad_top": 2, "pad_left": 2}),
        (lambda g, x: both(g, x, LINE[:, None], LINE[None], padding=2), {"pad_top": 2}),
        (lambda g, x: nb.down2(g, both(g, x, padding=3)), {"down_x": 2, "down_y": 2}),
        (lambda g, x: both(g, nb.pad(g, nb.up2(g, x), -1, -2, -1, -1)), {"pad_top": -1, "pad_bottom": -2}),
    ],
)
def test_a_row_and_a_column_are_one_filter(build: Build, params: dict[str, int]) -> None:
    g = graph_of(build, (6, 7, 9))
    after = fires(raise_upfirdn2d, g, ["upfirdn2d"])
    assert after.nodes[0].weights["f"].shape == (4,)
    assert {k: after.nodes[0].params[k] for k in params} == params
    for target in nb.TARGETS:
        same_on_ncnn(g, lower(after, target))


@pytest.mark.parametrize(
    "build",
    [
        lambda g, x: both(g, x, second=LINE[::-1, None].copy()),
        lambda g, x: fir(g, nb.pad(g, fir(g, x, LINE[None], padding=2), 0, 0, 1, 1), LINE[:, None]),  # a late border
        lambda g, x: fir(g, fir(g, x, LINE[None], stride=(2, 1), padding=2), LINE[:, None]),
        lambda g, x: fir(g, fir(g, x, LINE[None]), LINE[None]),
    ],
    ids=["taps", "border", "stride", "rows"],
)
def test_a_row_and_a_column_that_stay_two(build: Build) -> None:
    after = fires(raise_upfirdn2d, graph_of(build, (6, 9, 11)), ["upfirdn2d", "upfirdn2d"])
    assert all(n.weights["f"].ndim == 2 for n in after.nodes)


def lrelu(
    bias: bool = True,
    act: Any = ("lrelu", 0.2, 1.3, 0.9),
    up_f: np.ndarray = LINE,
    down_f: np.ndarray = LINE,
    gain: float = 4.0,
    tail: Any = lambda g, y: nb.down2(g, y),
) -> Build:
    """Bias, zeros and filter, activation, filter and fewer pixels, each a layer of its own."""

    def filtered(g: nb.Graph, x: Any, f: np.ndarray, factor: float = 1.0) -> Any:
        if f.ndim == 2:
            return fir(g, x, f * np.float32(factor))
        return both(g, x, f[None] * np.float32(factor**0.5), f[:, None] * np.float32(factor**0.5))

    def build(g: nb.Graph, x: nb.Value) -> Any:
        if bias:
            x = nb.BiasAct(g, [x, *nb.shell(g, [], normal(1, 1, 1, 6), None, 1)], "linear")
        y = filtered(g, nb.pad(g, nb.up2(g, x), 3, 2, 3, 2), up_f, gain)
        return tail(g, filtered(g, nb.BiasAct(g, y, *act), down_f))

    return build


@pytest.mark.parametrize(
    "build",
    [
        lrelu(),
        lrelu(bias=False),
        lrelu(down_f=F),
        lrelu(up_f=F, down_f=F),
        lrelu(gain=2.5),
        lrelu(act=("linear", None, 0.7, None)),
        lrelu(act=("relu", None, None, None)),
        lrelu(tail=lambda g, y: y),
    ],
    ids=["separable", "no-bias", "radial", "2-d", "gain", "linear", "relu", "up-only"],
)
def test_a_filtered_lrelu_is_recognised(build: Build) -> None:
    g = graph_of(build, (6, 5, 7))
    after = fires(raise_filtered_lrelu, constant_folding(raise_upfirdn2d(g)), ["filtered_lrelu"], tolerance=1e-5)
    for target in nb.TARGETS:
        same_on_ncnn(g, lower(after, target))


def _read_between(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.upfirdn2d(g, x, LINE, up=2, padding=3)
    z = nb.BiasAct(g, y, "lrelu")
    return [*nb.upfirdn2d(g, z, LINE, down=2), *nb.abs(g, z)]


def _own_bias(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.upfirdn2d(g, x, LINE, up=2, padding=3)
    return nb.upfirdn2d(g, nb.BiasAct(g, [y, *nb.shell(g, [], normal(1, 1, 1, 6), None, 1)], "lrelu"), LINE, down=2)


def _chain(first: dict[str, Any], act: str, second: dict[str, Any]) -> Build:
    def build(g: nb.Graph, x: nb.Value) -> nb.Values:
        y = nb.upfirdn2d(g, x, LINE, **{"up": 2, "padding": 3, **first})
        return nb.upfirdn2d(g, nb.BiasAct(g, y, act), LINE, **{"down": 2, **second})

    return build


@pytest.mark.parametrize(
    "build",
    [
        _read_between,
        _own_bias,
        _chain({}, "tanh", {}),
        _chain({"up": (2, 1)}, "lrelu", {}),
        _chain({"down": 2}, "lrelu", {}),
        _chain({"flip_filter": True}, "lrelu", {}),
        _chain({"gain": -1.0}, "lrelu", {}),
        _chain({}, "lrelu", {"padding": 1}),
        _chain({}, "lrelu", {"down": (2, 1)}),
        _chain({}, "lrelu", {"up": 2}),
        _chain({}, "lrelu", {"gain": -1.0}),
    ],
)
def test_what_is_no_filtered_lrelu(build: Build) -> None:
    refuses(raise_filtered_lrelu, graph_of(build, (6, 9, 7)))
