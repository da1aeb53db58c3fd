"""Our fused layers as the ops that they were made of, each lowered as usual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...builder import append
from ...ir import Graph, Node, Value
from ...ops.convolutions.conv import static_conv
from ...ops.enums import Noise
from ...ops.generators import composite
from ...ops.generators.fir import upsampling_border
from ...ops.shapes.shape import concat
from ...opspec import spec_of
from .elementwise import add, bias_act
from .filters import upfirdn2d
from .modulated import modulated_conv2d


def modulated_layer(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """ModulatedConv2d: modulated_conv2d, then bias_act."""
    p, weights = node.params, node.weights
    shape = (p["num_output"], p["num_input"], p["kernel_h"], p["kernel_w"])
    noise = weights["noise"].reshape(node.outputs[0].shape[1:]) if p["noise"] == Noise.CONSTANT else None
    meant = _meant(
        inputs,
        lambda s, values: composite.modulated_conv2d(
            s,
            values,
            weights["weight"].reshape(shape),
            noise,
            up=p["up"],
            padding=p["padding"],
            resample_filter=weights.get("f"),
            demodulate=bool(p["demodulate"]),
            flip_weight=p["up"] == 1,  # the weight of a transposed convolution mirrors by itself
            gain=p["gain"],
        ),
    )
    y = modulated_conv2d(g, meant, inputs)
    return _activated(g, y, weights.get("bias"), p["slope"], p["act_gain"], p["clamp"])


def to_rgb(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """ToRGB: modulated_conv2d and bias_act, the image through upfirdn2d, and their sum."""
    p, weights = node.params, node.weights
    weight = weights["weight"].reshape(p["num_output"], p["num_input"], 1, 1)
    meant = _meant(inputs[:2], lambda s, values: composite.modulated_conv2d(s, values, weight, demodulate=False))
    rgb = _activated(g, modulated_conv2d(g, meant, inputs[:2]), weights.get("bias"), 1.0, 1.0, p["clamp"])
    y = rgb[0]
    if len(inputs) == 3:
        padding = upsampling_border(p["filter_size"], 2) * 2
        image = _meant(inputs[2:], lambda s, x: composite.upfirdn2d(s, x, weights["f"], up=2, padding=padding, gain=4))
        y = add(g, upfirdn2d(g, image, inputs[2:])[0], y)
    return [y, *rgb] if p["keep_rgb"] else [y]


def fused_conv(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """FusedConv2d: Concat, Convolution, BinaryOp, and ReLU or PReLU; those that there are."""
    p, weights = node.params, node.weights
    parts = inputs[:-1] if p["residual"] else inputs
    x = parts[0] if len(parts) == 1 else concat(g, parts, 1)[0]
    scale = np.float32(p["scale"])
    weight = weights["weight"].reshape(p["num_output"], p["num_input"], p["kernel_h"], p["kernel_w"]) * scale
    bias = weights["bias"] * scale if p["bias_data_size"] else None
    border = tuple(p[f"pad_{side}"] for side in ("top", "bottom", "left", "right"))
    y = static_conv(g, x, weight, bias, 1, border)[0]
    if p["residual"]:
        y = add(g, y, inputs[-1])
    if p["slope_data_size"]:
        return append(g, spec_of("PReLU"), y, {"num_slope": p["slope_data_size"]}, {"slope": weights["slopes"]})
    return [y] if p["slope"] == 1 else append(g, spec_of("ReLU"), y, {"slope": p["slope"]})


def _activated(g: Graph, y: Sequence[Value], bias: Any, slope: float, gain: float, clamp: float) -> Sequence[Value]:
    if bias is None and slope == 1 and gain == 1 and clamp < 0:
        return y
    meant = _meant(y, lambda s, x: composite.bias_act(s, x, bias, "lrelu", slope, gain, clamp))
    return bias_act(g, meant, y)


def _meant(inputs: Sequence[Value], build: Callable[[Graph, list[Value]], Sequence[Value]]) -> Node:
    """The node that this call makes, in a graph of its own."""
    scratch = Graph()
    build(scratch, [scratch.input(f"x{i}", v.shape) for i, v in enumerate(inputs)])
    return scratch.nodes[0]
