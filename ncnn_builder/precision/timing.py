"""How long a layer takes in each form here, measured once and kept: a second run has the same numbers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..emit import write_files
from ..emit.layers import Layer
from ..errors import BuildError
from .net_files import runtime

SCHEMA = 1


def machine() -> str:
    """What times depend on: the processor as the system names it (a cloud's names are of whole families), the
    instruction sets that are in use, which NCNN_BUILDER_CPU may bound, and the version of ncnn."""
    said: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            said.setdefault(name.strip(), value.strip())
    parts = [said.get("model name") or platform.processor() or platform.machine()]
    parts += [f"{n} {said[n]}" for n in ("cpu family", "model", "CPU implementer", "CPU part") if n in said]
    own = runtime()._ncnn
    return ", ".join([*parts, own.cpu_in_use, f"ncnn {own.ncnn_version}"])


def default_path() -> Path:
    """In the user's cache, by processor."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root, "ncnn-builder", f"device-{hashlib.sha256(machine().encode()).hexdigest()[:12]}.json")


class Device:
    """Measured seconds by key. A file that another machine wrote is only read: what it lacks is an error."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = default_path() if path is None else path
        self.name = machine()
        self.seconds: dict[str, float] = {}
        self.changed = False
        if self.path.exists():
            try:
                self.name, self.seconds = _table(json.loads(self.path.read_text()))
            except (OSError, ValueError) as error:
                raise BuildError(
                    f"{self.path} is no table of a device: {error}",
                    argument="--device",
                    expected=f'{{"schema": {SCHEMA}, "machine": NAME, "seconds": {{...}}}}, as quantize writes it',
                    fix="Name another, or one that is not there yet: it is made",
                ) from None

    def __call__(self, runs: Mapping[str, Callable[[], Any]], threads: int) -> list[float]:
        """Seconds of each of these runs, by key: the table's, or measured now, in turn, so that they compare.

        Of one thread they are the processor's, of which other programs take nothing.
        """
        lacking = {key: run for key, run in runs.items() if key not in self.seconds}
        if lacking:
            if self.name != machine():
                raise BuildError(
                    f"{self.path} is of {self.name}, and lacks a layer of this net",
                    argument="--device",
                    fix="Run the command there, with the same net, and take the table that it writes",
                )
            clock = time.process_time if threads == 1 else time.perf_counter
            self.seconds.update(zip(lacking, measured(list(lacking.values()), clock), strict=True))
            self.changed = True
        return [self.seconds[key] for key in runs]

    def save(self) -> None:
        if self.changed:
            held = {"schema": SCHEMA, "machine": self.name, "seconds": dict(sorted(self.seconds.items()))}
            write_files({self.path: [json.dumps(held, indent=1).encode() + b"\n"]})
            self.changed = False


def _table(held: Any) -> tuple[str, dict[str, float]]:
    """What a file holds. Raises ValueError where it is no such table."""
    if not isinstance(held, dict) or "schema" not in held:
        raise ValueError("it has no schema")
    if held["schema"] != SCHEMA:
        raise ValueError(f"its schema is {held['schema']}, and that of this version {SCHEMA}")
    name, seconds = held.get("machine"), held.get("seconds")
    if not isinstance(name, str) or not isinstance(seconds, dict):
        raise ValueError("machine or seconds is missing")
    for key, value in seconds.items():
        if not isinstance(value, float | int) or isinstance(value, bool) or not 0 < value < math.inf:
            raise ValueError(f"{value!r} of {key!r} is no time")
    return name, {key: float(value) for key, value in seconds.items()}


def measured(
    runs: Sequence[Callable[[], Any]],
    clock: Callable[[], float],
    least: int = 5,
    most: int = 40,
    seconds: float = 0.15,
) -> list[float]:
    """Of each the lower quartile of some runs behind a first one, to three digits: other work only makes a run longer.

    All in turn, until each has taken so many seconds of this clock.
    """
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    while len(times[0]) < least or (len(times[0]) < most and min(map(sum, times)) < seconds):
        for run, own in zip(runs, times, strict=True):
            start = clock()
            run()
            own.append(clock() - start)
    return [float(f"{sorted(own)[len(own) // 4]:.3g}") for own in times]


def key_of(layer: Layer, shapes: list[tuple[int, ...]], form: str, threads: int) -> str:
    """What the time of a layer depends on."""
    said = json.dumps([layer.spec.in_files, layer.params, layer.mask, shapes], default=list, sort_keys=True)
    return f"{layer.spec.in_files} {form} {threads} {hashlib.sha256(said.encode()).hexdigest()[:16]}"
