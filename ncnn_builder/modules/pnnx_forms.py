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

from collections.abc import Mapping, Sequence

from ..builder import one
from ..emit.foreign import Foreign
from ..ir import Graph, Node, Shape, Value
from ..ops.activations.activation import activation
from ..ops.arithmetic.binary import BINARY, LEAST_BASE, binaryOp
from ..ops.arithmetic.reduce import OPS, log_sum_exp
from ..ops.arithmetic.unary import UNARY, unary
from ..ops.sequences.sequence import gated
from ..ops.shapes.shape import really_reshape
from ..opspec import spec_of
from ..passes.match import Matcher, rewrite_all


def right_forms(part: Graph) -> Graph:
    """The graph with those layers replaced."""
    return rewrite_all(part, _rewrite, "pnnx")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if any(not v.shape for v in node.inputs):
        return None
    if isinstance(node.spec, Foreign) and node.spec.base is spec_of("Reshape") and node.outputs[0].shape:
        return really_reshape(new, node.inputs[0], node.outputs[0].shape)  # whatever it computes the shape from
    p, kind = node.params, node.spec.type
    if kind == "BinaryOp" and p["with_scalar"] and BINARY[p["op"]] == "Pow" and not _limited(node.inputs[0]):
        return [one(binaryOp(new, [node.inputs[0], p["b"]], "Pow"))]
    if kind == "GLU":
        return gated(new, node.inputs[0], p["axis"])
    if kind == "Softplus":
        return [one(activation(new, node.inputs[0], "softplus"))]
    if kind == "UnaryOp" and UNARY[p["op"]] == "log":
        sigmoid = matcher.interior(node.inputs[0], "Sigmoid")
        if sigmoid is not None:
            negative = unary(new, sigmoid.inputs[0], "neg")
            return [unary(new, one(activation(new, negative, "softplus")), "neg")]
    if kind == "Reduction" and p["operation"] == OPS["ReduceLogSumExp"] and p["coeff"] == 1:
        x = node.inputs[0]
        if x.producer is None or not _shifted(x.producer):
            axes = None if p["reduce_all"] else p["axes"]
            return log_sum_exp(new, x, axes, bool(p["keepdims"]))
    return None


def _shifted(maker: Node) -> bool:
    """Whether a node is the difference that log_sum_exp() makes."""
    top = maker.inputs[-1].producer if maker.spec.type == "BinaryOp" else None
    return top is not None and top.spec.type == "Reduction" and top.params["operation"] == OPS["ReduceMax"]


def _limited(base: Value) -> bool:
    """Whether this is the base that binaryOp() makes for Pow, from which nothing better can be made."""
    maker = base.producer
    return maker is not None and maker.spec.type == "Clamp" and maker.params["min"] == LEAST_BASE


def shaped_results(part: Graph, shapes: Mapping[str, Shape]) -> None:
    """Results of as many numbers as are expected in another shape get a Reshape, where they differ in axes of one."""
    for name, value in part.outputs.items():
        wanted = shapes.get(name, value.shape)
        long = [[n for n in shape if n != 1] for shape in (wanted, value.shape)]
        if value.shape and wanted != value.shape and long[0] == long[1]:
            value.name = part.fresh_name("axis")  # the result has its name from here on
            part.outputs[name] = one(really_reshape(part, value, wanted))
