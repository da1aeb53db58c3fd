"""docs/restorers.md, made of what was measured."""

from __future__ import annotations

from benchmarks.restorers.networks import NETWORKS
from benchmarks.trials import Rows, ended, line

CORRECT = 1e-3
SIZES = {"any": "any", "up to": "any up to a bound", "one": "one"}


def page(rows: Rows) -> str:
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
        lines.append(line(row, name, row.get("purpose", ""), SIZES.get(row.get("sizes", ""), "none")))
    return ended(lines, rows, list(NETWORKS), "pictures of any size")
