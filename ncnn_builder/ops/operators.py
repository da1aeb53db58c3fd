"""What the operators of Values mean: the DSL's functions, on the graph of the Value."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

from ..builder import one
from ..ir import Graph, Value, define_operators
from ..opspec import located
from . import elementwise
from .binary import binaryOp
from .channelwise import matmul
from .common import need
from .dims import squeeze
from .shape import crop


def _operand(other: Any) -> Any:
    """A Value, a list of one, or a number: of Python, numpy or torch."""
    if isinstance(other, (Value, list, tuple)):
        return one(other)
    number = isinstance(other, numbers.Real) or getattr(other, "ndim", None) == 0
    need(
        number,
        "no operand",
        expected="a Value or a number",
        got=f"{type(other).__name__} {list(getattr(other, 'shape', []))}".removesuffix(" []"),
        fix="memorydata() makes a Value of an array",
    )
    return other


def _binary(op: str) -> Callable[[Graph, Value, Any], Value]:
    def operate(g: Graph, value: Value, other: Any) -> Value:
        return binaryOp(g, [value, _operand(other)], op)[0]

    return operate


def _neg(g: Graph, value: Value) -> Value:
    return binaryOp(g, [value, -1.0], "Mul")[0]


def _abs(g: Graph, value: Value) -> Value:
    return elementwise.abs(g, value)[0]


def _matmul(g: Graph, value: Value, other: Any) -> Value:
    need(isinstance(other, (Value, list, tuple)), "no matrix", expected="a Value", got=type(other).__name__)
    return matmul(g, [value, one(other)])[0]


def _getitem(g: Graph, value: Value, key: Any) -> Value:
    """value[2:5], value[:, 1], value[..., -3:]: dimensions without the batch, as numpy has it; steps of 1 only."""
    keys, rank = list(key) if isinstance(key, tuple) else [key], len(value.shape)
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (rank - len(keys) + 1)
    need(len(keys) <= rank, "too many indices", expected=f"{rank} at most for {list(value.shape)}", got=len(keys))
    starts, ends, axes, gone = [], [], [], []
    for axis, (k, n) in enumerate(zip(keys, value.shape, strict=False)):
        if isinstance(k, slice):
            need(k.step in (None, 1), "a slice with a step", expected="start:end", got=f"step {k.step}")
            first, end, _ = k.indices(n)
            need(first < end, "nothing is left of an axis", expected=f"part of {n}", got=f"{k.start}:{k.stop}")
        else:
            whole = isinstance(k, numbers.Integral) and not isinstance(k, bool)
            need(whole, "bad index", expected="a slice, a whole number or ...", got=repr(k))
            first = int(k) + n if k < 0 else int(k)
            need(0 <= first < n, "an index out of range", expected=f"-{n} to {n - 1}", got=int(k))
            end = first + 1
            gone.append(axis)
        if (first, end) != (0, n):
            starts.append(first)
            ends.append(end)
            axes.append(axis)
    y = crop(g, value, starts, ends, axes)[0] if axes else value
    return squeeze(g, y, [a + 1 for a in gone])[0] if gone else y


define_operators(
    {
        **{
            name: located(_binary(op), f"operator {sign}")
            for name, op, sign in (
                ("add", "Add", "+"),
                ("sub", "Sub", "-"),
                ("rsub", "RSub", "-"),
                ("mul", "Mul", "*"),
                ("div", "Div", "/"),
                ("rdiv", "RDiv", "/"),
                ("pow", "Pow", "**"),
                ("rpow", "RPow", "**"),
            )
        },
        "neg": located(_neg, "operator -"),
        "abs": located(_abs, "operator abs"),
        "matmul": located(_matmul, "operator @"),
        "getitem": located(_getitem, "operator []"),
    }
)
