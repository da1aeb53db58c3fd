"""Make one layer of two that follow each other and work number by number.

before:  y = MulConstant(x, scale=a, bias=b); z = MulConstant(y, scale=c, bias=d)
after:   z = MulConstant(x, scale=a * c, bias=b * c + d)
before:  y = BinaryOp(x, add, a); z = BinaryOp(y, add, b)
after:   z = BinaryOp(x, add, a + b)
before:  y = Clamp(x, a, b); z = Clamp(y, c, d)
after:   z = Clamp(x, clamp(a, c, d), clamp(b, c, d))

Exact up to the rounding of one operation: (a x + b) c + d = (a c) x + (b c + d). Where a x and b cancel, the error is
that of a x with x known to float32, which a computed x is not better than. A BinaryOp and a MulConstant become a
MulConstant; two BinaryOps become one only where one says it, so that a target that has no layers of ours gets none.
Limits are exact: the second limits what the first lets through. A ReLU without slope is the limit [0, greatest float].

Refused: a value between the two that somebody else reads; a factor that is 0, or a result that is no normal float32
(the two, rounded one after the other, would underflow or overflow otherwise).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import append
from ..ir import Graph, Node, Value
from .affine import ADD, MUL, affine, representable, scalar_op
from .match import Matcher, rewrite_all

_GREATEST = float(np.finfo(np.float32).max)
CLIPS = ("Clamp", "Clip")


def merge_elementwise(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "merge_elementwise")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if len(node.inputs) != 1:
        return None
    before = matcher.interior(node.inputs[0], "MulConstant", "BinaryOp", "ReLU", *CLIPS)
    if before is None or len(before.inputs) != 1:
        return None
    pair = _affine_pair(new, before, node, matcher)
    return _limits_pair(new, before, node, matcher) if pair is None else pair


def _affine_pair(new: Graph, first: Node, second: Node, matcher: Matcher) -> Sequence[Value] | None:
    a, b = affine(first), affine(second)
    if a is None or b is None or not representable(a[0], b[0], a[0] * b[0]):
        return None
    scale, bias = a[0] * b[0], a[1] * b[0] + b[1]
    if not all(n == 0 or representable(n) for n in (a[1] * b[0], bias)):
        return None
    x = first.inputs[0]
    if "MulConstant" in (first.spec.type, second.spec.type):
        spec = (first if first.spec.type == "MulConstant" else second).spec
        return append(new, spec, x, {"scale": scale, "bias": bias})
    if bias == 0:
        return scalar_op(new, x, MUL, scale)
    return scalar_op(new, x, ADD, bias) if scale == 1 else None


def _limits(node: Node) -> tuple[float, float] | None:
    if node.spec.type in CLIPS:
        return node.params["min"], node.params["max"]
    return (0.0, _GREATEST) if node.spec.type == "ReLU" and node.params["slope"] == 0 else None


def _limits_pair(new: Graph, first: Node, second: Node, matcher: Matcher) -> Sequence[Value] | None:
    inner, outer = _limits(first), _limits(second)
    if inner is None or outer is None:
        return None
    x = first.inputs[0]
    low, high = (min(max(n, outer[0]), outer[1]) for n in inner)
    clip = next((n for n in (second, first) if n.spec.type in CLIPS), None)
    if clip is None:
        return append(new, second.spec, x, second.params)  # two ReLUs
    return append(new, clip.spec, x, {**clip.params, "min": low, "max": high})
