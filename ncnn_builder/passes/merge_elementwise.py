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
"""

from __future__ import annotations

from ..ir import Node
from ..ops.enums import Binary
from ..ops.layers import BinaryOp, Clamp, Clip, MulConstantSpec, ReLU
from .affine import GREATEST, affine, representable, scalar_op
from .match import Matcher, expect, is_a, need
from .rules import Made, Rules

CLIPS = (Clamp, Clip)

merge_elementwise = Rules("merge_elementwise")


@merge_elementwise.on(MulConstantSpec, BinaryOp)
def _factors(m: Matcher, second: Node) -> Made:
    b = affine(second)
    expect(b is not None)
    first = m.maker(second.inputs[0], MulConstantSpec, BinaryOp)
    a = affine(first)
    if a is None or b is None:
        return None
    scale, bias = a[0] * b[0], a[1] * b[0] + b[1]
    need(
        representable(a[0], b[0], scale) and all(n == 0 or representable(n) for n in (a[1] * b[0], bias)),
        "a factor of 0, or what the two come to is no normal float32",
    )
    x = first.inputs[0]
    if is_a(first, MulConstantSpec) or is_a(second, MulConstantSpec):
        return m.make(MulConstantSpec, x, scale=scale, bias=bias)
    if bias == 0:
        return scalar_op(m, x, Binary.Mul, scale)
    need(scale == 1, "a factor and an addend, for which there is no layer of ncnn")
    return scalar_op(m, x, Binary.Add, bias)


@merge_elementwise.on(ReLU, *CLIPS)
def _limits(m: Matcher, second: Node) -> Made:
    first = m.maker(second.inputs[0], ReLU, *CLIPS)
    inner, outer = _range(first), _range(second)
    low, high = (min(max(n, outer[0]), outer[1]) for n in inner)
    clip = next((n for n in (second, first) if is_a(n, *CLIPS)), None)
    if clip is None:
        return m.again(second, first.inputs)  # two ReLUs
    return m.again(clip, first.inputs, min=low, max=high)


def _range(node: Node) -> tuple[float, float]:
    if is_a(node, *CLIPS):
        return node.params["min"], node.params["max"]
    expect(node.params["slope"] == 0)
    return 0.0, GREATEST
