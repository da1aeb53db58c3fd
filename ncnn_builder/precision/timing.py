"""How long a layer takes in each form here, measured once and kept: a second run has the same numbers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..emit import write_files
from ..emit.layers import Layer
from ..errors import BuildError

SCHEMA = 1


def machine() -> str:
    """The processor by name, as the system says it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def default_path() -> Path:
    """In the user's cache, by processor."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root, "ncnn-builder", f"device-{hashlib.sha256(machine().encode()).hexdigest()[:12]}.json")


class Device:
    """Measured seconds by key. A file that another machine wrote is only read: what it lacks is an error."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = default_path() if path is None else path
        self.name, self.seconds = machine(), {}
        self.changed = False
        if self.path.exists():
            try:
                held = json.loads(self.path.read_text())
                if held["schema"] != SCHEMA:
                    raise ValueError(f"schema {held['schema']}")
                self.name = str(held["machine"])
                self.seconds = {str(k): float(v) for k, v in held["seconds"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise BuildError(
                    f"{self.path} is no table of a device: {error}",
                    argument="--device",
                    fix="Delete it, or name another",
                ) from None

    def __call__(self, key: str, run: Callable[[], Any], threads: int) -> float:
        """Seconds of a run: the table's, or measured now.

        Of one thread they are the processor's, of which other programs take nothing.
        """
        if key not in self.seconds:
            if self.name != machine():
                raise BuildError(
                    f"{self.path} is of {self.name}, and lacks a layer of this net",
                    argument="--device",
                    fix="Run the command there, with the same net, and take the table that it writes",
                )
            self.seconds[key] = measured(run, time.process_time if threads == 1 else time.perf_counter)
            self.changed = True
        return self.seconds[key]

    def save(self) -> None:
        if self.changed:
            held = {"schema": SCHEMA, "machine": self.name, "seconds": dict(sorted(self.seconds.items()))}
            write_files({self.path: [json.dumps(held, indent=1).encode() + b"\n"]})
            self.changed = False


def measured(
    run: Callable[[], Any], clock: Callable[[], float], least: int = 5, most: int = 40, seconds: float = 0.15
) -> float:
    """The lower quartile of some runs behind a first one, to three digits: other work only makes a run longer."""
    run()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < least or (len(times) < most and time.perf_counter() - begin < seconds):
        start = clock()
        run()
        times.append(clock() - start)
    return float(f"{sorted(times)[len(times) // 4]:.3g}")


def key_of(layer: Layer, shapes: list[tuple[int, ...]], form: str, threads: int) -> str:
    """What the time of a layer depends on."""
    said = json.dumps([layer.spec.in_files, layer.params, layer.mask, shapes], default=list, sort_keys=True)
    return f"{layer.spec.in_files} {form} {threads} {hashlib.sha256(said.encode()).hexdigest()[:16]}"
