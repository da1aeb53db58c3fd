"""Quotients of whole numbers, and what is left over: exact where a, b and their quotient are whole and below 2**24.

ncnn divides by an estimate of 1 / b, so that the floor of 7 / 7 may be 0, and its own FloorDivide, FMod and Remainder
are no better. So the nearest whole number is taken, which no estimate misses but half-way between two, and mended by
the sign of what is left over: a - b * nearest.
"""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph
from ...ops.arithmetic.unary import unaryOp
from ..blobs import elementwise
from ..broadcast import arithmetic
from ..layout import Tensor, broadcast
from ..registry import Call, on_tensors
from .reduce import negated
from .truth import above


class _Division:
    """a / b to a whole number by "floor" or "trunc", and what is left over."""

    def __init__(self, g: Graph, node: Call, a: Any, b: Any, how: str) -> None:
        self.g, self.node, self.b = g, node, b
        self.nearest = self._by("round", self._two(a, b, "Div"))
        self.left = self._two(a, self._two(self.nearest, b, "Mul"), "Sub")
        # Floor goes below where what is left has not the sign of b, trunc towards zero where it has not that of a.
        self.sign = self._by("sign", b if how == "floor" else a)
        against = negated(g, self._two(self.left, self.sign, "Mul"))
        self.beyond = above(g, against, 0.0)
        self.how = how

    def quotient(self) -> Any:
        if self.how == "floor":
            return self._two(self.nearest, self.beyond, "Sub")
        steps = self._two(self._two(self.beyond, self.sign, "Mul"), self._by("sign", self.b), "Mul")
        return self._two(self.nearest, steps, "Sub")

    def rest(self) -> Any:
        step = self.b if self.how == "floor" else self._two(self._by("abs", self.b), self.sign, "Mul")
        return self._two(self.left, self._two(self.beyond, step, "Mul"), "Add")

    def _by(self, function: str, x: Any) -> Any:
        if isinstance(x, Tensor):
            return elementwise(x, lambda v: unaryOp(self.g, v, function))
        return getattr(torch.as_tensor(x, dtype=torch.float32), function)()

    def _two(self, a: Any, b: Any, op: str) -> Any:
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            return a * b
        shapes = [tuple(getattr(x, "shape", ())) for x in (a, b)]
        return arithmetic(self.g, a, b, op, broadcast(*shapes), self.node.dtype)


@on_tensors("aten.floor_divide")
def _floor_divide(g: Graph, node: Call, a: Any, b: Any) -> Any:
    return _Division(g, node, a, b, "floor").quotient()


@on_tensors("aten.div.Tensor_mode", "aten.div.Scalar_mode")
def _divide(g: Graph, node: Call, a: Any, b: Any, rounding_mode: str | None) -> Any:
    if rounding_mode is None:
        return arithmetic(g, a, b, "Div", node.shape, node.dtype)
    return _Division(g, node, a, b, rounding_mode).quotient()


@on_tensors("aten.remainder")
def _remainder(g: Graph, node: Call, a: Any, b: Any) -> Any:
    return _Division(g, node, a, b, "floor").rest()


@on_tensors("aten.fmod")
def _fmod(g: Graph, node: Call, a: Any, b: Any) -> Any:
    return _Division(g, node, a, b, "trunc").rest()
