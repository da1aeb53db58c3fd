"""python -m runtime.batch: workers that die, signals, a full disk; whatever happens, the same command goes on."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from batch_support import Deadly, files, goes_on, made_here, order_of

from runtime import CrashError
from runtime.batch import main
from runtime.batching import workers as workers_module
from runtime.batching.stores import open_store
from runtime.batching.workers import MOST_DEATHS, _work, _Worker, made_by_workers

JOB = ("seeds=0-39", "shard=10", "out=p")


def whole(want: dict[str, bytes]) -> bool:
    """All is there, as a job makes it that nothing stopped, and nothing else."""
    return files("p") == want and main(["--verify", "out=p", "-q"]) == 0


@pytest.fixture
def want(place: Path) -> dict[str, bytes]:
    made_here(*JOB)
    found = files("p")
    Path("p").rename("undisturbed")
    return found


def test_a_worker_that_dies_is_replaced(want: dict[str, bytes]) -> None:
    """Each picture counts once, though some are made again."""
    order, count = order_of(*JOB), 0
    with closing(made_by_workers(order, order.job.shards, 2)) as pictures:
        for _ in pictures:
            count += 1
            if count == 1:
                for process in multiprocessing.active_children():
                    process.kill()
    open_store("p").sweep()  # as the command does in the end
    assert count == 40 and whole(want)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("deaths", [MOST_DEATHS - 1, MOST_DEATHS])
def test_a_shard_that_ends_its_workers_stops_the_job(place: Path, deaths: int) -> None:
    order = order_of(*JOB)
    deadly = replace(order, job=replace(order.job, command=Deadly(Path("deaths"), deaths)))  # type: ignore[arg-type]
    with closing(made_by_workers(deadly, [1], 1)) as pictures:
        if deaths < MOST_DEATHS:
            assert list(pictures) == [1] * 10
        else:
            with pytest.raises(CrashError, match=r"shard 00001 \(seeds 10-19\) has ended 3 workers; got SIGKILL"):
                list(pictures)


def test_what_a_worker_raises_stops_the_job(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture that is not finite: another worker would find the same."""
    arguments = ["model=tiny", *JOB, "trunc=3e38", "workers=2", "-q"]
    assert main(arguments) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert re.match(r"error: seed [0-9]+: w holds numbers that are NaN, infinite or too large", error)
    assert not multiprocessing.active_children()


def test_a_worker_never_hears_what_a_terminal_sends_to_all(place: Path) -> None:
    """From its first moment on: one that is about to import would print a traceback."""
    worker = _Worker(order_of(*JOB))
    try:
        assert worker.process.pid
        os.kill(worker.process.pid, signal.SIGINT)
        worker.take(deque([0]))
        assert [worker.end.recv() for _ in range(11)] == [*range(1, 11), None]
    finally:
        worker.process.terminate()
        worker.leave()


def test_a_worker_without_a_parent_ends_in_silence(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hears what is wrong then, such as that the next job has swept away what this one writes."""
    order = order_of(*JOB)
    monkeypatch.setattr(workers_module, "unwind_on_sigterm", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    end, other = workers_module.START.Pipe()
    end.send(0)
    end.close()
    _work(other, replace(order, model=place / "nosuch.json"))


def start(job: tuple[str, ...] = JOB, limit: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runtime.batch", "model=tiny", *job, "workers=2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )


def wait_for(path: str, running: subprocess.Popen[str]) -> None:
    while not Path(path).exists() and running.poll() is None:
        time.sleep(0.01)


def test_a_job_that_is_killed_goes_on(want: dict[str, bytes]) -> None:
    """Its workers go as soon as they see it: nobody is left to write."""
    running = start()
    wait_for("p/_batch/job.json", running)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()  # until the last of the workers has closed its stderr
    goes_on(order_of(*JOB))
    assert whole(want)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_cleanly(want: dict[str, bytes], number: int, code: int) -> None:
    running = start()
    wait_for("p/_batch/00000.json", running)
    os.killpg(running.pid, number)  # as a terminal does
    _, err = running.communicate()
    if running.returncode != 0:  # it was not faster
        assert running.returncode == code, err
        kept, *last = err.splitlines()
        assert kept.endswith("of 40 pictures are kept in p: the same command goes on with them"), err
        assert last == (["stopped"] if number == signal.SIGINT else [])
    assert not [name for name in files("p") if "/." in f"/{name}"]
    goes_on(order_of(*JOB))
    assert whole(want)


def test_a_full_disk(place: Path) -> None:
    """As far as a process can have one to itself: no file may be larger than 8 KB, which the list of a shard is.

    What is there stays, and the job goes on."""
    job = ("seeds=0-219", "shard=110", "out=p")
    order = made_here(*job, shards=[1])
    _, err = start(job, limit=1 << 13).communicate()
    done, kept, error = err.splitlines()
    assert done == "110 of 220 pictures are there already"
    assert kept == "110 of 220 pictures are kept in p: the same command goes on with them"
    where = f"shard 00000 (seeds 0-109) cannot be written to out={Path('p').absolute()}"
    assert error == f"error: {where}; reason: File too large"
    assert not Path("p/_batch/00000.json").exists() and not [name for name in files("p") if "/." in f"/{name}"]
    goes_on(order)
    assert main(["--verify", "out=p", "-q"]) == 0


def test_one_job_at_a_time(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_store("p").held():
        assert main(["model=tiny", *JOB]) == 2
    assert "error: another job is at work in" in capsys.readouterr().err
