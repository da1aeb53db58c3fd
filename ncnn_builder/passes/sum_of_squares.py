"""Let ncnn's Reduction square the numbers that it adds up.

before:  y = Square(x), UnaryOp(x, square) or BinaryOp(x, x, mul); z = Reduction(y, operation=sum or mean, coeff=c)
after:   z = Reduction(x, operation=sum of squares, coeff=c or c / n)

with n the number of elements that a mean is taken of. Exact up to rounding: the same products and the same sum, and a
mean is a sum divided by n. One pass over x, and none of its size is written.
"""

from __future__ import annotations

import math

from ..ir import Node, Params, Shape
from ..ops.enums import Binary, Reduce, Unary
from ..ops.layers import BinaryOp, Reduction, Square, UnaryOp
from .affine import orders
from .match import Matcher, expect, is_a, need
from .rules import Made, Rules

SQUARES = (Square, UnaryOp, BinaryOp)

sum_of_squares = Rules("sum_of_squares")


@sum_of_squares.on(Reduction)
def _squares(m: Matcher, reduction: Node) -> Made:
    p, coeff = reduction.params, reduction.params["coeff"]
    expect(p["operation"] in (Reduce.Sum, Reduce.Mean))
    square = m.maker(reduction.inputs[0], *SQUARES)
    expect(is_square(square))
    x = square.inputs[0]
    if p["operation"] == Reduce.Mean:
        counts = {_count(shape, p) for shape in (x.shape, *x.others)}
        need(len(counts) == 1, "a mean of what follows an input of any shape")
        coeff /= counts.pop()
    return m.again(reduction, x, operation=Reduce.SumSquare, coeff=coeff)


def _count(shape: Shape, p: Params) -> int:
    """Of how many numbers each result is made."""
    rank = len(shape)
    axes = range(rank) if p["reduce_all"] else {a + rank if a < 0 else a for a in p["axes"]}
    return math.prod(n for i, n in enumerate(shape) if i in axes)


def is_square(node: Node) -> bool:
    """x * x, of a node that is one of SQUARES."""
    if is_a(node, BinaryOp):
        return any(a is b for a, b in orders(node, Binary.Mul))
    return is_a(node, Square) or bool(node.params["op"] == Unary.square)
