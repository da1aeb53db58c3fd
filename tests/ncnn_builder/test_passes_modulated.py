"""fuse_modulated: bias and activation into ModulatedConv2d, the image into ToRGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn, types

import ncnn_builder as nb
from ncnn_builder.passes.fuse_modulated import fuse_modulated

FIR = np.array([1, 3, 3, 1], np.float32) / np.float32(8)
X, S = (5, 6, 8), (5,)
IMAGE = (3, 3, 4)
W = normal(4, 5, 3, 3)
TO_RGB = normal(3, 5, 1, 1)


def bias(g: nb.Graph, n: int) -> nb.Value:
    return nb.shell(g, [], normal(1, 1, 1, n), ncnn_weight_dims=1)[0]


def conv(g: nb.Graph, x: nb.Value, s: nb.Value, **kw: Any) -> nb.Value:
    return nb.ModulatedConv2d(g, [x, s], W, padding=1, **kw)[0]


def rgb(g: nb.Graph, x: nb.Value, s: nb.Value, **kw: Any) -> nb.Value:
    return nb.ModulatedConv2d(g, [x, s], TO_RGB, **{"demodulate": False, **kw})[0]


def upsampled(g: nb.Graph, image: nb.Value, f: Any = FIR, padding: Any = (2, 1, 2, 1), gain: float = 4) -> nb.Value:
    return nb.Upfirdn2d(g, image, f, up=2, padding=padding, gain=gain)[0]


@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
@pytest.mark.parametrize("with_bias", [False, True])
def test_bias_and_activation_join(act: str, with_bias: bool) -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        y = conv(g, x, s)
        return nb.BiasAct(g, [y, bias(g, 4)] if with_bias else [y], act, clamp=0.6)

    g = graph_of(build, X, S)
    after = fires(fuse_modulated, g, ["ModulatedConv2d"])
    same_on_ncnn(g, after)


def test_a_shared_bias_stays_for_its_other_readers() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        b = bias(g, 4)
        return [*nb.BiasAct(g, [conv(g, x, s), b], "lrelu"), *nb.square(g, b)]

    assert sorted(types(fires(fuse_modulated, graph_of(build, X, S), ["Shell", "ModulatedConv2d", "Square"])))


@pytest.mark.parametrize("act", ["swish", "tanh"])
def test_other_activations_are_refused(act: str) -> None:
    refuses(fuse_modulated, graph_of(lambda g, x, s: nb.BiasAct(g, conv(g, x, s), act), X, S))


def test_a_second_activation_is_refused() -> None:
    build = lambda g, x, s: nb.BiasAct(g, conv(g, x, s, slope=0.2), "lrelu")
    refuses(fuse_modulated, graph_of(build, X, S))
    build = lambda g, x, s: nb.BiasAct(g, conv(g, x, s, clamp=1.0), "lrelu")
    refuses(fuse_modulated, graph_of(build, X, S))
    build = lambda g, x, s: nb.BiasAct(g, [conv(g, x, s, bias=normal(4)), bias(g, 4)], "lrelu")
    refuses(fuse_modulated, graph_of(build, X, S))


def test_a_bias_that_is_an_input_is_refused() -> None:
    refuses(fuse_modulated, graph_of(lambda g, x, s, b: nb.BiasAct(g, [conv(g, x, s), b], "lrelu"), X, S, (4,)))


def test_a_convolution_that_somebody_else_reads_is_refused() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        y = conv(g, x, s)
        return [*nb.BiasAct(g, y, "lrelu"), *nb.square(g, y)]

    refuses(fuse_modulated, graph_of(build, X, S))


def test_a_tapped_convolution_is_refused() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        with g.scope("conv"):
            y = conv(g, x, s)
            g.tap(y)
        return nb.BiasAct(g, y, "lrelu")

    refuses(fuse_modulated, graph_of(build, X, S))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_the_image_joins(swapped: bool, gain: float) -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value, image: nb.Value) -> list[nb.Value]:
        y = nb.BiasAct(g, [rgb(g, x, s, gain=gain), bias(g, 3)], clamp=0.5)[0]
        pair = [upsampled(g, image), y]
        return nb.binaryOp(g, pair[::-1] if swapped else pair, "Add")

    g = graph_of(build, X, S, IMAGE)
    same_on_ncnn(g, fires(fuse_modulated, g, ["ToRGB"]))


def test_the_gain_of_the_upsampling_is_the_filters() -> None:
    """The layer's own is 4: what the filter of another has more or less, its taps have."""
    build = lambda g, x, s, image: nb.binaryOp(g, [upsampled(g, image, gain=1.7), rgb(g, x, s)], "Add")
    g = graph_of(build, X, S, IMAGE)
    same_on_ncnn(g, fires(fuse_modulated, g, ["ToRGB"]))


def test_a_tap_moves_to_the_second_output() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value, image: nb.Value) -> list[nb.Value]:
        with g.scope("torgb"):
            y = rgb(g, x, s)
            g.tap(y)
        return nb.binaryOp(g, [upsampled(g, image), y], "Add")

    after = fires(fuse_modulated, graph_of(build, X, S, IMAGE), ["ToRGB"])
    assert after.taps["torgb"] is after.nodes[0].outputs[1]


@pytest.mark.parametrize(
    "wrong",
    [
        dict(gain=-4.0),
        dict(padding=(1, 2, 2, 1)),
        dict(f=np.outer(FIR, FIR)),
        dict(f=None, padding=0),
    ],
    ids=["gain", "padding", "2-D", "none"],
)
def test_another_upsampling_is_refused(wrong: dict[str, Any]) -> None:
    build = lambda g, x, s, image: nb.binaryOp(g, [upsampled(g, image, **wrong), rgb(g, x, s)], "Add")
    refuses(fuse_modulated, graph_of(build, X, S, IMAGE))


@pytest.mark.parametrize("wrong", [dict(demodulate=True), dict(slope=0.2), dict(act_gain=2.0)], ids=str)
def test_another_convolution_is_refused(wrong: dict[str, Any]) -> None:
    build = lambda g, x, s, image: nb.binaryOp(g, [upsampled(g, image), rgb(g, x, s, **wrong)], "Add")
    refuses(fuse_modulated, graph_of(build, X, S, IMAGE))


def test_another_operation_is_refused() -> None:
    build = lambda g, x, s, image: nb.binaryOp(g, [upsampled(g, image), rgb(g, x, s)], "Sub")
    refuses(fuse_modulated, graph_of(build, X, S, IMAGE))


def test_an_image_that_somebody_else_reads_is_refused() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value, image: nb.Value) -> list[nb.Value]:
        up = upsampled(g, image)
        return [*nb.binaryOp(g, [up, rgb(g, x, s)], "Add"), *nb.square(g, up)]

    refuses(fuse_modulated, graph_of(build, X, S, IMAGE))
