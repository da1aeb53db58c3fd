"""Make one layer of a norm of rows that is written as arithmetic, and let it scale.

before:  y = x * rsqrt(Reduction(x, sum of squares, last axis, 1 / n) + eps)     or x / sqrt(...), or a power
after:   y = RMSNorm(x, eps)      a clamp of the base of a power, below eps, does nothing
before:  d = x - Reduction(x, mean, last axis); y = RMSNorm(d, eps)
after:   y = LayerNorm(x, eps)
before:  y = RMSNorm(x) * g;  y = LayerNorm(x) * g + b     numbers, or one for each of a row
after:   y = RMSNorm(x, gamma=g);  y = LayerNorm(x, gamma=g, beta=b)

ncnn's layers are x / sqrt(mean of squares + eps) and (x - mean) / sqrt(variance + eps), times gamma, plus beta: exact
up to rounding. Refused: values in between that somebody else reads; another axis than the last, or more of them; a
factor that is not of one number for each of a row; an addend behind RMSNorm, which has none; a vector, of which there
is one row only; rows that follow an input of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Graph, Node, Value
from ..opspec import spec_of
from .affine import ADD, DIV, MUL, SUB
from .fold_scales import channel_affine
from .match import Matcher, rewrite_all
from .raise_norms import LARGEST
from .sum_of_squares import MEAN, SUM_OF_SQUARES

POW = 6
SQRT, RSQRT = 5, 6
"""Operations of UnaryOp."""


def raise_row_norms(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_row_norms")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type == "BinaryOp":
        made = _length(new, node, matcher)
        return _scaled(new, node, matcher) if made is None else made
    return _centred(new, node, matcher) if node.spec.type == "RMSNorm" else None


def _length(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """x * rsqrt(mean of squares + eps)."""
    if len(node.inputs) != 2 or node.params["op"] not in (MUL, DIV):
        return None
    pairs = [node.inputs, node.inputs[::-1]] if node.params["op"] == MUL else [node.inputs]
    for x, factor in pairs:
        if len(x.shape) < 2 or x.open:
            continue
        eps = _root(factor, x, matcher, inverse=node.params["op"] == MUL)
        if eps is not None:
            return append(new, spec_of("RMSNorm"), x, {"affine_size": x.shape[-1], "eps": eps, "affine": 0})
    return None


def _root(value: Value, x: Value, matcher: Matcher, inverse: bool) -> float | None:
    """eps, where the value is the root of the mean of the squares of x's rows and eps; or 1 by it."""
    root = matcher.interior(value, "UnaryOp", "BinaryOp")
    if root is None or len(root.inputs) != 1:
        return None
    if root.spec.type == "UnaryOp":
        fits = root.params["op"] == (RSQRT if inverse else SQRT)
    else:
        exponent = -0.5 if inverse else 0.5
        fits = root.params["op"] == POW and root.params["with_scalar"] and root.params["b"] == exponent
    least, base = -math.inf, root.inputs[0]
    clamp = matcher.interior(base, "Clamp", "Clip")
    if clamp is not None and clamp.params["max"] >= LARGEST:
        least, base = clamp.params["min"], clamp.inputs[0]
    added = matcher.interior(base, "BinaryOp") if fits else None
    if added is None or not added.params["with_scalar"] or added.params["op"] != ADD or not added.params["b"] > 0:
        return None
    if added.params["b"] < least:
        return None
    total = matcher.interior(added.inputs[0], "Reduction")
    if total is None or total.inputs[0] is not x or not _of_rows(total, SUM_OF_SQUARES):
        return None
    return float(added.params["b"]) if math.isclose(total.params["coeff"] * x.shape[-1], 1, rel_tol=1e-6) else None


def _of_rows(node: Node, operation: int) -> bool:
    p, last = node.params, len(node.inputs[0].shape) - 1
    along = not p["reduce_all"] and len(p["axes"]) == 1 and p["axes"][0] in (last, -1)
    return bool(along and p["keepdims"] and p["operation"] == operation)


def _centred(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """RMSNorm of x - mean."""
    centred = matcher.interior(node.inputs[0], "BinaryOp")
    if centred is None or centred.params["op"] != SUB or len(centred.inputs) != 2 or node.params["affine"]:
        return None
    x, below = centred.inputs
    mean = matcher.interior(below, "Reduction")
    if mean is None or mean.inputs[0] is not x or not _of_rows(mean, MEAN) or mean.params["coeff"] != 1:
        return None
    if node.params["affine_size"] != x.shape[-1] or x.open:
        return None
    return append(new, spec_of("LayerNorm"), x, {**node.params, "affine": 0})


def _scaled(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """A norm of rows, with factors and addends behind."""
    found = channel_affine(node)
    norm = None if found is None else matcher.interior(found.x, "RMSNorm", "LayerNorm")
    if found is None or norm is None or len(found.x.shape) < 2:
        return None
    size = found.x.shape[-1]
    spread = np.ndim(found.scale) or np.ndim(found.bias)
    if norm.params["affine_size"] != size or (spread and found.axis != len(found.x.shape) - 1):
        return None
    rms = norm.spec.type == "RMSNorm"
    if rms and np.any(found.bias):
        return None
    gamma = _row(norm.weights.get("gamma", 1.0), size)
    beta = _row(norm.weights.get("beta", 0.0), size)
    weights: dict[str, Any] = {"gamma": gamma * found.scale}
    if not rms:
        weights["beta"] = beta * found.scale + found.bias
    with np.errstate(over="ignore"):
        held = {name: data.astype(np.float32) for name, data in weights.items()}
    if not all(np.isfinite(data).all() for data in held.values()):
        return None
    return append(new, norm.spec, norm.inputs[0], {**norm.params, "affine": 1}, held)


def _row(numbers: Any, size: int) -> Any:
    return np.broadcast_to(np.asarray(numbers, np.float64), (size,))
