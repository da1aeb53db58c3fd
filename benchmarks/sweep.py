"""The second table: how the time of a picture grows with the resolution (32 to 1024), or with the threads.

The networks of other resolutions are the configuration's with another img_resolution; all else stays, channels by
resolution included.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import chart, report, rounds
from benchmarks.contenders import FIRST, OURS, Contender

KINDS = ("resolution", "threads")
DEFAULT = (FIRST, "OpenVINO", OURS + "fused")
RESOLUTIONS = (32, 64, 128, 256, 512, 1024)


def points(kind: str, spec: dict[str, Any], threads: int) -> list[tuple[int, dict[str, Any], int]]:
    """(resolution or threads, spec, threads) of each measurement."""
    if kind == "threads":
        cores = os.cpu_count() or 1
        numbers = sorted({1, *(2**i for i in range(1, cores.bit_length()) if 2**i < cores), cores})
        return [(n, spec, n) for n in numbers]
    family = spec["family"]
    return [
        (
            size,
            {
                "name": f"{family}_{size}",
                "family": family,
                "init_kwargs": {**spec["init_kwargs"], "img_resolution": size},
            },
            threads,
        )
        for size in RESOLUTIONS
    ]


def sweep(
    kind: str, spec: dict[str, Any], chosen: Sequence[Contender], threads: int, number: int, out: Path, png: Path
) -> bool:
    """Measure each point, print the table, write JSON and the chart. False where no contender made a picture."""
    results = []
    for at, point, n in points(kind, spec, threads):
        rounds.progress(f"{kind} {at}")
        rows = rounds.measure(point, chosen, n, number, rounds.progress)
        what = {"cfg": point["name"], "family": point["family"], "init_kwargs": point["init_kwargs"]}
        results.append({"at": at} | report.as_json({**what, "threads": n, "rounds": number}, rows))
    whole = {"format": f"{report.FORMAT}-sweep", "format_version": 1, "cfg": spec["name"], "by": kind}
    whole["points"] = results
    report.write_json(whole, out)
    fixed = "" if kind == "threads" else f", {threads} threads"
    print(f"{spec['name']} by {kind}{fixed}, {results[0]['machine']['cpu']}, median of {number}\n")
    print(table(whole))
    print(f"\nwritten: {out}")
    chart.try_to_draw(lambda: chart.lines(whole, png), png)
    return any(row["median_s"] is not None for point in results for row in point["contenders"])


def table(whole: dict[str, Any]) -> str:
    """A line a point: seconds and, behind the others, how many times slower than the last contender they are."""
    names = [row["name"] for row in whole["points"][0]["contenders"]]
    lines = [f"| {whole['by']} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for point in whole["points"]:
        last = point["contenders"][-1]["median_s"]
        cells = []
        for row in point["contenders"]:
            if row["median_s"] is None:
                cells.append(f"- ({row['failed']})".replace("|", "/"))
                continue
            ratio = f", {row['median_s'] / last:.1f}x" if last and row["name"] != names[-1] else ""
            cells.append(f"{row['median_s']:.3g} s, {row['peak_mb']:.0f} MB{ratio}")
        lines.append(f"| {point['at']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
