"""fuse_activation: every layer with every activation, on ncnn; and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn
from torch import nn

import ncnn_builder as nb
from ncnn_builder.ops.convolutions.conv import static_conv
from ncnn_builder.ops.convolutions.deconv import insert_zeros
from ncnn_builder.passes.fuse_activation import LAYERS, fuse_activation

Build = Callable[..., Any]
W = {c: normal(c, 8, 3, 3) for c in (4, 5)}

KINDS = ("Conv", "ConvTranspose")


def of_torch(kind: str, dims: int, groups: int) -> tuple[Build, tuple[tuple[int, ...], ...]]:
    module = getattr(nn, f"{kind}{dims}d")(4, 6, 2, groups=groups)
    return (lambda g, x: nb.export_module(g, module, x)), ((4, 3, 5, 4)[: dims + 1],)


FUSABLE: dict[str, tuple[Build, tuple[tuple[int, ...], ...]]] = {
    "static-4": (lambda g, x: static_conv(g, x, W[4], normal(4), padding=1), ((8, 6, 7),)),
    "static-5": (lambda g, x: static_conv(g, x, W[5], None, stride=2), ((8, 6, 7),)),
    "dynamic": (lambda g, x, w: nb.Fconv2d(g, [x, w], padding=1), ((8, 6, 7), (5, 8, 3, 3))),
    "dynamic-8": (lambda g, x, w, b: nb.Fconv2d(g, [x, w, b]), ((8, 6, 7), (8, 8, 3, 3), (8,))),
    "grouped": (lambda g, x: static_conv(g, x, normal(4, 4, 3, 3), normal(4), groups=2), ((8, 6, 7),)),
    "depthwise": (lambda g, x: static_conv(g, x, normal(8, 1, 3, 3), groups=8), ((8, 6, 7),)),
    "depthwise-dynamic": (lambda g, x, w: nb.Fconv2d(g, [x, w], groups=8), ((8, 6, 7), (8, 1, 3, 3))),
    "zeros": (lambda g, x: insert_zeros(g, x, (3, 2)), ((5, 3, 4),)),
    "transposed": (
        lambda g, x, w, b: nb.conv_transpose2d(g, [x, w, b], (5, 4, 3, 3), 2),
        ((5, 4, 6), (5, 4, 3, 3), (4,)),
    ),
    "matrix": (lambda g, x, w, b: nb.Fmatmul(g, [x, w, b], (4, 6)), ((6,), (4, 6), (4,))),
    "rows": (lambda g, x, w: nb.Fmatmul(g, [x, w], (4, 6)), ((7, 6), (4, 6))),
    **{f"{kind}{n}d-{groups}": of_torch(kind, n, groups) for kind in KINDS for n in (1, 3) for groups in (1, 2)},
}
ACTIVATIONS: dict[str, tuple[Build, int, tuple[float, ...]]] = {
    "relu": (lambda g, y: nb.activation(g, y, "relu"), 1, ()),
    "leaky": (lambda g, y: nb.activation(g, y, "leaky_relu", {"negative_slope": 0.2}), 2, (0.2,)),
    "steep": (lambda g, y: nb.activation(g, y, "leaky_relu", {"negative_slope": 1.5}), 2, (1.5,)),
    "negative": (lambda g, y: nb.activation(g, y, "leaky_relu", {"negative_slope": -0.5}), 2, (-0.5,)),
    "clip": (lambda g, y: nb.clamp(g, y, -0.5, 0.75), 3, (-0.5, 0.75)),
    "sigmoid": (lambda g, y: nb.activation(g, y, "sigmoid"), 4, ()),
    "mish": (lambda g, y: nb.activation(g, y, "mish"), 5, ()),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layer", FUSABLE)
def test_an_activation_goes_into_the_layer(layer: str, activation: str) -> None:
    build, shapes = FUSABLE[layer]
    act, kind, numbers = ACTIVATIONS[activation]
    g = graph_of(lambda g, *v: act(g, build(g, *v)), *shapes)
    expected = [n.spec.type for n in g.nodes[:-1]]
    after = fires(fuse_activation, g, expected, tolerance=1e-9)
    assert after.nodes[-1].params["activation_type"] == kind
    assert after.nodes[-1].params["activation_params"] == pytest.approx(numbers)
    same_on_ncnn(g, after, tolerance=2e-5)


def test_every_layer_that_is_there_is_tried() -> None:
    tried = {graph_of(build, *shapes).nodes[-1].spec.type for build, shapes in FUSABLE.values()}
    assert tried >= {op.type for op in LAYERS} - {"Deconvolution", "InnerProduct"}


def _shared(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = static_conv(g, x, W[4])
    return [*nb.activation(g, y, "relu"), *nb.abs(g, y)]


def _tapped(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    with g.scope("conv"):
        y = static_conv(g, x, W[4])
        g.tap(*y)
    return nb.activation(g, y, "relu")


@pytest.mark.parametrize(
    "build",
    [
        _shared,
        _tapped,
        lambda g, x: nb.activation(g, static_conv(g, x, W[4]), "swish"),
        lambda g, x: nb.activation(g, static_conv(g, x, W[4]), "hardsigmoid"),
        lambda g, x: nb.BiasAct(g, static_conv(g, x, W[4]), "relu", gain=1.0),
        lambda g, x: nb.activation(g, nb.square(g, x), "relu"),
    ],
)
def test_what_stays_apart(build: Build) -> None:
    refuses(fuse_activation, graph_of(build, (8, 6, 7)))


def test_the_second_activation_stays() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        return nb.activation(g, nb.activation(g, static_conv(g, x, W[4]), "leaky_relu"), "sigmoid")

    fires(fuse_activation, graph_of(build, (8, 6, 7)), ["Convolution", "Sigmoid"])


def test_hard_swish_in_the_reference() -> None:
    g = graph_of(lambda g, x: static_conv(g, x, W[4]), (8, 6, 7))
    plain = graph_of(lambda g, x: static_conv(g, x, W[4]), (8, 6, 7))
    g.nodes[0].params |= {"activation_type": 6, "activation_params": (1 / 6, 0.5)}
    from parity_support import run_emitted
    from pass_support import inputs_of, numbers

    inputs = inputs_of(g)
    y = numbers(plain, inputs)["y0"]
    expected = y * np.clip(y / 6 + 0.5, 0, 1)
    got = run_emitted(nb.compile_graph(g), inputs, ["y0"])["y0"]
    assert np.allclose(numbers(g, inputs)["y0"], expected, atol=1e-5)
    assert np.allclose(got, expected, atol=2e-5 * np.abs(expected).max())
