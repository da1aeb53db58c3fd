"""Several threads beside foreign work: `python -m benchmarks.loaded --cfg NAME ...`.

A picture with 1, 2, ... threads, in turn, first as the machine is, then beside processes that keep every core
computing. A thread whose core is taken holds up the others at the end of each layer: what is asked is that as many
threads as there are cores then take at most 1.1 times as long as the best number of them. `--spin` tries how long
OpenMP's threads wait awake.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report, rounds
from benchmarks.batch import foreign_load
from benchmarks.compare import Parser, positive
from benchmarks.contenders import Contender
from ncnn_builder import TARGETS
from stylegan.errors import ConfigError
from stylegan.networks.configs import get_config

OWN = "own"
"""The spin count that the runtime sets by itself."""


def measure(
    spec: dict[str, Any], target: str, threads: Sequence[int], spins: Sequence[str], number: int
) -> list[dict[str, Any]]:
    """A row for each number of threads, spin count and machine: {"threads", "spin", "busy", "seconds", "median_s"}.

    spec: {"name", "family", "init_kwargs"}. Raises rounds.Failed where the export or a worker ends early.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="ncnn-builder-bench-") as name:
        folder = Path(name)
        (folder / "spec.json").write_text(json.dumps(spec))
        artefact = f"target:{target}"
        for reason in rounds.prepare(folder, ["weights", artefact], rounds.progress).values():
            raise rounds.Failed(reason)
        workers: dict[tuple[int, str], rounds.Worker] = {}
        try:
            for spin in spins:
                env = {} if spin == OWN else {"GOMP_SPINCOUNT": spin}
                for n in threads:
                    workers[n, spin] = rounds.Worker(Contender("ours", "ours", artefact, env=env), folder, n)
                    workers[n, spin].pause()
            for busy in (False, True):
                seconds: dict[tuple[int, str], list[float]] = {key: [] for key in workers}
                with foreign_load(busy):
                    for turn in range(number):
                        rounds.progress(f"{'beside other work' if busy else 'alone'}: round {turn + 1} of {number}")
                        for key, worker in workers.items():
                            worker.resume()
                            seconds[key].append(float(worker.picture()["seconds"]))
                            worker.pause()
                for (n, spin), taken in seconds.items():
                    median = statistics.median(taken)
                    rows.append({"threads": n, "spin": spin, "busy": busy, "seconds": taken, "median_s": median})
        finally:
            for worker in workers.values():
                worker.close()
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each spin count and kind of machine: the medians, and how far the most threads are from the best."""
    threads = sorted({row["threads"] for row in rows})
    lines = [
        "| machine | spin | " + " | ".join(f"{n} threads" for n in threads) + f" | {threads[-1]} threads to the best |",
        "|---" * (len(threads) + 3) + "|",
    ]
    for busy in (False, True):
        for spin in dict.fromkeys(row["spin"] for row in rows):
            medians = {row["threads"]: row["median_s"] for row in rows if (row["busy"], row["spin"]) == (busy, spin)}
            cells = [f"{medians[n]:.3f} s" for n in threads]
            cells.append(f"{medians[threads[-1]] / min(medians.values()):.2f}x")
            lines.append(f"| {'beside other work' if busy else 'alone'} | {spin} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python -m benchmarks.loaded", description="Several threads beside foreign work.")
    p.add_argument("--cfg", default="v2ada_512_afhqcat", metavar="NAME")
    p.add_argument("--target", choices=sorted(TARGETS), default="fused")
    p.add_argument("--threads", type=positive, nargs="+", default=[1, 2], help="default 1 2")
    p.add_argument("--rounds", type=positive, default=9, help="pictures of each (default 9)")
    p.add_argument("--spin", nargs="+", default=[OWN], metavar="N", help=f"GOMP_SPINCOUNT; {OWN}: the runtime's")
    p.add_argument("--out", type=Path, help="file for the numbers (default: benchmarks/results/NAME_loaded.json)")
    options = p.parse_args(argv)
    for spin in options.spin:
        if spin not in (OWN, "infinity") and not spin.isdigit():
            p.error(f"argument --spin: expected a whole number, infinity or {OWN}, got {spin!r}")
    try:
        config = get_config(options.cfg)
    except ConfigError as error:
        p.error(str(error))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # how idle the machine was
    spec = {"name": options.cfg, "family": config.family, "init_kwargs": config.init_kwargs}
    try:
        rows = measure(spec, options.target, sorted(set(options.threads)), options.spin, options.rounds)
    except rounds.Failed as error:
        p.error(str(error))
    print(table(rows))
    out = options.out or Path(__file__).parent / "results" / f"{options.cfg}_loaded.json"
    whole = {"format": f"{report.FORMAT}-loaded", "format_version": 1, "cfg": options.cfg, "target": options.target}
    where = {"commit": report.commit(), "machine": report.machine(), "load_before": load}
    report.write_json({**whole, **where, "rows": rows}, out)
    print(f"\nwritten: {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
