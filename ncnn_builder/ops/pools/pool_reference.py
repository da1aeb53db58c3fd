"""What ncnn's pooling layers compute, of one to three dimensions: their borders are any, torch's are even and small.

ncnn: pooling.cpp, pooling1d.cpp, pooling3d.cpp, make_padding() and forward().
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common import functional

FULL, VALID = 0, 1
_LEAST = float(np.finfo(np.float32).min)


def pooled(
    x: Any,
    kernel: Sequence[int],
    stride: Sequence[int],
    borders: Sequence[tuple[int, int]],
    *,
    average: bool,
    full: bool,
    border_counts: bool,
) -> Any:
    """Windows over x (C, ...), outer dimension first. full: one more border behind, so that no number is left out.

    A maximum takes the border for the least float32, an average for zeros, which count as numbers where
    border_counts is set, those of the last border included, and else are left out of sum and count.
    """
    F = functional()
    sizes = zip(x.shape[1:], kernel, stride, borders, strict=True)
    tails = [-(n + sum(b) - k) % s if full else 0 for n, k, s, b in sizes]
    sides = [
        n
        for (before, after), tail in zip(reversed(borders), reversed(tails), strict=True)
        for n in (before, after + tail)
    ]
    bordered = F.pad(x[None], sides, value=0.0 if average else _LEAST)
    if not average:
        return getattr(F, f"max_pool{len(kernel)}d")(bordered, tuple(kernel), tuple(stride))[0]
    average_of = getattr(F, f"avg_pool{len(kernel)}d")
    mean = average_of(bordered, tuple(kernel), tuple(stride))[0]
    if border_counts:
        return mean
    inside = F.pad(x.new_ones((1, 1, *x.shape[1:])), sides)
    return mean / average_of(inside, tuple(kernel), tuple(stride))[0]
