"""Let our modulated convolution apply bias and activation itself, and add the picture of the block before it.

before:  y = ModulatedConv2d(x, s); z = BiasAct(y, b, act=lrelu, alpha=0.2, gain=g, clamp=c)
after:   z = ModulatedConv2d(x, s, bias=b, slope=0.2, act_gain=g, clamp=c)
before:  y = ModulatedConv2d(x, s, kernel 1x1, demodulate=0, bias=b, clamp=c); u = Upfirdn2d(image, f, up=2, gain=4)
         z = BinaryOp(u, y, Add)
after:   z, y = ToRGB(x, s, image, weight, f, bias=b, clamp=c)   y only where it is a tap

Exact: the layers compute the very formulas that stood behind them, on numbers that are still in registers.
"""

from __future__ import annotations

import numpy as np

from ..ir import Node, Value
from ..ops.enums import Act, Binary, Noise
from ..ops.generators.fir import paddings, upsampling_border
from ..ops.generators.modulated import ToRGB
from ..ops.layers import BiasActSpec, BinaryOp, ModulatedConv2dLayer, Upfirdn2dSpec
from .affine import orders
from .match import Matcher, NoMatch, Refused, expect, is_a, need
from .rules import Made, Rules

fuse_modulated = Rules("fuse_modulated")


@fuse_modulated.on(BiasActSpec)
def _activated(m: Matcher, node: Node) -> Made:
    conv, p = m.maker(node.inputs[0], ModulatedConv2dLayer), node.params
    need(not conv.params["bias_data_size"] and conv.params["clamp"] < 0, "a bias, or a limit, already")
    _need_linear(conv)
    slopes = {Act.LINEAR: 1.0, Act.RELU: 0.0, Act.LRELU: p["alpha"]}
    need(p["act"] in slopes, "an activation that is none of linear, relu and lrelu")
    b = node.inputs[1].data if len(node.inputs) == 2 else None
    need(b is not None or len(node.inputs) == 1, "a bias that is no constant")
    return m.again(
        conv,
        weights={**conv.weights, "bias": None if b is None else b.reshape(-1)},
        bias_data_size=0 if b is None else b.size,
        slope=slopes[p["act"]],
        act_gain=p["gain"],
        clamp=p["clamp"],
    )


@fuse_modulated.on(BinaryOp)
def _sum(m: Matcher, node: Node) -> Made:
    reason = ""
    for image, rgb in orders(node, Binary.Add):
        try:
            return _to_rgb(m, image, rgb)
        except NoMatch as why:
            reason = reason or str(why)
    need(not reason, reason)
    return None


def _to_rgb(m: Matcher, image: Value, rgb: Value) -> Made:
    up, conv = m.maker(image, Upfirdn2dSpec), rgb.producer
    if conv is None or not is_a(conv, ModulatedConv2dLayer):
        raise NoMatch
    c, p, f = conv.params, up.params, up.weights.get("f")
    expect((c["kernel_h"], c["kernel_w"], c["up"], c["padding"]) == (1, 1, 1, 0))
    need(len(rgb.uses) == 1, f"somebody else reads {rgb.name}")
    if f is None or p["f_h"]:
        raise Refused("a filter that is no column times a row")
    twice = p["up_y"] == p["up_x"] == 2 and p["down_y"] == p["down_x"] == 1
    need(twice and paddings(p) == upsampling_border(f.size, 2) * 2, "another upsampling than StyleGAN2's")
    need(p["gain"] > 0, "a gain that is not positive")
    need(not c["demodulate"] and c["noise"] == Noise.NONE, "demodulation, or noise")
    _need_linear(conv)
    weight = conv.weights["weight"].reshape(c["num_output"], c["num_input"], 1, 1)
    if c["gain"] != 1:
        weight = weight * np.float32(c["gain"])
    f = (f[::-1] if p["flip_filter"] else f) * np.float32((p["gain"] / 4) ** 0.5)  # the layer's own is 4
    keep = not m.private(rgb)  # a module's result, for those who compare modules
    outputs = ToRGB(m.new, [*conv.inputs, up.inputs[0]], weight, f, conv.weights.get("bias"), c["clamp"], keep)
    if keep:
        m.move(rgb, outputs[1])
    return [outputs[0]]


def _need_linear(conv: Node) -> None:
    need(conv.params["slope"] == 1 and conv.params["act_gain"] == 1, "an activation, or its gain, already")
