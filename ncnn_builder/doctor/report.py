"""A diagnosis as plain data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from ..parity import Comparison
from .diagnose import Diagnosis


def as_json(d: Diagnosis) -> dict[str, Any]:
    """For json.dumps; a tolerance that no number is enough for is null."""
    return {
        "model": d.name,
        "target": d.target,
        "options": d.options.keywords(),
        "tolerance": d.tolerance,
        "equal": d.equal,
        "required": _finite(d.required),
        "culprit": d.culprit,
        "cause": None if d.cause is None else asdict(d.cause),
        "cure": None if d.cure is None else asdict(d.cure),
        "modules": [
            {"path": m.path, "in_the_net": _comparison(m.chained), "alone": _comparison(m.isolated), "note": m.note}
            for m in d.modules
        ],
        "not_compared": d.skipped,
        "seconds": d.seconds,
    }


def _comparison(c: Comparison | None) -> dict[str, Any] | None:
    if c is None:
        return None
    return {"ok": c.ok, "required": _finite(c.required), "max_abs": _finite(c.max_abs), "problem": c.problem}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
