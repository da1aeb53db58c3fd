"""Measuring: every contender in a process of its own, one picture each in turn.

In turn (A B C A B C ...), so that a machine that slows down slows all of them. A worker that waits is stopped
(SIGSTOP): thread pools that spin would take the time of the one that works, and to tell each framework not to spin
might slow it down. A worker lives through all rounds as long as those alive fit into MEMORY_SHARE of the free memory
together; one that would not is ended after its picture and started anew for the next round. Its first picture after
each start is a warm-up. Workers are fresh programs (not forks), because a fork inherits the peak of its parent.
"""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import FIRST, Contender

MEMORY_SHARE = 0.5
PREPARE_LIMIT = 1200
PICTURE_LIMIT = 600
CLOCKS = ("seconds", "processor")
"""What a worker's answer says: seconds by the clock, or of the processor."""
Say = Callable[[str], None]


class Failed(Exception):
    """A contender cannot do it: the reason, in one line."""


@dataclass
class Row:
    """What is known of one contender. seconds: one for each round; error: relative to the largest magnitude."""

    contender: Contender
    seconds: list[float] = field(default_factory=list)
    load_s: float | None = None
    peak_mb: float | None = None
    error: float | None = None
    failed: str | None = None

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds and not self.failed else None


class Worker:
    """A running benchmarks.worker. Raises Failed where it ends, or takes longer than it may."""

    def __init__(self, contender: Contender, folder: Path, threads: int) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (close() closes it)
        command = [sys.executable, "-m", "benchmarks.worker", str(folder), contender.worker, contender.artefact]
        env = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"), **contender.env}
        self.process = subprocess.Popen(
            [*command, str(threads)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log
        )
        self.limit = contender.load_limit
        try:
            self.load_s = float(self._answer(self.limit)["load_s"])
            self.picture()
        except Failed:
            self.close()
            raise

    def picture(self) -> dict[str, Any]:
        return self._ask("picture", PICTURE_LIMIT)

    def save(self, path: Path) -> None:
        self._ask(f"save {path}", PICTURE_LIMIT)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def _ask(self, line: str, limit: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # _answer says why
        return self._answer(limit)

    def _answer(self, limit: float) -> dict[str, Any]:
        out = self.process.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], limit)
        if not ready:
            raise Failed(f"no answer within {limit:.0f} s")
        line = out.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            raise Failed(_reason(self.log.read(), self.process.returncode))
        return dict(json.loads(line))


def _reason(log: bytes, code: int) -> str:
    """The last line of what a process that failed has said."""
    lines = log.decode(errors="replace").strip().splitlines()
    killed = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    return f"{killed}: {lines[-1][:200]}" if lines else killed


def prepare(folder: Path, artefacts: Iterable[str], say: Say) -> dict[str, str]:
    """Make the artefacts in FOLDER; the failures, and why."""
    failures = {}
    for artefact in dict.fromkeys(artefacts):
        say(f"making {artefact}")
        command = [sys.executable, "-m", "benchmarks.prepare", str(folder), artefact]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PREPARE_LIMIT)
        except subprocess.TimeoutExpired:
            failures[artefact] = f"conversion took more than {PREPARE_LIMIT} s"
            continue
        if done.returncode:
            failures[artefact] = f"conversion failed, {_reason(done.stderr, done.returncode)}"
    return failures


def measure(
    spec: dict[str, Any], chosen: Iterable[Contender], threads: int, rounds: int, say: Say, clock: str = CLOCKS[0]
) -> list[Row]:
    """Rows in the order of `chosen`. spec: {"name", "family", "init_kwargs"}. clock: one of CLOCKS."""
    rows = [Row(contender) for contender in chosen]
    for row in rows:
        if row.contender.missing:
            row.failed = f'not installed: {", ".join(row.contender.missing)} (pip install -e ".[bench]")'
    with tempfile.TemporaryDirectory(prefix="ncnn-builder-bench-") as name:
        folder = Path(name)
        (folder / "spec.json").write_text(json.dumps(spec))
        wanted = [row.contender.artefact for row in rows if not row.failed]
        failures = prepare(folder, ["weights", *wanted], say)
        for row in rows:
            row.failed = row.failed or failures.get("weights") or failures.get(row.contender.artefact)
        _run(rows, folder, threads, rounds, say, clock)
        _compare(rows, folder)
    return rows


def _run(rows: list[Row], folder: Path, threads: int, rounds: int, say: Say, clock: str) -> None:
    alive: dict[str, Worker] = {}
    budget = MEMORY_SHARE * _free_mb()
    try:
        for turn in range(rounds):
            for row in rows:
                if not row.failed:
                    say(f"round {turn + 1} of {rounds}: {row.contender.name}")
                    budget -= _turn(row, folder, threads, alive, budget, clock)
    finally:
        for worker in alive.values():
            worker.close()


def _turn(row: Row, folder: Path, threads: int, alive: dict[str, Worker], budget: float, clock: str) -> float:
    """One picture of one contender. Returns the memory that it goes on holding, beyond what it held."""
    name = row.contender.name
    worker = alive.get(name)
    held = 0.0
    try:
        if worker is None:
            worker = Worker(row.contender, folder, threads)
            row.load_s = worker.load_s if row.load_s is None else min(row.load_s, worker.load_s)
        else:
            worker.resume()
        answer = worker.picture()
        if not row.seconds:
            row.peak_mb = answer["peak_mb"]
            worker.save(_picture(folder, name))
        row.seconds.append(answer[clock])
        if name not in alive and answer["peak_mb"] <= budget:
            alive[name] = worker
            held = answer["peak_mb"]
        if name in alive:
            worker.pause()
        else:
            worker.close()
    except Failed as error:
        row.failed = str(error)
        if worker is not None:
            worker.close()
        alive.pop(name, None)
    return held


def _compare(rows: list[Row], folder: Path) -> None:
    """The error of each picture, against the first contender's."""
    first = _picture(folder, FIRST)
    if not first.exists():
        return
    expected = np.load(first)
    for row in rows:
        path = _picture(folder, row.contender.name)
        if row.failed or not path.exists():
            continue
        got = np.load(path)
        if got.shape != expected.shape:
            row.failed = f"its picture is {list(got.shape)}, expected {list(expected.shape)}"
            continue
        row.error = float(np.abs(got - expected).max() / np.abs(expected).max())


def _picture(folder: Path, name: str) -> Path:
    return folder / f"picture {name.replace('>', '')}.npy"


def _free_mb() -> float:
    with open("/proc/meminfo") as file:
        facts = dict(line.split(":", 1) for line in file)
    return int(facts["MemAvailable"].split()[0]) / 1024


def progress(text: str) -> None:
    """To standard error, where it does not mix with the table."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
