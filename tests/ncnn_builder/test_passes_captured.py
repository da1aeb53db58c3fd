"""raise_modulation and raise_bias_act on ncnn's own layers, of which a captured forward() is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn, types

import ncnn_builder as nb
from ncnn_builder.builder import append
from ncnn_builder.ops.convolutions.deconv import deconv
from ncnn_builder.opspec import spec_of
from ncnn_builder.passes.raise_bias_act import raise_bias_act
from ncnn_builder.passes.raise_modulation import raise_modulation
from ncnn_builder.passes.raise_upfirdn2d import raise_upfirdn2d
from ncnn_builder.pipeline import lower_and_optimise

Build = Callable[..., Any]
OUT, IN, K = 4, 6, 9
PICTURE, STYLES = (IN, 5, 7), (1, IN)
W = normal(OUT, IN, 3, 3)
F4 = np.outer([1, 3, 3, 2], [1, 2, 3, 3]).astype(np.float32) / 20


def layer(g: nb.Graph, kind: str, inputs: Any, **params: Any) -> nb.Value:
    return append(g, spec_of(kind), inputs, params)[0]


def times(g: nb.Graph, a: Any, b: Any) -> nb.Value:
    return nb.binaryOp(g, [a, b], "Mul")[0]


def weight(
    g: nb.Graph,
    s: nb.Value,
    demodulate: bool = True,
    eps: float = 1e-8,
    op: str = "Mul",
    square: str = "layer",
    axes: tuple[int, ...] = (1, 2),
    operation: int = 0,
    coeff: float = 1.0,
    before: float = 1.0,
    after: float = 1.0,
    plane: Any = None,
    turned: bool = False,
    along: tuple[int, ...] = (1, IN, 1),
    wide: tuple[int, ...] = (OUT, 1, 1),
    data: Any = W,
) -> nb.Value:
    """The weight of a modulated convolution as it is captured: [out, in, 9], the dimensions of a sample."""
    held = data if isinstance(data, nb.Value) else nb.memorydata(g, data.reshape(OUT, IN, K))[0]
    m = nb.binaryOp(g, [held, nb.really_reshape(g, s, along)], op)[0]
    if before != 1:
        m = times(g, m, before)
    if demodulate:
        q = times(g, m, m) if square == "itself" else nb.abs(g, m)[0] if square == "abs" else m
        q = layer(g, "UnaryOp", q, op=4) if square == "layer" else q
        total = layer(
            g, "Reduction", q, operation=operation, reduce_all=0, coeff=coeff, axes=axes, keepdims=1, version=1
        )
        d = layer(g, "UnaryOp", nb.binaryOp(g, [total, eps], "Add"), op=6)
        m = times(g, m, nb.really_reshape(g, d, wide) if d.shape != wide else d)
    if after != 1:
        m = times(g, m, after)
    if plane is not None:
        m = times(g, m, nb.memorydata(g, plane))
    if turned:
        m = nb.really_permute(g, m, (1, 0, 2))[0]
    return nb.really_reshape(g, m, (IN, OUT, 3, 3) if turned else (OUT, IN, 3, 3))[0]


def conv(noise: Any = None, **kw: Any) -> Build:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value, *n: nb.Value) -> Any:
        y = nb.Fconv2d(g, [x, weight(g, s, **kw)], padding=1)
        if noise is not None:
            y = nb.binaryOp(g, [nb.memorydata(g, noise), *y], "Add")
        return nb.binaryOp(g, [*y, *n], "Add") if n else y

    return build


def up(f: np.ndarray = F4, **kw: Any) -> Build:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> Any:
        y = deconv(g, x, weight(g, s, turned=True, **kw), None, 2)
        taps = np.broadcast_to(f, (OUT, 1, *f.shape))
        return nb.Fconv2d_depthwise(g, [*nb.pad(g, y, 1, 1, 1, 1), *nb.shell(g, [], taps)], groups=OUT)

    return build


RAISED: list[tuple[Build, dict[str, Any]]] = [
    (conv(), {"demodulate": 1, "padding": 1, "gain": 1.0, "flip_weight": 1, "up": 1}),
    (conv(demodulate=False), {"demodulate": 0}),
    (conv(square="itself"), {"demodulate": 1}),
    (conv(square="none", operation=2), {"demodulate": 1}),
    (conv(operation=3, coeff=54.0), {"demodulate": 1}),
    (conv(axes=(-1, 1)), {"demodulate": 1}),
    (conv(before=0.3), {"gain": 1.0}),
    (conv(after=0.3), {"gain": 0.3}),
    (conv(after=0.5, plane=np.full((1, IN, 1), 0.5, np.float32)), {"gain": 0.25}),
    (conv(noise=normal(1, 5, 7)), {"demodulate": 1}),
]


@pytest.mark.parametrize(("build", "params"), RAISED)
def test_a_captured_modulation_is_recognised(build: Build, params: dict[str, Any]) -> None:
    g = graph_of(build, PICTURE, STYLES)
    after = fires(raise_modulation, g, ["Reshape", "Reshape", "modulated_conv2d"], tolerance=1e-5)
    assert {k: after.nodes[2].params[k] for k in params} == params
    assert raise_modulation.refusals(g) == {}
    for target in nb.TARGETS:
        same_on_ncnn(g, lower_and_optimise(g, target))


def test_a_plane_that_is_an_input_is_noise() -> None:
    g = graph_of(conv(), PICTURE, STYLES, (1, 5, 7))
    after = fires(raise_modulation, g, ["Reshape", "Reshape", "modulated_conv2d"], tolerance=1e-5)
    assert len(after.nodes[2].inputs) == 3


def test_what_is_added_to_each_channel_is_no_noise() -> None:
    g = graph_of(conv(), PICTURE, STYLES, (OUT, 1, 1))
    fires(raise_modulation, g, ["Reshape", "Reshape", "modulated_conv2d", "BinaryOp"], tolerance=1e-5)


@pytest.mark.parametrize("build", [up(), up(demodulate=False), up(after=0.4)])
def test_a_captured_upsampling_is_recognised(build: Build) -> None:
    g = graph_of(build, PICTURE, STYLES)
    raised = raise_upfirdn2d(g)
    after = fires(raise_modulation, raised, ["Reshape", "Reshape", "modulated_conv2d"], tolerance=1e-5)
    assert after.nodes[2].params["up"] == 2 and raise_modulation.refusals(raised) == {}
    for target in nb.TARGETS:
        same_on_ncnn(g, lower_and_optimise(g, target))


def _other_operand(g: nb.Graph, x: nb.Value, s: nb.Value) -> Any:
    """Modulation by as many numbers as there are output channels."""
    s = nb.really_reshape(g, nb.crop(g, s, [0], [OUT], [1]), (OUT, 1, 1))[0]
    m = times(g, nb.memorydata(g, W.reshape(OUT, IN, K)), s)
    return nb.Fconv2d(g, [x, *nb.really_reshape(g, m, W.shape)], padding=1)


def _taken_apart(g: nb.Graph, x: nb.Value, s: nb.Value) -> Any:
    """[8, 3, 9] is no regrouping of [4, 6, 3, 3]."""
    m = nb.really_reshape(g, times(g, nb.memorydata(g, W.reshape(8, 3, K)), 2.0), (OUT, IN, K))[0]
    m = times(g, nb.memorydata(g, W.reshape(8, 3, K)), nb.really_reshape(g, nb.crop(g, s, [0], [3], [1]), (1, 3, 1)))
    return nb.Fconv2d(g, [x, *nb.really_reshape(g, m, W.shape)], padding=1)


def _thrice(g: nb.Graph, x: nb.Value, s: nb.Value) -> Any:
    row = nb.really_reshape(g, s, (1, IN, 1))
    m = times(g, times(g, times(g, nb.memorydata(g, W.reshape(OUT, IN, K)), row), row), row)
    return nb.Fconv2d(g, [x, *nb.really_reshape(g, m, W.shape)], padding=1)


def _tapped(g: nb.Graph, x: nb.Value, s: nb.Value) -> Any:
    w = weight(g, s)
    return [*nb.Fconv2d(g, [x, w], padding=1), *nb.abs(g, w)]


REFUSED: list[tuple[Build, str]] = [
    (conv(op="Add"), "modulation that does not multiply the input channels"),
    (conv(eps=1e-6), "another epsilon or scale"),
    (conv(coeff=2.0), "another epsilon or scale"),
    (conv(square="abs"), "demodulation without Square"),
    (conv(square="none"), "demodulation without Square"),
    (conv(axes=(1,), wide=(OUT, 1, K)), "demodulation of something else"),
    (conv(operation=3), "another reduction than a sum for each output channel"),
    (conv(plane=normal(1, IN, 1)), "a constant factor that is not one number"),
    (_other_operand, "modulation that does not multiply the input channels"),
    (_taken_apart, "a Reshape that takes an axis apart"),
    (_thrice, "more factors than modulation and demodulation"),
    (_tapped, "somebody else reads the modulated weight"),
]


@pytest.mark.parametrize(("build", "reason"), REFUSED, ids=[f"{i}-{r[:32]}" for i, (_, r) in enumerate(REFUSED)])
def test_what_is_no_captured_modulation(build: Build, reason: str) -> None:
    g = graph_of(build, PICTURE, STYLES)
    assert list(raise_modulation.refusals(g).values()) == [reason]
    refuses(raise_modulation, g)


# -- raise_bias_act -------------------------------------------------------------------------------------------------

B = normal(OUT, 1, 1)


def act(*steps: Callable[[nb.Graph, nb.Value], Any], tap: int = -1) -> Build:
    """These behind a modulated convolution; tap: which of the values somebody looks at."""

    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> Any:
        y = nb.modulated_conv2d(g, [x, s], W, padding=1)[0]
        for i, step in enumerate(steps):
            if i == tap:
                g.tap(y)
            y = nb.check_bottom_names(step(g, y))[0]
        return y

    return build


def bias(g: nb.Graph, y: nb.Value, b: Any = B) -> Any:
    return nb.binaryOp(g, [y, *nb.memorydata(g, b)], "Add")


def leaky(g: nb.Graph, y: nb.Value) -> Any:
    return nb.activation(g, y, "leaky_relu", {"negative_slope": 0.2})


def relu(g: nb.Graph, y: nb.Value) -> Any:
    return nb.activation(g, y, "relu")


def clamp(low: float, high: float) -> Callable[[nb.Graph, nb.Value], Any]:
    return lambda g, y: layer(g, "Clamp", y, min=low, max=high)


@pytest.mark.parametrize(
    ("steps", "params"),
    [
        ((bias,), {"act": 0, "gain": 1.0, "clamp": -1.0}),
        ((lambda g, y: nb.binaryOp(g, [y, 0.5], "Add"),), {"act": 0}),
        ((bias, leaky), {"act": 2, "alpha": 0.2, "gain": 1.0}),
        ((relu,), {"act": 1, "alpha": 0.0}),
        ((bias, leaky, clamp(-0.5, 0.5)), {"act": 2, "clamp": 0.5}),
        ((clamp(-0.5, 0.5), clamp(-0.3, 0.3)), {"act": 0, "clamp": 0.3}),
    ],
)
def test_bias_and_activation_are_recognised(steps: Any, params: dict[str, Any]) -> None:
    g = graph_of(act(*steps), PICTURE, (IN,))
    after = fires(raise_bias_act, g, ["modulated_conv2d", "bias_act"])
    assert {k: after.nodes[1].params[k] for k in params} == params
    whole = lower_and_optimise(g, "fused")
    assert types(whole) == ["ModulatedConv2d"]
    for target in nb.TARGETS:
        same_on_ncnn(lower_and_optimise(g, "reference"), lower_and_optimise(g, target))


def test_the_gain_goes_with_it() -> None:
    g = graph_of(act(bias, leaky, lambda g, y: nb.binaryOp(g, [y, 1.4], "Mul"), clamp(-0.9, 0.9)), PICTURE, (IN,))
    made = lower_and_optimise(g, "fused")
    assert types(made) == ["ModulatedConv2d"]
    assert {k: made.nodes[0].params[k] for k in ("slope", "act_gain", "clamp")} == {
        "slope": 0.2,
        "act_gain": 1.4,
        "clamp": 0.9,
    }


@pytest.mark.parametrize(
    ("build", "left"),
    [
        (act(clamp(-0.5, 0.4)), ["modulated_conv2d", "Clamp"]),
        (act(clamp(0.0, 0.0)), ["modulated_conv2d", "Clamp"]),
        (act(bias, bias), ["modulated_conv2d", "bias_act", "MemoryData", "BinaryOp"]),
        (act(leaky, bias), ["modulated_conv2d", "bias_act", "MemoryData", "BinaryOp"]),
        (act(leaky, relu), ["modulated_conv2d", "bias_act", "ReLU"]),
        (act(clamp(-1.0, 1.0), leaky), ["modulated_conv2d", "bias_act", "ReLU"]),
        (act(bias, leaky, tap=1), ["modulated_conv2d", "bias_act", "ReLU"]),
        (act(bias, tap=0), ["modulated_conv2d", "MemoryData", "BinaryOp"]),
        (act(lambda g, y: bias(g, y, normal(OUT, 5, 7))), ["modulated_conv2d", "MemoryData", "BinaryOp"]),
        (
            act(lambda g, y: nb.binaryOp(g, [y, *nb.memorydata(g, B)], "Mul")),
            ["modulated_conv2d", "MemoryData", "BinaryOp"],
        ),
        (act(lambda g, y: nb.binaryOp(g, [y, 0.5], "Mul")), ["modulated_conv2d", "BinaryOp"]),
    ],
)
def test_what_stays_a_layer(build: Build, left: list[str]) -> None:
    assert types(raise_bias_act(graph_of(build, PICTURE, (IN,)))) in (left, sorted(left))


def test_an_activation_behind_anything_else_stays_ncnns() -> None:
    refuses(raise_bias_act, graph_of(lambda g, x: leaky(g, nb.abs(g, x)[0]), PICTURE))
    refuses(raise_bias_act, graph_of(lambda g, x: clamp(-1, 1)(g, nb.bias_act(g, x, None, "tanh")[0]), PICTURE))


def test_another_slope_is_seen() -> None:
    """Control: what the pass made, with another slope, is another net."""
    g = graph_of(act(bias, leaky), PICTURE, (IN,))
    after = raise_bias_act(g)
    after.nodes[-1].params = {**after.nodes[-1].params, "alpha": 0.21}
    with pytest.raises(nb.ParityError, match="differ"):
        same_on_ncnn(lower_and_optimise(g, "reference"), lower_and_optimise(after, "fused"))
