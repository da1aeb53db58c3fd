"""Say bias_act where layers spell it out behind a modulated convolution.

before:  y = modulated_conv2d(x, s); b = BinaryOp(y, constant [C, 1, 1] or a number, add); r = ReLU(b, slope=a)
         g = BinaryOp(r, number, mul); z = Clamp(g, -c, c)
after:   z = bias_act(modulated_conv2d(x, s), b, act=lrelu, alpha=a, gain=number, clamp=c)

One layer at a time, each of which may be missing; the factor is what fold_gains takes. Exact: the composite op is
clamp(act(x + b) * gain), and a ReLU behind a positive gain may stand in front of it. Then the lowering and
fuse_modulated know what they have.

Refused: a value in between that somebody else reads; a bias that is no constant; a second bias or activation; a bias
behind a gain, an activation or a limit; a ReLU behind a limit or a gain that is not positive; limits that are not -c
and c. And where no modulated convolution is in front: ncnn's own layers are then what the other passes know.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.generators.stylegan import bias_act_params
from ..opspec import spec_of
from .affine import ADD, affine
from .match import Matcher, rewrite_all

MODULATED, COMPOSITE = "modulated_conv2d", "bias_act"


def raise_bias_act(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_bias_act")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type in ("BinaryOp", "MulConstant"):
        return _biased(new, node, matcher)
    if node.spec.type not in ("ReLU", "Clamp", "Clip"):
        return None
    before = matcher.interior(node.inputs[0], MODULATED, COMPOSITE)
    if before is None:
        return None
    x, weights = node.inputs[0], dict[str, Array]()
    params = bias_act_params("linear", None, 1.0, None)
    if before.spec.type == COMPOSITE:
        if not _is_modulated(before):
            return None
        x, weights, params = before.inputs[0], dict(before.weights), dict(before.params)
    if node.spec.type == "ReLU":
        linear = bias_act_params("linear", None, params["gain"], None)
        if params != linear or params["gain"] <= 0:
            return None
        slope = node.params["slope"]
        params = bias_act_params("lrelu" if slope else "relu", slope, params["gain"], None)
    else:
        least, most = node.params["min"], node.params["max"]
        if least != -most or most <= 0:
            return None
        params["clamp"] = most if params["clamp"] < 0 else min(most, params["clamp"])
    return append(new, spec_of(COMPOSITE), x, params, weights)


def _biased(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """A number, or a constant for each channel, added to a modulated convolution."""
    number = affine(node)
    if number is not None:
        scale, bias = number
        x = node.inputs[0]
        if scale != 1 or not bias or matcher.interior(x, MODULATED) is None:
            return None
        return _with_bias(new, x, np.full(x.shape[0], bias, np.float32))
    if node.params["op"] != ADD:
        return None
    for x, b in (node.inputs, node.inputs[::-1]):
        data = b.data
        if data is None or b.shape != (x.shape[0], 1, 1) or x.shape != node.outputs[0].shape:
            continue
        if matcher.interior(x, MODULATED) is not None:
            return _with_bias(new, x, data.reshape(-1))
    return None


def _with_bias(new: Graph, x: Value, b: Array) -> Sequence[Value]:
    return append(new, spec_of(COMPOSITE), x, bias_act_params("linear", None, 1.0, None), {"b": b})


def _is_modulated(node: Node) -> bool:
    producer = node.inputs[0].producer
    return producer is not None and producer.spec.type == MODULATED
