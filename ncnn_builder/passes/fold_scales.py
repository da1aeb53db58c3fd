"""Fold factors, and addends behind a layer, into the weights of the layer beside them.

before:  y = Convolution(x, weight=w, bias=b); z = MulConstant(y, scale=s, bias=t)
after:   z = Convolution(x, weight=w * s, bias=b * s + t)
before:  y = MulConstant(x, scale=s, bias=0); z = Convolution(y, weight=w, bias=b)
after:   z = Convolution(x, weight=w * s, bias=b)

Behind a layer likewise ConvolutionDepthWise, Deconvolution, DeconvolutionDepthWise, InnerProduct, fully_connected; in
front of one all but the transposed. s and t may be one number for each channel: a Scale, or a BinaryOp with a constant.
Exact up to the rounding of a product: (w x + b) s + t = (w s) x + (b s + t), and w (s x) = (w s) x, where a border of
zeros stays one of zeros.

Refused: a value between the two that somebody else reads; weights that are values of the graph; behind an activation,
unless it is a ReLU (of any slope), s > 0 and t = 0, for then s relu(y) = relu(s y); in front of the layer, an addend
or a border that is not 0; a constant that is not of one number for each channel; a weight that is no float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.fir import paddings
from .affine import ADD, DIV, MUL, RSUB, SUB, affine
from .match import Matcher, constant, rewrite_all

CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")
LINEAR = ("InnerProduct", "fully_connected")
WEIGHTED = (*CONVOLUTIONS, "Deconvolution", "DeconvolutionDepthWise", *LINEAR)
_RELU = (1, 2)


def fold_scales(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "fold_scales")


@dataclass(frozen=True)
class _ChannelAffine:
    """x * scale + bias, the two [C] or one number."""

    x: Value
    scale: Any
    bias: Any


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> list[Value] | None:
    found = _channel_affine(node)
    if found is not None:
        layer = matcher.interior(found.x, *WEIGHTED)
        return None if layer is None else _behind(new, layer, found, matcher)
    if node.spec.type in (*CONVOLUTIONS, *LINEAR) and len(node.inputs) == 1:
        before = matcher.interior(node.inputs[0], "MulConstant", "BinaryOp", "Scale")
        found = None if before is None else _channel_affine(before)
        return None if found is None else _in_front(new, node, found, matcher)
    return None


def _channel_affine(node: Node) -> _ChannelAffine | None:
    numbers = affine(node)
    if numbers is not None:
        return _ChannelAffine(node.inputs[0], *numbers)
    if node.spec.type == "Scale" and len(node.inputs) == 1 and len(node.inputs[0].shape) != 2:  # along the rows there
        bias = node.weights.get("bias")
        return _ChannelAffine(
            node.inputs[0], node.weights["scale"].astype(np.float64), 0.0 if bias is None else bias.astype(np.float64)
        )
    if node.spec.type != "BinaryOp" or len(node.inputs) != 2:
        return None
    a, b = node.inputs
    op = node.params["op"]
    if constant(b) is None and op in (ADD, MUL):
        a, b = b, a
    vector = _per_channel(b, a)
    if vector is None or a.shape != node.outputs[0].shape:
        return None
    table = {ADD: (1.0, vector), SUB: (1.0, -vector), MUL: (vector, 0.0), RSUB: (-1.0, vector)}
    if op == DIV and vector.all():
        return _ChannelAffine(a, 1 / vector, 0.0)
    return _ChannelAffine(a, *table[op]) if op in table else None


def _per_channel(value: Value, x: Value) -> Any:
    """The constant as one number for each channel of a map or element of a vector or row, in double; or None."""
    data = constant(value)
    axis = 0 if len(x.shape) >= 3 else len(x.shape) - 1
    if data is None or data.ndim != len(x.shape) or any(n != 1 for i, n in enumerate(data.shape) if i != axis):
        return None
    return data.reshape(-1).astype(np.float64) if data.size > 1 else float(data.reshape(()))


def _behind(new: Graph, layer: Node, found: _ChannelAffine, matcher: Matcher) -> list[Value] | None:
    p, weights = layer.params, layer.weights
    if len(layer.inputs) != 1 or not np.all(found.scale):
        return None
    if layer.spec.type == "fully_connected":
        if p["act"] != 0 or p["gain"] != 1 or p["clamp"] >= 0:
            return None
    elif p["activation_type"] and not (p["activation_type"] in _RELU and _only_positive(found)):
        return None
    weight = weights["weight"].astype(np.float64)
    scale = np.broadcast_to(found.scale, len(weight)).reshape(-1, *[1] * (weight.ndim - 1))
    bias = weights["bias"].astype(np.float64) if "bias" in weights else np.zeros(len(weight))
    bias = bias * found.scale + found.bias
    return _with(
        new, layer, weight * scale, bias if "bias" in weights or bias.any() else None, layer.inputs[0], matcher
    )


def _only_positive(found: _ChannelAffine) -> bool:
    return not np.any(found.bias) and bool(np.all(np.greater(found.scale, 0)))


def _in_front(new: Graph, layer: Node, found: _ChannelAffine, matcher: Matcher) -> list[Value] | None:
    p, weight = layer.params, layer.weights["weight"].astype(np.float64)
    if np.any(found.bias) or not np.all(found.scale):
        return None
    if layer.spec.type in CONVOLUTIONS and p["pad_value"] != 0 and any(paddings(p)):
        return None
    group, per = p.get("group", 1), weight.shape[1]
    if weight.ndim == 2 and found.x.shape[-1] != per:
        return None  # an InnerProduct of a map: its columns are pixels
    channels = np.broadcast_to(found.scale, group * per).reshape(group, per)
    scale = np.repeat(channels, len(weight) // group, axis=0)  # [out, in / groups]
    scale = scale.reshape(*scale.shape, *[1] * (weight.ndim - 2))
    bias = layer.weights.get("bias")
    return _with(new, layer, weight * scale, bias, found.x, matcher)


def _with(new: Graph, layer: Node, weight: Any, bias: Any | None, x: Value, matcher: Matcher) -> list[Value] | None:
    """The layer with other weights; None where they are no float32."""
    with np.errstate(over="ignore"):
        arrays: dict[str, Array | None] = {
            "weight": weight.astype(np.float32),
            "bias": None if bias is None else bias.astype(np.float32),
        }
    if not all(np.isfinite(a).all() for a in arrays.values() if a is not None):
        return None
    params = dict(layer.params)
    if "bias_term" in params:
        params["bias_term"] = int(bias is not None)
    return append(new, layer.spec, matcher.new(x), params, arrays)
