"""docs/networks.md, made of what was measured."""

from __future__ import annotations

from benchmarks.networks.trial import NETWORKS
from benchmarks.trials import Rows, ended, line

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
            sizes = SIZES.get(rows[name].get("sizes", ""), "does not convert")
            lines.append(line(rows[name], f"`{name}`", NETWORKS[name].purpose, sizes))
    return ended(lines, rows, list(NETWORKS), "open sizes")
