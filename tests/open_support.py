"""Samples with open sizes: which axes of their inputs get names, and what these names are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ncnn_builder as nb
from ncnn_builder.sizes import names_of, open_size

Opened = tuple[tuple[int, ...], ...]
SURPRISES = (nb.BuildError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""How a call says no to sizes that no author has called it with."""
AXES = ((-1,), (-2,), (-1, -2), (-3,), (-1, -2, -3, -4))
"""Counted from the innermost."""


def openings(shapes: Sequence[tuple[int, ...]]) -> Iterator[tuple[Opened, dict[str, int]]]:
    """(the shapes with names, the sizes that these have in the sample), for several choices of axes.

    Axes of one place and size have one name, whose least is that size.
    """
    for axes in AXES:
        names: dict[tuple[int, int], int] = {}

        def size(n: int, axis: int) -> int:
            return names.setdefault((axis, n), open_size(f"{'whcd'[-axis - 1]}{n}", n)) if axis in axes and n > 1 else n  # noqa: B023

        opened = tuple(tuple(size(n, i - len(shape)) for i, n in enumerate(shape)) for shape in shapes)
        if names:
            yield opened, {name.name: name.least for shape in opened for name in names_of(*shape)}


def larger(now: dict[str, int]) -> Iterator[dict[str, int]]:
    """Three other choices of the sizes: odd and even, multiples and none."""
    yield {name: n + 1 for name, n in now.items()}
    yield {name: 2 * n for name, n in now.items()}
    yield {name: 3 * n + 2 * i for i, (name, n) in enumerate(now.items())}


def graph_of(build: Callable[..., Any], shapes: Sequence[Sequence[Any]]) -> nb.Graph:
    """x0, x1, ... of these shapes -> y0, y1, ..."""
    g = nb.Graph("open")
    values = build(g, *(g.input(f"x{i}", shape) for i, shape in enumerate(shapes)))
    for i, value in enumerate(nb.check_bottom_names(values)):
        g.output(f"y{i}", value)
    return g
