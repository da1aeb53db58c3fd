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

from ..ir import Node
from ..ops import layers as ops
from ..ops.enums import Act, Fused
from ..ops.generators.fir import paddings
from ..ops.shapes.permute import order_of, permutation
from .affine import GREATEST, affine
from .match import Matcher, expect
from .rules import Made, Rules

_BORDERS = ("top", "bottom", "left", "right", "front", "behind")

no_ops = Rules("no_ops")


@no_ops.on(ops.MulConstantSpec, ops.BinaryOp)
def _times_one(m: Matcher, node: Node) -> Made:
    return _gone(node, affine(node) == (1, 0))


@no_ops.on(ops.Reshape, ops.Crop)
def _same_shape(m: Matcher, node: Node) -> Made:
    same = len(node.inputs) == 1 and node.inputs[0].shape == node.outputs[0].shape
    return _gone(node, same and _whatever(node))  # a part of the same shape is the whole


@no_ops.on(ops.Reshape)
def _two_shapes(m: Matcher, node: Node) -> Made:
    expect(len(node.inputs) == 1)
    first = m.maker(node.inputs[0], ops.Reshape)
    return m.again(node, first.inputs[0])


@no_ops.on(ops.Permute)
def _in_order(m: Matcher, node: Node) -> Made:
    return _gone(node, node.params["order_type"] == order_of(tuple(range(len(node.inputs[0].shape)))))


@no_ops.on(ops.Permute)
def _two_orders(m: Matcher, second: Node) -> Made:
    first = m.maker(second.inputs[0], ops.Permute)
    one, two = (permutation(len(first.outputs[0].shape), n.params["order_type"]) for n in (first, second))
    return m.again(second, first.inputs, order_type=order_of(tuple(one[i] for i in two)))


@no_ops.on(ops.Padding)
def _no_border(m: Matcher, node: Node) -> Made:
    return _gone(node, len(node.inputs) == 1 and not any(node.params[side] for side in _BORDERS) and _whatever(node))


@no_ops.on(ops.Concat)
def _of_one(m: Matcher, node: Node) -> Made:
    return _gone(node, len(node.inputs) == 1 and _whatever(node))


@no_ops.on(ops.Clamp, ops.Clip)
def _no_limits(m: Matcher, node: Node) -> Made:
    return _gone(node, node.params["min"] <= -GREATEST and node.params["max"] >= GREATEST)


@no_ops.on(ops.ReLU)
def _no_bend(m: Matcher, node: Node) -> Made:
    return _gone(node, node.params["slope"] == 1)


@no_ops.on(ops.BiasActSpec, ops.BiasActComposite)
def _linear(m: Matcher, node: Node) -> Made:
    p = node.params
    bare = len(node.inputs) == 1 and not node.weights
    return _gone(node, bare and p["act"] == Act.LINEAR and p["gain"] == 1 and p["clamp"] < 0 and _whatever(node))


@no_ops.on(ops.Upfirdn2d)
def _no_filter(m: Matcher, node: Node) -> Made:
    p = node.params
    still = all(p[f] == 1 for f in ("up_y", "up_x", "down_y", "down_x")) and not any(paddings(p))
    return _gone(node, not node.weights and p["gain"] == 1 and still and _whatever(node))


@no_ops.on(ops.Convolution, ops.ConvolutionDepthWise)
def _one_pixel(m: Matcher, node: Node) -> Made:
    """A depthwise convolution that multiplies every number by 1."""
    p = node.params
    weight = node.inputs[1].data if p["dynamic_weight"] else node.weights["weight"]
    if weight is None:
        return None
    expect(not p["bias_term"] and p["activation_type"] == Fused.NONE and p.get("group", 1) == p["num_output"])
    expect(p["stride_h"] == p["stride_w"] == 1 and not any(paddings(p)))
    return _gone(node, weight.shape[1:] == (1, 1, 1) and (weight == 1).all() and not node.inputs[0].any_shape)


def _gone(node: Node, nothing: object) -> Made:
    """What a node that does nothing hands on."""
    return [node.inputs[0]] if nothing else None


def _whatever(node: Node) -> bool:
    """What the other parameters say does not matter: all of them have been looked at."""
    return len(dict(node.params)) >= 0
