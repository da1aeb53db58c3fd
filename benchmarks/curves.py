"""The curves of a training: `python -m benchmarks.curves runs/faces/log.jsonl curves.png`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks import chart
from benchmarks.compare import Parser


def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python -m benchmarks.curves", description="Draw the losses and scores of stylegan.train.")
    p.add_argument("log", type=Path, metavar="LOG.jsonl", help="log.jsonl of a training")
    p.add_argument("out", type=Path, metavar="OUT.png")
    options = p.parse_args(argv)
    try:
        log = [json.loads(line) for line in options.log.read_text().splitlines()]
        known = [line for line in log if "pictures" in line and chart.CURVES.keys() <= line.keys()]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        p.error(f"{options.log}: expected the log.jsonl of stylegan.train: {error}")
    if not known:
        p.error(f"{options.log}: expected the log.jsonl of stylegan.train, no line of it has losses and scores")
    chart.try_to_draw(lambda: chart.curves(known, options.log.absolute().parent.name, options.out), options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
