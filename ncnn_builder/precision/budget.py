"""What a net may lose, as the user says it, and how much of it each layer takes."""

from __future__ import annotations

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..doctor.case import guarded
from ..errors import BuildError
from .measures import Errors, errors_of
from .net_files import Blobs

Metric = Callable[[list[Blobs], list[Blobs]], float]
KINDS = ("psnr", "sqnr", "max", "relative", "cosine", "metric")


@dataclass(frozen=True)
class Measured:
    """errors: the worst of the outputs, measure by measure. metric: the user's number, where there is one."""

    outputs: dict[str, Errors]
    metric: float | None = None

    @property
    def worst(self) -> Errors:
        all_of = list(self.outputs.values())
        return Errors(
            max(e.max for e in all_of),
            max(e.relative for e in all_of),
            min(e.cosine for e in all_of),
            min(e.psnr for e in all_of),
            min(e.sqnr for e in all_of),
            all(e.finite for e in all_of),
        )


@dataclass(frozen=True)
class Budget:
    """limits: kind -> the number that must be kept. metric: of the outputs of all samples, the larger the better, whose
    allowed drop is in limits."""

    limits: dict[str, float]
    text: str
    metric: Metric | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """``psnr=40``, ``max=1e-2``, ``cosine=0.999``, ``metric=module:function:drop=0.5``; several with commas.

        Raises BuildError for anything else.
        """
        limits: dict[str, float] = {}
        metric = None
        for part in text.split(","):
            kind, _, value = part.strip().partition("=")
            if kind == "metric":
                name, _, value = value.rpartition(":drop=")
                metric = _function(name)
            try:
                number = float(value)
            except ValueError:
                number = math.nan
            if kind not in KINDS or not math.isfinite(number) or (kind in ("max", "relative", "metric") and number < 0):
                expected = "psnr=40, sqnr=30, max=1e-2, relative=1e-2, cosine=0.999 or metric=module:function:drop=0.5"
                raise BuildError("bad budget", argument="--budget", expected=expected, got=part.strip() or "nothing")
            if kind == "cosine" and not number < 1:
                raise BuildError("bad budget", argument="--budget", expected="a cosine below 1", got=part.strip())
            limits[kind] = number
        return cls(limits, text, metric)

    def measure(self, got: Sequence[Blobs], expected: Sequence[Blobs], samples: Sequence[Blobs]) -> Measured:
        outputs = {o: errors_of([g[o] for g in got], [e[o] for e in expected]) for o in expected[0]}
        return Measured(outputs, None if self.metric is None else self._metric(self.metric, got, samples))

    def _metric(self, metric: Metric, got: Sequence[Blobs], samples: Sequence[Blobs]) -> float:
        """The user's number. Raises BuildError where their function raises, or returns something else."""
        found: Any = guarded("the metric", lambda: metric(list(got), list(samples)))
        try:
            return float(found)
        except (TypeError, ValueError, OverflowError):
            raise BuildError(
                "the metric returned no number", argument="--budget", expected="a number", got=f"{found!r:.80}"
            ) from None

    def base(self, outputs: Sequence[Blobs], samples: Sequence[Blobs]) -> Measured:
        """Of the net as it is, on which all is compared. Raises BuildError where its metric is not finite."""
        right = self.measure(outputs, outputs, samples)
        if right.metric is not None and not math.isfinite(right.metric):
            raise BuildError(
                "the metric of the net as it is",
                argument="--budget",
                expected="a finite number",
                got=f"{right.metric:g}",
            )
        return right

    def kept(self, m: Measured, right: Measured) -> bool:
        """right: of the net as it was, for the metric."""
        return self.spent(m, right) <= 1

    def spent(self, m: Measured, right: Measured) -> float:
        """What part of the budget is spent, in a unit in which independent errors add up; the largest of its limits."""
        e, parts = m.worst, []
        if not e.finite:
            return math.inf
        for kind, limit in self.limits.items():
            if kind in ("psnr", "sqnr"):
                parts.append(10 ** ((limit - getattr(e, kind)) / 10))
            elif kind in ("max", "relative"):
                value = getattr(e, kind)
                parts.append((value / limit) ** 2 if limit else math.inf if value else 0.0)
            elif kind == "cosine":
                parts.append((1 - e.cosine) / (1 - limit))
            else:
                assert m.metric is not None and right.metric is not None
                drop = right.metric - m.metric if math.isfinite(m.metric) else math.inf
                parts.append(drop / limit if limit else math.inf if drop > 0 else 0.0)
        return float(max(parts))

    def told(self, m: Measured) -> str:
        """The measures that the budget limits, as they are."""
        said = [f"{k}={getattr(m.worst, k):.4g}" for k in self.limits if k != "metric"]
        return ", ".join([*said, *([f"metric={m.metric:.6g}"] if m.metric is not None else [])])


def _function(name: str) -> Metric:
    module, colon, attribute = name.rpartition(":")
    if not colon:
        raise BuildError(
            "bad budget", argument="--budget", expected="metric=module:function:drop=0.5", got=f"metric={name}"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
        inspect.signature(found).bind([], [])
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BuildError(
            f"the metric cannot be used: {error}",
            argument="--budget",
            expected="a function of (outputs, samples), two lists of dicts, that returns a number",
            got=name,
        ) from None
    return cast("Metric", found)
