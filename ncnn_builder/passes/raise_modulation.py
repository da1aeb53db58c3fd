"""Say modulated_conv2d where layers spell it out: the predecessor's, or ncnn's own, as captured from a forward().

before:  w = Shell(); m = F4DOp1D(w, styles, mul, dim=1)
         d = Rsqrt(Reduction(Square(m), sum, axes=[1, 2, 3]), eps=1e-8); v = F4DOp1D(m, d, mul, dim=0)
         y = Convolution(x, v, dynamic_weight=1, pad=p); z = AddNoise(y, noise)
after:   z = modulated_conv2d(x, styles, noise, weight=w, demodulate=1, padding=p)

before:  w = MemoryData() [out, in, k]; m = BinaryOp(w, styles [1, in, 1], mul)
         d = UnaryOp(BinaryOp(Reduction(UnaryOp(m, square), sum, axes=[1, 2]), add, 1e-8), rsqrt)
         v = Reshape(BinaryOp(m, d [out, 1, 1], mul), [out, in, kh, kw])
         y = Convolution(x, v, dynamic_weight=1, pad=p); z = BinaryOp(y, noise [1, H, W], add)
after:   the same

Demodulation, factors that are numbers (the gain), and the noise may be missing; the Reduction may take the squares
itself, or their mean, which the scale of Rsqrt makes a sum again; d may be reshaped. modulated_weight.py reads the
weight. With FconvTranspose2d or Deconvolution, the weight in either order of it, and an upfirdn2d behind it
(raise_upfirdn2d has made it of the layers):

before:  y = FconvTranspose2d(x, v, stride=u); z = upfirdn2d(y, f, padding)
after:   z = modulated_conv2d(x, styles, weight=w, up=u, resample_filter=f / u^2, flip_weight=0, padding=p)

with padding = p + (n + u - 1) // 2 - (k - 1) before and p + (n - u) // 2 - (k - u) behind for n taps and a kernel of k.
Exact up to rounding: it is the definition of the composite op. Then code written for the predecessor, and the official
forward(), have the fast targets too, which do not modulate weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import Array, Node, Value
from ..ops import layers as ops
from ..ops.enums import Binary, Fused
from ..ops.generators.fir import PADDINGS, border_behind
from ..ops.shapes.shape import really_reshape
from ..sizes import is_open
from .affine import orders
from .match import Matcher, NoMatch, Refused, expect, is_a, need
from .modulated_weight import IN_OUT, OUT_IN, Modulated, is_modulated, modulated
from .rules import Made, Rules

TRANSPOSED = (ops.FconvTranspose2d, ops.Deconvolution)

raise_modulation = Rules("raise_modulation")


@raise_modulation.on(ops.Convolution)
def _plain(m: Matcher, conv: Node) -> Made:
    expect(is_modulated(conv))
    p = conv.params
    _need_bare(conv)
    need(p["stride_h"] == p["stride_w"] == 1, "a stride")
    need(
        len({p[side] for side in PADDINGS}) == 1 and p["pad_value"] == 0,
        "the border is not the same on all sides, or not 0",
    )
    found = modulated(conv.inputs[1], m, OUT_IN)
    return _made(m, conv.inputs[0], found, {"weight": found.weight}, padding=p["pad_top"])


@raise_modulation.on(*TRANSPOSED)
def _without_filter(m: Matcher, conv: Node) -> Made:
    expect(is_modulated(conv))
    filtered = any(is_a(reader, ops.Upfirdn2d) for reader, _ in conv.outputs[0].uses)
    need(filtered, "no filter behind the transposed convolution")
    return None


@raise_modulation.on(ops.Upfirdn2d)
def _upsampling(m: Matcher, fir: Node) -> Made:
    conv = fir.inputs[0].producer
    if conv is None or not is_a(conv, *TRANSPOSED):
        raise NoMatch
    expect(is_modulated(conv))
    need(m.private(fir.inputs[0]), "somebody else reads what the transposed convolution makes")
    _need_bare(conv)
    p, q, f, up = conv.params, fir.params, fir.weights.get("f"), conv.params["stride_h"]
    need(up == p["stride_w"] and up > 1, "the factors of the upsampling differ, or are 1")
    need(p.get("group", 1) == 1, "groups")
    border = any(p[k] for k in (*PADDINGS, "output_pad_right", "output_pad_bottom"))
    need(not border, "the transposed convolution has a border")
    if f is None:
        raise Refused("no filter behind the transposed convolution")
    need(q["up_y"] == q["up_x"] == q["down_y"] == q["down_x"] == 1, "the filter changes the size")
    taps, kernel = (f.shape[0], f.shape[-1]), (p["kernel_h"], p["kernel_w"])
    borders = []
    for n, k, sides in zip(taps, kernel, (("pad_top", "pad_bottom"), ("pad_left", "pad_right")), strict=True):
        borders += [q[side] - behind for side, behind in zip(sides, border_behind(0, up, n, k), strict=True)]
    need(len(set(borders)) == 1, "the border of the filter is none of an upsampling convolution")
    # The weight lies in either order: the predecessor's layer takes both.
    found = modulated(conv.inputs[1], m, IN_OUT if is_a(conv, ops.Deconvolution) or p["num_input"] else OUT_IN)
    # The composite op convolves with f * up^2: correlating with f is convolving with f turned round.
    turned = np.flip(f) if q["flip_filter"] else f
    gain = q["gain"] / up**2
    if f.ndim == 1:  # applied along both axes
        need(gain > 0, "a negative gain of a separable filter")
        gain **= 0.5
    weights = {"weight": found.weight, "resample_filter": np.ascontiguousarray(turned * np.float32(gain))}
    return _made(m, conv.inputs[0], found, weights, up=up, padding=borders[0], flip_weight=0)


def _need_bare(conv: Node) -> None:
    p = conv.params
    need(not any(is_open(x.shape) for x in conv.inputs), "a size that is open, for which no kernel of ours is made")
    need(len(conv.inputs) == 2 and not p["bias_term"] and p.get("dynamic_weight", 1), "a bias")
    need(p["activation_type"] == Fused.NONE, "an activation")
    need(p["dilation_h"] == p["dilation_w"] == 1, "a dilation")


def _made(m: Matcher, x: Value, found: Modulated, weights: dict[str, Array], **params: Any) -> Made:
    styles = found.styles
    if len(styles.shape) != 1:
        styles = really_reshape(m.new, styles, (found.weight.shape[1],))[0]
    said = {"up": 1, "flip_weight": 1, "demodulate": found.demodulate, "gain": found.gain, **params}
    return m.make(ops.ModulatedConv2d, [x, styles], weights, **said)


@raise_modulation.on(ops.AddNoiseSpec)
def _with_noise(m: Matcher, node: Node) -> Made:
    return _noisy(m, *node.inputs)


@raise_modulation.on(ops.BinaryOp)
def _with_plane(m: Matcher, node: Node) -> Made:
    """A BinaryOp that adds [1, H, W] is AddNoise."""
    for y, noise in orders(node, Binary.Add):
        if (
            y.shape == node.outputs[0].shape
            and noise.shape == (1, *y.shape[1:])
            and is_a(y.producer, ops.ModulatedConv2d)
        ):
            return _noisy(m, y, noise)
    return None


def _noisy(m: Matcher, y: Value, noise: Value) -> Made:
    """modulated_conv2d(...) and a plane of noise behind it; the plane becomes a weight where it is a constant."""
    op = m.maker(y, ops.ModulatedConv2d)
    need(len(op.inputs) < 3 and "noise" not in op.weights, "noise already")
    plane = y.shape[1:]
    if noise.data is not None and m.private(noise):
        return m.again(op, weights={**op.weights, "noise": noise.data.reshape(plane)})
    need(noise.shape == (*(1,) * (len(noise.shape) - 2), *plane), "noise that is no plane")
    return m.again(op, [*op.inputs, noise])
