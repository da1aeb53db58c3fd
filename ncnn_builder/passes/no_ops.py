"""Drop layers that hand on what they get.

before:  y = MulConstant(x, scale=1, bias=0); z = Reshape(y, [3, 4]); a = Reshape(z, [12])
after:   a = Reshape(x, [12])

Dropped: MulConstant and BinaryOp with the number that changes nothing; Reshape to the same shape, and the first of two;
the first of two Permutes, the second then does the work of both; Permute, Padding and Crop that keep everything;
Concat of one; Clamp and Clip with limits that no float32 passes; ReLU of slope 1; BiasAct, bias_act and upfirdn2d that
do nothing; a depthwise convolution with one pixel of 1 for every channel.

Exact: the numbers are the same, and so are their shape and order. (x + 0 makes +0 of -0, which nothing here tells
apart.) Refused: the first of two Reshapes or Permutes where somebody else reads it; what keeps its shape only because
an input of any shape has the one of today.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import append
from ..ir import Graph, Node, Value
from ..ops.generators.fir import paddings
from ..ops.shapes.permute import order_of, permutation
from .affine import affine
from .match import Matcher, rewrite_all

_GREATEST = float(np.finfo(np.float32).max)
_BORDERS = ("top", "bottom", "left", "right", "front", "behind")


def no_ops(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "no_ops")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if _is_one_pixel(node):
        return [node.inputs[0]]
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        return None
    if _does_nothing(node):
        return [node.inputs[0]]
    if node.spec.type == "Reshape":
        first = matcher.interior(node.inputs[0], "Reshape")
        if first is not None:
            return append(new, node.spec, first.inputs[0], node.params)
    if node.spec.type == "Permute":
        first = matcher.interior(node.inputs[0], "Permute")
        if first is not None:
            return append(new, node.spec, first.inputs[0], {"order_type": _both(first, node)})
    return None


def _both(first: Node, second: Node) -> int:
    """The order of x.permute(first).permute(second)."""
    rank = len(first.outputs[0].shape)
    perms = [permutation(rank, node.params["order_type"]) for node in (first, second)]
    return order_of(tuple(perms[0][i] for i in perms[1]))


def _is_one_pixel(node: Node) -> bool:
    """Whether it is a depthwise convolution that multiplies every number by 1."""
    p = node.params
    if node.spec.type not in ("ConvolutionDepthWise", "Convolution") or node.inputs[0].any_shape:
        return False
    weight = node.inputs[1].data if p["dynamic_weight"] else node.weights["weight"]
    plain = not p["bias_term"] and not p["activation_type"] and p.get("group", 1) == p["num_output"]
    return bool(
        plain
        and weight is not None
        and p["stride_h"] == p["stride_w"] == 1
        and not any(paddings(p))
        and weight.shape[1:] == (1, 1, 1)
        and (weight == 1).all()
    )


def _does_nothing(node: Node) -> bool:
    p, kind = node.params, node.spec.type
    same_shape = node.inputs[0].shape == node.outputs[0].shape
    if kind in ("MulConstant", "BinaryOp"):
        return affine(node) == (1, 0)
    if kind in ("Reshape", "Crop"):
        return same_shape and _whatever(node)  # a part of the same shape is the whole
    if kind == "Permute":
        return bool(p["order_type"] == 0)
    if kind == "Padding":
        return not any(p[side] for side in _BORDERS) and _whatever(node)
    if kind == "Concat":
        return _whatever(node)
    if kind in ("Clamp", "Clip"):
        return bool(p["min"] <= -_GREATEST and p["max"] >= _GREATEST)
    if kind == "ReLU":
        return bool(p["slope"] == 1)
    if kind in ("BiasAct", "bias_act"):
        return not node.weights and p["act"] == 0 and p["gain"] == 1 and p["clamp"] < 0 and _whatever(node)
    if kind == "upfirdn2d":
        factors = ("up_y", "up_x", "down_y", "down_x")
        still = same_shape and all(p[f] == 1 for f in factors) and not any(paddings(p))
        return not node.weights and p["gain"] == 1 and still and _whatever(node)
    return False


def _whatever(node: Node) -> bool:
    """What the other parameters say does not matter: all of them have been looked at."""
    return len(dict(node.params)) >= 0
