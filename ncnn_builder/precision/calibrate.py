"""Scales of activations from the numbers that come: where int8 ends, by several rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

METHODS = ("minmax", "percentile", "kl", "mse")
BINS, LEVELS = 2048, 128
PERCENTILE = 99.99


def thresholds(arrays: Sequence[Any], methods: Sequence[str] = METHODS) -> dict[str, float]:
    """Method -> the magnitude at which int8 ends; 0 for all where every number is zero.

    minmax       the largest magnitude
    percentile   that of 99.99 % of the numbers that are not zero
    kl           the least Kullback-Leibler divergence of the histogram from its quantised form (Migacz 2017), as
                 ncnn2table has it: 2048 bins, of numbers that are not zero
    mse          the least squared error, rounding and cutting together
    """
    values = np.concatenate([np.abs(np.ravel(a)) for a in arrays])
    values = values[values > 0]
    if not len(values):
        return dict.fromkeys(methods, 0.0)
    largest = float(values.max())
    found = {"minmax": largest}
    if "percentile" in methods:
        found["percentile"] = float(np.quantile(values, PERCENTILE / 100))
    if "kl" in methods or "mse" in methods:
        counts = np.bincount(np.minimum((values / largest * BINS).astype(np.int64), BINS - 1), minlength=BINS)
        if "kl" in methods:
            found["kl"] = (_kl(counts / counts.sum()) + 0.5) * largest / BINS
        if "mse" in methods:
            found["mse"] = _mse(counts, largest)
    return {method: found[method] for method in methods}


def _kl(histogram: Any) -> int:
    """The number of bins behind which to cut. All are tried, as ncnn2table does: there are several minima."""
    mass = np.concatenate([[0.0], np.cumsum(histogram)])
    return min(range(LEVELS, BINS), key=lambda end: _divergence(histogram, mass, end))


def _divergence(histogram: Any, mass: Any, end: int) -> float:
    """Of the histogram cut behind `end` bins from the same in LEVELS levels, each of which is spread evenly over its
    bins, also over empty ones. mass: sums up to each bin."""
    places = np.arange(BINS + 1)
    clipped = histogram[:end].copy()
    clipped[-1] += mass[-1] - mass[end]
    knots = np.linspace(0, end, LEVELS + 1)
    spread = np.interp(places[: end + 1], knots, np.interp(knots, places, mass))
    p, q = clipped + 1e-4, np.diff(spread) + 1e-4
    return float((p * np.log(p / q)).sum())


def _mse(counts: Any, largest: float) -> float:
    centres = (np.arange(BINS) + 0.5) * largest / BINS
    ends = largest * np.linspace(0.2, 1, 65)
    errors = []
    for end in ends:
        step = end / 127
        cut = np.maximum(centres - end, 0)
        errors.append(float((counts * np.where(cut > 0, cut**2, step**2 / 12)).sum()))
    return float(ends[int(np.argmin(errors))])
