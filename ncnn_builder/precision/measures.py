"""How far a result is from what it should be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Errors:
    """Of arrays against their references, all numbers of all samples together.

    max         the largest difference
    relative    max / the largest magnitude of the reference
    cosine      of the angle between the two
    psnr        dB, of the span (largest minus smallest) of the reference; infinite where they are equal
    sqnr        dB, energy of the reference over energy of the difference; infinite where they are equal
    finite      whether the arrays have no NaN and no infinity; the others are as bad as can be where they have
    """

    max: float
    relative: float
    cosine: float
    psnr: float
    sqnr: float
    finite: bool = True

    def as_json(self) -> dict[str, Any]:
        """Infinite numbers as null."""
        return {k: (v if isinstance(v, bool) or math.isfinite(v) else None) for k, v in vars(self).items()}


WORST = Errors(math.inf, math.inf, -1.0, -math.inf, -math.inf, finite=False)


def errors_of(got: Sequence[Any], expected: Sequence[Any]) -> Errors:
    """got, expected: arrays of the same shapes."""
    if any(g.shape != e.shape or not np.isfinite(g).all() for g, e in zip(got, expected, strict=True)):
        return WORST
    a = np.concatenate([np.ravel(g).astype(np.float64) for g in got])
    b = np.concatenate([np.ravel(e).astype(np.float64) for e in expected])
    difference = a - b
    largest, magnitude, span = (float(np.abs(difference).max()), float(np.abs(b).max()), float(np.ptp(b)))
    noise, signal = float(np.mean(difference**2)), float(np.mean(b**2))
    lengths = math.sqrt(float(a @ a) * float(b @ b))
    cosine = float(a @ b) / lengths if lengths else float(largest == 0)
    return Errors(
        largest,
        largest / magnitude if magnitude else math.inf if largest else 0.0,
        min(cosine, 1.0),
        _decibels((span or magnitude or 1.0) ** 2, noise),
        _decibels(signal, noise),
    )


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
