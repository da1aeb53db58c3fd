"""What we make of a network of torch beside what pnnx makes of it: `python -m benchmarks.frontend --threads 2`.

Both convert the same modules (benchmarks.frontend.networks), and the files run on the plain ncnn wheel, in turn, in
fp32 (benchmarks.frontend.race). Prints a line a network: medians by the clock with so many threads, medians of
processor time with one thread, which other programs on the machine do not change; how many times faster ours is; each
one's error against torch; layers; and what converting takes (benchmarks.frontend.prepare). Writes it as JSON.
A network whose files of pnnx's do not load, or compute something else, has no speed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import RESULTS, Parser, positive
from benchmarks.frontend.networks import NETWORKS
from benchmarks.report import as_json, write_json
from benchmarks.rounds import progress

CORRECT = 1e-3
"""Of the largest magnitude: what differs more is another function."""
LIMIT = 1800
"""Seconds that one step may take."""
NAMES = ("ours", "pnnx")


def step(module: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """What a program of this package answers. Raises RuntimeError where it ends otherwise."""
    command = [sys.executable, "-m", f"benchmarks.frontend.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"{module}: exit code {done.returncode} {' '.join(last)}")
    return dict(json.loads(done.stdout))


def measure(name: str, threads: int, rounds: int) -> dict[str, Any]:
    """The row of one network: for each of the two what is known of it, and how many times faster ours is."""
    with tempfile.TemporaryDirectory(prefix="ncnn-builder-bench-") as folder:
        row: dict[str, Any] = {"name": name, **step("prepare", folder, name)}
        able = [each for each in NAMES if "failed" not in row[each]]
        for each, found in step("race", folder, str(threads), str(rounds), *able).items():
            row[each] |= found
    for each in NAMES:
        if row[each].get("error", 0) > CORRECT:
            row[each]["failed"] = f"computes something else: differs by {row[each]['error']:.1g} of the largest number"
        for kind in ("wall", "cpu"):
            if row[each].get(kind):
                row[each][f"{kind}_median_s"] = statistics.median(row[each][kind])
    if not any("failed" in row[each] for each in NAMES):
        row["speed"] = {
            kind: row["pnnx"][f"{kind}_median_s"] / row["ours"][f"{kind}_median_s"] for kind in ("wall", "cpu")
        }
    return row


def line(row: dict[str, Any]) -> str:
    ours, pnnx, speed = row["ours"], row["pnnx"], row.get("speed")
    numbers = lambda key, scale=1.0: " / ".join(f"{scale * r[key]:.3g}" if key in r else "-" for r in (ours, pnnx))
    count = " / ".join(str(sum(r["layers"].values())) if "layers" in r else "-" for r in (ours, pnnx))
    cells = [row["name"], numbers("wall_median_s", 1e3), numbers("cpu_median_s", 1e3)]
    cells += [f"{speed[kind]:.2f}x" if speed else "-" for kind in ("wall", "cpu")]
    cells += [" / ".join(f"{r['error']:.0e}" if "error" in r else "-" for r in (ours, pnnx)), count]
    cells += [numbers("convert_s"), f"{ours['checked_s']:.3g}" if "checked_s" in ours else "-"]
    failed = "; ".join(f"{each}: {row[each]['failed']}" for each in NAMES if "failed" in row[each])
    return f"| {' | '.join([*cells, failed.replace('|', '/')])} |"


def heads(threads: int) -> list[str]:
    names = ["network, ours / pnnx", f"ms, {threads} threads", "CPU ms, 1 thread", "speed", "speed, CPU", "error"]
    names += ["layers", "convert, CPU s", "checked", ""]
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Geometric means over what both convert."""
    both = [row for row in rows if "speed" in row]
    means = {kind: statistics.geometric_mean(row["speed"][kind] for row in both) for kind in ("wall", "cpu") if both}
    converting = {}
    for name, start in (("whole", 0), ("without start", 1)) if both else ():
        times = [(row["pnnx"]["convert_s"] - start * row["pnnx"]["start_s"]) / row["ours"]["convert_s"] for row in both]
        converting[name] = statistics.geometric_mean(max(t, 1e-3) for t in times)
    return {"networks": len(both), "speed": means, "convert": converting}


def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python -m benchmarks.frontend", description="Our nets beside pnnx's, on plain ncnn.")
    p.add_argument("--only", metavar="NAMES", help=f"networks, separated by commas, of {', '.join(NETWORKS)}")
    p.add_argument("--threads", type=positive, default=2, help="default 2")
    p.add_argument("--rounds", type=positive, default=21, help="runs of each net (default 21)")
    p.add_argument("--out", type=Path, default=RESULTS / "frontend.json", metavar="FILE", help="default %(default)s")
    options = p.parse_args(argv)
    names = list(NETWORKS) if options.only is None else [name.strip() for name in options.only.split(",")]
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        p.error(f"--only: unknown network {', '.join(unknown)}: known: {', '.join(NETWORKS)}")
    rows = []
    print("\n".join(heads(options.threads)), flush=True)
    for name in names:
        progress(name)
        rows.append(measure(name, options.threads, options.rounds))
        print(line(rows[-1]), flush=True)
        found = summary(rows)
        what = {"by": "frontend", "threads": options.threads, "rounds": options.rounds, "summary": found}
        result = as_json({**what, "networks": rows}, [])
        write_json(result, options.out)  # after each, for a run of an hour may be stopped
    print(f"\n{result['machine']['cpu']}, medians of {options.rounds}; of {found['networks']} that both convert:")
    if found["networks"]:
        print(f"  speed, geometric mean: {found['speed']['wall']:.2f}x, of CPU time {found['speed']['cpu']:.2f}x")
        whole, rest = found["convert"].values()
        print(f"  converting, CPU time: {whole:.2f}x, without the start of pnnx's program {rest:.2f}x")
    print(f"written: {options.out}")
    return 1 if any("failed" in row["ours"] for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
