"""Torch's axes and ncnn's: a tensor as torch has it, on a blob that may hold it in another order and with fewer axes.

A blob has up to four dimensions (and a batch beside them); what counts is the order of its numbers. That order is
said by factors: the numbers are those of an array of sizes ``base``, row by row. Each axis of torch's tensor is made of
factors, outer first; an axis of size 1 of none. So

- view, flatten, squeeze ... split and join factors, and permute reorders the axes: nothing is computed;
- reshape - permute - reshape chains of any number of dimensions stay one reordering of factors, and what is done is
  undone without a trace;
- a batch of one is in no factor, so it is never stored, and never in the way;
- only who needs the numbers in torch's order pays for it: blobs.in_order(), with factors that move together as one.

Nothing here makes a layer, and nothing here knows ncnn.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..ir import Value

Shape = tuple[int, ...]
Order = tuple[int, ...]
MOST_DIMS = 4


@dataclass(frozen=True)
class Tensor:
    """One of torch's tensors, on a blob.

    value  the blob, whose numbers are an array [*base], row by row; of n > 1, the first factors make its batch
    base   sizes of the factors, none of them 1
    axes   per axis of torch's tensor, its factors, outer first
    dtype  torch's; the blob has float32, but where it is an input of whole numbers
    n      how much of it is in ncnn's batch: 1, or the product of the first factors
    """

    value: Value
    base: Shape
    axes: tuple[Order, ...]
    dtype: Any
    n: int = 1

    @property
    def shape(self) -> Shape:
        return tuple(math.prod(self.base[f] for f in axis) for axis in self.axes)

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def order(self) -> Order:
        """Its factors in torch's order."""
        return tuple(itertools.chain.from_iterable(self.axes))

    @property
    def samples(self) -> int:
        """How many factors are in ncnn's batch."""
        return next(i for i in range(len(self.base) + 1) if math.prod(self.base[:i]) == self.n)

    @property
    def in_order(self) -> bool:
        """Whether the blob holds the numbers in torch's order."""
        return self.order == tuple(range(len(self.base)))

    def on(self, value: Value, dtype: Any = None) -> Tensor:
        """The same layout on another blob: what an element-wise layer made of this one."""
        return replace(self, value=value, dtype=dtype or self.dtype)


def tensor(value: Value, shape: Sequence[int], dtype: Any, n: int = 1) -> Tensor:
    """A tensor whose blob holds its numbers in torch's order."""
    axes: list[Order] = []
    base: list[int] = []
    for size in shape:
        axes.append(() if size == 1 else (len(base),))
        base += [] if size == 1 else [size]
    return Tensor(value, tuple(base), tuple(axes), dtype, n)


def axis_of(t: Tensor, dim: int) -> int:
    """An axis that may count from the end."""
    rank = max(t.rank, 1)
    if not -rank <= dim < rank:
        raise IndexError(f"dimension {dim} of {t.rank}")
    return dim % rank


def broadcast(*shapes: Sequence[int]) -> Shape:
    """The shape of what is made of tensors of these, element by element."""
    columns = itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return tuple(max(column) for column in columns)[::-1]


def permuted(t: Tensor, dims: Sequence[int]) -> Tensor:
    return replace(t, axes=tuple(t.axes[axis_of(t, d)] for d in dims))


def viewed(t: Tensor, shape: Sequence[int]) -> Tensor | None:
    """The tensor with another shape; None where its order does not allow it, so that it has to be in order first."""
    joined = merged(t)
    base, order = list(joined.base), list(joined.order)
    sizes: dict[int, list[int]] = {f: [] for f in order}  # the parts of each factor, outer first
    axes: list[list[tuple[int, int]]] = []
    at, left = 0, base[order[0]] if order else 1
    for size in shape:
        need, parts = size, []
        while need != 1:
            factor = order[at]
            if need % left != 0 and left % need != 0:
                return None
            take = left if need % left == 0 else need
            parts.append((factor, len(sizes[factor])))
            sizes[factor].append(take)
            need, left = need // take, left // take
            if left == 1 and at + 1 < len(order):
                at += 1
                left = base[order[at]]
        axes.append(parts)
    begin: dict[int, int] = {}
    new: list[int] = []
    for factor in range(len(base)):
        begin[factor] = len(new)
        new += sizes[factor]
    numbered = tuple(tuple(begin[f] + i for f, i in axis) for axis in axes)
    return replace(t, base=tuple(new), axes=numbered)


def merged(t: Tensor) -> Tensor:
    """The tensor flat, with factors that stay side by side as one: as few factors as its order needs.

    Its shape is that of one axis per factor.
    """
    runs = runs_of(t.order, t.samples)
    first = {run[0]: i for i, run in enumerate(sorted(runs))}
    base = tuple(math.prod(t.base[f] for f in run) for run in sorted(runs))
    return replace(t, base=base, axes=tuple((first[run[0]],) for run in runs))


def runs_of(order: Order, border: int = 0) -> list[Order]:
    """The order cut into pieces i, i + 1, i + 2 ... as long as can be: (2, 3, 0, 1) -> (2, 3), (0, 1).

    border: a factor that begins a piece, whatever is in front of it.
    """
    runs: list[list[int]] = []
    for factor in order:
        if runs and runs[-1][-1] + 1 == factor != border:
            runs[-1].append(factor)
        else:
            runs.append([factor])
    return [tuple(run) for run in runs]


def aligned(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether every border between the sizes of `wanted` is one of `shape` too, so that axes are only joined."""
    return set(itertools.accumulate(wanted, lambda a, b: a * b)) <= set(
        itertools.accumulate(shape, lambda a, b: a * b)
    ) | {1}


def _regroupings(count: int) -> Iterator[tuple[Order, Order]]:
    """(borders, permutation) of all ways to permute `count` axes as at most four groups of neighbours."""
    for groups in range(2, min(count, MOST_DIMS) + 1):
        for borders in itertools.combinations(range(1, count), groups - 1):
            for perm in itertools.permutations(range(groups)):
                # Groups that stay neighbours would be one group.
                if all(b != a + 1 for a, b in itertools.pairwise(perm)):
                    yield borders, perm


_SEARCHED = 6
"""Axes of which all orders are looked at: of eight there are forty thousand, with hundreds of ways on from each."""


def _steps_of_many(order: Order) -> tuple[tuple[Order, Order], ...]:
    """Steps of which each leaves the fewest neighbours that are none in the end. It is always one fewer at least: what
    follows a number in the end can be moved behind it, with all up to the next such place."""
    place = {axis: i for i, axis in enumerate(order)}
    here, steps = tuple(range(len(order))), []
    while here != order:
        ways = []
        for borders, perm in _regroupings(len(order)):
            groups = [here[a:b] for a, b in itertools.pairwise((0, *borders, len(order)))]
            new = tuple(itertools.chain.from_iterable(groups[p] for p in perm))
            ways.append((sum(place[b] != place[a] + 1 for a, b in itertools.pairwise(new)), new, (borders, perm)))
        _, here, step = min(ways)
        steps.append(step)
    return tuple(steps)


@lru_cache(maxsize=4096)
def steps_to(order: Order) -> tuple[tuple[Order, Order], ...]:
    """A sequence of permutes of at most four groups that brings axes 0, 1, 2 ... into this order, the shortest of up to
    _SEARCHED axes.

    Each step is (borders between the groups, permutation of the groups).
    """
    if len(order) > _SEARCHED:
        return _steps_of_many(order)
    start, count = tuple(range(len(order))), len(order)
    seen: dict[Order, tuple[Order, tuple[Order, Order]] | None] = {start: None}
    edge = [start]
    while order not in seen:
        further: list[Order] = []
        for state in edge:
            for borders, perm in _regroupings(count):
                cuts = (0, *borders, count)
                groups = [state[a:b] for a, b in itertools.pairwise(cuts)]
                new = tuple(itertools.chain.from_iterable(groups[p] for p in perm))
                if new not in seen:
                    seen[new] = (state, (borders, perm))
                    further.append(new)
        edge = further
    steps: list[tuple[Order, Order]] = []
    here = order
    while (came := seen[here]) is not None:
        here, step = came
        steps.append(step)
    return tuple(reversed(steps))
