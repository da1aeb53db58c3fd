"""Let ncnn's Reduction square the numbers that it adds up.

before:  y = Square(x), UnaryOp(x, square) or BinaryOp(x, x, mul); z = Reduction(y, operation=sum or mean, coeff=c)
after:   z = Reduction(x, operation=sum of squares, coeff=c or c / n)

with n the number of elements that a mean is taken of. Exact up to rounding: the same products and the same sum, and a
mean is a sum divided by n. One pass over x, and none of its size is written.

Refused: squares that somebody else reads; another operation; a BinaryOp that multiplies a value by another; a mean of
what follows an input of any shape, if n does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..builder import append
from ..ir import Graph, Node, Params, Shape, Value
from .match import Matcher, rewrite_all

SUM, SUM_OF_SQUARES, MEAN = 0, 2, 3
UNARY_SQUARE = 4


def sum_of_squares(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "sum_of_squares")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type != "Reduction" or node.params["operation"] not in (SUM, MEAN):
        return None
    square = matcher.interior(node.inputs[0], "Square", "UnaryOp", "BinaryOp")
    if square is None or not is_square(square):
        return None
    x, p = square.inputs[0], node.params
    coeff = p["coeff"]
    if p["operation"] == MEAN:
        counts = {_count(shape, p) for shape in (x.shape, *x.others)}
        if len(counts) > 1:
            return None
        coeff /= counts.pop()
    return append(new, node.spec, x, {**p, "operation": SUM_OF_SQUARES, "coeff": coeff})


def _count(shape: Shape, p: Params) -> int:
    """Of how many numbers each result is made."""
    rank = len(shape)
    axes = range(rank) if p["reduce_all"] else {a + rank if a < 0 else a for a in p["axes"]}
    return math.prod(n for i, n in enumerate(shape) if i in axes)


def is_square(node: Node) -> bool:
    """x * x."""
    if node.spec.type == "Square":
        return True
    if node.spec.type == "UnaryOp":
        return bool(node.params["op"] == UNARY_SQUARE)
    return node.params["op"] == 2 and len(node.inputs) == 2 and node.inputs[0] is node.inputs[1]
