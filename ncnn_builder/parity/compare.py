"""A comparison is an object with its numbers; a report is a list of them in the order of computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ParityError


@dataclass(frozen=True)
class Comparison:
    """One tensor against its reference.

    max_abs    the largest difference
    required   the tolerance that would have been needed: max_abs / largest magnitude of the reference
    tolerance  the one allowed
    problem    why the two cannot be compared at all (shape, NaN); None where they can
    """

    name: str
    max_abs: float
    required: float
    tolerance: float
    problem: str | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None and self.required <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok  " if self.ok else "FAIL"
        text = f"{verdict} {self.name:<44} required {self.required:.2e} of {self.tolerance:.0e}"
        return f"{text}  {self.problem}" if self.problem else text


def compare(name: str, got: Any, expected: Any, tolerance: float) -> Comparison:
    """Compare `got` with `expected`, relative to the largest magnitude of `expected`.

    A wrong shape, a NaN or an infinity in `got` is a mismatch whatever the tolerance. Raises ParityError where
    the reference itself is empty or not finite: nothing can be proven with it.
    """
    a, b = np.asarray(got), np.asarray(expected)
    if b.size == 0 or not np.isfinite(b).all():
        raise ParityError(f"the reference of {name} is empty or not finite", got=list(b.shape))
    if a.shape != b.shape:
        return Comparison(
            name, float("inf"), float("inf"), tolerance, f"shape {list(a.shape)}, expected {list(b.shape)}"
        )
    if not np.isfinite(a).all():
        bad = int(a.size - np.isfinite(a).sum())
        return Comparison(name, float("inf"), float("inf"), tolerance, f"{bad} numbers are NaN or infinite")
    max_abs = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
    scale = float(np.abs(b).max())
    required = max_abs / scale if scale else (0.0 if max_abs == 0 else float("inf"))
    return Comparison(name, max_abs, required, tolerance)


@dataclass
class Report:
    """Comparisons in the order of computation."""

    title: str
    comparisons: list[Comparison] = field(default_factory=list)

    def add(self, comparison: Comparison) -> Report:
        self.comparisons.append(comparison)
        return self

    def add_all(self, got: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> Report:
        """Compare everything that is expected; a name that was not got is a mismatch, not a warning."""
        for name, reference in expected.items():
            if name in got:
                self.comparisons.append(compare(name, got[name], reference, tolerance))
            else:
                self.comparisons.append(
                    Comparison(name, float("inf"), float("inf"), tolerance, "there is no such result")
                )
        return self

    @property
    def first_divergence(self) -> Comparison | None:
        return next((c for c in self.comparisons if not c.ok), None)

    @property
    def worst(self) -> Comparison:
        self._not_empty()
        return max(self.comparisons, key=lambda c: c.required / c.tolerance)

    def check(self) -> Report:
        """Raises ParityError when something differs, or when nothing was compared."""
        self._not_empty()
        first = self.first_divergence
        if first is not None:
            failed = sum(not c.ok for c in self.comparisons)
            raise ParityError(
                f"{self.title}: {failed} of {len(self.comparisons)} differ, the first is {first.name}",
                expected=f"within {first.tolerance:.0e} of the largest magnitude",
                got=first.problem or f"{first.required:.2e}",
                fix=f"All of them:\n{self}",
            )
        return self

    def _not_empty(self) -> None:
        if not self.comparisons:
            raise ParityError(f"{self.title}: nothing was compared")

    def __str__(self) -> str:
        return "\n".join([self.title, *map(str, self.comparisons)])
