"""Which axes of a tensor are in which dimension of a blob, through layers that regroup and reorder its numbers.

A tensor of many axes, such as a batch of weights, is a blob of up to four dimensions, of which one holds several axes
one inside the other. Axes of 1 are in none: they are wherever somebody wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ..ir import Node, Shape
from ..ops.shapes.permute import permutation

Axis = tuple[str, int]
"""Name and size."""
Axes = tuple[tuple[Axis, ...], ...]
"""Per dimension of a blob, outer first, its axes, outer first."""


def one_each(names: str, shape: Shape) -> Axes:
    """A blob with an axis for each dimension, named by a letter."""
    return tuple(() if n == 1 else ((name, n),) for name, n in zip(names, shape, strict=True))


def regrouped(axes: Axes, shape: Sequence[int]) -> Axes | None:
    """The same numbers in other dimensions; None where one of these would hold a part of an axis."""
    rest = list(chain.from_iterable(axes))
    found: list[tuple[Axis, ...]] = []
    for size in shape:
        own: list[Axis] = []
        while size > 1:
            if not rest or size % rest[0][1]:
                return None
            own.append(rest.pop(0))
            size //= own[-1][1]
        found.append(tuple(own))
    return None if rest else tuple(found)


def before_permute(axes: Axes, node: Node) -> Axes:
    """Of what a Permute got, where these are the axes of what it makes."""
    order = permutation(len(axes), node.params["order_type"])
    return tuple(axes[order.index(i)] for i in range(len(axes)))


def names_of(axes: Axes) -> str:
    """The letters of all axes that are not 1, outer first."""
    return "".join(name for name, _ in chain.from_iterable(axes))
