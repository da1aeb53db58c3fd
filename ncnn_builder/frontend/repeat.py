"""torch's repeat, by ncnn's Tile: one layer for axes of which up to four are repeated."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Graph, Value
from ..ops.shapes.orders import tile
from .axes import together_in_order, turned_back
from .blobs import reshaped
from .layout import MOST_DIMS, Shape, Tensor, tensor


def repeated(g: Graph, t: Tensor, times: Sequence[int]) -> Tensor:
    """Each axis so many times, one behind the other."""
    if all(n == 1 for n in times):
        return t
    (turned,), order = together_in_order(g, [t])
    groups: list[tuple[int, int]] = []  # size, and how often
    for size, n in zip(turned.shape, (times[i] for i in order), strict=True):
        # What is not repeated belongs to the axis in front of it, and so does what is repeated behind an axis of 1.
        if groups and (n == 1 or groups[-1][0] == 1):
            groups[-1] = groups[-1][0] * size, groups[-1][1] * n
        else:
            groups.append((size, n))
    value = _tiled(g, turned.value, groups)
    shape = [size * times[i] for size, i in zip(turned.shape, order, strict=True)]
    return turned_back(tensor(value, shape, t.dtype), order)


def _tiled(g: Graph, value: Value, groups: Sequence[tuple[int, int]]) -> Value:
    while len(groups) > MOST_DIMS:  # the innermost by itself
        outer, (size, n) = 1, groups[-1]
        for other, _ in groups[:-1]:
            outer *= other
        value = tile(g, reshaped(g, value, (outer, size)), (1, n))[0]
        groups = [*groups[:-2], (groups[-2][0] * size * n, groups[-2][1])]
    own = _of_own_dimensions(value.shape, groups)
    if own is not None:
        return tile(g, value, own)[0]
    return tile(g, reshaped(g, value, [size for size, _ in groups]), [n for _, n in groups])[0]


def _of_own_dimensions(dims: Shape, groups: Sequence[tuple[int, int]]) -> list[int] | None:
    """How often each of a blob's own dimensions is repeated, if each is a part of one group; else None.

    A group of several dimensions is repeated by its outermost.
    """
    rest, left, times = list(groups), 1, []
    for size in dims:
        n = 1
        if left == 1 and rest and (size != 1 or rest[0][0] == 1):
            left, n = rest.pop(0)
        if left % size != 0:
            return None
        left //= size
        times.append(n)
    return times if left == 1 and not rest else None
