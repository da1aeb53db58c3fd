"""Borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...ir import Graph, Value
from ...ops.common import need
from ...ops.shapes.crop import crop
from ...ops.shapes.pad import pad
from ...ops.shapes.shape import concat
from ...sizes import is_open, most
from ..blobs import around, sample, stored
from ..layout import MOST_DIMS, Tensor, tensor
from ..registry import Call, on_tensors
from .parts import part

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
_SIDES = (("left", "right"), ("top", "bottom"), ("front", "behind"))
Borders = Sequence[tuple[int, int]]
LARGEST = float(torch.finfo(torch.float32).max)


@on_tensors("aten.pad")
def _pad(g: Graph, node: Call, x: Tensor, sides: Sequence[int], mode: str, value: Any) -> Tensor:
    return padded(g, x, sides, mode, 0.0 if value is None else float(value))


@on_tensors("aten.constant_pad_nd")
def _constant(g: Graph, node: Call, x: Tensor, sides: Sequence[int], value: Any) -> Tensor:
    return padded(g, x, sides, "constant", float(value))


@on_tensors(*(f"aten.reflection_pad{n}d" for n in (1, 2, 3)))
def _reflect(g: Graph, node: Call, x: Tensor, sides: Sequence[int]) -> Tensor:
    return padded(g, x, sides, "reflect")


@on_tensors(*(f"aten.replication_pad{n}d" for n in (1, 2, 3)))
def _replicate(g: Graph, node: Call, x: Tensor, sides: Sequence[int]) -> Tensor:
    return padded(g, x, sides, "replicate")


def padded(g: Graph, x: Tensor, sides: Sequence[int], mode: str, value: float = 0.0) -> Tensor:
    """torch's F.pad: sides (before, after) of the last axis, of the one in front of it, and so on."""
    value = max(
        -LARGEST, min(value, LARGEST)
    )  # below all numbers, as a maximum behind it has it: files say no infinity
    if is_open(sides):
        return _open(g, x, sides, mode, value)
    pairs = [(int(a), int(b)) for a, b in zip(sides[::2], sides[1::2], strict=True)]
    borders = [*[(0, 0)] * (x.rank - len(pairs)), *reversed(pairs)]
    if not any(a or b for a, b in borders):
        return x
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, borders, strict=True))
    need(all(n > 0 for n in shape), "nothing is left", argument="pad", got=list(sides))
    if mode in _MODES:
        batch = x.rank > 1 and borders[0] == (0, 0) and x.shape[0] in (1, x.n)
        inner, around_inner = (x.shape[1:], borders[1:]) if batch else (x.shape, borders)
        if _in_one(inner, around_inner):
            of = sample(g, x, x.rank - 1) if batch else stored(g, x, inner)
            return tensor(_layer(g, of, around_inner, mode, value), shape, x.dtype, x.n if batch else 1)
    need(mode in (*_MODES, "circular"), "unknown mode", argument="mode", expected=[*_MODES, "circular"], got=mode)
    for axis, (before, after) in enumerate(borders):
        if before or after:
            x = _along(g, x, axis, before, after, mode, value)
    return x


def _open(g: Graph, x: Tensor, sides: Sequence[int], mode: str, value: float) -> Tensor:
    """Borders that follow an open size: the widest that they can be, and what is too much cropped."""
    widest = [most(n) for n in sides]
    bounded, got = None not in widest, list(sides)
    need(bounded, "a border without a largest", argument="pad", expected="as (8 - h % 8) % 8", got=got)
    wide = [n or 0 for n in widest]
    y = padded(g, x, wide, mode, value)
    for i in range(len(sides) // 2):
        axis, (before, after) = x.rank - 1 - i, (wide[2 * i] - sides[2 * i], wide[2 * i + 1] - sides[2 * i + 1])
        y = part(g, y, axis, before, y.shape[axis] - after)
    return y


def _in_one(shape: Sequence[int], borders: Borders) -> bool:
    """Whether one layer does it: ncnn has no border along the channels of a volume."""
    return len(shape) < MOST_DIMS or (len(shape) == MOST_DIMS and borders[0] == (0, 0))


def _layer(g: Graph, x: Value, borders: Borders, mode: str, value: float) -> Value:
    named: dict[str, int] = {}
    for (first, last), (before, after) in zip(_SIDES, reversed(borders), strict=False):
        named |= {first: before, last: after}
    return pad(g, x, **named, value=value, mode=_MODES[mode])[0]


def _along(g: Graph, x: Tensor, axis: int, before: int, after: int, mode: str, value: float) -> Tensor:
    """The border of one axis, the others joined in front of it and behind."""
    blob, at = around(g, x, axis)
    if mode == "circular":
        y = _wrapped(g, blob, at, before, after)
    else:
        borders = [(before, after) if i == at else (0, 0) for i in range(len(blob.shape))]
        y = _layer(g, blob, borders, mode, value)
    return tensor(y, (*x.shape[:axis], x.shape[axis] + before + after, *x.shape[axis + 1 :]), x.dtype)


def _wrapped(g: Graph, x: Value, axis: int, before: int, after: int) -> Value:
    """The end of an axis in front of it, and its beginning behind; what a negative border crops is not there then."""
    x = _part(g, x, axis, max(0, -before), x.shape[axis] + min(0, after))
    n = x.shape[axis]
    fits = max(before, after) <= n
    need(fits, "a border wider than the axis", argument="pad", expected=f"<= {n}", got=(before, after))
    parts = [x]
    if before > 0:
        parts.insert(0, _part(g, x, axis, n - before, n))
    if after > 0:
        parts.append(_part(g, x, axis, 0, after))
    return parts[0] if len(parts) == 1 else concat(g, parts, axis + 1)[0]


def _part(g: Graph, x: Value, axis: int, begin: int, end: int) -> Value:
    return x if (begin, end) == (0, x.shape[axis]) else crop(g, x, (begin,), (end,), (axis,))[0]
