"""A blob in which certain axes of torch are dimensions of their own, for layers that work along them.

The axes stay in the order in which they are stored, and the blob keeps its dimensions where these will do: a softmax or
a slice along an axis of a permuted tensor costs one layer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir import Graph, Value
from ..open_shapes import largest
from .blobs import in_order, reshaped, unbatched
from .layout import MOST_DIMS, Order, Shape, Tensor, permuted, tensor


def stored_order(t: Tensor) -> Order | None:
    """torch's axes in the order in which they are stored, those of 1 behind the one in front of them in torch's order;
    None where the parts of an axis are not stored side by side."""
    if any(axis != tuple(range(axis[0], axis[0] + len(axis))) for axis in t.axes if axis):
        return None
    order = sorted((i for i in range(t.rank) if t.axes[i]), key=lambda i: t.axes[i])
    for i in range(t.rank):
        if not t.axes[i]:
            order.insert(order.index(i - 1) + 1 if i else 0, i)
    return tuple(order)


def together_in_order(g: Graph, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Order]:
    """Tensors of one rank with their axes permuted so that all are stored in order, and by which permutation: that of
    the largest, where it does for all, else none."""
    tensors = [unbatched(g, t) for t in tensors]
    order = stored_order(largest(tensors, lambda t: math.prod(t.base)))
    if order is not None:
        turned = [permuted(t, order) for t in tensors]
        if all(t.in_order for t in turned):
            return turned, order
    return [in_order(g, t) for t in tensors], tuple(range(tensors[0].rank))


def turned_back(t: Tensor, order: Order) -> Tensor:
    """What permuted(t, order) was made of."""
    return permuted(t, sorted(range(len(order)), key=order.__getitem__))


@dataclass(frozen=True)
class Along:
    """One of torch's axes as a dimension of a blob.

    value         the blob
    at            which of its dimensions the axis is
    step          how many numbers of this dimension belong to each place along the axis
    shape, order  torch's axes as they are stored, and which ones these are
    """

    value: Value
    at: int
    step: int
    shape: Shape
    order: Order
    dim: int
    dtype: Any

    def made(self, value: Value, size: int | None = None, dtype: Any = None) -> Tensor:
        """The tensor on what a layer made of the blob, which left the axis with this size; None: as it was."""
        shape = list(self.shape)
        if size is not None:
            shape[self.dim] = size
        return turned_back(tensor(value, shape, dtype or self.dtype), self.order)


def along(g: Graph, t: Tensor, dim: int, *, parts: bool = False) -> Along:
    """A blob of up to four dimensions of which one is this axis; its own dimensions where one of them is.

    parts: for layers that take whole parts, so that axes behind it may be in the same dimension.
    """
    return along_all(g, [t], dim, parts=parts)[0]


def along_all(g: Graph, tensors: Sequence[Tensor], dim: int, *, parts: bool = False) -> list[Along]:
    """Likewise of several tensors that differ in this axis only, each with the same other dimensions."""
    turned, order = together_in_order(g, tensors)
    dim = order.index(dim)
    outer, inner = (math.prod(part) for part in (turned[0].shape[:dim], turned[0].shape[dim + 1 :]))
    own = [(t.value.shape, _dimension(t.value.shape, outer, t.shape[dim], 1)) for t in turned]
    if parts:
        own += [(t.value.shape, _dimension(t.value.shape, outer, t.shape[dim], inner)) for t in turned]
    around: list[int] = [outer] if outer != 1 else []
    at, step, behind = len(around), inner if parts else 1, [inner] if inner != 1 and not parts else []
    for shape, found in own:
        if found is not None:
            at, step = found
            around, behind = list(shape[:at]), list(shape[at + 1 :])
            break
    made = []
    for t in turned:
        value = reshaped(g, t.value, [*around, t.shape[dim] * step, *behind])
        made.append(Along(value, at, step, t.shape, order, dim, t.dtype))
    return made


def _dimension(dims: Shape, outer: int, size: int, inner: int) -> tuple[int, int] | None:
    """Which of the dimensions has this size, or that of a part of the `inner` numbers behind as well, and `outer`
    numbers in front of it; and how large that part is."""
    before = 1
    for i, n in enumerate(dims):
        if before == outer and n % size == 0 and inner % (n // size) == 0:
            return i, n // size
        before *= n
    return None


@dataclass(frozen=True)
class Marked:
    """A blob of which each dimension is made of marked axes, or of others.

    value         the blob
    at            its dimensions of marked axes
    shape, order  torch's axes as they are stored, the marked ones being 1, and which ones these are
    """

    value: Value
    at: Order
    shape: Shape
    order: Order


def marked(g: Graph, t: Tensor, dims: Collection[int]) -> Marked:
    """A blob of up to four dimensions, and which of them are these axes."""
    (turned,), order = together_in_order(g, [t])
    marks = [i in dims for i in order]
    groups = grouped(turned.shape, marks)
    if len(groups) > MOST_DIMS:  # the marked ones behind the others
        order = tuple(sorted(range(t.rank), key=lambda i: i in dims))
        turned = in_order(g, permuted(unbatched(g, t), order))
        marks = [i in dims for i in order]
        groups = grouped(turned.shape, marks)
    shape = tuple(1 if mark else n for n, mark in zip(turned.shape, marks, strict=True))
    at = of_marked(turned.value.shape, groups)
    if at is not None:
        return Marked(turned.value, at, shape, order)
    value = reshaped(g, turned.value, [size for size, _ in groups])
    return Marked(value, tuple(i for i, (_, mark) in enumerate(groups) if mark), shape, order)


def grouped(shape: Shape, marks: Sequence[Any]) -> list[tuple[int, Any]]:
    """Neighbouring axes with one mark as one: (size, mark). Axes of 1 have none."""
    groups: list[tuple[int, Any]] = []
    for n, mark in zip(shape, marks, strict=True):
        if n == 1:
            continue
        if groups and groups[-1][1] == mark:
            groups[-1] = groups[-1][0] * n, mark
        else:
            groups.append((n, mark))
    return groups


def of_marked(dims: Shape, groups: Sequence[tuple[int, Any]]) -> Order | None:
    """Which of a blob's own dimensions are marked, if each is a part of one group; else None."""
    at: list[int] = []
    rest = list(groups)
    left, mark = 1, False
    for i, n in enumerate(dims):
        if n == 1:
            continue
        if left == 1:
            left, mark = rest.pop(0)
        if left % n != 0:
            return None
        left //= n
        if mark:
            at.append(i)
    return tuple(at)
