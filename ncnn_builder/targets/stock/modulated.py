"""Modulated convolution with static weights: the modulation is moved onto the activations."""

from __future__ import annotations

import numpy as np

from ...ir import Array, Graph, Node, Value
from ...ops.conv import static_conv
from ...ops.deconv import deconv
from ...ops.stock import inner_product, memory, scale, unary
from .elementwise import add, mul, reshaped
from .filters import resample, taps_of


def modulated_conv2d(g: Graph, node: Node, inputs: list[Value]) -> list[Value]:
    """y = d * conv(W, s * x) (+ noise), d = rsqrt(W2 s^2 + 1e-8) with the constant W2[o, i] = sum over k of W^2.

    W never changes, so that Winograd, fp16 and int8 storage and GPUs can have it prepared. Exact: s factors out of
    the convolution per input channel, d per output channel.
    """
    x, styles = inputs[:2]
    p, weight = node.params, node.weights["weight"]
    factor = styles if p["demodulate"] else mul(g, styles, p["gain"])
    y = scale(g, x, factor)
    if p["up"] > 1:
        y = _up_convolution(g, y, node)
    else:
        y = static_conv(g, y, weight if p["flip_weight"] else _mirrored(weight), None, 1, p["padding"])[0]
    if p["demodulate"]:
        squares = np.square(weight, dtype=np.float64).sum((2, 3)).astype(np.float32)  # [O, I]
        norm = inner_product(g, unary(g, styles, "square"), squares, np.full(len(weight), 1e-8, np.float32))
        y = scale(g, y, mul(g, unary(g, norm, "rsqrt"), p["gain"]))
    noise = inputs[2] if len(inputs) == 3 else None
    if "noise" in node.weights:
        noise = memory(g, node.weights["noise"][None])
    return [y if noise is None else add(g, y, reshaped(g, noise, (1, *y.shape[1:])))]


def _mirrored(weight: Array) -> Array:
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1])


def _up_convolution(g: Graph, x: Value, node: Node) -> Value:
    """Upsampling by zeros and the filter, then the convolution, with the two exchanged: Deconvolution, then filter.

    The official code pads the picture with zeros by p + (n + up - 1) // 2 before and p + (n - up) // 2 after for
    a filter of n taps; the transposed convolution has put k - 1 and k - up of these there already.
    """
    p, weight, f = node.params, node.weights["weight"], node.weights.get("resample_filter")
    up, border = p["up"], []
    for taps, k in zip((1, 1) if f is None else (f.shape[0], f.shape[-1]), weight.shape[2:], strict=True):
        border += [p["padding"] + (taps + up - 1) // 2 - (k - 1), p["padding"] + (taps - up) // 2 - (k - up)]
    held = _mirrored(weight) if p["flip_weight"] else weight  # a transposed convolution mirrors by itself
    y = deconv(g, x, held.swapaxes(0, 1), None, up)
    top, bottom, left, right = border
    return resample(g, y, taps_of(f, float(up * up), False), (1, 1), (1, 1), (top, bottom, left, right))
