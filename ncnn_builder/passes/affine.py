"""Layers that compute scale * x + bias with numbers: their one description, and the layers that such numbers become."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..ir import Array, Node, Value
from ..ops.enums import Binary
from ..ops.layers import BinaryOp, MulConstantSpec
from .match import Matcher, expect, is_a

GREATEST = float(np.finfo(np.float32).max)
_LEAST = float(np.finfo(np.float32).tiny)


def affine(node: Node | None) -> tuple[float, float] | None:
    """(scale, bias) of a MulConstant, or of a BinaryOp with a number; None for any other node."""
    if node is None:
        return None
    p = node.params
    if is_a(node, MulConstantSpec):
        return p["scale"], p["bias"]
    if not is_a(node, BinaryOp) or not p["with_scalar"]:
        return None
    b = p["b"]
    table = {Binary.Add: (1.0, b), Binary.Sub: (1.0, -b), Binary.Mul: (b, 0.0), Binary.RSub: (-1.0, b)}
    if p["op"] == Binary.Div and representable(b) and representable(1 / b):
        return 1 / b, 0.0
    return table.get(p["op"])


def scale_of(node: Node | None) -> float | None:
    """The factor of a node that multiplies by a number, not 0, and adds nothing."""
    found = affine(node)
    return found[0] if found is not None and found[1] == 0 and representable(found[0]) else None


def representable(*numbers: float) -> bool:
    """Whether each is a normal float32: a product that leaves them is not the product of the two rounded ones."""
    return all(math.isfinite(n) and _LEAST <= abs(n) <= GREATEST for n in numbers)


def scalar_op(m: Matcher, x: Value, op: Binary, b: float) -> Sequence[Value]:
    """A BinaryOp with a number."""
    return m.make(BinaryOp, x, op=op, with_scalar=1, b=b)


def with_number(m: Matcher, value: Value, op: Binary) -> tuple[Value, float]:
    """(a, b) where the value is a op b, of a number b. Raises NoMatch and Refused as Matcher.maker()."""
    node = m.maker(value, BinaryOp)
    expect(node.params["op"] == op and node.params["with_scalar"])
    return node.inputs[0], float(node.params["b"])


def orders(node: Node, op: Binary) -> list[tuple[Value, Value]]:
    """The operands of a BinaryOp of two that does this, one way and, where it is the same, the other way round."""
    if not is_a(node, BinaryOp) or len(node.inputs) != 2 or node.params["op"] != op:
        return []
    a, b = node.inputs
    return [(a, b), (b, a)] if op in (Binary.Add, Binary.Mul) else [(a, b)]


def added_per_channel(node: Node) -> tuple[Value, Array] | None:
    """(x, b) where a BinaryOp adds a constant for each channel of x."""
    for x, b in orders(node, Binary.Add):
        if b.data is not None and x.shape == node.outputs[0].shape and b.shape == (x.shape[0], 1, 1):
            return x, b.data.reshape(-1)
    return None
