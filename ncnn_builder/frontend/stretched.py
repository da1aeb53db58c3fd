"""Constants of open shape that are the same in their middle, as the masks of shifted windows: any size, without bound.

    0 0 0 0 0 1 2        the first numbers, one that is repeated, the last numbers: along one or two axes
    0 0 0 0 0 1 2
    3 3 3 3 3 4 5

A net holds the ends and one number of the middle, and repeats that one as often as the size asks for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..ir import Graph, Value
from ..open_shapes import shape_at, some_sizes
from ..ops.resampling.resample import interpolate
from ..ops.shapes.crop import crop
from ..ops.shapes.shape import concat
from ..ops.shapes.slices import slice
from ..sizes import Atom, Monomial, Name, Size, least, names_of, terms_of
from .blobs import constant, reshaped
from .layout import Shape, Tensor

MOST_ENDS = 16
"""Numbers in front of the middle or behind it: with more of them it is no middle."""
MOST_NUMBERS = 1 << 22
"""Of what is looked at, at one size."""
Make = Callable[[Mapping[str, int]], torch.Tensor]


@dataclass(frozen=True)
class Ends:
    """How many numbers along an axis come before the middle, and behind it."""

    first: int
    last: int

    def places(self, n: int) -> list[int]:
        """Which number of the core is at each of n places."""
        head, tail = list(range(self.first)), list(range(self.first + 1, self.first + 1 + self.last))
        middle = [self.first] * (n if not (head and tail) else n - len(head) - len(tail))
        return (head + middle + tail)[len(tail) if not head else 0 :][:n]


def stretched(g: Graph, make: Make, shape: Shape, dtype: Any) -> Tensor | None:
    """It as a blob; None for what is not the same in the middle. make: what it is where the names have these values."""
    tried = [at for at in some_sizes(shape) if math.prod(shape_at(shape, at)) <= MOST_NUMBERS]
    if len(tried) < 4:
        return None
    tried = [*tried[:-1:2], tried[-1]]
    for split in _splits(shape):
        parts = tuple(itertools.chain.from_iterable(split))
        opened = [i for i, n in enumerate(parts) if isinstance(n, Size)]
        found = _core(make, parts, opened, tried) if len(opened) < 3 else None
        if found is not None:
            return _tensor(g, *found, split, parts, opened, dtype)
    return None


def _core(
    make: Make, parts: Shape, opened: Sequence[int], tried: Sequence[Mapping[str, int]]
) -> tuple[torch.Tensor, list[Ends]] | None:
    """The numbers that a net holds, the open axes behind the others, and the ends along each of these."""

    def at_size(at: Mapping[str, int]) -> torch.Tensor:
        return make(at).reshape(shape_at(parts, at)).movedim(list(opened), list(range(-len(opened), 0)))

    core = at_size(tried[-1])
    ends = []
    for i, axis in enumerate(opened):
        e = _ends(core, i - len(opened))
        low = least(parts[axis])
        if max(e.first, e.last) > MOST_ENDS or low is None or low < (e.first + e.last + 1 if e.first and e.last else 1):
            return None
        ends.append(e)
    for i, e in enumerate(ends):
        n = core.shape[i - len(opened)]
        held = [*range(e.first), n // 2, *range(n - e.last, n)]
        core = core.index_select(i - len(opened), torch.tensor(held))
    for at in tried:
        want, got = at_size(at), core
        for i, e in enumerate(ends):
            places = e.places(want.shape[i - len(opened)])
            got = got.index_select(i - len(opened), torch.tensor(places))
        if got.shape != want.shape or not torch.equal(got, want):
            return None
    return core, ends


def _ends(x: torch.Tensor, dim: int) -> Ends:
    rows = x.movedim(dim, 0).reshape(x.shape[dim], -1)
    same = (rows == rows[len(rows) // 2]).all(1)
    other = (~same).nonzero().flatten().tolist()
    first = next((i + 1 for i in reversed(other) if i < len(rows) // 2), 0)
    last = next((len(rows) - i for i in other if i > len(rows) // 2), 0)
    return Ends(first, last)


def _tensor(
    g: Graph,
    core: torch.Tensor,
    ends: Sequence[Ends],
    split: Sequence[Shape],
    parts: Shape,
    opened: Sequence[int],
    dtype: Any,
) -> Tensor:
    around = [i for i, n in enumerate(parts) if i not in opened and n != 1]
    channels = math.prod(parts[i] for i in around)
    core = core.reshape(channels, *([1] if len(opened) == 1 else []), *core.shape[core.dim() - len(opened) :])
    value: Any = core
    for i, (axis, e) in enumerate(zip(opened, ends, strict=True)):
        value = _repeated(g, value, i + 3 - len(opened), parts[axis], e)
    place = {part: f for f, part in enumerate([*around, *opened])}
    numbered, begin = [], 0
    for group in split:
        numbered.append(tuple(place[i] for i in range(begin, begin + len(group)) if i in place))
        begin += len(group)
    base = tuple(parts[i] for i in place)
    return Tensor(reshaped(g, value, base if len(base) < 4 else value.shape), base, tuple(numbered), dtype)


def _repeated(g: Graph, x: Any, at: int, n: int, e: Ends) -> Value:
    """The middle along a dimension, as often as that the whole has n numbers. x: a constant, or a blob."""
    if isinstance(x, torch.Tensor):
        cut = [m for m in (e.first, 1, e.last) if m]
        pieces = [constant(g, part, part.shape) for part in torch.split(x, cut, at)]
    elif e.first or e.last:
        pieces = list(slice(g, x, [m for m in (e.first, 1, e.last) if m], at + 1))
    else:
        pieces = [x]
    middle = 1 if e.first else 0
    both = bool(e.first and e.last)
    size = list(pieces[middle].shape)
    size[at] = n - e.first - e.last if both else n
    pieces[middle] = interpolate(g, pieces[middle], (size[1], size[2]), None, "nearest")[0]
    whole = concat(g, pieces, at + 1)[0] if len(pieces) > 1 else pieces[0]
    if both or len(pieces) == 1:
        return whole
    return crop(g, whole, [e.last], [n + e.last], [at])[0] if e.last else crop(g, whole, [0], [n], [at])[0]


# -- one axis that is two: h * w windows ---------------------------------------------------------------------


def _splits(shape: Shape) -> list[list[Shape]]:
    """The axes, each as the axes that it may be made of: as it is, or an open one as the product of two."""
    each: list[list[Shape]] = []
    for n in shape:
        pair = _factors(n) if isinstance(n, Size) and len(names_of(n)) == 2 else None
        each.append([(n,)] if pair is None else [pair, pair[::-1]])
    return [list(way) for way in itertools.product(*each)]


def _factors(n: int) -> tuple[int, int] | None:
    """Two sizes, each of one name, whose product this is; None where there are none."""
    first, _ = names_of(n)
    table: dict[Monomial, dict[Monomial, int]] = {}
    for atoms, count in terms_of(n):
        sides: tuple[list[Atom], list[Atom]] = ([], [])
        for atom in atoms:
            names = _names(atom)
            if len(names) != 1:
                return None
            sides[first not in names].append(atom)
        table.setdefault(tuple(sides[0]), {})[tuple(sides[1])] = count
    row = next(iter(table.values()))
    common = math.gcd(*row.values())
    ways = {atoms: count // common for atoms, count in row.items()}
    lead, unit = next(iter(ways.items()))
    if any(other != {a: other.get(lead, 0) // unit * w for a, w in ways.items()} for other in table.values()):
        return None
    a = _sum({atoms: other[lead] // unit for atoms, other in table.items()})
    b = _sum(ways)
    low = least(a)
    a, b = (a, b) if low is not None and low > 0 else (-a, -b)
    return (a, b) if a * b == n else None


def _sum(terms: Mapping[Monomial, int]) -> int:
    return sum(Size(((atoms, 1),)) * count if atoms else count for atoms, count in terms.items())


def _names(atom: Atom) -> tuple[Name, ...]:
    return (atom,) if isinstance(atom, Name) else names_of(atom.numerator, atom.denominator)
