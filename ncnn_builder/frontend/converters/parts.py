"""Parts of tensors, and tensors joined: slices, splits, concatenations, and writes into a part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...ir import Graph
from ...open_shapes import lesser
from ...ops.pools.pool_windows import pool_windows
from ...ops.shapes.crop import crop
from ...ops.shapes.orders import flip
from ...ops.shapes.shape import concat
from ...ops.shapes.slices import copyto, slice
from ...sizes import is_open
from ..axes import along, along_all
from ..blobs import as_tensor, view
from ..layout import Tensor, axis_of
from ..registry import Call, on_tensors


def part(g: Graph, x: Tensor, dim: int, begin: int, end: int) -> Tensor:
    """x[begin:end] along an axis."""
    if (begin, end) == (0, x.shape[dim]):
        return x
    a = along(g, x, dim, parts=True)
    return a.made(crop(g, a.value, (begin * a.step,), (end * a.step,), (a.at,))[0], end - begin)


def every(g: Graph, x: Tensor, dim: int, begin: int, count: int, step: int) -> Tensor:
    """`count` numbers along an axis, from `begin` on, each `step` behind the last: as a column of rows of `step`."""
    if step == 1 or count == 1:
        return part(g, x, dim, begin, begin + count)
    if x.n == 1 and len(x.value.shape) == 3:
        a = along(g, x, dim)
        if a.value is x.value and a.at > 0:
            return _windows(g, part(g, x, dim, begin, begin + (count - 1) * step + 1), dim, count, step)
    size = x.shape[dim]
    first = min(begin, size - count * step)  # where the rows begin: not behind the column
    if first < 0 or begin - first >= step:
        # No room for the rest of the last row: the last number is taken by itself.
        most = every(g, x, dim, begin, count - 1, step)
        last = begin + (count - 1) * step
        return joined(g, [most, part(g, x, dim, last, last + 1)], dim)
    x = part(g, x, dim, first, first + count * step)
    rows = view(g, x, (*x.shape[:dim], count, step, *x.shape[dim + 1 :]))
    column = part(g, rows, dim + 1, begin - first, begin - first + 1)
    return view(g, column, (*x.shape[:dim], count, *x.shape[dim + 1 :]))


def _windows(g: Graph, x: Tensor, dim: int, count: int, step: int) -> Tensor:
    """The same along a picture's height or width: the largest number of windows of one pixel."""
    a = along(g, x, dim)
    stride = (step, 1) if a.at == 1 else (1, step)
    return a.made(pool_windows(g, a.value, (1, 1), stride, (0, 0)), count)


def joined(g: Graph, tensors: Sequence[Tensor], dim: int) -> Tensor:
    """torch's cat."""
    if len(tensors) == 1:
        return tensors[0]
    parts = along_all(g, tensors, dim, parts=True)
    value = concat(g, [p.value for p in parts], parts[0].at + 1)[0]
    return parts[0].made(value, sum(t.shape[dim] for t in tensors))


def pieces(g: Graph, x: Tensor, dim: int, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """x cut along an axis."""
    if len(sizes) == 1:
        return (x,)
    a = along(g, x, dim, parts=True)
    values = slice(g, a.value, [n * a.step for n in sizes], a.at + 1)
    return tuple(a.made(value, size) for value, size in zip(values, sizes, strict=True))


def reversed_along(g: Graph, x: Tensor, dims: Sequence[int]) -> Tensor:
    """torch's flip."""
    for dim in dims:
        if x.shape[dim] != 1:
            a = along(g, x, dim)
            x = a.made(flip(g, a.value, [a.at + 1])[0])
    return x


@on_tensors("aten.select.int", "aten.select_copy")
def _select(g: Graph, node: Call, x: Tensor, dim: int, index: int) -> Tensor:
    dim = axis_of(x, dim)
    index += x.shape[dim] if index < 0 else 0
    return view(g, part(g, x, dim, index, index + 1), node.shape)


@on_tensors("aten.slice.Tensor", "aten.slice_copy")
def _slice(g: Graph, node: Call, x: Tensor, dim: int, start: int | None, end: int | None, step: int) -> Tensor:
    dim = axis_of(x, dim)
    if not is_open((x.shape[dim], start or 0, end or 0)):
        places = range(x.shape[dim])[start:end:step]
        return every(g, x, dim, places.start, len(places), step)
    begin, to = (_clamped(n, x.shape[dim]) for n in (start or 0, _ALL if end is None else end))
    return every(g, x, dim, begin, (to - begin + step - 1) // step, step)


_ALL = 1 << 31
"""An end that torch writes for the end of any axis."""


def _clamped(n: int, size: int) -> int:
    """Where a place that may count from the end, or lie behind it, is on an axis of this open size."""
    if not is_open((n,)) and n >= _ALL:
        return size
    return lesser(n if n >= 0 else size + n, size)


@on_tensors("aten.narrow")
def _narrow(g: Graph, node: Call, x: Tensor, dim: int, start: int, length: int) -> Tensor:
    dim = axis_of(x, dim)
    start += x.shape[dim] if start < 0 else 0
    return part(g, x, dim, start, start + length)


@on_tensors(
    *("aten.split.Tensor", "aten.split_with_sizes", "aten.chunk", "aten.tensor_split.sections"),
    *("aten.tensor_split.indices", "aten.split_with_sizes_copy"),
)
def _split(g: Graph, node: Call, x: Tensor, sizes: Any, dim: int) -> tuple[Tensor, ...]:
    """torch has said the sizes of the parts."""
    dim = axis_of(x, dim)
    return pieces(g, x, dim, [shape[dim] for shape in node.shapes])


@on_tensors("aten.unbind", "aten.unbind_copy")
def _unbind(g: Graph, node: Call, x: Tensor, dim: int) -> tuple[Tensor, ...]:
    dim = axis_of(x, dim)
    parts = pieces(g, x, dim, [1] * x.shape[dim])
    return tuple(view(g, p, shape) for p, shape in zip(parts, node.shapes, strict=True))


@on_tensors("aten.cat")
def _cat(g: Graph, node: Call, tensors: Sequence[Any], dim: int) -> Tensor:
    known = [as_tensor(g, t) for t in tensors if 0 not in t.shape]
    return joined(g, known, axis_of(known[0], dim))


@on_tensors("aten.stack")
def _stack(g: Graph, node: Call, tensors: Sequence[Any], dim: int) -> Tensor:
    dim %= len(node.shape)
    shape = (*node.shape[:dim], 1, *node.shape[dim + 1 :])
    return joined(g, [view(g, as_tensor(g, t), shape) for t in tensors], dim)


@on_tensors("aten.flip")
def _flip(g: Graph, node: Call, x: Tensor, dims: Sequence[int]) -> Tensor:
    return reversed_along(g, x, [axis_of(x, d) for d in dims])


@on_tensors("aten.roll")
def _roll(g: Graph, node: Call, x: Tensor, shifts: Sequence[int], dims: Sequence[int]) -> Tensor:
    if not dims:
        return view(g, _rolled(g, view(g, x, (math.prod(x.shape),)), shifts[0], 0), x.shape)
    for shift, dim in zip(shifts, dims, strict=True):
        x = _rolled(g, x, shift, axis_of(x, dim))
    return x


def _rolled(g: Graph, x: Tensor, shift: int, dim: int) -> Tensor:
    size = x.shape[dim]
    shift = shift % size if isinstance(size, int) else shift + size * (shift < 0)
    return joined(g, pieces(g, x, dim, [size - shift, shift])[::-1], dim) if shift else x


@on_tensors("aten.slice_scatter")
def _slice_scatter(
    g: Graph, node: Call, x: Any, part: Any, dim: int, start: int | None, end: int | None, step: int
) -> Tensor:
    dim %= len(node.shape)
    places = range(node.shape[dim])[start:end:step]
    return written(g, x, part, dim, places.start, len(places), step)


@on_tensors("aten.select_scatter")
def _select_scatter(g: Graph, node: Call, x: Any, part: Any, dim: int, index: int) -> Tensor:
    dim %= len(node.shape)
    shape = (*node.shape[:dim], 1, *node.shape[dim + 1 :])
    part = view(g, part, shape) if isinstance(part, Tensor) else part.reshape(shape)
    return written(g, x, part, dim, index % node.shape[dim], 1, 1)


def written(g: Graph, x: Any, part: Any, dim: int, begin: int, count: int, step: int) -> Tensor:
    """x with a part written over it, along an axis."""
    size = x.shape[dim]
    over = as_tensor(g, part)
    if count == 0:
        return as_tensor(g, x)
    if count == size:
        return over
    under = as_tensor(g, x)
    if step > 1 and count > 1:
        return _interleaved(g, under, over, dim, begin, step)
    whole, piece = along_all(g, [under, over], dim, parts=True)
    starts = [0] * len(whole.value.shape)
    starts[whole.at] = begin * whole.step
    return whole.made(copyto(g, [whole.value, piece.value], starts)[0])


def _interleaved(g: Graph, x: Tensor, part: Tensor, dim: int, begin: int, step: int) -> Tensor:
    """A column of rows of `step` is written; what is in front of the rows and behind them stays."""
    count, size = part.shape[dim], x.shape[dim]
    first = max(0, min(begin, size - count * step))
    if begin - first >= step or first + count * step > size:  # no whole last row
        last = begin + (count - 1) * step
        most, end = pieces(g, part, dim, [count - 1, 1])
        return written(g, written(g, x, most, dim, begin, count - 1, step), end, dim, last, 1, 1)
    cuts = [first, count * step, size - first - count * step]
    parts = dict(zip([i for i, n in enumerate(cuts) if n], pieces(g, x, dim, [n for n in cuts if n]), strict=True))
    outer, inner = x.shape[:dim], x.shape[dim + 1 :]
    rows = view(g, parts[1], (*outer, count, step, *inner))
    rows = written(g, rows, view(g, part, (*outer, count, 1, *inner)), dim + 1, begin - first, 1, 1)
    parts[1] = view(g, rows, (*outer, count * step, *inner))
    return joined(g, [parts[i] for i in sorted(parts)], dim)
