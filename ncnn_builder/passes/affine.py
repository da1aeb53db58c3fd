"""Layers that compute scale * x + bias with numbers: their one description, and the layers that such numbers become."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..builder import append
from ..ir import Graph, Node, Value
from ..opspec import spec_of

ADD, SUB, MUL, DIV, RSUB = 0, 1, 2, 3, 7
_GREATEST = float(np.finfo(np.float32).max)
_LEAST = float(np.finfo(np.float32).tiny)


def affine(node: Node | None) -> tuple[float, float] | None:
    """(scale, bias) of a MulConstant, or of a BinaryOp with a number; None for any other node."""
    if node is None:
        return None
    p = node.params
    if node.spec.type == "MulConstant":
        return p["scale"], p["bias"]
    if node.spec.type != "BinaryOp" or not p["with_scalar"]:
        return None
    b = p["b"]
    table = {ADD: (1.0, b), SUB: (1.0, -b), MUL: (b, 0.0), RSUB: (-1.0, b)}
    if p["op"] == DIV and representable(b) and representable(1 / b):
        return 1 / b, 0.0
    return table.get(p["op"])


def scale_of(node: Node | None) -> float | None:
    """The factor of a node that multiplies by a number, not 0, and adds nothing."""
    found = affine(node)
    return found[0] if found is not None and found[1] == 0 and representable(found[0]) else None


def representable(*numbers: float) -> bool:
    """Whether each is a normal float32: a product that leaves them is not the product of the two rounded ones."""
    return all(math.isfinite(n) and _LEAST <= abs(n) <= _GREATEST for n in numbers)


def scalar_op(g: Graph, x: Value, op: int, b: float) -> Sequence[Value]:
    """A BinaryOp with a number."""
    return append(g, spec_of("BinaryOp"), x, {"op": op, "with_scalar": 1, "b": b})
