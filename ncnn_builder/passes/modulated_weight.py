"""What has been done to the weight of a convolution: multiplied along its input channels, and normalised.

The layers are read from the convolution backwards, down to a constant. What is in between regroups or reorders the
numbers (Reshape, Permute; blob_axes.py says where the axes are), multiplies them by a number, or by one number for each
channel: a BinaryOp that broadcasts, or the predecessor's F4DOp1D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir import Array, Node, Value
from ..ops.enums import Binary, Reduce, Unary, Vector
from ..ops.layers import BinaryOp, F4DOp1DSpec, Permute, Reduction, Reshape, Rsqrt, UnaryOp
from ..opspec import OpSpec
from .affine import affine, orders
from .blob_axes import Axes, before_permute, names_of, one_each, regrouped
from .match import Matcher, Refused, is_a, need
from .sum_of_squares import SQUARES, is_square

EPS = 1e-8  # the one that modulated_conv2d has
ROUNDED = 1e-6  # how far a scale that is written with six digits may be from 1
OUT_IN, IN_OUT = "oihw", "iohw"
"""Orders of a weight's axes: output channels, input channels, height, width."""


@dataclass(frozen=True)
class Modulated:
    """The weight [out, in, kh, kw] of a convolution, and what is done to it."""

    weight: Array
    styles: Value
    demodulate: bool
    gain: float


@dataclass(frozen=True)
class _Factor:
    """`of` times (or another operation with) the numbers of `value`, along the axes `along`; `of` has these axes."""

    of: Value
    value: Value
    axes: Axes
    along: str
    multiplies: bool

    def is_along(self, axis: str) -> bool:
        """An axis of 1 has no number but one."""
        return self.multiplies and self.along == (axis if axis in names_of(self.axes) else "")


def is_modulated(conv: Node) -> bool:
    """Whether the weight of a convolution is computed by a multiplication, as far as a glance tells."""
    producer = conv.inputs[1].producer if len(conv.inputs) > 1 else None
    while producer is not None and (is_a(producer, Permute, Reshape) or affine(producer) is not None):
        producer = producer.inputs[0].producer
    return producer is not None and (is_a(producer, F4DOp1DSpec) or bool(orders(producer, Binary.Mul)))


def modulated(value: Value, matcher: Matcher, order: str) -> Modulated:
    """What has been done to a convolution's weight with axes in this order. Raises Refused."""
    sizes = dict(zip(order, value.shape, strict=True))
    axes, factors = one_each(order, value.shape), list[_Factor]()
    outer = inner = 1.0  # numbers that multiply in front of the first factor, seen from the convolution, and behind it
    while (data := value.data) is None:
        node = value.producer
        if node is None:
            raise Refused("the weight is no constant" if factors else "the weight is not modulated")
        demodulated = bool(factors) and factors[-1].of is value and len(value.uses) > 1
        need(demodulated or matcher.private(value), "somebody else reads the modulated weight")
        scaled = affine(node)
        if is_a(node, Permute):
            axes, value = before_permute(axes, node), node.inputs[0]
        elif is_a(node, Reshape) and len(node.inputs) == 1:
            value = node.inputs[0]
            axes = _need(regrouped(axes, value.shape), "a Reshape that takes an axis apart")
        elif scaled is not None:
            need(scaled[1] == 0, "an addend to the modulated weight")
            outer, inner = (outer, inner * scaled[0]) if factors else (outer * scaled[0], inner)
            value = node.inputs[0]
        else:
            factor = _factor(node, axes)
            if factor is None:
                raise Refused("the weight is no constant" if factors else "the weight is not modulated")
            value, number = factor.of, _one_number(factor)
            if number is None:
                factors.append(factor)
            else:
                outer, inner = (outer, inner * number) if factors else (outer * number, inner)
    need(len(factors) > 0, "the weight is not modulated")
    need(len(factors) <= 2, "more factors than modulation and demodulation")
    *demodulation, modulation = factors
    gain = outer
    for each in demodulation:
        need(each.is_along("o"), "demodulation of something else")
        gain *= _demodulation(each, matcher)
    need(modulation.is_along("i"), "modulation that does not multiply the input channels")
    need(matcher.private(value), "somebody else reads the weight before it is modulated")
    weight = _in_order(data, axes, sizes)
    if inner != 1:
        weight = weight * np.float32(inner)
    return Modulated(np.ascontiguousarray(weight), modulation.value, bool(demodulation), gain)


def _factor(node: Node, axes: Axes) -> _Factor | None:
    """A layer that computes with a weight and as many numbers as some of its dimensions have."""
    if is_a(node, F4DOp1DSpec):
        of, value = node.inputs
        along = names_of((axes[node.params["dim"]],))
        return _Factor(of, value, axes, along, node.params["op"] == Vector.Mul)
    if not is_a(node, BinaryOp) or len(node.inputs) != 2:
        return None
    shape = node.outputs[0].shape
    of, value = node.inputs if node.inputs[0].shape == shape else node.inputs[::-1]
    if of.shape != shape or len(value.shape) != len(shape):
        return None
    along = names_of(tuple(own for own, n in zip(axes, value.shape, strict=True) if n != 1))
    return _Factor(of, value, axes, along, node.params["op"] == Binary.Mul)


def _one_number(factor: _Factor) -> float | None:
    """The number that a constant factor is everywhere."""
    data = factor.value.data
    if data is None or not factor.multiplies:
        return None
    need(bool((data == data.flat[0]).all()), "a constant factor that is not one number")
    return float(data.flat[0])


def _in_order(data: Array, axes: Axes, sizes: dict[str, int]) -> Array:
    """The numbers of a constant that has these axes as [out, in, kh, kw]."""
    for order in (OUT_IN, IN_OUT):
        if names_of(axes) == "".join(name for name in order if sizes[name] != 1):
            given = data.reshape([sizes[name] for name in order])
            return given if order == OUT_IN else given.swapaxes(0, 1)
    raise Refused("a permutation that does not swap in and out")


def _demodulation(factor: _Factor, matcher: Matcher) -> float:
    """The gain of a factor rsqrt(sum of m^2), m being what it multiplies. Raises Refused where it is something else."""
    value, gain = factor.value, 1.0
    while (node := value.producer) is not None and (is_a(node, Reshape) or affine(node) is not None):
        scale, bias = affine(node) or (1.0, 0.0)
        need(matcher.private(value), f"somebody else reads what {node.spec.type} makes")
        need(bias == 0, "an addend to the demodulation")
        gain, value = gain * scale, node.inputs[0]
    scale, eps, value = _rsqrt(value, matcher)
    if is_a(value.producer, Reshape):
        value = _behind(value, matcher, Reshape)
    reduction = value.producer
    value = _behind(value, matcher, Reduction)
    assert reduction is not None
    p, total = reduction.params, 1
    axes = {a % len(factor.axes) for a in p["axes"]}
    over = not p["reduce_all"] and p["keepdims"] in (0, 1)  # the factors may have whatever shape
    for i, own in enumerate(factor.axes):
        over = over and all((name == "o") != (i in axes) for name, _ in own)
        for name, size in own:
            total *= 1 if name == "o" else size
    scale *= p["coeff"] / (total if p["operation"] == Reduce.Mean else 1)  # a mean is a sum again, by the scale
    mean = p["operation"] == Reduce.Mean and abs(scale - 1) < ROUNDED
    known = mean or p["operation"] in (Reduce.Sum, Reduce.SumSquare)
    need(over and known, "another reduction than a sum for each output channel")
    need(np.float32(eps) == np.float32(EPS) and abs(scale - 1) < ROUNDED, "another epsilon or scale")
    if p["operation"] != Reduce.SumSquare:
        square = value.producer
        if square is None or not is_a(square, *SQUARES) or not is_square(square):
            raise Refused("demodulation without Square")
        need(matcher.private(value), "somebody else reads the squares")
        value, reduction = square.inputs[0], square
    need(value is factor.of, "squares of another value")
    readers = {id(node) for node, _ in value.uses}
    need(len(readers) == 2 and value not in matcher.pinned, "somebody else reads the modulated weight")
    return gain


def _rsqrt(value: Value, matcher: Matcher) -> tuple[float, float, Value]:
    """(scale, eps, x) of the value rsqrt(scale * x + eps), by the predecessor's layer or by two of ncnn's."""
    node = value.producer
    if node is None or not is_a(node, UnaryOp) or node.params["op"] != Unary.rsqrt:
        x = _behind(value, matcher, Rsqrt)
        assert node is not None
        return node.params["scale"], node.params["eps"], x
    x = _behind(value, matcher, UnaryOp)
    added = affine(x.producer)
    if added is None or x.producer is None:
        return 1.0, 0.0, x
    need(matcher.private(x), "somebody else reads what is under the root")
    return added[0], added[1], x.producer.inputs[0]


def _behind(value: Value, matcher: Matcher, op: type[OpSpec]) -> Value:
    """The input of the op that makes this value. Raises Refused where something else does, or others read it."""
    if value.producer is None or not is_a(value.producer, op):
        raise Refused(f"demodulation without {op.type}")
    need(matcher.private(value), f"somebody else reads what {op.type} makes")
    return value.producer.inputs[0]


def _need(axes: Axes | None, reason: str) -> Axes:
    if axes is None:
        raise Refused(reason)
    return axes
