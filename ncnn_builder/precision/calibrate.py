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
    kl           the least Kullback-Leibler divergence of the histogram from its quantised form (Migacz 2017), as ncnn's
                 own table has it: 2048 bins, of numbers that are not zero
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
    """The number of bins behind which to cut: of every 16th, then of all around the best."""
    mass = np.concatenate([[0.0], np.cumsum(histogram)])
    filled = histogram > 0
    number = np.concatenate([[0.0], np.cumsum(filled)])
    coarse = range(LEVELS, BINS, 16)
    best = min(coarse, key=lambda end: _divergence(histogram, mass, filled, number, end))
    fine = range(max(best - 15, LEVELS), min(best + 16, BINS))
    return min(fine, key=lambda end: _divergence(histogram, mass, filled, number, end))


def _divergence(histogram: Any, mass: Any, filled: Any, number: Any, end: int) -> float:
    """Of the histogram cut behind `end` bins from the same in LEVELS levels. mass, number: sums up to each bin, of the
    histogram and of bins that are not empty."""
    places = np.arange(BINS + 1)
    clipped = histogram[:end].copy()
    clipped[-1] += mass[-1] - mass[end]
    knots = np.linspace(0, end, LEVELS + 1)
    parts = np.diff(np.interp(knots, places, mass))
    counts = np.diff(np.interp(knots, places, number))
    density = np.where(counts > 0, parts / np.where(counts > 0, counts, 1), 0)
    spread = np.interp(places[: end + 1], knots, np.concatenate([[0.0], np.cumsum(density * end / LEVELS)]))
    q = np.diff(spread) * filled[:end] + 1e-4
    p = clipped + 1e-4
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
