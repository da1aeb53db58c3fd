"""Every so many-th element along an axis: what a slice with a step means. ncnn's Slice and Crop have no step."""

from __future__ import annotations

from dataclasses import dataclass

from ...builder import one
from ...ir import Graph, Value
from ..common import elements
from .crop import crop
from .pad import pad
from .shape import really_reshape


@dataclass(frozen=True)
class Groups:
    """Elements first, first + step, ... of an axis of n, as one of each of `count` groups of `step` that lie in a row.

    begin: where the first group begins. at: which one of each group. missing: elements of the last one behind the end,
    which happens only where the groups cannot begin earlier.
    """

    n: int
    begin: int
    at: int
    step: int
    count: int

    @property
    def end(self) -> int:
        return min(self.begin + self.count * self.step, self.n)

    @property
    def missing(self) -> int:
        return self.begin + self.count * self.step - self.end


def groups(n: int, first: int, end: int, step: int) -> Groups:
    """Of the slice first:end:step, which is not empty."""
    count = len(range(first, end, step))
    over = max(first + count * step - n, 0)
    at = over if over <= first else 0
    return Groups(n, first - at, at, step, count)


def strided(g: Graph, x: Value, axis: int, first: int, end: int, step: int) -> Value:
    """x[first:end:step] along an axis, outer first and without batch, by moving numbers: exact.

    As (outer, n, inner) the groups become (outer * count, step, inner), of which one index in the middle is taken.
    """
    cut, shape = groups(x.shape[axis], first, end, step), x.shape
    outer, inner = elements(shape[:axis]), elements(shape[axis + 1 :])
    if (cut.begin, cut.end) != (0, cut.n):
        x = one(crop(g, x, [cut.begin], [cut.end], [axis]))
    if cut.missing:
        x = one(really_reshape(g, x, (outer, cut.end - cut.begin, inner)))
        x = one(pad(g, x, bottom=cut.missing))
    x = one(really_reshape(g, x, (outer * cut.count, step, inner)))
    x = one(crop(g, x, [cut.at], [cut.at + 1], [1]))
    return one(really_reshape(g, x, (*shape[:axis], cut.count, *shape[axis + 1 :])))
