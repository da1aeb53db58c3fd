"""Pooling into so many windows, which torch calls adaptive: of known numbers, and of open sizes.

torch's window i of n numbers into m begins at i * n // m and ends at the next whole number from (i + 1) * n / m on.
ncnn's adaptive pooling has the same windows for a number m, whatever n is, and -233 for: as many as there are. Where m
is open, ncnn has windows of one size only, n // m, which are the same where m divides n. The two have a layer each, one
behind the other: the mean of a rectangle is that of the means of its rows, as these are of one length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...builder import ValueLike, append, filled, integer, integers, one
from ...ir import Graph, Value, Values
from ...opspec import dsl, spec_of
from ...sizes import OpenSizeError, Size
from ..common import need, need_rank
from ..convolutions.conv_nd import AXES
from .pool_windows import pool_windows
from .pooling import KEEP


def fitted_pool(g: Graph, x: Value, sizes: Sequence[int | None], *, average: bool) -> Value:
    """x (C, W), (C, H, W) or (C, D, H, W) with so many windows along each axis but the channels, outermost first; None:
    as many as there are numbers.

    Raises OpenSizeError where the windows are of several sizes, and how many there are is open.
    """
    dims = len(sizes)
    need_rank(x.shape, (dims + 1,), "x")
    into = [n if m is None else m for n, m in zip(x.shape[1:], sizes, strict=True)]
    need(all(m > 0 for m in into), "bad size", argument="output_size", expected="positive numbers", got=list(sizes))
    kept = [m is None or (isinstance(m, Size) and m == n) for n, m in zip(x.shape[1:], sizes, strict=True)]
    open_axes = [isinstance(m, Size) and not keep for m, keep in zip(into, kept, strict=True)]
    if any(open_axes):
        each = zip(x.shape[1:], into, open_axes, strict=True)
        kernel = [_window(n, m) if by_windows else 1 for n, m, by_windows in each]
        x = pool_windows(g, x, kernel, kernel, [0] * dims, average=average)
        kept = [keep or done for keep, done in zip(kept, open_axes, strict=True)]
    if all(kept) and (any(open_axes) or dims == 1):
        return x
    spec = spec_of({1: "Pooling1D", 2: "Pooling", 3: "Pooling3D"}[dims])
    out = [KEEP if keep else m for keep, m in zip(kept, into, strict=True)]
    given = {f"out_{letter}": m for (letter, _, _), m in zip(reversed(AXES[:dims]), out, strict=True)}
    return append(g, spec, x, filled(spec, pooling_type=int(average), adaptive_pooling=1, **given))[0]


def _window(n: int, m: int) -> int:
    """How large m windows are that n numbers are parted into."""
    size = n // m
    if isinstance(size, Size) or size * m != n:
        raise OpenSizeError(
            "windows of several sizes, and how many there are is open",
            argument="output_size",
            expected=f"a number, or {n} divided by one without a remainder",
            got=f"{n} into {m}",
            fix='Where the size of the input is a multiple of the number, say so: "8*h"',
        )
    return size


@dsl
def adaptive_avg_pool2d(g: Graph, bottom_names: ValueLike, output_size: Any = None) -> Values:
    """torch's adaptive_avg_pool2d of (C, H, W): output_size is one number, (h, w) or the text "(h, w)".

    None keeps that dimension. A number may be an open size, as ``x.shape[1] // 8`` of an input (3, "8*h", "8*w").
    """
    return _pool2d(g, bottom_names, output_size, average=True)


@dsl
def adaptive_max_pool2d(g: Graph, bottom_names: ValueLike, output_size: Any = None) -> Values:
    """torch's adaptive_max_pool2d of (C, H, W): output_size is as of adaptive_avg_pool2d()."""
    return _pool2d(g, bottom_names, output_size, average=False)


def _pool2d(g: Graph, bottom_names: ValueLike, output_size: Any, *, average: bool) -> Values:
    if isinstance(output_size, str):
        output_size = integers(output_size, "output_size")
    sizes = output_size if isinstance(output_size, (list, tuple)) else (output_size, output_size)
    need(len(sizes) == 2, "bad size", argument="output_size", expected="one number or two", got=output_size)
    given = [m if m is None or isinstance(m, Size) else integer(m, "output_size") for m in sizes]
    return Values([fitted_pool(g, one(bottom_names), given, average=average)])
