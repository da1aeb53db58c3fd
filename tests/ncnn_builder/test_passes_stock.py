"""Passes on layers that only `stock` makes: Scale, UnaryOp, Clip, InnerProduct, Deconvolution, MemoryData."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn

import ncnn_builder as nb
from ncnn_builder.emit import half
from ncnn_builder.ops.activations.piecewise import clip
from ncnn_builder.ops.arithmetic.unary import unary
from ncnn_builder.ops.convolutions.conv import static_conv
from ncnn_builder.ops.convolutions.deconv import deconv
from ncnn_builder.ops.stock import inner_product, memory, scale
from ncnn_builder.passes.constant_folding import constant_folding
from ncnn_builder.passes.fold_scales import fold_scales
from ncnn_builder.passes.fuse_activation import fuse_activation
from ncnn_builder.passes.merge_elementwise import merge_elementwise
from ncnn_builder.passes.sum_of_squares import sum_of_squares
from ncnn_builder.pipeline import lower_and_optimise

Build = Callable[..., Any]
PICTURE = (6, 5, 7)
S, T, W = normal(4), normal(4), normal(4, 6, 3, 3)
LAYERS: dict[str, tuple[Build, tuple[int, ...]]] = {
    "Convolution": (lambda g, x: static_conv(g, x, W, normal(4), padding=1)[0], PICTURE),
    "ConvolutionDepthWise": (lambda g, x: static_conv(g, x, normal(4, 3, 3, 3), groups=2)[0], PICTURE),
    "Deconvolution": (lambda g, x: deconv(g, x, normal(6, 4, 3, 3), normal(4), 2), PICTURE),
    "DeconvolutionDepthWise": (lambda g, x: deconv(g, x, normal(6, 2, 3, 3), None, 2, groups=2), PICTURE),
    "InnerProduct": (lambda g, x: inner_product(g, x, normal(4, 6), normal(4)), (6,)),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("bias", [None, T])
def test_a_scale_behind_goes_into_the_weights(layer: str, bias: Any) -> None:
    op, shape = LAYERS[layer]
    g = graph_of(lambda g, x: [scale(g, op(g, x), S, bias)], shape)
    same_on_ncnn(g, fires(fold_scales, g, [layer], tolerance=5e-6))


@pytest.mark.parametrize("layer", ["Convolution", "ConvolutionDepthWise", "InnerProduct"])
def test_a_scale_in_front_goes_into_the_weights(layer: str) -> None:
    op, shape = LAYERS[layer]
    g = graph_of(lambda g, x: [op(g, scale(g, x, normal(6)))], shape)
    same_on_ncnn(g, fires(fold_scales, g, [layer], tolerance=5e-6))
    refuses(fold_scales, graph_of(lambda g, x: [op(g, scale(g, x, normal(6), normal(6)))], shape))


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (lambda g, x, s: [scale(g, LAYERS["Convolution"][0](g, x), s)], (PICTURE, (4,))),  # no constant
        (lambda g, x: [scale(g, inner_product(g, x, normal(4, 6)), normal(3))], ((3, 6),)),  # one for each row
        (lambda g, x: [inner_product(g, scale(g, x, normal(3)), normal(4, 6))], ((3, 6),)),
        (lambda g, x, w: [scale(g, deconv(g, x, w, None, 2), S)], (PICTURE, (6, 4, 3, 3))),  # weights as values
        (lambda g, x: [deconv(g, scale(g, x, normal(6)), normal(6, 4, 3, 3))], (PICTURE,)),
    ],
)
def test_scales_that_stay(build: Build, shapes: Any) -> None:
    refuses(fold_scales, graph_of(build, *shapes))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    "act",
    [
        lambda g, y: nb.activation(g, y, "relu"),
        lambda g, y: nb.activation(g, y, "leaky_relu", {"negative_slope": 0.2}),
        lambda g, y: [clip(g, y, -0.5, 0.75)],
        lambda g, y: nb.activation(g, y, "sigmoid"),
        lambda g, y: nb.activation(g, y, "mish"),
    ],
)
def test_activations_go_into_the_layers(layer: str, act: Build) -> None:
    op, shape = LAYERS[layer]
    g = graph_of(lambda g, x: act(g, op(g, x)), shape)
    same_on_ncnn(g, fires(fuse_activation, g, [layer], tolerance=1e-9), tolerance=2e-5)


def test_activations_go_into_a_transposed_convolution_of_a_value() -> None:
    g = graph_of(lambda g, x, w: nb.activation(g, deconv(g, x, w, None, 2), "relu"), PICTURE, (6, 4, 3, 3))
    same_on_ncnn(g, fires(fuse_activation, g, ["Deconvolution"], tolerance=1e-9))


def test_clips_are_merged() -> None:
    g = graph_of(lambda g, x: [clip(g, clip(g, x, -1, 0.5), -0.5, 2)], PICTURE)
    same_on_ncnn(g, fires(merge_elementwise, g, ["Clip"]))
    g = graph_of(lambda g, x: [clip(g, nb.activation(g, x, "relu"), -0.5, 0.7)], PICTURE)
    same_on_ncnn(g, fires(merge_elementwise, g, ["Clip"]))


def test_squares_are_summed_by_the_reduction() -> None:
    g = graph_of(lambda g, x: nb.really_reduction(g, unary(g, x, "square"), "ReduceMean", (0,), True), (7,))
    same_on_ncnn(g, fires(sum_of_squares, g, ["Reduction"]))
    refuses(sum_of_squares, graph_of(lambda g, x: nb.really_reduction(g, unary(g, x, "abs"), "ReduceSum", (0,)), (7,)))


@pytest.mark.parametrize("shape", [(9,), (3, 5), (5, 3, 7), (2, 3, 4, 5)])
@pytest.mark.parametrize("op", ["abs", "neg", "square", "sqrt", "rsqrt", "reciprocal", "clip"])
def test_constants_are_computed_and_held_by_memory_data(op: str, shape: tuple[int, ...]) -> None:
    data = np.abs(normal(*shape)) + 0.1

    def build(g: nb.Graph) -> list[nb.Value]:
        held = memory(g, data)
        return [clip(g, held, 0.3, 0.6) if op == "clip" else unary(g, held, op)]

    g = graph_of(build)
    same_on_ncnn(g, fires(constant_folding, g, ["MemoryData"]))
    refuses(constant_folding, graph_of(lambda g: [unary(g, memory(g, -data), "log")]))  # no number


def test_memory_data_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half, "SMALL", 1)
    g = graph_of(lambda g, x: nb.binaryOp(g, [x, memory(g, normal(5, 3, 7))], "Add"), (5, 3, 7))
    models = [nb.compile_graph(g, weights=w) for w in nb.STORAGES]
    assert [len(m.bin) for m in models] == [4 + 4 * 105, 4 + 2 * 105 + 2]


def test_no_layer_of_ours_is_made_of_a_stock_graph() -> None:
    """On stock, a whole layer of a generator with every pass: nothing custom comes in."""

    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        s = nb.MulConstant(g, nb.fully_connected(g, s, normal(6, 5), normal(6)), 0.3)[0]
        y = nb.modulated_conv2d(g, [x, s], W, normal(5, 7), padding=1)
        y = nb.bias_act(g, y, normal(4), "lrelu", clamp=2)
        y = nb.modulated_conv2d(g, [*y, *nb.fully_connected(g, s, normal(4, 6))], normal(3, 4, 1, 1), demodulate=False)
        return nb.bias_act(g, y, normal(3), clamp=1)

    g = graph_of(build, PICTURE, (5,))
    after = lower_and_optimise(g, "stock")
    assert not any(n.spec.custom for n in after.nodes)
    assert after.nodes[-1].spec.type == "Convolution" and after.nodes[-1].params["activation_type"] == 3
    same_on_ncnn(g, after)
