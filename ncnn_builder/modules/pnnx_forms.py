"""Layers that pnnx writes and ncnn computes wrongly at some inputs, said in the DSL's forms, which are right at all.

    BinaryOp pow by a number     x * x * x, ...: ncnn's vector code is exp(b * log(x)), wrong from zero down
    Softplus                     BNLL: log(exp(x) + 1) as it stands overflows above 88
    log(Sigmoid(x))              -BNLL(-x): sigmoid(x) is 0 below -104
    GLU                          x * Sigmoid(gate): NaN for gates below -88
    Reduction log sum exp        max(x) + that of x - max(x)
    Reshape by an expression     to the shape that it has here

and results in which pnnx keeps or drops an axis of one number: the values are torch's, the shape is made so.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..builder import one
from ..emit.foreign import Foreign
from ..ir import Graph, Node, Shape, Value
from ..ops.activations.activation import activation
from ..ops.arithmetic.binary import LEAST_BASE, binaryOp
from ..ops.arithmetic.reduce import log_sum_exp
from ..ops.arithmetic.unary import unary
from ..ops.enums import Binary, Reduce, Unary
from ..ops.layers import GLU, BinaryOp, Clamp, Reduction, Sigmoid, Softplus, UnaryOp
from ..ops.sequences.sequence import gated
from ..ops.shapes.shape import really_reshape
from ..opspec import OpSpec, spec_of
from ..passes.match import Matcher, expect, is_a
from ..passes.rules import Made, Rules

right_forms = Rules("pnnx")
"""The graph with those layers replaced."""


@right_forms.on(OpSpec)
def _size_of_now(m: Matcher, node: Node) -> Made:
    """Whatever it computes the shape from."""
    known = (
        isinstance(node.spec, Foreign) and node.spec.base is spec_of("Reshape") and all(v.shape for v in node.inputs)
    )
    return really_reshape(m.new, node.inputs[0], node.outputs[0].shape) if known and node.outputs[0].shape else None


@right_forms.on(BinaryOp)
def _power(m: Matcher, node: Node) -> Made:
    p, x = node.params, node.inputs[0]
    expect(p["op"] == Binary.Pow and p["with_scalar"] and x.shape and not _limited(x))
    return [one(binaryOp(m.new, [x, p["b"]], "Pow"))]


@right_forms.on(GLU)
def _gated(m: Matcher, node: Node) -> Made:
    return gated(m.new, node.inputs[0], node.params["axis"]) if node.inputs[0].shape else None


@right_forms.on(Softplus)
def _softplus(m: Matcher, node: Node) -> Made:
    return [one(activation(m.new, node.inputs[0], "softplus"))] if node.inputs[0].shape else None


@right_forms.on(UnaryOp)
def _log_sigmoid(m: Matcher, node: Node) -> Made:
    expect(node.params["op"] == Unary.log and node.inputs[0].shape)
    sigmoid = m.maker(node.inputs[0], Sigmoid)
    negative = unary(m.new, sigmoid.inputs[0], "neg")
    return [unary(m.new, one(activation(m.new, negative, "softplus")), "neg")]


@right_forms.on(Reduction)
def _log_sum_exp(m: Matcher, node: Node) -> Made:
    p, x = node.params, node.inputs[0]
    expect(p["operation"] == Reduce.LogSumExp and p["coeff"] == 1 and x.shape)
    expect(x.producer is None or not _shifted(x.producer))
    return log_sum_exp(m.new, x, None if p["reduce_all"] else p["axes"], bool(p["keepdims"]))


def _shifted(maker: Node) -> bool:
    """Whether a node is the difference that log_sum_exp() makes."""
    top = maker.inputs[-1].producer if is_a(maker, BinaryOp) else None
    return top is not None and is_a(top, Reduction) and top.params["operation"] == Reduce.Max


def _limited(base: Value) -> bool:
    """Whether this is the base that binaryOp() makes for Pow, from which nothing better can be made."""
    maker = base.producer
    return maker is not None and is_a(maker, Clamp) and maker.params["min"] == LEAST_BASE


def shaped_results(part: Graph, shapes: Mapping[str, Shape]) -> None:
    """Results of as many numbers as are expected in another shape get a Reshape, where they differ in axes of one."""
    for name, value in part.outputs.items():
        wanted = shapes.get(name, value.shape)
        long = [[n for n in shape if n != 1] for shape in (wanted, value.shape)]
        if value.shape and wanted != value.shape and long[0] == long[1]:
            value.name = part.fresh_name("axis")  # the result has its name from here on
            part.outputs[name] = one(really_reshape(part, value, wanted))
