"""What was measured as JSON and as Markdown tables."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ncnn_builder as nb
from benchmarks.contenders import FIRST, OURS
from benchmarks.rounds import Row

FORMAT = "ncnn-builder-benchmark"
PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "pnnx", "ncnn", "numpy")


def machine() -> dict[str, Any]:
    """Processor, cores, the versions of all that took part."""
    versions = {"ncnn-builder": nb.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.platform(), "versions": versions}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def commit() -> str | None:
    """The commit that was measured, with a + where files differ from it; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def as_json(what: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """`what`: cfg, family, init_kwargs, threads, rounds."""
    return {
        "format": FORMAT,
        "format_version": 1,
        **what,
        "commit": commit(),
        "machine": machine(),
        "contenders": [
            {
                "name": row.contender.name,
                "note": row.contender.note,
                "seconds": row.seconds,
                "median_s": row.median,
                "peak_mb": row.peak_mb,
                "load_s": row.load_s,
                "error": row.error,
                "failed": row.failed,
            }
            for row in rows
        ],
    }


def write_json(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def table(rows: Sequence[Row]) -> str:
    """One line a contender; speed is torch eager's time divided by the contender's."""
    base = next((row.median for row in rows if row.contender.name == FIRST), None)
    lines = [
        "| what | s/picture | speed, torch eager = 1 | peak MB | load s | max error | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name, median = row.contender.name, row.median
        if row.failed or median is None:
            lines.append(f"| {name} | - | - | - | - | - | {(row.failed or 'not run').replace('|', '/')} |")
            continue
        speed = "-" if base is None else f"{base / median:.2f}"
        error = "-" if row.error is None else f"{row.error:.0e}"
        cells = [name, f"{median:.3g}", speed, f"{row.peak_mb:.0f}", f"{row.load_s:.2f}", error, row.contender.note]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratios(rows: Sequence[Row]) -> str:
    """How many times faster our targets are than each peer, and what part of its memory they need."""
    ok = {row.contender.name: row for row in rows if row.median is not None}
    ours = [name for name in ok if name.startswith(OURS)]
    peers = [name for name in ok if not name.startswith(OURS)]
    if not ours or not peers:
        return ""
    lines = ["| faster than (part of its memory) | " + " | ".join(ours) + " |", "|---" * (len(ours) + 1) + "|"]
    for peer in peers:
        cells = []
        for name in ours:
            times = (ok[peer].median or 0) / (ok[name].median or 1)
            memory = (ok[name].peak_mb or 0) / (ok[peer].peak_mb or 1)
            cells.append(f"{times:.2f}x ({memory:.0%})")
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
