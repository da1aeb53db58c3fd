"""What a training takes: seconds of each phase, memory, and a line of it every so many thousand pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stylegan._torch import torch

GB = 2**30


class PhaseClock:
    """Seconds of each phase of a step, until take(): of the processor, or of a GPU, which works by itself.

    Source: the names `Timing/Gmain` and so on are those of the official log.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._found: dict[str, list[Any]] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What is done inside is counted as `name`."""
        begun = self._now()
        yield
        self._found.setdefault(name, []).append((begun, self._now()))

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()  # of the stream: the processor is far ahead of it
        return event

    def take(self) -> dict[str, float]:
        """Mean seconds of every phase, as Timing/PHASE; and begin anew."""
        if self._on_gpu and self._found:
            torch.cuda.synchronize()
        found = {name: [self._seconds(*pair) for pair in pairs] for name, pairs in self._found.items()}
        self._found = {}
        return {f"Timing/{name}": round(sum(times) / len(times), 6) for name, times in sorted(found.items())}

    def _seconds(self, begun: Any, ended: Any) -> float:
        return float(begun.elapsed_time(ended) / 1000 if self._on_gpu else ended - begun)


def memory(device: torch.device) -> dict[str, float]:
    """GB that this process has now (Linux; elsewhere the most that it had), and the most of its GPU since last time."""
    found: dict[str, float] = {}
    own = _own_memory()
    if own is not None:
        found["Resources/cpu_mem_gb"] = round(own / GB, 4)
    if device.type == "cuda":
        found["Resources/peak_gpu_mem_gb"] = round(torch.cuda.max_memory_allocated(device) / GB, 4)
        found["Resources/peak_gpu_mem_reserved_gb"] = round(torch.cuda.max_memory_reserved(device) / GB, 4)
        torch.cuda.reset_peak_memory_stats(device)
    return found


def _own_memory() -> int | None:
    """Bytes, None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if os.uname().sysname == "Darwin" else most * 1024


class Ticks:
    """Every `kimg` thousand pictures of a training is a tick: how long it took, and how much of it was no training.

    Ticks are counted from the training's first picture, so that one that goes on has the same.
    """

    def __init__(self, kimg: float, seen: int) -> None:
        self._pictures = kimg * 1000
        self._started = self._last = time.monotonic()
        self._seen, self._aside = seen, 0.0

    def due(self, seen: int) -> bool:
        return self.number(seen) > self.number(self._seen)

    def number(self, seen: int) -> int:
        return int(seen // self._pictures)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is done inside is no training: files, pictures, metrics."""
        begun = time.monotonic()
        yield
        self._aside += time.monotonic() - begun

    def take(self, seen: int) -> dict[str, float]:
        """Of the tick that ends now, by the official log's names; and begin the next."""
        now = time.monotonic()
        seconds = now - self._last
        found = {
            "Progress/tick": self.number(seen),
            "Progress/kimg": seen / 1000,
            "Timing/total_sec": round(now - self._started, 3),
            "Timing/sec_per_tick": round(seconds, 3),
            "Timing/sec_per_kimg": round(seconds / max(seen - self._seen, 1) * 1000, 3),
            "Timing/maintenance_sec": round(self._aside, 3),
        }
        self._last, self._seen, self._aside = now, seen, 0.0
        return found


_SHOWN = {
    **{"Progress/tick": "tick {:.0f}", "Progress/kimg": "kimg {:.1f}", "Timing/total_sec": "time {}"},
    **{"Timing/sec_per_tick": "sec/tick {:.1f}", "Timing/sec_per_kimg": "sec/kimg {:.2f}"},
    **{"Timing/maintenance_sec": "maintenance {:.1f}", "Resources/cpu_mem_gb": "cpumem {:.2f}"},
    **{"Resources/peak_gpu_mem_gb": "gpumem {:.2f}", "Resources/peak_gpu_mem_reserved_gb": "reserved {:.2f}"},
    "augment_p": "augment {:.3f}",
}


def status(values: dict[str, Any]) -> str:
    """A line of the log as one for people: what of it is timing and memory."""
    shown = {**values, "Timing/total_sec": duration(values["Timing/total_sec"])}
    return "  ".join(form.format(shown[name]) for name, form in _SHOWN.items() if name in shown)


def duration(seconds: float) -> str:
    """The two largest units of a time, such as 3h 05m."""
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // part:02d}{smaller}"
    return f"{whole}s"
