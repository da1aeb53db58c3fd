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

Refused, with the reason (`refusals` lists them, and `--dump-passes` writes them): a weight that somebody else reads or
that is no constant; a value on the way that somebody else reads; a convolution with groups, bias, activation, dilation,
a stride, a border that is not 0 or not the same on all sides; another reduction or epsilon; a factor along other axes;
a transposed convolution without a filter behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.generators.fir import PADDINGS, border_behind
from ..ops.shapes.shape import really_reshape
from ..opspec import spec_of
from .affine import ADD
from .match import Matcher, Refused, rewrite_all
from .modulated_weight import IN_OUT, OUT_IN, Modulated, is_modulated, modulated, need

CONVOLUTION = "Convolution"
TRANSPOSED = ("FconvTranspose2d", "Deconvolution")


def raise_modulation(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_modulation")


def refusals(graph: Graph) -> dict[str, str]:
    """Name of a convolution of modulated weights -> why it stays as it is."""
    reasons = {}
    matcher = Matcher(graph)
    for node in graph.nodes:
        if node.spec.type in (CONVOLUTION, *TRANSPOSED) and is_modulated(node):
            try:
                reader = node.outputs[0].uses[0][0] if node.outputs[0].uses else node
                _match(node if node.spec.type == CONVOLUTION else reader, matcher)
            except Refused as reason:
                reasons[node.name] = str(reason)
    return reasons


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type == "AddNoise":
        return _with_noise(new, node.inputs, matcher)
    if node.spec.type == "BinaryOp":
        return _with_plane(new, node, matcher)
    if node.spec.type not in (CONVOLUTION, "upfirdn2d"):
        return None
    conv = node if node.spec.type == CONVOLUTION else node.inputs[0].producer
    if conv is None or conv.spec.type not in (CONVOLUTION, *TRANSPOSED) or not is_modulated(conv):
        return None
    try:
        (x, styles), params, weights = _match(node, matcher)
    except Refused:
        return None
    if len(styles.shape) != 1:
        styles = really_reshape(new, styles, (weights["weight"].shape[1],))[0]
    return append(new, spec_of("modulated_conv2d"), [x, styles], params, weights)


def _with_plane(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """A BinaryOp that adds [1, H, W] is AddNoise."""
    if node.params["op"] != ADD or len(node.inputs) != 2:
        return None
    for y, noise in (node.inputs, node.inputs[::-1]):
        if y.shape == node.outputs[0].shape and noise.shape == (1, *y.shape[1:]):
            made = _with_noise(new, (y, noise), matcher)
            if made is not None:
                return made
    return None


def _with_noise(new: Graph, inputs: Sequence[Value], matcher: Matcher) -> Sequence[Value] | None:
    """modulated_conv2d(...) and a plane of noise behind it; the plane becomes a weight where it is a constant."""
    y, noise = inputs
    op = matcher.interior(y, "modulated_conv2d")
    if op is None or len(op.inputs) == 3 or "noise" in op.weights:
        return None
    data, plane = noise.data, y.shape[1:]
    if data is not None and matcher.private(noise):
        return append(new, op.spec, op.inputs, op.params, {**op.weights, "noise": data.reshape(plane)})
    if noise.shape != (*(1,) * (len(noise.shape) - 2), *plane):
        return None
    return append(new, op.spec, [v for v in (*op.inputs, noise)], op.params, op.weights)


def _match(node: Node, matcher: Matcher) -> tuple[list[Value], dict[str, Any], dict[str, Array]]:
    """Inputs, parameters and weights of the composite op that makes the value of `node`. Raises Refused."""
    if node.spec.type == CONVOLUTION:
        return _plain(node, matcher)
    if node.spec.type == "upfirdn2d":
        return _upsampling(node, matcher)
    raise Refused("no filter behind the transposed convolution")


def _plain(conv: Node, matcher: Matcher) -> tuple[list[Value], dict[str, Any], dict[str, Array]]:
    p = conv.params
    _need_bare(conv)
    need(p["stride_h"] == p["stride_w"] == 1, "a stride")
    need(
        len({p[side] for side in PADDINGS}) == 1 and p["pad_value"] == 0,
        "the border is not the same on all sides, or not 0",
    )
    found = modulated(conv.inputs[1], matcher, OUT_IN)
    return [conv.inputs[0], found.styles], _params(found, 1, p["pad_top"], 1), {"weight": found.weight}


def _upsampling(fir: Node, matcher: Matcher) -> tuple[list[Value], dict[str, Any], dict[str, Array]]:
    conv, f, q = matcher.interior(fir.inputs[0], *TRANSPOSED), fir.weights.get("f"), fir.params
    if conv is None:
        raise Refused("somebody else reads what the transposed convolution makes")
    _need_bare(conv)
    p, up = conv.params, conv.params["stride_h"]
    need(up == p["stride_w"] and up > 1, "the factors of the upsampling differ, or are 1")
    need(p.get("group", 1) == 1, "groups")
    need(
        not any(p[k] for k in (*PADDINGS, "output_pad_right", "output_pad_bottom")),
        "the transposed convolution has a border",
    )
    if f is None:
        raise Refused("no filter behind the transposed convolution")
    need(q["up_y"] == q["up_x"] == q["down_y"] == q["down_x"] == 1, "the filter changes the size")
    taps, kernel = (f.shape[0], f.shape[-1]), (p["kernel_h"], p["kernel_w"])
    borders = []
    for n, k, sides in zip(taps, kernel, (("pad_top", "pad_bottom"), ("pad_left", "pad_right")), strict=True):
        borders += [q[side] - behind for side, behind in zip(sides, border_behind(0, up, n, k), strict=True)]
    need(len(set(borders)) == 1, "the border of the filter is none of an upsampling convolution")
    found = modulated(conv.inputs[1], matcher, _order_of(conv))
    # The composite op convolves with f * up^2: correlating with f is convolving with f turned round.
    turned = np.flip(f) if q["flip_filter"] else f
    gain = q["gain"] / up**2
    if f.ndim == 1:  # applied along both axes
        need(gain > 0, "a negative gain of a separable filter")
        gain **= 0.5
    weights = {"weight": found.weight, "resample_filter": np.ascontiguousarray(turned * np.float32(gain))}
    return [conv.inputs[0], found.styles], _params(found, up, borders[0], 0), weights


def _order_of(conv: Node) -> str:
    """How the weight of a transposed convolution lies that is an input: the predecessor's layer takes it both ways."""
    return IN_OUT if conv.spec.type == "Deconvolution" or conv.params["num_input"] else OUT_IN


def _params(found: Modulated, up: int, padding: int, flip_weight: int) -> dict[str, Any]:
    return {
        "up": up,
        "padding": padding,
        "demodulate": int(found.demodulate),
        "flip_weight": flip_weight,
        "gain": found.gain,
    }


def _need_bare(conv: Node) -> None:
    p = conv.params
    need(len(conv.inputs) == 2 and not p["bias_term"] and p.get("dynamic_weight", 1), "a bias")
    need(p["activation_type"] == 0, "an activation")
    need(p["dilation_h"] == p["dilation_w"] == 1, "a dilation")
