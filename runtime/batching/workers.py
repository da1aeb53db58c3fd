"""Processes of this machine that make shards. One that dies is replaced, and its shard made again.

Whatever the shards are: runtime.batch, runtime.upscale, stylegan.dataset and stylegan.metrics hand theirs out here.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from ..errors import CrashError
from ..isolation.process import how_it_ended
from ..stopping import unwind_on_sigterm

MOST_DEATHS = 3  # of workers over one shard
PATIENCE = 10.0  # seconds for a worker to leave after SIGTERM: a picture's time
START = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of ncnn hold


class Shards(Protocol):
    """What a worker makes shards with, loaded once."""

    def make(self, shard: int, tell: Callable[[Any], object]) -> None:
        """Makes one, whole or not at all, also where a worker died over it before. tell: for whoever waits.

        What it raises has to be what pickle takes as it is.
        """


class Order(Protocol):
    """All that a worker has to know: it is pickled."""

    def maker(self) -> Shards:
        """In the worker's process."""

    def says(self, shard: int) -> str:
        """The shard, for people."""


def made_by_workers(order: Order, shards: Sequence[int], workers: int) -> Generator[int, None, None]:
    """Makes the shards, whose makers tell how many pictures there are; gives 1 for each picture, once.

    Raises as `told_by_workers`.
    """
    counted = Counter[int]()
    with closing(told_by_workers(order, shards, workers)) as told:
        for shard, count in told:
            if count > counted[shard]:
                counted[shard] = count
                yield 1


def told_by_workers(order: Order, shards: Sequence[int], workers: int) -> Generator[tuple[int, Any], None, None]:
    """Makes the shards, `workers` at a time; gives (shard, what is told of it), again for one that is made again.

    Raises what a worker raises, and CrashError for a shard over which workers die.
    """
    waiting, deaths = deque(shards), Counter[int]()
    crew: dict[Connection, _Worker] = {}
    try:
        while True:
            for worker in crew.values():
                worker.take(waiting)
            while waiting and len(crew) < workers:
                worker = _Worker(order)
                crew[worker.end] = worker
                worker.take(waiting)
            busy = [end for end, worker in crew.items() if worker.shard is not None]
            if not busy:
                return
            for end in wait(busy):
                assert isinstance(end, Connection)
                shard = crew[end].shard
                assert shard is not None
                try:
                    said = end.recv()
                except (EOFError, OSError):
                    deaths[shard] += 1
                    how = crew.pop(end).gone()
                    if deaths[shard] == MOST_DEATHS:
                        what = f"{order.says(shard)} has ended {MOST_DEATHS} workers"
                        raise CrashError(what, got=how, fix="If memory is short, give fewer workers=") from None
                    waiting.appendleft(shard)
                    continue
                if isinstance(said, Exception):
                    raise said
                if said is None:
                    crew[end].shard = None
                else:
                    yield shard, said
    finally:
        for worker in crew.values():
            worker.process.terminate()
        for worker in crew.values():
            worker.leave()


class _Worker:
    """shard: what it works on."""

    def __init__(self, order: Order) -> None:
        self.shard: int | None = None
        self.end, other = START.Pipe()
        self.process: BaseProcess = START.Process(target=_work, args=(other, order), daemon=True)
        with _deaf():
            self.process.start()
        other.close()

    def take(self, waiting: deque[int]) -> None:
        """The next shard, if it has none. One that is dead already is found so when it is asked."""
        if self.shard is None and waiting:
            self.shard = waiting.popleft()
            with suppress(OSError):
                self.end.send(self.shard)

    def gone(self) -> str:
        """How its process ended."""
        self.end.close()
        self.process.join()
        return how_it_ended(self.process.exitcode or 0)

    def leave(self) -> None:
        self.process.join(PATIENCE)
        self.process.kill()
        self.gone()


@contextmanager
def _deaf() -> Iterator[None]:
    """A process that is begun here never hears Ctrl-C, which a terminal sends to all: not while it imports either."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # it comes with the first process, and lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(end: Connection, order: Order) -> None:
    """A worker's whole life. It ends with whom it works for: then nobody reads the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where _deaf() is not to be had
    unwind_on_sigterm()
    maker = None
    while True:
        try:
            shard = end.recv()
        except EOFError:
            return
        try:
            maker = maker or order.maker()
            maker.make(shard, end.send)
            end.send(None)
        except BrokenPipeError:
            return
        except Exception as error:
            with suppress(BrokenPipeError):
                end.send(error)
