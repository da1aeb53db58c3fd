"""Numbers that reach the edges of layers, which normal draws do not, and comparing what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..ir import Array
from .compare import Comparison

EDGES = ("negative", "zeros", "large", "constant", "mixed")
"""Kinds of draws: all below zero; all zero; magnitudes of 10 to 1000; one number everywhere; exact numbers of each."""

_MIXED = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -3.0, 1e-6, 17.3, -17.3, 90.0, -90.0)
_NUDGE = 1e-6
"""Relative movement of an input, about eight roundings of float32."""
_NUDGES = 4
_EXCUSED = 16
"""How many such movements a computation in float32 may add up to."""
_LEAST = 0.01
"""Magnitudes below count as this: what vector code makes of zeros is not zero to the last bit."""


def edge(kind: str, shape: Sequence[int], rng: np.random.Generator) -> Array:
    """A float32 array of one of EDGES."""
    shape = tuple(shape)
    sign = rng.choice([-1.0, 1.0], shape)
    made: dict[str, Callable[[], Any]] = {
        "negative": lambda: -np.abs(rng.standard_normal(shape)) - 0.1,
        "zeros": lambda: np.zeros(shape),
        "large": lambda: sign * 10 ** rng.uniform(1, 3, shape),
        "constant": lambda: np.full(shape, 1.7),
        "mixed": lambda: rng.choice(_MIXED, shape),
    }
    result: Array = made[kind]().astype(np.float32)
    return result


def nudged(arrays: Sequence[Any], rng: np.random.Generator) -> Iterator[list[Any]]:
    """The inputs, moved a few times by about as much as float32 rounds; all zeros, by what is rounding beside 1."""
    for _ in range(_NUDGES):
        scales = [np.abs(a) if a.any() else 1.0 for a in arrays]
        moved = [a + _NUDGE * s * rng.standard_normal(a.shape) for a, s in zip(arrays, scales, strict=True)]
        yield [m.astype(a.dtype) for m, a in zip(moved, arrays, strict=True)]


def compare_edges(name: str, got: Any, expected: Any, tolerance: float, moved: Sequence[Any]) -> Comparison:
    """Compare number by number what came of an edge draw.

    moved: what is expected of the nudged() inputs. A difference may be `tolerance` of the largest magnitude, and more
    where float32 cannot know better: a layer norm of equal numbers divides rounding by rounding, which shows in how far
    the nudges move the result. Numbers that are expected to be infinite or NaN are not compared, as ncnn is compiled
    with fast arithmetic and gives one or another; an infinity or NaN for a finite number is a mismatch.
    """
    a, b = (np.asarray(array, np.float64) for array in (got, expected))
    if a.shape != b.shape:
        problem = f"shape {list(a.shape)}, expected {list(b.shape)}"
        return Comparison(name, float("inf"), float("inf"), tolerance, problem)
    known = np.isfinite(b)
    if not known.any():
        return Comparison(name, 0.0, 0.0, tolerance)
    if not np.isfinite(a[known]).all():
        bad = int((known & ~np.isfinite(a)).sum())
        return Comparison(name, float("inf"), float("inf"), tolerance, f"{bad} numbers are NaN or infinite")
    with np.errstate(invalid="ignore"):
        excuse = np.zeros(b.shape)
        for other in moved:
            excuse = np.fmax(excuse, np.abs(np.asarray(other, np.float64) - b))
        difference = np.abs(a - b)[known]
    beyond = np.maximum(difference - _EXCUSED * np.nan_to_num(excuse[known], posinf=np.inf), 0)
    scale = max(float(np.abs(b[known]).max()), _LEAST)
    return Comparison(name, float(difference.max()), float(beyond.max()) / scale, tolerance)
