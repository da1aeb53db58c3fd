"""Passes that change weights: factors and gains that go into them, weights put into files, trimmed Shells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pass_support import const, fires, graph_of, normal, refuses, same_on_ncnn, types
from torch import nn

import ncnn_builder as nb
from ncnn_builder.ops.convolutions.deconv import insert_zeros
from ncnn_builder.passes.fold_gains import fold_gains
from ncnn_builder.passes.fold_scales import fold_scales
from ncnn_builder.passes.static_weights import static_weights
from ncnn_builder.passes.trim_shells import trim_shells
from ncnn_builder.pipeline import lower_and_optimise

Build = Callable[..., Any]
torch.manual_seed(0)
CONVS: dict[str, nn.Conv2d] = {
    "plain": nn.Conv2d(6, 4, 3, padding=1),
    "bare": nn.Conv2d(6, 4, (1, 2), 2, bias=False),
    "grouped": nn.Conv2d(6, 4, 3, padding=1, groups=2),
    "depthwise": nn.Conv2d(6, 6, 3, groups=6, bias=False),
}
W, B = normal(4, 6), normal(4)
PICTURE = (6, 5, 7)


def scalar(g: nb.Graph, x: Any, op: str, b: float) -> list[nb.Value]:
    return nb.binaryOp(g, [*nb.check_bottom_names(x), b], op)


# -- fold_scales ----------------------------------------------------------------------------------------------------


def behind(conv: str, after: Build) -> Build:
    return lambda g, x: after(g, nb.conv2d(g, x, CONVS[conv])[0])


def in_front(conv: str, before: Build) -> Build:
    return lambda g, x: nb.conv2d(g, before(g, x), CONVS[conv])


def out(conv: str) -> int:
    return CONVS[conv].out_channels


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize(
    "after",
    [
        lambda g, y: nb.MulConstant(g, y, -1.7, 0.3),
        lambda g, y: nb.MulConstant(g, y, 0.4),
        lambda g, y: scalar(g, y, "Mul", 0.3),
        lambda g, y: scalar(g, y, "Sub", 0.3),
        lambda g, y: scalar(g, y, "RSub", 0.3),
        lambda g, y: nb.binaryOp(g, [y, const(g, normal(y.shape[0], 1, 1))], "Mul"),
        lambda g, y: nb.binaryOp(g, [const(g, normal(y.shape[0], 1, 1)), y], "Add"),
        lambda g, y: nb.binaryOp(g, [y, const(g, normal(y.shape[0], 1, 1))], "Sub"),
        lambda g, y: nb.binaryOp(g, [y, const(g, normal(y.shape[0], 1, 1))], "RSub"),
        lambda g, y: nb.binaryOp(g, [y, const(g, np.abs(normal(y.shape[0], 1, 1)) + 1)], "Div"),
        lambda g, y: nb.binaryOp(g, [y, const(g, normal(1, 1, 1))], "Mul"),
        lambda g, y: scalar(g, nb.MulConstant(g, y, 0.5, 1.0), "Mul", 3.0),
    ],
)
def test_factors_behind_a_convolution(conv: str, after: Build) -> None:
    g = graph_of(behind(conv, after), PICTURE)
    folded = fires(fold_scales, g, [next(t for t in types(g) if t.startswith("Conv"))], tolerance=5e-6)
    same_on_ncnn(g, folded)


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize(
    "before",
    [
        lambda g, x: nb.MulConstant(g, x, -1.7),
        lambda g, x: nb.binaryOp(g, [x, const(g, normal(6, 1, 1))], "Mul"),
        lambda g, x: nb.binaryOp(g, [x, const(g, np.abs(normal(6, 1, 1)) + 1)], "Div"),
        lambda g, x: scalar(g, nb.MulConstant(g, x, 0.5), "Div", 3.0),
    ],
)
def test_factors_in_front_of_a_convolution(conv: str, before: Build) -> None:
    g = graph_of(in_front(conv, before), PICTURE)
    folded = fires(fold_scales, g, [next(t for t in types(g) if t.startswith("Conv"))], tolerance=5e-6)
    same_on_ncnn(g, folded)


@pytest.mark.parametrize("act", ["relu", "leaky_relu"])
def test_a_positive_factor_behind_a_relu(act: str) -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        return nb.MulConstant(g, _activated(g, x, act), 0.3)

    same_on_ncnn(g := graph_of(build, PICTURE), fires(fold_scales, g, ["Convolution"], tolerance=5e-6))


def _activated(g: nb.Graph, x: nb.Value, act: str) -> nb.Value:
    y = nb.conv2d(g, x, CONVS["plain"])[0]
    assert y.producer is not None
    kinds = {"relu": (1, ()), "leaky_relu": (2, (0.1,)), "clip": (3, (-0.5, 0.5))}
    kind, numbers = kinds[act]
    y.producer.params |= {"activation_type": kind, "activation_params": numbers}
    return y


@pytest.mark.parametrize("rows", [(6,), (3, 6)])
@pytest.mark.parametrize("bias", [None, B])
def test_factors_beside_a_fully_connected_layer(rows: tuple[int, ...], bias: Any) -> None:
    s, t = normal(*rows[:-1][:0], 4), normal(6)
    shape = (1,) * (len(rows) - 1)

    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        y = nb.fully_connected(g, nb.binaryOp(g, [x, const(g, t.reshape(*shape, 6))], "Mul"), W, bias)
        return nb.binaryOp(g, [*nb.MulConstant(g, y, 0.5, 0.1), const(g, s.reshape(*shape, 4))], "Mul")

    fires(fold_scales, graph_of(build, rows), ["fully_connected"], tolerance=5e-6)


def test_a_factor_behind_inserted_zeros() -> None:
    g = graph_of(lambda g, x: nb.MulConstant(g, insert_zeros(g, x, (3, 3)), 0.7), PICTURE)
    fires(fold_scales, g, ["DeconvolutionDepthWise"])


def _shared_scale(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.conv2d(g, x, CONVS["plain"])
    return [*nb.MulConstant(g, y, 2.0), *nb.abs(g, y)]


def _tapped_conv(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    with g.scope("conv"):
        y = nb.conv2d(g, x, CONVS["plain"])
        g.tap(*y)
    return nb.MulConstant(g, y, 2.0)


def _valued_border(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.conv2d(g, nb.MulConstant(g, x, 2.0), CONVS["plain"])
    assert y[0].producer is not None
    y[0].producer.params["pad_value"] = 1.0
    return y


@pytest.mark.parametrize(
    "build",
    [
        _shared_scale,
        _tapped_conv,
        _valued_border,
        in_front("plain", lambda g, x: nb.MulConstant(g, x, 2.0, 1.0)),  # an addend
        in_front("plain", lambda g, x: nb.MulConstant(g, x, 0.0)),
        in_front("plain", lambda g, x: nb.binaryOp(g, [x, const(g, normal(6, 5, 1))], "Mul")),  # per row
        behind("plain", lambda g, y: nb.MulConstant(g, y, 0.0, 1.0)),
        behind("plain", lambda g, y: nb.binaryOp(g, [y, const(g, normal(1, 5, 7))], "Mul")),
        behind("plain", lambda g, y: nb.binaryOp(g, [y, const(g, normal(4, 1, 1))], "Max")),
        behind("plain", lambda g, y: nb.binaryOp(g, [const(g, normal(4, 1, 1)), y], "Div")),
        lambda g, x: nb.MulConstant(g, _activated(g, x, "relu"), -1.0),
        lambda g, x: nb.MulConstant(g, _activated(g, x, "relu"), 1.0, 1.0),
        lambda g, x: nb.MulConstant(g, _activated(g, x, "clip"), 2.0),
        lambda g, x: nb.MulConstant(g, nb.Fconv2d(g, [x, const(g, normal(4, 6, 3, 3))]), 2.0),  # weights as values
        lambda g, x: nb.Fconv2d(g, [*nb.MulConstant(g, x, 2.0), const(g, normal(4, 6, 3, 3))]),
    ],
)
def test_factors_that_stay(build: Build) -> None:
    refuses(fold_scales, graph_of(build, PICTURE))


@pytest.mark.parametrize("act", ["lrelu", "tanh"])
def test_a_factor_behind_an_activated_layer_is_no_weight(act: str) -> None:
    refuses(fold_scales, graph_of(lambda g, x: nb.MulConstant(g, nb.fully_connected(g, x, W, B, act), 2.0), (6,)))


def test_a_factor_that_overflows_a_weight_stays() -> None:
    big = nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.constant_(big.weight, 1e30)
    refuses(fold_scales, graph_of(lambda g, x: nb.MulConstant(g, nb.conv2d(g, x, big), 1e30), (1, 2, 2)))


def test_a_weight_that_two_layers_share_is_not_changed_for_the_other() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        y, z = nb.conv2d(g, x, CONVS["plain"]), nb.conv2d(g, x, CONVS["plain"])
        return [*nb.MulConstant(g, y, 2.0), *z]

    g = graph_of(build, PICTURE)
    after = fires(fold_scales, g, ["Convolution", "Convolution"], tolerance=5e-6)
    scaled = after.outputs["y0"].producer
    other = after.outputs["y1"].producer
    assert scaled is not None and other is not None
    assert np.allclose(scaled.weights["weight"], 2 * other.weights["weight"])


# -- fold_gains -----------------------------------------------------------------------------------------------------

FIR = np.array([1, 3, 2], np.float32) / 6
STYLED = normal(4, 6, 3, 3)
GAINS: dict[str, tuple[Build, tuple[tuple[int, ...], ...]]] = {
    "bias_act": (lambda g, x: nb.bias_act(g, x, normal(6), "lrelu", clamp=0.5), (PICTURE,)),
    "BiasAct": (lambda g, x, b: nb.BiasAct(g, [x, b], "swish", clamp=0.2), (PICTURE, (6,))),
    "clampless": (lambda g, x: nb.BiasAct(g, x, "tanh"), (PICTURE,)),
    "fully_connected": (lambda g, x: nb.fully_connected(g, x, W, B, "lrelu"), ((6,),)),
    "filtered_lrelu": (lambda g, x: nb.filtered_lrelu(g, x, FIR, FIR, normal(6), 2, 2, 2, clamp=0.5), (PICTURE,)),
    "FilteredLrelu": (lambda g, x: nb.FilteredLrelu(g, x, FIR, FIR, normal(6), 2, 2, 2, clamp=0.5), (PICTURE,)),
    "upfirdn2d": (lambda g, x: nb.upfirdn2d(g, x, FIR, up=2, padding=2), (PICTURE,)),
    "Upfirdn2d": (lambda g, x: nb.Upfirdn2d(g, x, FIR, up=2, padding=2), (PICTURE,)),
    "modulated": (lambda g, x, s: nb.modulated_conv2d(g, [x, s], STYLED, normal(5, 7), padding=1), (PICTURE, (6,))),
}


@pytest.mark.parametrize("name", GAINS)
@pytest.mark.parametrize("scale", [0.3, -2.0])
def test_gains_behind(name: str, scale: float) -> None:
    op, shapes = GAINS[name]
    g = graph_of(lambda g, *v: nb.MulConstant(g, op(g, *v), scale), *shapes)
    fires(fold_gains, g, types(g)[:-1], tolerance=1e-5)
    refuses(fold_gains, graph_of(lambda g, *v: nb.MulConstant(g, op(g, *v), scale, 1.0), *shapes))


IN_FRONT: list[tuple[Build, tuple[tuple[int, ...], ...], float]] = [
    (lambda g, x: nb.upfirdn2d(g, x, FIR, padding=1), (PICTURE,), -2.0),
    (lambda g, x: nb.Upfirdn2d(g, x, FIR, padding=1), (PICTURE,), -2.0),
    (lambda g, x: nb.bias_act(g, x, None, "lrelu", clamp=0.5), (PICTURE,), 2.0),
    (lambda g, x: nb.BiasAct(g, x, "relu"), (PICTURE,), 0.5),
    (lambda g, x: nb.filtered_lrelu(g, x, FIR, FIR, None, 2, 2, 2, clamp=0.5), (PICTURE,), 0.5),
    (lambda g, x: nb.FilteredLrelu(g, x, FIR, FIR, None, 2, 2, 2, clamp=0.5), (PICTURE,), 0.5),
    (lambda g, x, s: nb.modulated_conv2d(g, [x, s], STYLED, padding=1), (PICTURE, (6,)), -2.0),
]


@pytest.mark.parametrize(("op", "shapes", "scale"), IN_FRONT)
def test_gains_in_front(op: Build, shapes: Any, scale: float) -> None:
    g = graph_of(lambda g, x, *v: op(g, nb.MulConstant(g, x, scale), *v), *shapes)
    fires(fold_gains, g, types(g)[1:], tolerance=1e-5)
    refuses(fold_gains, graph_of(lambda g, x, *v: op(g, nb.MulConstant(g, x, scale, 1.0), *v), *shapes))


def test_a_factor_of_styles_without_demodulation() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        return nb.modulated_conv2d(g, [x, *nb.MulConstant(g, s, 0.1)], STYLED, demodulate=False, gain=3.0)

    after = fires(fold_gains, graph_of(build, PICTURE, (6,)), ["modulated_conv2d"])
    assert after.nodes[0].params["gain"] == pytest.approx(0.3)


def _shared_styles(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    t = nb.MulConstant(g, s, 0.1)
    return [*nb.modulated_conv2d(g, [x, *t], STYLED, demodulate=False), *nb.abs(g, t)]


@pytest.mark.parametrize(
    "build",
    [
        _shared_styles,
        lambda g, x, s: nb.modulated_conv2d(g, [x, *nb.MulConstant(g, s, 0.1)], STYLED),  # demodulated
        lambda g, x, s: nb.MulConstant(g, nb.modulated_conv2d(g, [x, s], STYLED, gain=1e38), 1e38),
        lambda g, x, s: nb.MulConstant(g, nb.BiasAct(g, x, "relu", clamp=1e38), 1e38),
        lambda g, x, s: nb.BiasAct(g, [*nb.MulConstant(g, x, 2.0), s], "relu"),  # a bias between
        lambda g, x, s: nb.bias_act(g, nb.MulConstant(g, x, 2.0), normal(6), "relu"),
        lambda g, x, s: nb.BiasAct(g, nb.MulConstant(g, x, -2.0), "relu"),
        lambda g, x, s: nb.BiasAct(g, nb.MulConstant(g, x, 2.0), "tanh"),
        lambda g, x, s: nb.filtered_lrelu(g, nb.MulConstant(g, x, 2.0), FIR, FIR, normal(6)),
        lambda g, x, s: nb.filtered_lrelu(g, nb.MulConstant(g, x, -2.0), FIR, FIR),
        lambda g, x, s: nb.BiasAct(g, [x, *nb.MulConstant(g, s, 2.0)], "linear"),
        lambda g, x, s: nb.MulConstant(g, nb.BiasAct(g, x, "relu"), 0.0),
    ],
)
def test_gains_that_stay(build: Build) -> None:
    refuses(fold_gains, graph_of(build, PICTURE, (6,)))


def test_a_factor_behind_noise_that_is_an_input_stays() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value, n: nb.Value) -> list[nb.Value]:
        return nb.MulConstant(g, nb.modulated_conv2d(g, [x, s], STYLED, n, padding=1), 2.0)

    refuses(fold_gains, graph_of(build, PICTURE, (6,), (5, 7)))


# -- static_weights and trim_shells ---------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_constant_weights_go_into_the_file(groups: int, bias: bool) -> None:
    w, b = normal(4, 6 // groups, 3, 3), normal(4)

    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        held = nb.shell(g, [], w, b if bias else None)
        return nb.Fconv2d(g, [x, *held], stride=2, padding=1, groups=groups)

    g = graph_of(build, PICTURE)
    after = fires(static_weights, g, [types(g)[1]])
    same_on_ncnn(g, after)


def test_a_weight_that_two_convolutions_read_stays_a_value() -> None:
    w = normal(6, 6, 3, 3)

    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        held = nb.shell(g, [], w)
        return nb.Fconv2d(g, [*nb.Fconv2d(g, [x, *held], padding=1), *held])

    refuses(static_weights, graph_of(build, PICTURE))


def test_a_weight_that_is_computed_stays_a_value() -> None:
    refuses(static_weights, graph_of(lambda g, *v: nb.Fconv2d(g, v), PICTURE, (4, 6, 3, 3)))


def _bias_alone(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    return nb.BiasAct(g, [x, nb.shell(g, [], STYLED, normal(4))[1]], "linear")


def test_a_shell_of_which_the_bias_is_read_loses_its_weight() -> None:
    g = graph_of(_bias_alone, (4, 5, 7))
    after = fires(trim_shells, g, ["Shell", "BiasAct"])
    assert after.nodes[0].weights["weight"].size == 4
    same_on_ncnn(g, after)


@pytest.mark.parametrize("keep", ["use", "output", "tap"])
def test_a_shell_whose_weight_is_wanted_stays(keep: str) -> None:
    g = nb.Graph()
    x = g.input("x", PICTURE)
    w, b = nb.shell(g, [], STYLED, normal(4))
    y = nb.Fconv2d(g, [x, w])[0] if keep == "use" else nb.Fconv2d(g, [x, *nb.shell(g, [], STYLED)])[0]
    g.output("y", nb.BiasAct(g, [y, b], "linear"))
    if keep == "output":
        g.output("w", w)
    if keep == "tap":
        with g.scope("w"):
            g.tap(w)
    refuses(trim_shells, g)


def test_a_predecessors_convolution_with_bias_ends_as_one_layer() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        held = nb.shell(g, x, STYLED, B)
        y = nb.MulConstant(g, nb.Fconv2d(g, [x, *held], padding=1), 0.5)
        return nb.activation(g, y, "leaky_relu", {"negative_slope": 0.2})

    g = graph_of(build, PICTURE)
    after = lower_and_optimise(g, "fused")
    assert types(after) == ["Convolution"]
    same_on_ncnn(g, after)
