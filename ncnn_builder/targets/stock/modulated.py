"""Modulated convolution with static weights: the modulation is moved onto the activations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from ...ir import Array, Graph, Node, Value
from ...ops.arithmetic.unary import unary
from ...ops.convolutions.conv import static_conv
from ...ops.convolutions.deconv import deconv
from ...ops.generators.fir import border_behind
from ...ops.shapes.pad import pad
from ...ops.stock import inner_product, memory, scale
from .channels import first, padded, rounded, uncropped
from .elementwise import add, mul, reshaped
from .filters import resample, taps_of


def modulated_conv2d(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """y = d * conv(W, s * x) (+ noise), d = rsqrt(W2 s^2 + 1e-8) with the constant W2[o, i] = sum over k of W^2.

    W never changes, so that Winograd, fp16 and int8 storage and GPUs can have it prepared. Exact: s factors out of
    the convolution per input channel, d per output channel.
    """
    x, styles = inputs[:2]
    p, weight = node.params, node.weights["weight"]
    channels = len(weight)
    if _feeds_filters(node):
        weight = padded(weight, 0, rounded(channels))
    y, weight = _modulate(g, x, styles if p["demodulate"] else mul(g, styles, p["gain"]), weight)
    if p["up"] > 1:
        y = _up_convolution(g, y, weight, node)
    else:
        y = static_conv(g, y, weight if p["flip_weight"] else _mirrored(weight), None, 1, p["padding"])[0]
    if p["demodulate"]:
        weight = weight[:, : styles.shape[0]]
        squares = np.square(weight, dtype=np.float64).sum((2, 3)).astype(np.float32)  # [O, I]
        norm = inner_product(g, unary(g, styles, "square"), squares, np.full(len(weight), 1e-8, np.float32))
        y = scale(g, y, mul(g, unary(g, norm, "rsqrt"), p["gain"]))
    y = first(g, y, channels)
    noise = inputs[2] if len(inputs) == 3 else None
    if "noise" in node.weights:
        noise = memory(g, node.weights["noise"][None])
    return [y if noise is None else add(g, y, reshaped(g, noise, (1, *y.shape[1:])))]


def _feeds_filters(node: Node) -> bool:
    """Whether the result goes into a filtered_lrelu and nowhere else: then its channels are rounded up."""
    uses = node.outputs[0].uses
    return len(uses) == 1 and uses[0][0].spec.type == "filtered_lrelu" and node.params["up"] == 1


def _modulate(g: Graph, x: Value, factor: Value, weight: Array) -> tuple[Value, Array]:
    """x * factor per channel, and the weight for it: with the channels of zeros that x was cropped of, see channels."""
    wide = uncropped(x)
    if wide is None:
        return scale(g, x, factor), weight
    size = wide.shape[0]
    factor = pad(g, factor, right=size - factor.shape[0])[0]
    # Not a Scale: that works in place, and where the Crop is tapped would copy first.
    return mul(g, wide, reshaped(g, factor, (size, 1, 1))), padded(weight, 1, size)


def _mirrored(weight: Array) -> Array:
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1])


def _up_convolution(g: Graph, x: Value, weight: Array, node: Node) -> Value:
    """Upsampling by zeros and the filter, then the convolution, with the two exchanged: Deconvolution, then filter.

    The border of the filter is border_behind().

    The other form, one 3x3 convolution with 4 O outputs of the 6x6 kernel (weight * filter) and a PixelShuffle, is
    slower at every size: milliseconds of one core, this form against that one, Zen 3: 16x16x512 3 / 16, 32x32x512
    11 / 27, 64x64x512 44 / 62, 128x128x256 98 / 117, 256x256x128 117 / 153, 512x512x64 162 / 195; Zen 4 with AVX-512:
    32x32x512 12 / 19, 64x64x512 49 / 59, 128x128x256 105 / 132, 256x256x128 116 / 140, 512x512x64 142 / 155. It also
    takes 4 times the weights, 1 GB of them in Winograd's form for a network of 512x512. Filter first, as an Interp or a
    transposed depthwise convolution, then the 3x3 convolution of the larger picture: 15, 61, 157, 188, 230. The product
    of the transposed convolution runs at nine tenths of the core's peak there, so no shape of the same sums is left
    that would be much faster.
    """
    p, f = node.params, node.weights.get("resample_filter")
    up, size = p["up"], (1, 1) if f is None else (f.shape[0], f.shape[-1])
    top, bottom, left, right = chain(
        *(border_behind(p["padding"], up, n, k) for n, k in zip(size, weight.shape[2:], strict=True))
    )
    held = _mirrored(weight) if p["flip_weight"] else weight  # a transposed convolution mirrors by itself
    y = deconv(g, x, held.swapaxes(0, 1), None, up)
    return resample(g, y, taps_of(f, float(up * up), False), (1, 1), (1, 1), (top, bottom, left, right))
