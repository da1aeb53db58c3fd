"""Orthogonal wavelets: the low-pass filters by which pictures are resampled and split into bands.

Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B; the symlets are
Daubechies' least asymmetric wavelets.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@cache
def symlet_taps(order: int) -> tuple[float, ...]:
    """The 2 * order taps of the symlet's low-pass filter, which sum to sqrt(2).

    Daubechies' polynomial says where |H|^2 vanishes; each pair of its roots leaves one to choose. The choice whose
    phase is nearest to linear is the symlet. Raises ValueError for an order below 1 or above 10, where roots lose
    accuracy.
    """
    if not 1 <= order <= 10:
        raise ValueError(f"symlet: order must be 1 to 10, got {order}")
    # P(y) = sum_k C(order - 1 + k, k) y^k with y = (2 - z - 1/z) / 4: two roots z, 1/z for each y.
    roots = np.roots([math.comb(order - 1 + k, k) for k in reversed(range(order))])
    inside = []
    for y in roots:
        z = np.roots([1, 4 * y - 2, 1])
        inside.append(z[np.argmin(np.abs(z))])
    # Complex roots are chosen with their conjugates, so that the taps are real.
    groups = [[z] if abs(z.imag) < 1e-9 else [z, z.conjugate()] for z in inside if z.imag > -1e-9]
    best: tuple[float, Array] | None = None
    for choice in range(2 ** max(0, len(groups) - 1)):  # the last group's choice would only mirror the filter
        zeros = [z if choice >> i & 1 else 1 / z for i, group in enumerate(groups) for z in group]
        taps = np.poly([*[-1] * order, *zeros]).real
        taps = taps * (math.sqrt(2) / taps.sum())
        nonlinearity = _phase_nonlinearity(taps)
        if best is None or nonlinearity < best[0]:
            best = nonlinearity, taps
    assert best is not None
    return tuple(float(x) for x in best[1])


def _phase_nonlinearity(taps: Array) -> float:
    """How far the phase is from the line that fits it best, over the pass band, weighted by power."""
    w = np.linspace(0, np.pi, 257)[:-1]
    response = np.exp(-1j * np.outer(w, np.arange(len(taps)))) @ taps
    phase, power = np.unwrap(np.angle(response)), np.abs(response) ** 2
    slope = (power * w * phase).sum() / (power * w * w).sum()
    return float((power * (phase - slope * w) ** 2).sum())
