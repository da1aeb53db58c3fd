"""Comparisons, choices and logic: truth values are the numbers 0 and 1 in a net."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ...ir import Graph
from ...ops.activations.piecewise import threshold
from ...ops.arithmetic.elementwise import MulConstant
from ...ops.arithmetic.unary import unaryOp
from ...ops.common import need
from ..blobs import as_tensor, elementwise, view
from ..broadcast import arithmetic, expanded, scalar
from ..layout import Shape, Tensor, broadcast
from ..registry import Call, on_tensors
from .reduce import dims_of, negated, reduced

LEAST = float(np.finfo(np.float32).tiny)
"""The least number above zero that is no denormal: ncnn takes those for zero."""
HUGE = 1e30
"""What such a number is added to is this number, unless it is as large as that is."""


def above(g: Graph, x: Tensor, limit: float) -> Tensor:
    """x > limit"""
    return elementwise(x, lambda v: threshold(g, v, limit), torch.bool)


def inverted(g: Graph, x: Tensor) -> Tensor:
    """not x"""
    return elementwise(x, lambda v: MulConstant(g, v, -1.0, 1.0), torch.bool)


def _below(number: float) -> float:
    """The next float32 below a number, so that x >= number is x > this."""
    below = float(np.nextafter(np.float32(number), np.float32(-math.inf)))
    return below if abs(below) >= LEAST else (-LEAST if number <= 0 else 0.0)


def _to_number(g: Graph, op: str, x: Any, number: float) -> Tensor:
    """x op number"""
    if op == "eq" and math.isinf(number):
        return _to_number(g, "ge" if number > 0 else "le", x, number)
    if op == "ne":
        return inverted(g, _to_number(g, "eq", x, number))
    if op == "eq":
        return arithmetic(g, _to_number(g, "ge", x, number), _to_number(g, "le", x, number), "Mul", x.shape, torch.bool)
    if op in ("lt", "le"):
        return _to_number(g, {"lt": "gt", "le": "ge"}[op], negated(g, x), -number)
    return above(g, x, number if op == "gt" else _below(number))


_MIRRORED = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge", "eq": "eq", "ne": "ne"}


def compared(g: Graph, op: str, a: Any, b: Any, shape: Shape) -> Tensor:
    """a op b, of gt, ge, lt, le, eq, ne. A difference decides: NaN is not looked for."""
    a, b = scalar(a), scalar(b)
    if not isinstance(b, (Tensor, torch.Tensor)):
        return _full(g, _to_number(g, op, a, b), shape)
    if not isinstance(a, (Tensor, torch.Tensor)):
        return _full(g, _to_number(g, _MIRRORED[op], b, a), shape)
    need(a is not b, "a tensor compared with itself", argument="other", fix="ncnn cannot look for NaN: leave it out")
    if op in ("lt", "le"):
        return compared(g, _MIRRORED[op], b, a, shape)
    if op == "ge":
        return inverted(g, compared(g, "gt", b, a, shape))
    less = arithmetic(g, a, b, "Sub", shape, torch.float32)
    if op in ("eq", "ne"):
        other = above(g, elementwise(less, lambda v: unaryOp(g, v, "abs")), 0.0)
        return other if op == "ne" else inverted(g, other)
    return above(g, less, 0.0)


def _full(g: Graph, t: Tensor, shape: Shape) -> Tensor:
    return t if t.shape == shape else expanded(g, t, shape)


def _comparison(op: str) -> None:
    on_tensors(f"aten.{op}.Tensor", f"aten.{op}.Scalar")(lambda g, node, a, b: compared(g, op, a, b, node.shape))


for _op in _MIRRORED:
    _comparison(_op)


def truth(g: Graph, x: Any) -> Any:
    """Whether each number is not zero."""
    if isinstance(x, Tensor):
        return x if x.dtype is torch.bool else _to_number(g, "ne", x, 0.0)
    return torch.as_tensor(x).bool()


def _logic(name: str, op: str) -> None:
    def convert(g: Graph, node: Call, a: Any, b: Any) -> Tensor:
        bitwise = name.startswith("bitwise")
        known = [getattr(x, "dtype", torch.bool) is torch.bool for x in (a, b)]
        need(not bitwise or all(known), "bits of numbers", expected="truth values", got="numbers")
        y = arithmetic(g, truth(g, a), truth(g, b), op, node.shape, torch.bool)
        return elementwise(y, lambda v: unaryOp(g, v, "abs")) if op == "Sub" else y

    overloads = [f"aten.{name}.Tensor", f"aten.{name}.Scalar"] if name.startswith("bitwise") else [f"aten.{name}"]
    on_tensors(*overloads)(convert)


for _kind in ("logical", "bitwise"):
    _logic(f"{_kind}_and", "Mul")
    _logic(f"{_kind}_or", "Max")
    _logic(f"{_kind}_xor", "Sub")


@on_tensors("aten.logical_not", "aten.bitwise_not")
def _not(g: Graph, node: Call, x: Tensor) -> Tensor:
    need(node.dtype is torch.bool, "bits of numbers", expected="truth values", got=x.dtype)
    return inverted(g, truth(g, x))


def _whether(name: str, op: str) -> None:
    def convert(g: Graph, node: Call, x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        return view(g, reduced(g, truth(g, x), op, dims_of(x, dim)), node.shape)

    on_tensors(f"aten.{name}")(convert)


_whether("any", "ReduceMax")
_whether("all", "ReduceMin")


def chosen(g: Graph, condition: Any, a: Any, b: Any, shape: Shape, dtype: Any) -> Tensor:
    """torch's where. Numbers that are not chosen are multiplied by zero, so they have to be finite."""
    if isinstance(condition, torch.Tensor):
        return _chosen_by_constant(g, condition, a, b, shape, dtype)
    condition = truth(g, condition)
    parts = [_where(g, mask, x, dtype) for mask, x in ((condition, a), (inverted(g, condition), b))]
    known = [p for p in parts if p is not None]
    if len(known) == 1:
        return _full(g, known[0], shape)
    return arithmetic(g, known[0], known[1], "Add", shape, dtype)


def infinite(g: Graph, mask: Tensor, sign: float) -> Tensor:
    """Infinity where the mask is 1, and 0 elsewhere: squares that overflow, as 1 / 0 is NaN for ncnn's estimate of it.

    They do so in half floats too, into which no factor above 65504 goes.
    """
    y = elementwise(mask, lambda v: MulConstant(g, v, 6e4))
    for _ in range(4):
        y = elementwise(y, lambda v: unaryOp(g, v, "square"))
    return y if sign > 0 else negated(g, y)


def _where(g: Graph, mask: Tensor, x: Any, dtype: Any) -> Tensor | None:
    """x where the mask is 1, and 0 elsewhere; None where that is 0 everywhere."""
    x = scalar(x)
    if isinstance(x, float) and x == 0:
        return None
    if isinstance(x, float) and math.isinf(x):
        return infinite(g, mask, x)
    if isinstance(x, torch.Tensor):
        fix = "Choose numbers, which may be infinite, not a tensor of them"
        need(bool(x.isfinite().all()), "infinite numbers are chosen from", argument="other", fix=fix)
    return arithmetic(g, mask, x, "Mul", _shape_of(mask, x), dtype)


def _shape_of(a: Any, b: Any) -> Shape:
    return broadcast(a.shape, b.shape) if hasattr(b, "shape") else a.shape


def _chosen_by_constant(g: Graph, condition: torch.Tensor, a: Any, b: Any, shape: Shape, dtype: Any) -> Tensor:
    y: Tensor | None = None
    fixed = torch.zeros(1)
    both = [(condition.bool(), a), (~condition.bool(), b)]
    for mask, x in both:
        if not isinstance(x, Tensor):
            fixed = fixed + torch.where(mask, torch.as_tensor(x, dtype=torch.float32), 0.0)
    for mask, x in both:
        if not isinstance(x, Tensor) or not mask.any():
            continue
        # Where a number is added beside which x does not count, x need not be taken away first.
        needed = ~mask & (fixed.abs() < HUGE) if len([1 for _, v in both if isinstance(v, Tensor)]) == 1 else ~mask
        part = arithmetic(g, x, (~needed).float(), "Mul", _shape_of(x, needed), dtype) if needed.any() else x
        y = part if y is None else arithmetic(g, y, part, "Add", shape, dtype)
    if y is None:
        return as_tensor(g, fixed.expand(shape))
    if fixed.any():
        y = arithmetic(g, y, fixed, "Add", shape, dtype)
    return _full(g, y, shape)


@on_tensors("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther", "aten.where.Scalar")
def _choose(g: Graph, node: Call, condition: Any, a: Any, b: Any) -> Tensor:
    return chosen(g, condition, a, b, node.shape, node.dtype)


@on_tensors("aten.masked_fill")
def _masked_fill(g: Graph, node: Call, x: Any, mask: Any, value: Any) -> Tensor:
    return chosen(g, mask, value, x, node.shape, node.dtype)


@on_tensors("aten.clamp.Tensor", "aten.clamp_min.Tensor", "aten.clamp_max.Tensor")
def _clamp(g: Graph, node: Call, x: Any, low: Any, high: Any = None) -> Any:
    if node.operator == "aten.clamp_max.Tensor":
        low, high = None, low
    for limit, op in ((low, "Max"), (high, "Min")):
        if limit is not None:
            x = arithmetic(g, x, limit, op, _shape_of(x, limit), node.dtype)
    return x


@on_tensors("aten.tril", "aten.triu")
def _triangle(g: Graph, node: Call, x: Tensor, diagonal: int) -> Tensor:
    corner = torch.tril if node.operator.startswith("aten.tril") else torch.triu
    mask = corner(torch.ones(x.shape[-2:]), diagonal)
    return arithmetic(g, x, mask, "Mul", x.shape, x.dtype)


def whole(g: Graph, x: Tensor, dtype: Any) -> Tensor:
    """A cast to whole numbers: towards zero."""
    return elementwise(x, lambda v: unaryOp(g, v, "trunc"), dtype)
