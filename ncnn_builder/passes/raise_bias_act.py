"""Say bias_act where layers spell it out behind a modulated convolution.

before:  y = modulated_conv2d(x, s); b = BinaryOp(y, constant [C, 1, 1] or a number, add); r = ReLU(b, slope=a)
         g = BinaryOp(r, number, mul); z = Clamp(g, -c, c)
after:   z = bias_act(modulated_conv2d(x, s), b, act=lrelu, alpha=a, gain=number, clamp=c)

One layer at a time, each of which may be missing; the factor is what fold_gains takes. Exact: the composite op is
clamp(act(x + b) * gain), and a ReLU behind a positive gain may stand in front of it. Then the lowering and
fuse_modulated know what they have.
"""

from __future__ import annotations

import numpy as np

from ..ir import Array, Node, Value
from ..ops.generators.stylegan import bias_act_params
from ..ops.layers import BiasActComposite, BinaryOp, Clamp, Clip, ModulatedConv2d, MulConstantSpec, ReLU
from .affine import added_per_channel, affine
from .match import Matcher, is_a, need
from .rules import Made, Rules

LINEAR = bias_act_params("linear", None, 1.0, None)

raise_bias_act = Rules("raise_bias_act")


@raise_bias_act.on(BinaryOp, MulConstantSpec)
def _biased(m: Matcher, node: Node) -> Made:
    """A number, or a constant for each channel, added to a modulated convolution."""
    number = affine(node)
    if number is not None:
        scale, bias = number
        return _with_bias(m, node.inputs[0], np.full(node.inputs[0].shape[0], bias)) if scale == 1 and bias else None
    found = added_per_channel(node)
    return None if found is None else _with_bias(m, *found)


def _with_bias(m: Matcher, x: Value, b: Array) -> Made:
    m.maker(x, ModulatedConv2d)
    return m.make(BiasActComposite, x, {"b": b.astype(np.float32)}, **LINEAR)


@raise_bias_act.on(ReLU, Clamp, Clip)
def _activated(m: Matcher, node: Node) -> Made:
    x, weights, params = node.inputs[0], dict[str, Array](), dict(LINEAR)
    before = m.maker(x, ModulatedConv2d, BiasActComposite)
    if is_a(before, BiasActComposite):
        if not is_a(before.inputs[0].producer, ModulatedConv2d):
            return None
        x, weights, params = before.inputs[0], before.weights, dict(before.params)
    if is_a(node, ReLU):
        linear = bias_act_params("linear", None, params["gain"], None)
        need(params == linear, "an activation, or a limit, already")
        need(params["gain"] > 0, "a gain that is not positive")
        slope = node.params["slope"]
        params = bias_act_params("lrelu" if slope else "relu", slope, params["gain"], None)
    else:
        least, most = node.params["min"], node.params["max"]
        need(least == -most and most > 0, "limits that are not -c and c")
        params["clamp"] = most if params["clamp"] < 0 else min(most, params["clamp"])
    return m.make(BiasActComposite, x, weights, **params)
