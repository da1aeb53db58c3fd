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
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Array, Node, Params, Value
from ..ops import layers as ops
from ..ops.enums import Act, Binary, Fused
from .affine import affine, orders
from .match import Matcher, expect, is_a, need
from .rules import Made, Rules

CONVOLUTIONS = (
    *(ops.Convolution, ops.Convolution1D, ops.Convolution3D),
    *(ops.ConvolutionDepthWise, ops.ConvolutionDepthWise1D, ops.ConvolutionDepthWise3D),
)
DECONVOLUTIONS = (
    *(ops.Deconvolution, ops.Deconvolution1D, ops.Deconvolution3D),
    *(ops.DeconvolutionDepthWise, ops.DeconvolutionDepthWise1D, ops.DeconvolutionDepthWise3D),
)
LINEAR = (ops.InnerProduct, ops.FullyConnected)

fold_scales = Rules("fold_scales")


@dataclass(frozen=True)
class ChannelAffine:
    """x * scale + bias, each of the two one number, or one for each index of an axis of x."""

    x: Value
    scale: Any
    bias: Any
    axis: int = 0

    def need_channels_of(self, layer: Node) -> None:
        """That the axis is that of the channels of the layer: of what it reads as of what it makes."""
        one = not np.ndim(self.scale) and not np.ndim(self.bias)
        own = len(self.x.shape) - 1 if is_a(layer, *LINEAR) else 0
        need(one or self.axis == own, "numbers along another axis than the channels of the layer")


@fold_scales.on(ops.MulConstantSpec, ops.BinaryOp, ops.BatchNorm, ops.Scale)
def _behind(m: Matcher, node: Node) -> Made:
    found = channel_affine(node)
    if found is None:
        return None
    layer = m.maker(found.x, *CONVOLUTIONS, *DECONVOLUTIONS, *LINEAR)
    found.need_channels_of(layer)
    p, weights = layer.params, layer.weights
    need(len(layer.inputs) == 1, "weights that are values of the graph")
    need(np.all(found.scale), "a factor of 0")
    if is_a(layer, ops.FullyConnected):
        need(p["act"] == Act.LINEAR and p["gain"] == 1 and p["clamp"] < 0, "an activation, a gain or a limit between")
    elif p["activation_type"] != Fused.NONE:
        relu = p["activation_type"] in (Fused.RELU, Fused.LEAKY_RELU)  # s relu(y) = relu(s y) for s > 0
        need(relu and not np.any(found.bias) and np.all(np.greater(found.scale, 0)), "an activation between the two")
    weight = weights["weight"]
    scale = np.broadcast_to(found.scale, len(weight)).reshape(-1, *[1] * (weight.ndim - 1))
    bias = weights["bias"].astype(np.float64) if "bias" in weights else np.zeros(len(weight))
    bias = bias * found.scale + found.bias
    return _with(m, layer, _times(weight, scale), bias if "bias" in weights or bias.any() else None, layer.inputs[0])


@fold_scales.on(*CONVOLUTIONS, *LINEAR)
def _in_front(m: Matcher, layer: Node) -> Made:
    expect(len(layer.inputs) == 1)
    found = channel_affine(m.maker(layer.inputs[0], ops.MulConstantSpec, ops.BinaryOp, ops.Scale))
    if found is None:
        return None
    found.need_channels_of(layer)
    p, weight = layer.params, layer.weights["weight"]
    need(not np.any(found.bias), "an addend in front of the layer")
    need(np.all(found.scale), "a factor of 0")
    need(not is_a(layer, *CONVOLUTIONS) or p["pad_value"] == 0 or not _has_border(p), "a border that is not 0")
    group, per = p.get("group", 1), weight.shape[1]
    need(weight.ndim > 2 or found.x.shape[-1] == per, "a product of a map, of which the columns are pixels")
    channels = np.broadcast_to(found.scale, group * per).reshape(group, per)
    scale = np.repeat(channels, len(weight) // group, axis=0)  # [out, in / groups]
    scale = scale.reshape(*scale.shape, *[1] * (weight.ndim - 2))
    return _with(m, layer, _times(weight, scale), layer.weights.get("bias"), found.x)


def _times(weight: Array, scale: Any) -> Array:
    """Multiplied in double and rounded once, without a copy in double: weights are most of what a conversion holds."""
    with np.errstate(over="ignore"):
        result = np.empty(weight.shape, np.float32)
        np.multiply(weight, scale, out=result, dtype=np.float64, casting="same_kind")
    result.flags.writeable = False  # so that the graph takes it as it is
    return result


def channel_affine(node: Node) -> ChannelAffine | None:
    numbers = affine(node)
    if numbers is not None:
        return ChannelAffine(node.inputs[0], *numbers)
    if is_a(node, ops.BatchNorm, ops.Scale) and len(node.inputs) == 1:
        w = {name: data.astype(np.float64) for name, data in node.weights.items()}
        if is_a(node, ops.Scale):
            return ChannelAffine(node.inputs[0], w["scale"], w.get("bias", 0.0))
        with np.errstate(all="ignore"):  # a variance below -eps: refused as weights that are no float32
            scale = w["slope"] / np.sqrt(w["var"] + node.params["eps"])
        return ChannelAffine(node.inputs[0], scale, w["bias"] - w["mean"] * scale)
    if not is_a(node, ops.BinaryOp):
        return None
    op = Binary(node.params["op"])
    for a, b in orders(node, op):
        along = _per_channel(b)
        if along is None or a.shape != node.outputs[0].shape or len(a.shape) != len(b.shape):
            continue
        vector, axis = along
        table = {Binary.Add: (1.0, vector), Binary.Sub: (1.0, -vector), Binary.Mul: (vector, 0.0)}
        table |= {Binary.RSub: (-1.0, vector)}
        if op == Binary.Div and vector.all():
            return ChannelAffine(a, 1 / vector, 0.0, axis)
        return ChannelAffine(a, *table[op], axis) if op in table else None
    return None


def _per_channel(value: Value) -> tuple[Any, int] | None:
    """A constant as numbers along one of its axes, in double, and this axis; None for any other value."""
    axes = [i for i, n in enumerate(value.shape) if n != 1]
    if value.data is None or len(axes) > 1:
        return None
    numbers = value.data.reshape(-1).astype(np.float64)
    return (numbers, axes[0]) if axes else (numbers[0], 0)


def _has_border(params: Params) -> bool:
    return any(n for name, n in params.items() if name.startswith("pad_") and name != "pad_value")


def _with(m: Matcher, layer: Node, weight: Any, bias: Any | None, x: Value) -> Made:
    """The layer with other weights."""
    with np.errstate(over="ignore"):
        arrays: Mapping[str, Array | None] = {
            "weight": np.asarray(weight, np.float32),
            "bias": None if bias is None else bias.astype(np.float32),
        }
    need(all(np.isfinite(a).all() for a in arrays.values() if a is not None), "a weight that is no float32")
    changed = {"bias_term": bias is not None} if "bias_term" in layer.params else {}
    return m.again(layer, x, arrays, **changed)
