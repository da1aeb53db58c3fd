"""Say modulated_conv2d where the predecessor's layers spell it out.

before:  w = Shell(); m = F4DOp1D(w, styles, mul, dim=1)
         d = Rsqrt(Reduction(Square(m), sum, axes=[1, 2, 3]), eps=1e-8); v = F4DOp1D(m, d, mul, dim=0)
         y = Convolution(x, v, dynamic_weight=1, pad=p); z = AddNoise(y, noise)
after:   z = modulated_conv2d(x, styles, noise, weight=w, demodulate=1, padding=p)

Demodulation, a MulConstant on d or on v (the gain) and AddNoise may be missing; the Reduction may take the squares
itself, or their mean, which the scale of Rsqrt makes a sum again; d may be reshaped. With FconvTranspose2d, the weight
in either order of it, and an upfirdn2d behind it (raise_upfirdn2d has made it of the layers):

before:  y = FconvTranspose2d(x, v, stride=u); z = upfirdn2d(y, f, padding)
after:   z = modulated_conv2d(x, styles, weight=w, up=u, resample_filter=f / u^2, flip_weight=0, padding=p)

with padding = p + (n + u - 1) // 2 - (k - 1) before and p + (n - u) // 2 - (k - u) behind for n taps and a kernel of k.
Exact up to rounding: it is the definition of the composite op. Then code written for the predecessor has the fast
targets too, which do not modulate weights.

Refused, with the reason (`refusals` lists them): a weight that somebody else reads or that is no constant; a value on
the way that somebody else reads; a convolution with groups, bias, activation, dilation, a stride, a border that is not
0 or not the same on all sides; another reduction or epsilon; a transposed convolution without a filter behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.fir import PADDINGS, border_behind
from ..ops.permute import order_of
from ..opspec import spec_of
from .match import Matcher, Refused, constant, rewrite_all

EPS = 1e-8  # the one that modulated_conv2d has
CONVOLUTION, TRANSPOSED = "Convolution", "FconvTranspose2d"
_MUL = 0
SUM, SUM_OF_SQUARES, MEAN = 0, 2, 3  # of Reduction
ROUNDED = 1e-6  # how far a scale that is written with six digits may be from 1
_SWAP = order_of((1, 0, 2, 3))


def raise_modulation(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_modulation")


def refusals(graph: Graph) -> dict[str, str]:
    """Name of a convolution of modulated weights -> why it stays as it is."""
    reasons = {}
    matcher = Matcher(graph)
    for node in graph.nodes:
        if node.spec.type in (CONVOLUTION, TRANSPOSED) and _is_modulated(node):
            try:
                reader = node.outputs[0].uses[0][0] if node.outputs[0].uses else node
                _match(node if node.spec.type == CONVOLUTION else reader, matcher)
            except Refused as reason:
                reasons[node.name] = str(reason)
    return reasons


@dataclass(frozen=True)
class _Modulated:
    """The weight [out, in, kh, kw] of a convolution, and what is done to it."""

    weight: Array
    styles: Value
    demodulate: bool
    gain: float


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type == "AddNoise":
        return _with_noise(new, node, matcher)
    if node.spec.type not in (CONVOLUTION, "upfirdn2d"):
        return None
    conv = node if node.spec.type == CONVOLUTION else node.inputs[0].producer
    if conv is None or not _is_modulated(conv):
        return None
    try:
        inputs, params, weights = _match(node, matcher)
    except Refused:
        return None
    return append(new, spec_of("modulated_conv2d"), inputs, params, weights)


def _is_modulated(conv: Node) -> bool:
    """Whether the weight of this convolution comes, perhaps permuted, from a multiplication by a vector."""
    if conv.spec.type not in (CONVOLUTION, TRANSPOSED) or len(conv.inputs) < 2:
        return False
    producer = conv.inputs[1].producer
    while producer is not None and producer.spec.type in ("Permute", "MulConstant"):
        producer = producer.inputs[0].producer
    return producer is not None and producer.spec.type == "F4DOp1D"


def _with_noise(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """AddNoise(modulated_conv2d(...), noise); the plane becomes a weight where it is a constant."""
    y, noise = node.inputs
    op = matcher.interior(y, "modulated_conv2d")
    if op is None or len(op.inputs) == 3 or "noise" in op.weights:
        return None
    data, plane = constant(noise), y.shape[1:]
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
    _need(p["stride_h"] == p["stride_w"] == 1, "a stride")
    _need(
        len({p[side] for side in PADDINGS}) == 1 and p["pad_value"] == 0,
        "the border is not the same on all sides, or not 0",
    )
    found = _modulated(conv.inputs[1], matcher, axis_out=0)
    return [conv.inputs[0], found.styles], _params(found, 1, p["pad_top"], 1), {"weight": found.weight}


def _upsampling(fir: Node, matcher: Matcher) -> tuple[list[Value], dict[str, Any], dict[str, Array]]:
    conv, f, q = matcher.interior(fir.inputs[0], TRANSPOSED), fir.weights.get("f"), fir.params
    if conv is None:
        raise Refused("somebody else reads what the transposed convolution makes")
    _need_bare(conv)
    p, up = conv.params, conv.params["stride_h"]
    _need(up == p["stride_w"] and up > 1, "the factors of the upsampling differ, or are 1")
    _need(p["group"] == 1, "groups")
    _need(
        not any(p[k] for k in (*PADDINGS, "output_pad_right", "output_pad_bottom")),
        "the transposed convolution has a border",
    )
    if f is None:
        raise Refused("no filter behind the transposed convolution")
    _need(q["up_y"] == q["up_x"] == q["down_y"] == q["down_x"] == 1, "the filter changes the size")
    taps, kernel = (f.shape[0], f.shape[-1]), (p["kernel_h"], p["kernel_w"])
    borders = []
    for n, k, sides in zip(taps, kernel, (("pad_top", "pad_bottom"), ("pad_left", "pad_right")), strict=True):
        borders += [q[side] - behind for side, behind in zip(sides, border_behind(0, up, n, k), strict=True)]
    _need(len(set(borders)) == 1, "the border of the filter is none of an upsampling convolution")
    found = _modulated(conv.inputs[1], matcher, axis_out=1 if p["num_input"] else 0)
    # The composite op convolves with f * up^2: correlating with f is convolving with f turned round.
    turned = np.flip(f) if q["flip_filter"] else f
    gain = q["gain"] / up**2
    if f.ndim == 1:  # applied along both axes
        _need(gain > 0, "a negative gain of a separable filter")
        gain **= 0.5
    weights = {"weight": found.weight, "resample_filter": np.ascontiguousarray(turned * np.float32(gain))}
    return [conv.inputs[0], found.styles], _params(found, up, borders[0], 0), weights


def _params(found: _Modulated, up: int, padding: int, flip_weight: int) -> dict[str, Any]:
    return {
        "up": up,
        "padding": padding,
        "demodulate": int(found.demodulate),
        "flip_weight": flip_weight,
        "gain": found.gain,
    }


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise Refused(reason)


def _need_bare(conv: Node) -> None:
    p = conv.params
    _need(len(conv.inputs) == 2 and not p["bias_term"] and p.get("dynamic_weight", 1), "a bias")
    _need(p["activation_type"] == 0, "an activation")
    _need(p["dilation_h"] == p["dilation_w"] == 1, "a dilation")


def _modulated(value: Value, matcher: Matcher, axis_out: int) -> _Modulated:
    """What has been done to a convolution's weight whose axis `axis_out` is the output channels. Raises Refused."""
    permuted = value.producer
    swap = axis_out == 1
    if permuted is not None and permuted.spec.type == "Permute":
        # (1, 0, 2, 3) has the same order number on any side of it: it is its own inverse
        _need(swap and permuted.params["order_type"] == _SWAP, "a permutation that does not swap in and out")
        _need(matcher.private(value), "somebody else reads the modulated weight")
        value, swap = permuted.inputs[0], False
    axis_out, gain = int(swap), 1.0
    while value.producer is not None and value.producer.spec.type == "MulConstant":
        gain, value = gain * _factor(value, "modulated weight", matcher), value.producer.inputs[0]
    first = value.producer
    if first is None or first.spec.type != "F4DOp1D":
        raise Refused("the weight is not modulated")
    _need(matcher.private(value), "somebody else reads the modulated weight")
    inner = first.inputs[0].producer
    demodulate = inner is not None and inner.spec.type == "F4DOp1D"
    if demodulate and inner is not None:
        _need(first.params["op"] == _MUL and first.params["dim"] == axis_out, "demodulation of something else")
        gain, first = gain * _demodulation(first, axis_out, matcher), inner
    fits = first.params["op"] == _MUL and first.params["dim"] == 1 - axis_out
    _need(fits, "modulation that does not multiply the input channels")
    held, styles = first.inputs
    data = constant(held)
    if data is None:
        raise Refused("the weight is no constant")
    _need(matcher.private(held), "somebody else reads the weight before it is modulated")
    weight = np.ascontiguousarray(data.swapaxes(0, 1)) if swap else data
    return _Modulated(weight, styles, demodulate, gain)


def _factor(value: Value, of: str, matcher: Matcher) -> float:
    """What a MulConstant multiplies by. Raises Refused where it adds something, too."""
    assert value.producer is not None
    params = value.producer.params
    _need(matcher.private(value), "somebody else reads what MulConstant makes")
    _need(params["bias"] == 0, f"an addend to the {of}")
    return float(params["scale"])


def _demodulation(node: Node, axis_out: int, matcher: Matcher) -> float:
    """The gain of F4DOp1D(m, rsqrt(sum of m^2)). Raises Refused where it is something else."""
    modulated, factors = node.inputs
    gain = 1.0
    while factors.producer is not None and factors.producer.spec.type in ("MulConstant", "Reshape"):
        gain *= _factor(factors, "demodulation", matcher) if factors.producer.spec.type == "MulConstant" else 1.0
        factors = _behind(factors, factors.producer.spec.type, matcher)
    rsqrt = factors.producer
    factors = _behind(factors, "Rsqrt", matcher)
    if factors.producer is not None and factors.producer.spec.type == "Reshape":
        factors = _behind(factors, "Reshape", matcher)
    reduction = factors.producer
    factors = _behind(factors, "Reduction", matcher)
    assert rsqrt is not None and reduction is not None
    p = reduction.params
    axes = tuple(a for a in range(4) if a != axis_out)
    mean = p["operation"] == MEAN  # a sum again, by the scale of Rsqrt
    scale = rsqrt.params["scale"] * p["coeff"] / (math.prod(modulated.shape[a] for a in axes) if mean else 1)
    over = not p["reduce_all"] and tuple(sorted(a % 4 for a in p["axes"])) == axes
    fits = over and p["keepdims"] in (0, 1)  # F4DOp1D takes the numbers in whatever shape
    known = p["operation"] in (SUM, SUM_OF_SQUARES) or (mean and abs(scale - 1) < ROUNDED)
    _need(fits and known, "another reduction than a sum for each output channel")
    same = np.float32(rsqrt.params["eps"]) == np.float32(EPS) and abs(scale - 1) < ROUNDED
    _need(same, "another epsilon or scale")
    if p["operation"] != SUM_OF_SQUARES:
        factors = _behind(factors, "Square", matcher, "the squares")
    _need(factors is modulated, "squares of another value")
    _need(matcher.readers(modulated) == 2, "somebody else reads the modulated weight")
    return gain


def _behind(value: Value, kind: str, matcher: Matcher, what: str = "") -> Value:
    """The input of the `kind` that makes this value. Raises Refused where something else does, or others read it."""
    if value.producer is None or value.producer.spec.type != kind:
        raise Refused(f"demodulation without {kind}")
    _need(matcher.private(value), f"somebody else reads {what or f'what {kind} makes'}")
    return value.producer.inputs[0]
