"""Side by side with the peers: `python -m benchmarks.compare --cfg v2ada_512_afhqcat --threads 2`.

Every contender has the same weights and the same latent, and makes one picture in turn, each in a process of its own
(benchmarks.rounds); the peers that need a conversion get the best static form that we know (benchmarks.rewrite).
Prints medians, ratios, peak memory (the whole process: Python and framework included), load times and errors against
torch eager; writes them as JSON and as a bar chart. `--sweep` prints the second table, see benchmarks.sweep.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import chart, report, rounds, sweep
from benchmarks.contenders import FIRST, Contender, contenders
from stylegan.errors import ConfigError
from stylegan.networks.configs import get_config

RESULTS = Path(__file__).parent / "results"


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def parser() -> Parser:
    p = Parser(prog="python -m benchmarks.compare", description="Time synthesis beside torch and the converters.")
    p.add_argument("--cfg", default="v2ada_512_afhqcat", metavar="NAME", help="default %(default)s")
    p.add_argument("--threads", type=positive, default=2, help="default 2")
    p.add_argument("--rounds", type=positive, default=5, help="pictures of each contender (default 5)")
    p.add_argument(
        "--processor", action="store_true", help="seconds of the processor, for a machine with other work: --threads 1"
    )
    p.add_argument("--only", metavar="NAMES", help=f"contenders, separated by commas; {FIRST} is always in")
    p.add_argument("--list", action="store_true", help="list the contenders, and what they need that is not there")
    p.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="default benchmarks/results/CFG.json, with --processor CFG_processor.json",
    )
    p.add_argument("--chart", type=Path, metavar="PNG", help="the chart (default: the JSON's name with .png)")
    p.add_argument(
        "--sweep", choices=sweep.KINDS, help="the second table: how time grows with the resolution or the threads"
    )
    return p


def choose(only: str | None, default: Sequence[str] | None = None) -> list[Contender]:
    """The contenders named, in the table's order. Raises ValueError for an unknown one."""
    known = contenders()
    names = list(default or known) if only is None else [name.strip() for name in only.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"--only: unknown contender {', '.join(map(repr, unknown))}: known: {', '.join(known)}")
    return [row for name, row in known.items() if name in names or name == FIRST]


def compare(
    spec: dict[str, Any], chosen: list[Contender], threads: int, number: int, out: Path, png: Path, clock: str
) -> bool:
    """Measure, print, write. False where no contender made a picture."""
    rows = rounds.measure(spec, chosen, threads, number, rounds.progress, clock)
    result = report.as_json(
        {
            "cfg": spec["name"],
            "family": spec["family"],
            "init_kwargs": spec["init_kwargs"],
            "threads": threads,
            "rounds": number,
            "clock": clock,
        },
        rows,
    )
    report.write_json(result, out)
    of = " of the processor" if clock == "processor" else ""
    print(f"{spec['name']}, {threads} threads, {result['machine']['cpu']}, seconds{of}, median of {number}\n")
    print(report.table(rows))
    print(f"\n{report.ratios(rows)}\n\nwritten: {out}")
    chart.try_to_draw(lambda: chart.bars(result, png), png)
    return any(row.median is not None for row in rows)


def main(argv: Sequence[str] | None = None) -> int:
    p = parser()
    args = p.parse_args(argv)
    if args.list:
        for row in contenders().values():
            print(row.name + (f"  (not installed: {', '.join(row.missing)})" if row.missing else ""))
        return 0
    if args.processor and (args.threads != 1 or args.sweep):
        p.error("--processor adds up what all threads do: it is for --threads 1, without --sweep")
    try:
        config = get_config(args.cfg)
        chosen = choose(args.only, sweep.DEFAULT if args.sweep else None)
    except (ConfigError, ValueError) as error:
        p.error(str(error))
    spec = {"name": config.name, "family": config.family, "init_kwargs": dict(config.init_kwargs)}
    suffix = f"_by_{args.sweep}" if args.sweep else "_processor" if args.processor else ""
    out = args.out or RESULTS / f"{config.name}{suffix}.json"
    png = args.chart or out.with_suffix(".png")
    if args.sweep:
        done = sweep.sweep(args.sweep, spec, chosen, args.threads, args.rounds, out, png)
    else:
        done = compare(spec, chosen, args.threads, args.rounds, out, png, rounds.CLOCKS[1 if args.processor else 0])
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
