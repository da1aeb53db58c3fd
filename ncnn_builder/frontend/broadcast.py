"""Two tensors element by element: torch's broadcasting in at most four dimensions, in the order that costs least."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..ir import Graph, Value
from ..ops.arithmetic.binary import binaryOp
from .axes import grouped, of_marked
from .blobs import constant, in_order, reshaped, unbatched, view
from .layout import MOST_DIMS, Shape, Tensor
from .repeat import repeated

REVERSED = {"Sub": "RSub", "Div": "RDiv", "Pow": "RPow", "Atan2": "RAtan2", "FMod": "RFMod"}
"""ncnn's operation for a number and a Value, where it is not the one for a Value and a number."""


def arithmetic(g: Graph, a: Any, b: Any, op: str, shape: Shape, dtype: Any) -> Tensor:
    """binaryOp() of two of Tensor, constant torch.Tensor and number, of which one at least is a Tensor.

    shape, dtype: torch's, of the result.
    """
    a, b = scalar(a), scalar(b)
    if not isinstance(b, (Tensor, torch.Tensor)):
        assert isinstance(a, Tensor)
        return filled(g, a.on(binaryOp(g, [a.value, b], op)[0], dtype), shape)
    if not isinstance(a, (Tensor, torch.Tensor)):
        assert isinstance(b, Tensor)
        return filled(g, b.on(binaryOp(g, [b.value, a], REVERSED.get(op, op))[0], dtype), shape)
    return together(g, a, b, lambda x, y: binaryOp(g, [x, y], op)[0], shape, dtype)


def scalar(x: Any) -> Any:
    """A constant of one number as that number."""
    if isinstance(x, torch.Tensor) and x.numel() == 1:
        return float(x.item())
    return float(x) if isinstance(x, (bool, int)) else x


def filled(g: Graph, t: Tensor, shape: Shape) -> Tensor:
    """The tensor with axes of 1 in front, as broadcasting with a constant of one number may add them."""
    return t if t.shape == shape else view(g, t, shape)


@dataclass(frozen=True)
class _Part:
    """A piece of the result, in the order in which it is stored: its size, and which operand has it."""

    size: int
    left: bool
    right: bool


def together(g: Graph, a: Any, b: Any, layer: Callable[[Value, Value], Value], shape: Shape, dtype: Any) -> Tensor:
    """What a layer that broadcasts as numpy does, between equal ranks, makes of two Tensors or constants."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.base == b.base and a.axes == b.axes and a.n == b.n:
            x, y = a.value, _without_tile(g, b.value, a.value)
            y = reshaped(g, b.value, x.shape) if y is None else y
            plain = _without_tile(g, x, y) if y.shape == x.shape else None
            return a.on(layer(x if plain is None else plain, y), dtype)
        a, b = in_order(g, a), in_order(g, b)
    # In the order of the operand that has every axis; of two that lack some, in torch's.
    leader = next((x for x in (a, b) if isinstance(x, Tensor) and x.shape == shape), None)
    if leader is None:
        a, b = (in_order(g, unbatched(g, x)) if isinstance(x, Tensor) else x for x in (a, b))
        base: Sequence[int] = [n for n in shape if n != 1]
        axes = tensor_axes(shape)
    else:
        base, axes = leader.base, leader.axes
    has = [_axes_of(x, shape) for x in (a, b)]
    parts = [_Part(n, True, True) for n in base]
    for axis, left, right in zip(axes, *has, strict=True):
        for f in axis:
            parts[f] = _Part(base[f], left, right)
    n = leader.n if leader is not None else 1
    if not _one_batch(parts, (a, b), leader):
        a, b = (unbatched(g, x) if isinstance(x, Tensor) else x for x in (a, b))
        n = 1
    parts = parts[leader.samples if leader is not None and n > 1 else 0 :]
    dims, kept = _dims(parts, [x.value.shape for x in (a, b) if isinstance(x, Tensor)])
    if len(dims) > MOST_DIMS:
        return _too_many(g, a, b, layer, shape, dtype)
    values = []
    for x, which in ((a, 0), (b, 1)):
        mine = [n if held[which] else 1 for n, held in zip(dims, kept, strict=True)]
        if isinstance(x, Tensor):
            values.append(reshaped(g, x.value, mine))
        else:
            values.append(constant(g, _arranged(x, base, axes, has[which]), mine))
    return Tensor(layer(*values), tuple(base), tuple(axes), dtype, n)


def _without_tile(g: Graph, value: Value, like: Value) -> Value | None:
    """What was repeated to a blob as large as another, with dimensions that broadcast to the other's; None if nothing
    was, or more than one number along an axis."""
    node = value.producer
    if node is None or node.spec.type != "Tile":
        return None
    (source,), repeats = node.inputs, node.params["repeats"]
    if len(repeats) != len(source.shape) or any(
        n > 1 and size > 1 for n, size in zip(repeats, source.shape, strict=True)
    ):
        return None
    at = of_marked(like.shape, grouped(value.shape, [n > 1 for n in repeats]))
    return None if at is None else reshaped(g, source, [1 if i in at else n for i, n in enumerate(like.shape)])


def _one_batch(parts: list[_Part], operands: Sequence[Any], leader: Tensor | None) -> bool:
    """Whether the operands can stay in ncnn's batch as they are: one that has its axes is in it, the other is not."""
    if leader is None:
        return all(not isinstance(x, Tensor) or x.n == 1 for x in operands)
    outer = parts[: leader.samples]
    for x, held in zip(operands, zip(*((p.left, p.right) for p in outer), strict=True), strict=True) if outer else ():
        if not (x.n == leader.n if all(held) else not any(held)) if isinstance(x, Tensor) else any(held):
            return False
    return bool(outer) or all(not isinstance(x, Tensor) or x.n == 1 for x in operands)


def tensor_axes(shape: Shape) -> tuple[tuple[int, ...], ...]:
    count = itertools.count()
    return tuple(() if n == 1 else (next(count),) for n in shape)


def _axes_of(x: Any, shape: Shape) -> list[bool]:
    """Which of the result's axes an operand has."""
    own = (1,) * (len(shape) - len(x.shape)) + tuple(x.shape)
    return [n == m for n, m in zip(own, shape, strict=True)]


def _dims(parts: list[_Part], seen: list[Shape]) -> tuple[list[int], list[tuple[bool, bool]]]:
    """Dimensions of the result, and which operand has each: a shape that is there already, or as few as can be."""
    groups: list[list[_Part]] = []
    for part in parts:
        if groups and (groups[-1][-1].left, groups[-1][-1].right) == (part.left, part.right):
            groups[-1].append(part)
        else:
            groups.append([part])
    sizes = [math.prod(p.size for p in group) for group in groups] or [1]
    kinds = [(group[0].left, group[0].right) for group in groups] or [(True, True)]
    ends = list(itertools.accumulate(sizes, lambda x, y: x * y))
    for shape in seen:
        borders = list(itertools.accumulate(shape, lambda x, y: x * y))
        if math.prod(shape) == ends[-1] and set(ends) <= set(borders):
            return list(shape), [kinds[next(i for i, end in enumerate(ends) if border <= end)] for border in borders]
    return sizes, kinds


def _arranged(data: torch.Tensor, base: Sequence[int], axes: Sequence[Sequence[int]], has: list[bool]) -> Any:
    """A constant in the order in which the result is stored: one axis per factor, those that it lacks of size 1."""
    order = [f for axis in axes for f in axis]
    sizes = [base[f] if held else 1 for axis, held in zip(axes, has, strict=True) for f in axis]
    back = sorted(range(len(order)), key=order.__getitem__)
    return data.reshape(sizes).permute(back) if order else data.reshape(1)


def _too_many(g: Graph, a: Any, b: Any, layer: Callable[[Value, Value], Value], shape: Shape, dtype: Any) -> Tensor:
    """More than four pieces: the smaller operand is filled up first."""
    if isinstance(b, torch.Tensor):
        return together(g, a, b.expand(shape), layer, shape, dtype)
    if isinstance(a, torch.Tensor):
        return together(g, a.expand(shape), b, layer, shape, dtype)
    a, b = expanded(g, a, shape), expanded(g, b, shape)
    return together(g, in_order(g, a), in_order(g, b), layer, shape, dtype)


def expanded(g: Graph, t: Tensor, shape: Shape) -> Tensor:
    """torch's expand."""
    t = view(g, t, (1,) * (len(shape) - t.rank) + t.shape)
    return repeated(g, t, [n // own for n, own in zip(shape, t.shape, strict=True)])
