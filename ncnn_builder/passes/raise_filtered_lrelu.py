"""Say filtered_lrelu where upsampling, leaky ReLU and downsampling stand one behind the other.

before:  y = BiasAct(x, b, act=linear); u = upfirdn2d(y, f, up=2, padding, gain=4)
         a = BiasAct(u, act=lrelu, alpha=0.2, gain=g, clamp=c); z = upfirdn2d(a, h, down=2)
after:   z = filtered_lrelu(x, fu=f, fd=h, b=b, up=2, down=2, padding, gain=g, slope=0.2, clamp=c)

before:  y = bias_act(x, b), or BinaryOp(x, constant [C, 1, 1], add); u = upfirdn2d(y, f, up=2, padding, gain=4)
         a = Clamp(BinaryOp(ReLU(u, slope=0.2), g, mul), -c, c); z = upfirdn2d(a, h, down=2)
after:   the same

The bias may be missing; the activation may be linear or relu; of the last three layers some may be missing. Exact up to
rounding: it is the definition of the composite op, whose gain up^2 the filter takes where it is another. Then code
written for the predecessor, and a captured forward(), have the fast forms of StyleGAN3's activation.

Refused: a value between them that somebody else reads; factors that differ along height and width; a border of the
second filter, which the composite op has not; filters of which only one is turned; another activation, or one with a
bias of its own; limits that are not -c and c; a gain of a filter that is not positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.generators.fir import PADDINGS, paddings
from ..ops.generators.stylegan import ACTIVATIONS
from ..opspec import spec_of
from .affine import ADD, scale_of
from .match import Matcher, rewrite_all

LINEAR, RELU, LRELU = (ACTIVATIONS[name].id for name in ("linear", "relu", "lrelu"))


def raise_filtered_lrelu(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_filtered_lrelu")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    q = node.params
    if node.spec.type != "upfirdn2d" or any(paddings(q)) or q["up_y"] != 1 or q["up_x"] != 1:
        return None
    act = _activation(node.inputs[0], matcher)
    upper = None if act is None else matcher.interior(act.x, "upfirdn2d")
    if act is None or upper is None:
        return None
    p = upper.params
    square = p["up_y"] == p["up_x"] and p["down_y"] == p["down_x"] == 1 and q["down_y"] == q["down_x"]
    if not square or p["flip_filter"] != q["flip_filter"] or min(p["gain"], q["gain"]) <= 0:
        return None
    x, bias = _bias(upper.inputs[0], matcher)
    params: dict[str, Any] = {
        "up": p["up_y"],
        "down": q["down_y"],
        **{name: p[name] for name in PADDINGS},
        "gain": act.gain,
        "slope": act.slope,
        "clamp": act.clamp,
        "flip_filter": p["flip_filter"],
    }
    weights = {
        "fu": _scaled(upper.weights.get("f"), p["gain"] / p["up_y"] ** 2),
        "fd": _scaled(node.weights.get("f"), q["gain"]),
        "b": bias,
    }
    return append(new, spec_of("filtered_lrelu"), x, params, weights)


@dataclass(frozen=True)
class _Activation:
    """clamp(max(x, 0) + slope * min(x, 0)) * gain, with the limit behind the gain; below 0: none."""

    x: Value
    slope: float
    gain: float
    clamp: float


def _activation(value: Value, matcher: Matcher) -> _Activation | None:
    """By one layer, or by ncnn's ReLU, a factor and limits one behind the other; None for another."""
    node = matcher.interior(value, "BiasAct", "bias_act")
    if node is not None:
        a = node.params
        slopes = {LINEAR: 1.0, RELU: 0.0, LRELU: a["alpha"]}
        if a["act"] not in slopes or len(node.inputs) != 1 or "b" in node.weights:
            return None
        return _Activation(node.inputs[0], slopes[a["act"]], a["gain"], a["clamp"])
    x, slope, gain, clamp = value, 1.0, 1.0, -1.0
    limits = matcher.interior(x, "Clamp", "Clip")
    if limits is not None:
        clamp = limits.params["max"]
        if limits.params["min"] != -clamp or clamp <= 0:
            return None
        x = limits.inputs[0]
    scaled = matcher.interior(x, "MulConstant", "BinaryOp")
    scale = scale_of(scaled)
    if scaled is not None and scale is not None:
        x, gain = scaled.inputs[0], scale
    relu = matcher.interior(x, "ReLU")
    if relu is not None:
        x, slope = relu.inputs[0], relu.params["slope"]
    return None if x is value else _Activation(x, slope, gain, clamp)


def _bias(value: Value, matcher: Matcher) -> tuple[Value, Array | None]:
    """What a BiasAct that only adds a known bias adds it to, and the bias."""
    node = matcher.interior(value, "BiasAct", "bias_act", "BinaryOp")
    if node is None:
        return value, None
    if node.spec.type == "BinaryOp":
        return _added(node) or (value, None)
    if node.spec.type == "bias_act":
        q, b = node.params, node.weights.get("b")
        plain = q["act"] == LINEAR and q["gain"] == 1 and q["clamp"] < 0
        return (node.inputs[0], b) if plain and b is not None else (value, None)
    if len(node.inputs) != 2:
        return value, None
    p, data = node.params, node.inputs[1].data
    if data is None or p["act"] != LINEAR or p["gain"] != 1 or p["clamp"] >= 0:
        return value, None
    return node.inputs[0], data.reshape(-1)


def _added(node: Node) -> tuple[Value, Array] | None:
    """x and a constant for each of its channels, where a BinaryOp adds them."""
    if node.params["op"] != ADD or len(node.inputs) != 2:
        return None
    for x, b in (node.inputs, node.inputs[::-1]):
        data = b.data
        if data is not None and x.shape == node.outputs[0].shape and b.shape == (x.shape[0], 1, 1):
            return x, data.reshape(-1)
    return None


def _scaled(f: Array | None, factor: float) -> Array | None:
    """A filter times a factor; one of one dimension is applied twice."""
    if factor == 1:
        return f
    f = np.ones((1, 1), np.float32) if f is None else f
    scaled: Array = f * np.float32(factor if f.ndim == 2 else factor**0.5)
    return scaled
