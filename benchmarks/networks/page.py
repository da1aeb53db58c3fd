"""docs/networks.md, made of what was measured."""

from __future__ import annotations

from benchmarks.networks.trial import NETWORKS
from benchmarks.trials import Rows, whys

CORRECT = 1e-4
TITLES = {
    "diffusers": "Generators, of diffusers 0.42.1",
    "transformers": "Words, sounds and pictures, of transformers 5.24.0",
    "timm": "Classification, of timm 1.0.31",
}
SIZES = {"any": "any", "one": "the example's"}


def page(rows: Rows) -> str:
    good = [row for row in rows.values() if row.get("error", 1) <= CORRECT]
    lines = [
        "# Networks that convert",
        "",
        '`nb.convert(net, inputs, "out/net")` ([how](convert.md)) of networks that others wrote, as they are: no line',
        "of theirs is changed. Small ones where the class allows it, with random weights, on plain ncnn beside torch,",
        "at three inputs and, where sizes are open, at several of them. Error: the largest, of the output's largest",
        f"magnitude. {len(good)} of {len(rows)} convert within 1e-4. `python -m benchmarks.networks` wrote this page.",
    ]
    for library, title in TITLES.items():
        names = [name for name, row in rows.items() if NETWORKS[name].library == library]
        lines += ["", f"## {title}", "", "| class | known for | sizes | error | layers |", "|---|---|---|---|---|"]
        for name in names:
            row = rows[name]
            cells = [f"`{name}`", NETWORKS[name].purpose, SIZES.get(row.get("sizes", ""), "does not convert")]
            cells += [f"{row['error']:.0e}" if "error" in row else "", str(row.get("layers", ""))]
            lines.append(f"| {' | '.join(cells)} |")
    lines += whys("Why these do not convert", "failed", rows)
    lines += whys("Why these do not for open sizes", "not_open", rows)
    missing = [name for name in NETWORKS if name not in rows]
    if missing:
        lines += ["", f"Not tried yet: {', '.join(missing)}."]
    return "\n".join([*lines, ""])
