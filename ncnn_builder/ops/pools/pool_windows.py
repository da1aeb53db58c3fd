"""Pooling with torch's arguments, of one to three dimensions, in the forms that ncnn's layers take by other borders.

torch's ceil_mode lets the last window of an axis hang over the end, unless it would begin behind the input and its
border. ncnn's pad_mode 0 does that for all axes or none, and counts what hangs over as border. Here the overhang of
each axis is border of its own behind, with pad_mode 1, which is exact for a maximum, where ncnn's border is the least
float32, and for an average that leaves out the border. Where the average counts it, which torch does with the border
that was asked for and not with the overhang, that border is put around by Padding first.

Where the size is open, so is the overhang: then pad_mode 0 has it, if no window can begin behind the input. The last
one begins by less than a stride behind n + padding - kernel, so never where stride + padding <= kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...builder import append, filled
from ...ir import Graph, Value
from ...opspec import spec_of
from ...sizes import OpenSizeError
from ..arithmetic.binary import binaryOp
from ..common import need, need_rank, windows
from ..convolutions.conv_nd import AXES
from ..shapes.pad import pad
from .pool_reference import FULL

VALID = 1
"""pad_mode: whole windows only."""


def pool_windows(
    g: Graph,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    *,
    average: bool = False,
    ceil: bool = False,
    border_counts: bool = True,
    divisor: int | None = None,
) -> Value:
    """Maximum or average of windows of x (C, W), (C, H, W) or (C, D, H, W); sizes outermost first.

    ceil, border_counts, divisor: torch's ceil_mode, count_include_pad, divisor_override.
    """
    dims = len(kernel)
    need_rank(x.shape, (dims + 1,), "x")
    need(divisor is None or divisor != 0, "bad divisor", argument="divisor_override", got=divisor)
    mode = VALID
    try:
        borders = list(zip(padding, _behind(x.shape[1:], kernel, stride, padding, ceil), strict=True))
    except OpenSizeError:
        if any(s + p > k for k, s, p in zip(kernel, stride, padding, strict=True)):
            raise
        mode, borders = FULL, [(n, n) for n in padding]
    hangs_over = mode == FULL or any(after != before for before, after in borders)
    if divisor is not None:
        border_counts = True  # then ncnn divides by the size of the window, whatever it covers
    elif not any(n for border in borders for n in border):
        border_counts = True  # the same without a border, and the quicker of ncnn's loops
    elif average and border_counts and hangs_over:
        border_counts = False
        if any(padding):
            sides: dict[str, Any] = {}
            for (_, before, after), n in zip(reversed(AXES[:dims]), padding, strict=True):
                sides |= {before: n, after: n}
            x = pad(g, x, **sides)[0]
            borders = [(0, after - before) for before, after in borders]
    name = "count_include_pad" if dims == 2 else "avgpool_count_include_pad"
    given = {"pooling_type": int(average), "pad_mode": mode, name: int(border_counts)}
    for i, (letter, before, after) in enumerate(reversed(AXES[:dims])):
        given |= {f"kernel_{letter}": kernel[i], f"stride_{letter}": stride[i]}
        given |= {f"pad_{before}": borders[i][0], f"pad_{after}": borders[i][1]}
    spec = spec_of({1: "Pooling1D", 2: "Pooling", 3: "Pooling3D"}[dims])
    y = append(g, spec, x, filled(spec, **given))[0]
    if divisor is None or divisor == math.prod(kernel):
        return y
    return binaryOp(g, [y, math.prod(kernel) / divisor], "Mul")[0]


def _behind(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], ceil: bool
) -> list[int]:
    """The border behind each axis, the overhang of its last window included."""
    ends = []
    for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True):
        count = windows(n, k, s, 2 * p, ceil)
        if ceil and (count - 1) * s >= n + p:  # it would begin behind the input and its border before
            count -= 1
        ends.append(max(p, (count - 1) * s + k - n - p))
    return ends
