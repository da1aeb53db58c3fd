"""Let our modulated convolution apply bias and activation itself, and add the picture of the block before it.

before:  y = ModulatedConv2d(x, s); z = BiasAct(y, b, act=lrelu, alpha=0.2, gain=g, clamp=c)
after:   z = ModulatedConv2d(x, s, bias=b, slope=0.2, act_gain=g, clamp=c)
before:  y = ModulatedConv2d(x, s, kernel 1x1, demodulate=0, bias=b, clamp=c); u = Upfirdn2d(image, f, up=2, gain=4)
         z = BinaryOp(u, y, Add)
after:   z, y = ToRGB(x, s, image, weight, f, bias=b, clamp=c)   y only where it is a tap

Exact: the layers compute the very formulas that stood behind them, on numbers that are still in registers.
Refused: a value between the two that somebody else reads; a convolution that has an activation already; an activation
other than linear, relu and lrelu; a bias that is not constant. For ToRGB also: demodulation, noise, a slope or an
activation gain; a filter that is no column times a row; an upsampling other than StyleGAN2's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.generators.fir import paddings, upsampling_border
from ..ops.generators.modulated import NOISE_NONE, ToRGB
from ..ops.generators.stylegan import ACTIVATIONS
from .match import Matcher, rewrite_all

_SLOPES = {"linear": 1.0, "relu": 0.0}  # lrelu's is its alpha


def fuse_modulated(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "fuse_modulated")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type == "BiasAct":
        return _activated(new, node, matcher)
    if node.spec.type == "BinaryOp" and len(node.inputs) == 2 and node.params["op"] == 0:
        for image, rgb in (node.inputs, node.inputs[::-1]):
            outputs = _to_rgb(new, image, rgb, matcher)
            if outputs is not None:
                return outputs
    return None


def _activated(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    conv = matcher.interior(node.inputs[0], "ModulatedConv2d")
    if conv is None or conv.params["bias_data_size"] or not _plain(conv) or conv.params["clamp"] >= 0:
        return None
    p = node.params
    act = next(name for name, a in ACTIVATIONS.items() if a.id == p["act"])
    slope = {**_SLOPES, "lrelu": p["alpha"]}.get(act)
    b = node.inputs[1].data if len(node.inputs) == 2 else None
    if slope is None or (b is None and len(node.inputs) == 2):
        return None
    weights: dict[str, Array | None] = {**conv.weights, "bias": None if b is None else b.reshape(-1)}
    params: dict[str, Any] = {
        **conv.params,
        "bias_data_size": 0 if b is None else b.size,
        "slope": slope,
        "act_gain": p["gain"],
        "clamp": p["clamp"],
    }
    return append(new, conv.spec, conv.inputs, params, weights)


def _to_rgb(new: Graph, image: Value, rgb: Value, matcher: Matcher) -> Sequence[Value] | None:
    up, conv = matcher.interior(image, "Upfirdn2d"), rgb.producer
    if up is None or conv is None or conv.spec.type != "ModulatedConv2d" or len(rgb.uses) != 1:
        return None
    keep = not matcher.private(rgb)  # a module's result, for those who compare modules
    p, f = up.params, up.weights.get("f")
    n = 0 if f is None or p["f_h"] else p["f_w"]
    padding = upsampling_border(n, 2) * 2
    upsampled = {"up_y": 2, "up_x": 2, "down_y": 1, "down_x": 1}
    if f is None or not n or paddings(p) != padding or any(p[name] != value for name, value in upsampled.items()):
        return None
    if p["gain"] <= 0:
        return None
    c = conv.params
    kernel = (c["kernel_h"], c["kernel_w"], c["up"], c["padding"])
    if kernel != (1, 1, 1, 0) or c["demodulate"] or c["noise"] != NOISE_NONE or not _plain(conv):
        return None
    weight = conv.weights["weight"].reshape(c["num_output"], c["num_input"], 1, 1)
    if c["gain"] != 1:
        weight = weight * np.float32(c["gain"])
    inputs = [*conv.inputs, up.inputs[0]]
    f = (f[::-1] if p["flip_filter"] else f) * np.float32((p["gain"] / 4) ** 0.5)  # the layer's own is 4
    outputs = ToRGB(new, inputs, weight, f, conv.weights.get("bias"), c["clamp"], keep)
    if keep:
        matcher.move(rgb, outputs[1])
    return [outputs[0]]


def _plain(conv: Node) -> bool:
    return bool(conv.params["slope"] == 1 and conv.params["act_gain"] == 1)
