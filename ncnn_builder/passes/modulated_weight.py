"""What has been done to the weight of a convolution: multiplied along its input channels, and normalised.

The layers are read from the convolution backwards, down to a constant. What is in between regroups or reorders the
numbers (Reshape, Permute; blob_axes.py says where the axes are), multiplies them by a number, or by one number for each
channel: a BinaryOp that broadcasts, or the predecessor's F4DOp1D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir import Array, Node, Value
from .affine import MUL, affine
from .blob_axes import Axes, before_permute, names_of, one_each, regrouped
from .match import Matcher, Refused
from .sum_of_squares import is_square

EPS = 1e-8  # the one that modulated_conv2d has
SUM, SUM_OF_SQUARES, MEAN = 0, 2, 3  # of Reduction
RSQRT = 6  # of UnaryOp
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
    while producer is not None and (producer.spec.type in ("Permute", "Reshape") or affine(producer) is not None):
        producer = producer.inputs[0].producer
    if producer is None or producer.spec.type not in ("F4DOp1D", "BinaryOp"):
        return False
    return producer.spec.type == "F4DOp1D" or (producer.params["op"] == MUL and len(producer.inputs) == 2)


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
        if node.spec.type == "Permute":
            axes, value = before_permute(axes, node), node.inputs[0]
        elif node.spec.type == "Reshape" and len(node.inputs) == 1:
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
    if node.spec.type == "F4DOp1D":
        of, value = node.inputs
        along = names_of((axes[node.params["dim"]],))
        return _Factor(of, value, axes, along, node.params["op"] == 0)
    if node.spec.type != "BinaryOp" or len(node.inputs) != 2:
        return None
    shape = node.outputs[0].shape
    of, value = node.inputs if node.inputs[0].shape == shape else node.inputs[::-1]
    if of.shape != shape or len(value.shape) != len(shape):
        return None
    along = names_of(tuple(own for own, n in zip(axes, value.shape, strict=True) if n != 1))
    return _Factor(of, value, axes, along, node.params["op"] == MUL)


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
    while (node := value.producer) is not None and (node.spec.type == "Reshape" or affine(node) is not None):
        scale, bias = affine(node) or (1.0, 0.0)
        need(matcher.private(value), f"somebody else reads what {node.spec.type} makes")
        need(bias == 0, "an addend to the demodulation")
        gain, value = gain * scale, node.inputs[0]
    scale, eps, value = _rsqrt(value, matcher)
    if value.producer is not None and value.producer.spec.type == "Reshape":
        value = _behind(value, "Reshape", matcher)
    reduction = value.producer
    value = _behind(value, "Reduction", matcher)
    assert reduction is not None
    p, total = reduction.params, 1
    axes = {a % len(factor.axes) for a in p["axes"]}
    over = not p["reduce_all"] and p["keepdims"] in (0, 1)  # the factors may have whatever shape
    for i, own in enumerate(factor.axes):
        over = over and all((name == "o") != (i in axes) for name, _ in own)
        for name, size in own:
            total *= 1 if name == "o" else size
    scale *= p["coeff"] / (total if p["operation"] == MEAN else 1)  # a mean is a sum again, by the scale
    known = p["operation"] in (SUM, SUM_OF_SQUARES) or (p["operation"] == MEAN and abs(scale - 1) < ROUNDED)
    need(over and known, "another reduction than a sum for each output channel")
    need(np.float32(eps) == np.float32(EPS) and abs(scale - 1) < ROUNDED, "another epsilon or scale")
    if p["operation"] != SUM_OF_SQUARES:
        square = value.producer
        fits = square is not None and square.spec.type in ("Square", "UnaryOp", "BinaryOp") and is_square(square)
        if square is None or not fits:
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
    if node is None or node.spec.type != "UnaryOp" or node.params["op"] != RSQRT:
        x = _behind(value, "Rsqrt", matcher)
        assert node is not None
        return node.params["scale"], node.params["eps"], x
    x = _behind(value, "UnaryOp", matcher)
    added = affine(x.producer)
    if added is None or x.producer is None:
        return 1.0, 0.0, x
    need(matcher.private(x), "somebody else reads what is under the root")
    return added[0], added[1], x.producer.inputs[0]


def _behind(value: Value, kind: str, matcher: Matcher) -> Value:
    """The input of the `kind` that makes this value. Raises Refused where something else does, or others read it."""
    if value.producer is None or value.producer.spec.type != kind:
        raise Refused(f"demodulation without {kind}")
    need(matcher.private(value), f"somebody else reads what {kind} makes")
    return value.producer.inputs[0]


def need(condition: bool, reason: str) -> None:
    if not condition:
        raise Refused(reason)


def _need(axes: Axes | None, reason: str) -> Axes:
    if axes is None:
        raise Refused(reason)
    return axes
