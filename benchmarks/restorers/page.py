"""docs/restorers.md, made of what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.restorers.networks import NETWORKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "restorers.md"
CORRECT = 1e-3
SIZES = {"any": "any", "up to": "any up to a bound", "one": "one"}
_WHY = {"Why these do not convert": "failed", "Why these do not for pictures of any size": "not_open"}


def page(rows: Mapping[str, Mapping[str, Any]]) -> str:
    good = [row for row in rows.values() if row.get("error", 1) <= CORRECT]
    count = {kind: sum(row["sizes"] == kind for row in good) for kind in SIZES}
    lines = [
        "# Checkpoints of restorers",
        "",
        "`python -m ncnn_builder convert x4plus.pth --out x4plus` ([how](convert.md#checkpoints-of-restorers)) of",
        "every architecture of spandrel 0.4.2 and spandrel_extra_arches 0.2.0: small ones where the class allows it,",
        "with random weights, on plain ncnn beside torch, at several sizes. Error: the largest, of the output's",
        f"largest magnitude. {len(good)} of {len(rows)} convert within 1e-3: {count['any']} for pictures of any size,"
        f" {count['up to']} for any up to a",
        f"bound (`--size ..512`), {count['one']} for one size (`--size 512`).",
        "`python -m benchmarks.restorers` wrote this page.",
        "",
        "| architecture | for | sizes | error | layers |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [name, row.get("purpose", ""), SIZES.get(row.get("sizes", ""), "none")]
        cells += [f"{row['error']:.0e}" if "error" in row else "", str(row.get("layers", ""))]
        lines.append(f"| {' | '.join(cells)} |")
    for title, key in _WHY.items():
        whys = [f"- {name}: {_plain(row[key])}" for name, row in rows.items() if key == _reason(row)]
        lines += ["", f"## {title}", "", *whys] if whys else []
    missing = [name for name in NETWORKS if name not in rows]
    if missing:
        lines += ["", f"Not tried yet: {', '.join(missing)}."]
    return "\n".join([*lines, ""])


def _reason(row: Mapping[str, Any]) -> str | None:
    """What there is to say of a network: why it does not convert, else why for one size only."""
    return next((key for key in _WHY.values() if key in row), None)


def _plain(why: str) -> str:
    """Words of an error, none of which the page takes for a mark of its own."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", " ".join(why.split()))
