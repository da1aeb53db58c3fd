"""Make one layer of a norm of rows that is written as arithmetic, and let it scale.

before:  y = x * rsqrt(Reduction(x, sum of squares, last axis, 1 / n) + eps)     or x / sqrt(...), or a power
after:   y = RMSNorm(x, eps)      a clamp of the base of a power, below eps, does nothing
before:  d = x - Reduction(x, mean, last axis); y = RMSNorm(d, eps)
after:   y = LayerNorm(x, eps)
before:  y = RMSNorm(x) * g;  y = LayerNorm(x) * g + b     numbers, or one for each of a row
after:   y = RMSNorm(x, gamma=g);  y = LayerNorm(x, gamma=g, beta=b)

ncnn's layers are x / sqrt(mean of squares + eps) and (x - mean) / sqrt(variance + eps), times gamma, plus beta: exact
up to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir import Node, Value
from ..ops.enums import Binary, Reduce, Unary
from ..ops.layers import BinaryOp, Clamp, Clip, LayerNorm, Reduction, RMSNorm, UnaryOp
from .affine import orders, with_number
from .fold_scales import channel_affine
from .match import Matcher, NoMatch, expect, is_a, need
from .raise_norms import LARGEST
from .rules import Made, Rules

raise_row_norms = Rules("raise_row_norms")


@raise_row_norms.on(BinaryOp)
def _length(m: Matcher, node: Node) -> Made:
    """x * rsqrt(mean of squares + eps)."""
    reason = ""
    for op in (Binary.Mul, Binary.Div):
        for x, factor in orders(node, op):
            try:
                eps = _root(m, factor, x, inverse=op == Binary.Mul)
                need(len(x.shape) > 1 and not x.others, "a vector, or rows that follow an input of any shape")
                return m.make(RMSNorm, x, affine_size=x.shape[-1], eps=eps, affine=0)
            except NoMatch as why:
                reason = reason or str(why)
    need(not reason, reason)
    return None


def _root(m: Matcher, value: Value, x: Value, inverse: bool) -> float:
    """eps, where the value is the root of the mean of the squares of x's rows and eps; or 1 by it."""
    root = m.maybe(value, UnaryOp, BinaryOp)
    if root is None or len(root.inputs) != 1:
        raise NoMatch
    p = root.params
    if is_a(root, UnaryOp):
        expect(p["op"] == (Unary.rsqrt if inverse else Unary.sqrt))
    else:
        expect(p["op"] == Binary.Pow and p["with_scalar"] and p["b"] == (-0.5 if inverse else 0.5))
    least, base = -math.inf, root.inputs[0]
    clamp = m.maybe(base, Clamp, Clip)
    if clamp is not None and clamp.params["max"] >= LARGEST:
        least, base = clamp.params["min"], clamp.inputs[0]
    squares, eps = with_number(m, base, Binary.Add)
    total = m.maker(squares, Reduction)
    expect(total.inputs[0] is x)
    need(eps > 0 and eps >= least, "an epsilon that is not positive, or below a limit")
    _need_rows(total, Reduce.SumSquare)
    mean = math.isclose(total.params["coeff"] * x.shape[-1], 1, rel_tol=1e-6)
    need(mean, "another factor than of a mean")
    return eps


def _need_rows(node: Node, operation: Reduce) -> None:
    p, last = node.params, len(node.inputs[0].shape) - 1
    along = not p["reduce_all"] and len(p["axes"]) == 1 and p["axes"][0] in (last, -1)
    need(along and p["keepdims"] and p["operation"] == operation, f"another reduction than {operation.name} of rows")


@raise_row_norms.on(RMSNorm)
def _centred(m: Matcher, norm: Node) -> Made:
    """RMSNorm of x - mean."""
    centred = m.maker(norm.inputs[0], BinaryOp)
    expect(centred.params["op"] == Binary.Sub and len(centred.inputs) == 2)
    x, below = centred.inputs
    mean = m.maker(below, Reduction)
    expect(mean.inputs[0] is x)
    _need_rows(mean, Reduce.Mean)
    need(mean.params["coeff"] == 1 and not norm.params["affine"], "a factor")
    need(norm.params["affine_size"] == x.shape[-1] and not x.others, "rows that follow an input of any shape, or parts")
    return m.make(LayerNorm, x, **{**norm.params, "affine": 0})


@raise_row_norms.on(BinaryOp)
def _scaled(m: Matcher, node: Node) -> Made:
    """A norm of rows, with factors and addends behind."""
    found = channel_affine(node)
    if found is None:
        return None
    norm = m.maker(found.x, RMSNorm, LayerNorm)
    size, last = found.x.shape[-1], len(found.x.shape) - 1
    spread = np.ndim(found.scale) or np.ndim(found.bias)
    need(last > 0 and norm.params["affine_size"] == size, "a norm of more, or less, than rows")
    need(not spread or found.axis == last, "factors along another axis than the rows")
    rms = is_a(norm, RMSNorm)
    need(not rms or not np.any(found.bias), "an addend, which RMSNorm has not")
    weights: dict[str, Any] = {"gamma": _row(norm.weights.get("gamma", 1.0), size) * found.scale}
    if not rms:
        weights["beta"] = _row(norm.weights.get("beta", 0.0), size) * found.scale + found.bias
    with np.errstate(over="ignore"):
        held = {name: data.astype(np.float32) for name, data in weights.items()}
    need(all(np.isfinite(data).all() for data in held.values()), "a weight that is no float32")
    return m.again(norm, weights=held, affine=1)


def _row(numbers: Any, size: int) -> Any:
    return np.broadcast_to(np.asarray(numbers, np.float64), (size,))
