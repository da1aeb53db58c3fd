"""Cases in processes of their own: one that dies, or hangs, is a finding and not the end.

A worker says each case before it tries it, as a line of JSON. What a case does to the process is found out again in a
fork, so that it can be shrunk as well.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pickle
import random
import select
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .compare import Case, Checker, Failure, available, scratch
from .generate import program_of
from .program import DRAWS
from .report import cause, printed
from .respell import SPELLINGS
from .shrink import shrink

LONGEST = 600.0
"""Seconds that one case may take, with its shrinking; what takes longer hangs."""
SHRINKING = 20.0


def case_of(seed: int) -> Case:
    """The case of a seed: a program, its numbers at random and at an edge, a file spelled in some other ways."""
    rng = random.Random(seed ^ 0x5EED)
    spellings = tuple(s for s in SPELLINGS if rng.random() < 0.6)
    return Case(program_of(seed), seed, ("normal", rng.choice(DRAWS[1:])), spellings)


@dataclass
class Finding:
    """A shrunk failure. text: for a person."""

    seed: int
    signature: tuple[str, ...]
    text: str


@dataclass
class Outcome:
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def forked(check: Callable[[Case], Failure | None], case: Case, seconds: float = 120.0) -> Failure | None:
    """check(case) in a child, whose death is a Failure as well."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            with os.fdopen(send, "wb") as pipe:
                pickle.dump(check(case), pipe)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        ready, _, _ = select.select([pipe], [], [], seconds)
        if not ready:
            os.kill(child, signal.SIGKILL)
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if data:
        result: Failure | None = pickle.loads(data)
        return result
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the fuzz itself has a fault: see above")
    return Failure("crash", "the process", f"signal {os.WTERMSIG(status)}" if ready else "it hangs")


def work(first: int, count: int, step: int) -> None:
    """The worker's program: seeds first, first + step, ...; a negative count tries one seed that killed a worker."""
    import torch

    torch.set_num_threads(1)
    gc.freeze()  # torch and the registry are no garbage, and need not be looked through again and again
    gc.set_threshold(50_000, 20, 50)
    with scratch() as folder:
        checker = Checker(available(), Path(folder))
        for seed in range(first, first + max(1, count) * step, step):
            _say(begin=seed)
            case = case_of(seed)
            if count < 0:
                failure = forked(checker.check, case)
                check: Callable[[Case], Failure | None] = lambda case: forked(checker.check, case)
            else:
                failure = checker.check(case)
                check = checker.check
            if failure is not None:
                _say(failed=seed, signature=failure.signature, text=printed(case, failure, seed))
                small, shown = shrink(case, failure, check, SHRINKING)
                _say(finding=seed, signature=cause(small, shown), text=printed(small, shown, seed))
            _say(counts=dict(checker.counts))
            checker.counts.clear()


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def outcomes(
    first: int, count: int, *, step: int = 1, seconds: float | None = None
) -> Iterator[Finding | Counter[str]]:
    """Run seeds in worker processes, one at a time; findings as they come, and counts of each case."""
    end = None if seconds is None else time.monotonic() + seconds
    last = first + count * step
    single = False
    while first < last:
        left = -1 if single else (last - first) // step
        seed, pending = first, None
        process = _start(first, left, step)
        assert process.stdout is not None
        try:
            for message in _messages(process):
                if "begin" in message:
                    seed = message["begin"]
                    if end is not None and time.monotonic() > end:
                        return
                elif "failed" in message:
                    pending = Finding(message["failed"], tuple(message["signature"]), message["text"])
                elif "finding" in message:
                    pending = None
                    yield Finding(message["finding"], tuple(message["signature"]), message["text"])
                else:
                    first = seed + step
                    yield Counter(message["counts"])
            # Behind the last message it has ended by itself, or hangs.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        finally:
            process.kill()
            process.wait()
        if process.returncode > 0:
            raise RuntimeError(f"the worker has a fault at seed {seed}: run it with --worker {seed} 1 1")
        if single:
            first, single = seed + step, False
        elif first < last:
            if pending is not None:  # it died while it shrank
                yield pending
                first = seed + step
            else:
                first, single = seed, True


def _start(first: int, count: int, step: int) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, "-m", "tests.fuzz_graphs", "--worker", str(first), str(count), str(step)]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, env={**os.environ, **threads})


def _messages(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Lines of the worker, until it ends or is silent for too long."""
    assert process.stdout is not None
    descriptor, held = process.stdout.fileno(), b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], LONGEST)
        data = os.read(descriptor, 1 << 16) if ready else b""
        if not data:
            return
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            yield json.loads(line)
