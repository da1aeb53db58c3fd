"""Fold factors, and addends behind a layer, into the weights of the layer beside them.

before:  y = Convolution(x, weight=w, bias=b); z = MulConstant(y, scale=s, bias=t)
after:   z = Convolution(x, weight=w * s, bias=b * s + t)
before:  y = Convolution(x, weight=w, bias=b); z = BatchNorm(y, slope=k, mean=m, var=v, bias=t, eps=e)
after:   z = Convolution(x, weight=w * s, bias=b * s + t - m * s), s = k / sqrt(v + e)
before:  y = MulConstant(x, scale=s, bias=0); z = Convolution(y, weight=w, bias=b)
after:   z = Convolution(x, weight=w * s, bias=b)

Layers: Convolution, ConvolutionDepthWise, Deconvolution, DeconvolutionDepthWise, also of one and three dimensions,
InnerProduct, fully_connected; with a factor in front of them all but the transposed. s and t may be one number for each
channel: a BatchNorm, a Scale, or a BinaryOp with a constant.
Exact up to the rounding of a product: (w x + b) s + t = (w s) x + (b s + t), and w (s x) = (w s) x, where a border of
zeros stays one of zeros.

Refused: a value between the two that somebody else reads; weights that are values of the graph; behind an activation,
unless it is a ReLU (of any slope), s > 0 and t = 0, for then s relu(y) = relu(s y); in front of the layer, an addend
or a border that is not 0; a constant that is not of one number for each channel of a convolution, or for each column of
a matrix product; a weight that is no float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Params, Value
from .affine import ADD, DIV, MUL, RSUB, SUB, affine
from .match import Matcher, rewrite_all

_KINDS = [f"{grouped}{dims}" for grouped in ("", "DepthWise") for dims in ("", "1D", "3D")]
CONVOLUTIONS = tuple(f"Convolution{kind}" for kind in _KINDS)
LINEAR = ("InnerProduct", "fully_connected")
DECONVOLUTIONS = tuple(f"Deconvolution{kind}" for kind in _KINDS)
WEIGHTED = (*CONVOLUTIONS, *DECONVOLUTIONS, *LINEAR)
_RELU = (1, 2)


def fold_scales(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "fold_scales")


@dataclass(frozen=True)
class ChannelAffine:
    """x * scale + bias, each of the two one number, or one for each index of an axis of x."""

    x: Value
    scale: Any
    bias: Any
    axis: int = 0

    def fits(self, layer: Node) -> bool:
        """Whether the axis is that of the channels of the layer: of what it reads as of what it makes."""
        if not np.ndim(self.scale) and not np.ndim(self.bias):
            return True
        return self.axis == (len(self.x.shape) - 1 if layer.spec.type in LINEAR else 0)


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    found = channel_affine(node)
    if found is not None:
        layer = matcher.interior(found.x, *WEIGHTED)
        return None if layer is None or not found.fits(layer) else _behind(new, layer, found, matcher)
    if node.spec.type in (*CONVOLUTIONS, *LINEAR) and len(node.inputs) == 1:
        before = matcher.interior(node.inputs[0], "MulConstant", "BinaryOp", "Scale")
        found = None if before is None else channel_affine(before)
        return None if found is None or not found.fits(node) else _in_front(new, node, found, matcher)
    return None


def channel_affine(node: Node) -> ChannelAffine | None:
    numbers = affine(node)
    if numbers is not None:
        return ChannelAffine(node.inputs[0], *numbers)
    if node.spec.type in ("BatchNorm", "Scale") and len(node.inputs) == 1:
        w = {name: data.astype(np.float64) for name, data in node.weights.items()}
        if node.spec.type == "Scale":
            return ChannelAffine(node.inputs[0], w["scale"], w.get("bias", 0.0))
        with np.errstate(all="ignore"):  # a variance below -eps: refused as weights that are no float32
            scale = w["slope"] / np.sqrt(w["var"] + node.params["eps"])
        return ChannelAffine(node.inputs[0], scale, w["bias"] - w["mean"] * scale)
    if node.spec.type != "BinaryOp" or len(node.inputs) != 2:
        return None
    a, b = node.inputs
    op = node.params["op"]
    if b.data is None and op in (ADD, MUL):
        a, b = b, a
    along = _per_channel(b, a)
    if along is None or a.shape != node.outputs[0].shape:
        return None
    vector, axis = along
    table = {ADD: (1.0, vector), SUB: (1.0, -vector), MUL: (vector, 0.0), RSUB: (-1.0, vector)}
    if op == DIV and vector.all():
        return ChannelAffine(a, 1 / vector, 0.0, axis)
    return ChannelAffine(a, *table[op], axis) if op in table else None


def _per_channel(value: Value, x: Value) -> tuple[Any, int] | None:
    """The constant as numbers along one axis of x, in double, and this axis; or None."""
    data = value.data
    if data is None or data.ndim != len(x.shape):
        return None
    axes = [i for i, n in enumerate(data.shape) if n != 1]
    if len(axes) > 1:
        return None
    numbers = data.reshape(-1).astype(np.float64)
    return (numbers, axes[0]) if axes else (numbers[0], 0)


def _behind(new: Graph, layer: Node, found: ChannelAffine, matcher: Matcher) -> Sequence[Value] | None:
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


def _only_positive(found: ChannelAffine) -> bool:
    return not np.any(found.bias) and bool(np.all(np.greater(found.scale, 0)))


def _in_front(new: Graph, layer: Node, found: ChannelAffine, matcher: Matcher) -> Sequence[Value] | None:
    p, weight = layer.params, layer.weights["weight"].astype(np.float64)
    if np.any(found.bias) or not np.all(found.scale):
        return None
    if layer.spec.type in CONVOLUTIONS and p["pad_value"] != 0 and _has_border(p):
        return None
    group, per = p.get("group", 1), weight.shape[1]
    if weight.ndim == 2 and found.x.shape[-1] != per:
        return None  # an InnerProduct of a map: its columns are pixels
    channels = np.broadcast_to(found.scale, group * per).reshape(group, per)
    scale = np.repeat(channels, len(weight) // group, axis=0)  # [out, in / groups]
    scale = scale.reshape(*scale.shape, *[1] * (weight.ndim - 2))
    bias = layer.weights.get("bias")
    return _with(new, layer, weight * scale, bias, found.x, matcher)


def _has_border(params: Params) -> bool:
    return any(n for name, n in params.items() if name.startswith("pad_") and name != "pad_value")


def _with(new: Graph, layer: Node, weight: Any, bias: Any | None, x: Value, matcher: Matcher) -> Sequence[Value] | None:
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
    return append(new, layer.spec, x, params, arrays)
