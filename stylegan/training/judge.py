"""Metrics of the snapshots of a training, and the best of these kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ncnn_builder as nb
from stylegan.networks.random_weights import Generator
from stylegan.training.report import read_lines

LINES, BEST = "metrics.jsonl", "network-best.safetensors"

Measure = Callable[[Generator], dict[str, float]]
"""The figures of an averaged generator, by name; the first decides which snapshot is best."""

HIGHER = ("precision", "recall", "is", "is_mean", "eqt", "eqt_int", "eqt_frac", "eqr")
"""Names of figures that are better the larger they are; all others are distances."""


def better(name: str, new: float, old: float) -> bool:
    """Whether a figure of that name beats another; what is no number beats nothing, and is beaten by every number."""
    if new != new or old != old:
        return new == new
    return new > old if name.partition("50k")[0].rstrip("_") in HIGHER else new < old


class Judge:
    """Writes a line of LINES for each snapshot, and copies the best one to BEST.

    seen: of the training that goes on; lines of more pictures, which were not saved, go.
    """

    def __init__(self, out: Path, seen: int, measure: Measure) -> None:
        self._out, self._measure = out, measure
        self.lines = [line for line in read_lines(out / LINES) if line.get("pictures", 0) <= seen and line["values"]]
        nb.write_files({out / LINES: ["".join(json.dumps(line) + "\n" for line in self.lines).encode()]})
        best = self.best()
        if best is not None and (out / best["network"]).is_file():  # BEST may be of a line that went
            nb.write_files({out / BEST: [(out / best["network"]).read_bytes()]})

    def best(self) -> dict[str, Any] | None:
        found = None
        for line in self.lines:
            name = next(iter(line["values"]))
            if found is None or better(name, line["values"][name], found["values"].get(name, float("nan"))):
                found = line
        return found

    def judged(self, seen: int) -> bool:
        return any(line["pictures"] == seen for line in self.lines)

    def __call__(self, G: Generator, seen: int, network: str) -> dict[str, float]:
        """Measure the snapshot in the file `network`, which is there; its figures as Metrics/NAME. Raises what measure
        does."""
        begun = time.monotonic()
        values = self._measure(G)
        line = {"pictures": seen, "network": network, "values": values, "seconds": round(time.monotonic() - begun, 3)}
        self.lines.append(line)
        with (self._out / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.best() is line:
            nb.write_files({self._out / BEST: [(self._out / network).read_bytes()]})
        return {f"Metrics/{name}": value for name, value in values.items()}
