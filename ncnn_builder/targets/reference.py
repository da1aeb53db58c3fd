"""The `reference` target: the predecessor's layers, weights modulated at run time as forward() says it.

It is the oracle for the other targets. It is not made to be fast, but does nothing for nothing: a constant that
can be laid out when exporting is not permuted at run time, and an identity filter is not emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from ..ir import Array, Graph, Node, Value
from ..ops.arithmetic.binary import binaryOp
from ..ops.arithmetic.elementwise import MulConstant, clamp, rsqrt, sin, sqrt, square
from ..ops.arithmetic.reduce import really_reduction
from ..ops.convolutions.conv import Fconv2d, static_conv
from ..ops.convolutions.conv_modules import conv_transpose2d
from ..ops.convolutions.deconv import insert_zeros
from ..ops.enums import Act
from ..ops.generators.alias_free import pixel_centres
from ..ops.generators.fir import border_behind, paddings
from ..ops.generators.stylegan import AddNoise, BiasAct, F4DOp1D, Transforms
from ..ops.matrices.linear import Fmatmul
from ..ops.resampling.resample import down2, up2, up4
from ..ops.shapes.pad import pad
from ..ops.shapes.permute import really_permute
from ..ops.shapes.shape import really_reshape
from ..ops.weights import shell

Pair = tuple[int, int]
Fir = Callable[[Graph, Value, "Array | None", Pair, Pair, tuple[int, int, int, int], float, bool], Value]
"""upfirdn2d on Values: (g, x, f, up, down, (top, bottom, left, right), gain, flip_filter)."""


def _bias_act(g: Graph, x: Value, b: Array | None, node: Node) -> Value:
    p = node.params
    inputs = [x] if b is None else [x, _row(g, b)]
    return BiasAct(g, inputs, p["act"], p["alpha"], p["gain"], p["clamp"])[0]


def _is_linear(node: Node) -> bool:
    """Whether clamp(act(x) * gain) is x."""
    p = node.params
    return bool(p["act"] == Act.LINEAR and p["gain"] == 1 and p["clamp"] < 0)


def bias_act(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    b = node.weights.get("b")
    if b is None and _is_linear(node):
        return inputs
    return [_bias_act(g, inputs[0], b, node)]


def fully_connected(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    weight, bias = node.weights["weight"], node.weights.get("bias")
    linear = _is_linear(node)
    held = shell(g, [], weight[:, :, None, None], bias if linear else None)
    y = Fmatmul(g, [inputs[0], *held], weight.shape)[0]
    return [y] if linear else [_bias_act(g, y, bias, node)]


def upfirdn2d(g: Graph, node: Node, inputs: list[Value], fir: Fir | None = None) -> Sequence[Value]:
    """`fir` is what emits the filter."""
    p = node.params
    up, down = (p["up_y"], p["up_x"]), (p["down_y"], p["down_x"])
    padding = paddings(p)
    f, flip = node.weights.get("f"), bool(p["flip_filter"])
    return [(fir or _upfirdn2d)(g, inputs[0], f, up, down, padding, p["gain"], flip)]


def _upfirdn2d(
    g: Graph,
    x: Value,
    f: Array | None,
    up: tuple[int, int],
    down: tuple[int, int],
    padding: tuple[int, int, int, int],
    gain: float,
    flip: bool,
) -> Value:
    x = _insert_zeros(g, x, up)
    if f is None:
        f = np.ones((1, 1), np.float32)
    if f.size == 1:
        x = pad(g, x, *padding)[0]
        x = _drop_pixels(g, x, down)
        factor = gain * float(f.reshape(())) ** (2 if f.ndim == 1 else 1)
        return x if factor == 1 else MulConstant(g, x, factor)[0]
    f = f if flip else np.flip(f)
    top, bottom, left, right = padding
    channels = x.shape[0]
    if f.ndim == 2:
        kernel = np.broadcast_to((f * gain).astype(np.float32), (channels, 1, *f.shape))
        return static_conv(g, x, np.ascontiguousarray(kernel), None, down, padding, groups=channels)[0]
    rows = np.ascontiguousarray(np.broadcast_to((f * gain).astype(np.float32)[:, None], (channels, 1, f.size, 1)))
    columns = np.ascontiguousarray(np.broadcast_to(f[None, :], (channels, 1, 1, f.size)))
    x = static_conv(g, x, columns, None, (1, down[1]), (0, 0, left, right), groups=channels)[0]
    return static_conv(g, x, rows, None, (down[0], 1), (top, bottom, 0, 0), groups=channels)[0]


def _insert_zeros(g: Graph, x: Value, up: tuple[int, int]) -> Value:
    if up[0] != up[1]:
        return insert_zeros(g, x, up)[0]
    factor = up[0]
    while factor % 4 == 0:
        x, factor = up4(g, x)[0], factor // 4
    while factor % 2 == 0:
        x, factor = up2(g, x)[0], factor // 2
    return x if factor == 1 else insert_zeros(g, x, (factor, factor))[0]


def _drop_pixels(g: Graph, x: Value, down: tuple[int, int]) -> Value:
    if down == (1, 1):
        return x
    if down == (2, 2):
        return down2(g, x)[0]
    ones = np.ones((x.shape[0], 1, 1, 1), np.float32)
    return static_conv(g, x, ones, None, down, groups=x.shape[0])[0]


def modulated_conv2d(g: Graph, node: Node, inputs: list[Value], fir: Fir | None = None) -> Sequence[Value]:
    """Shell -> F4DOp1D (modulate) -> Square, Reduction, Rsqrt, F4DOp1D (demodulate) -> convolution -> AddNoise.

    For up > 1 the weight lies transposed, [in, out, kh, kw], as the transposed convolution takes it; `fir` is what
    emits the filter behind it.
    """
    x, styles = inputs[:2]
    p, weight = node.params, node.weights["weight"]
    up, transposed = p["up"], p["up"] > 1
    if p["gain"] != 1 and not p["demodulate"]:
        weight = weight * np.float32(p["gain"])
    if (not p["flip_weight"] and not transposed) or (p["flip_weight"] and transposed):
        weight = weight[:, :, ::-1, ::-1]  # a transposed convolution flips by itself
    axis_in, axis_out = (0, 1) if transposed else (1, 0)
    held = np.ascontiguousarray(weight.swapaxes(0, 1) if transposed else weight)
    w = F4DOp1D(g, [shell(g, [], held)[0], styles], axis_in, "Mul")[0]
    if p["demodulate"]:
        factors = rsqrt(g, really_reduction(g, square(g, w), "ReduceSum", (axis_in, 2, 3)), eps=1e-8)
        if p["gain"] != 1:
            factors = MulConstant(g, factors, p["gain"])
        w = F4DOp1D(g, [w, *factors], axis_out, "Mul")[0]
    if transposed:
        y = _up_convolution(g, x, w, up, p["padding"], node.weights.get("resample_filter"), fir or _upfirdn2d)
    else:
        y = Fconv2d(g, [x, w], padding=p["padding"])[0]
    noise = inputs[2] if len(inputs) == 3 else None
    if "noise" in node.weights:
        noise = shell(g, [], node.weights["noise"][None, None])[0]
    return [y if noise is None else AddNoise(g, [y, noise])[0]]


def _up_convolution(g: Graph, x: Value, w: Value, up: int, padding: int, f: Array | None, fir: Fir) -> Value:
    """Upsampling by zeros and f, then convolution, with the two exchanged: conv_transpose2d with stride `up`, then f.

    The border of the filter is border_behind().
    """
    size = (1, 1) if f is None else (f.shape[0], f.shape[-1])
    top, bottom, left, right = chain(
        *(border_behind(padding, up, n, k) for n, k in zip(size, w.shape[2:], strict=True))
    )
    y = conv_transpose2d(g, [x, w], stride=up)[0]
    return fir(g, y, f, (1, 1), (1, 1), (top, bottom, left, right), float(up * up), False)


def filtered_lrelu(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """BiasAct (bias) -> upfirdn2d -> BiasAct (activation) -> upfirdn2d; one BiasAct where nothing lies between."""
    p, x, b, fu = node.params, inputs[0], node.weights.get("b"), node.weights.get("fu")
    padding = paddings(p)
    flip, up, down = bool(p["flip_filter"]), (p["up"],) * 2, (p["down"],) * 2
    if b is not None and (fu is not None or p["up"] > 1 or any(padding)):
        x = BiasAct(g, [x, _row(g, b)], "linear")[0]
        b = None
    x = _upfirdn2d(g, x, fu, up, (1, 1), padding, float(p["up"] ** 2), flip)
    act = "linear" if p["slope"] == 1 else "lrelu"
    if b is not None or act == "lrelu" or p["gain"] != 1 or p["clamp"] >= 0:
        x = BiasAct(g, [x] if b is None else [x, _row(g, b)], act, p["slope"], p["gain"], p["clamp"])[0]
    return [_upfirdn2d(g, x, node.weights.get("fd"), (1, 1), down, (0, 0, 0, 0), 1.0, flip)]


def synthesis_input(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """Matrix products throughout: Fmatmul is x @ w.T, and each order is chosen so that nothing is transposed."""
    p, weights, t = node.params, node.weights, inputs[0]
    (channels, _), outputs = weights["freqs"].shape, len(weights["weight"])
    length = Fmatmul(g, [*square(g, t), _matrix(g, np.array([[1, 1, 0, 0]], np.float32))], (1, 4))
    t = binaryOp(g, [t, *rsqrt(g, length)], "Mul")[0]
    given = weights.get("transform")
    user = really_permute(g, inputs[1], (1, 0))[0] if given is None else _matrix(g, given.T)
    transform = Fmatmul(g, [user, *Transforms(g, t)], (2, 3))  # (R @ T @ transform).T, [3, 2]
    freqs = Fmatmul(g, [_matrix(g, weights["freqs"]), *transform], (3, 2))  # [C, 3]: f_x, f_y and a phase

    lengths = Fmatmul(g, [_matrix(g, np.array([[1, 1, 0]], np.float32)), *square(g, freqs)], (channels, 3))
    fall = 1 / (p["sampling_rate"] / 2 - p["bandwidth"])
    amplitudes = clamp(g, MulConstant(g, sqrt(g, lengths), -fall, 1 + p["bandwidth"] * fall), 0, 1)  # [1, C]

    grid = _matrix(g, pixel_centres(p["height"], p["width"], p["sampling_rate"]))
    angles = Fmatmul(g, [grid, *freqs, _row(g, weights["phases"])], (channels, 3))  # [H * W, C], in cycles
    weight = binaryOp(g, [_matrix(g, weights["weight"]), *amplitudes], "Mul")
    y = Fmatmul(g, [*weight, *sin(g, angles, scale=2.0)], (p["height"] * p["width"], channels))
    return really_reshape(g, y, (outputs, p["height"], p["width"]))


def _row(g: Graph, values: Array) -> Value:
    return shell(g, [], values[None, None, None], ncnn_weight_dims=1)[0]


def _matrix(g: Graph, values: Array) -> Value:
    return shell(g, [], values[None, None], ncnn_weight_dims=2)[0]


LOWERINGS: dict[str, Callable[[Graph, Node, list[Value]], Sequence[Value]]] = {
    "bias_act": bias_act,
    "filtered_lrelu": filtered_lrelu,
    "fully_connected": fully_connected,
    "modulated_conv2d": modulated_conv2d,
    "synthesis_input": synthesis_input,
    "upfirdn2d": upfirdn2d,
}
