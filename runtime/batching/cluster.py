"""Shards on the machines of a Ray cluster: Ray Data hands them out, and makes those of a lost machine again.

Whatever the shards are, as in workers.py.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from ..errors import CrashError, UsageError
from .workers import MOST_DEATHS, Order, Shards

MOST_BLOCKS = 1000
"""Of Ray Data, which hands out blocks of shards: of very small ones several at a time."""


class Attempts:
    """How often each shard was begun: Ray tries for ever, also a shard that ends its workers."""

    def __init__(self) -> None:
        self._begun = Counter[int]()

    def begin(self, shard: int) -> int:
        self._begun[shard] += 1
        return self._begun[shard]


class ShardsOfRay:
    """What Ray Data keeps in each of its workers: a maker, which is loaded once. begin: of Attempts.

    A fault is an answer: an exception Ray would wrap, in a way that differs from version to version.
    """

    def __init__(self, order: Callable[[], Order], begin: Callable[[int], int]) -> None:
        self._order, self._begin = order(), begin
        self._maker: Shards | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        shard = int(row["item"])
        told: list[Any] = [None]
        fault: Exception | None = None
        try:
            if self._begin(shard) > MOST_DEATHS:
                raise CrashError(f"{self._order.says(shard)} has ended {MOST_DEATHS} workers")
            self._maker = self._maker or self._order.maker()
            self._maker.make(shard, told.append)
        except Exception as error:
            fault = error
        return {**row, "answer": pickle.dumps((told[-1], fault))}


def find(address: str) -> Any:
    """The package ray. Raises UsageError where it is not there, or where nobody listens, which Ray asks for minutes."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what is wrong is said once, and by us
    try:
        import ray
        import ray.data
    except ImportError as error:
        fix = 'pip install "ncnn-builder[ray]"'
        raise UsageError("ray= needs the package ray", reason=str(error), fix=fix) from None
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host.rpartition("/")[2], int(port)), timeout=10).close()
        except (OSError, OverflowError, UnicodeError) as error:
            raise _silent(address, error) from None
    return ray


def _silent(address: str, error: Exception) -> UsageError:
    reason = str(error).split("\n")[0]
    return UsageError(f"ray={address}: no cluster answers", reason=reason, fix="Start one: ray start --head")


def made_by_ray(order: Order, shards: Sequence[int], address: str, workers: int | None) -> Generator[int, None, None]:
    """Makes the shards, whose makers tell how many pictures there are; gives that number of each as it is there.

    As `told_by_ray`.
    """
    with closing(told_by_ray(order, shards, address, workers)) as told:
        for _, count in told:
            yield int(count)


def told_by_ray(
    order: Order, shards: Sequence[int], address: str, workers: int | None
) -> Generator[tuple[int, Any], None, None]:
    """Makes the shards, `workers` of them at the same time, by default one on each core of the cluster; gives
    (shard, what was told of it last) as each is there.

    Places that the order names have to be the same on all machines. Raises UsageError where there is no Ray or no
    cluster, and what a worker raised.
    """
    ray = find(address)
    try:
        with _sigterm_as_before():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises these by itself too
        raise _silent(address, error) from None
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        count = min(workers or max(1, int(ray.cluster_resources().get("CPU", 1))), len(shards))
        rows = ray.data.from_items(list(shards), override_num_blocks=min(len(shards), MOST_BLOCKS))
        told = ray.put(order)  # which may be large: a network
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts).remote()
        done = rows.map(
            ShardsOfRay,
            fn_constructor_args=(lambda: ray.get(told), lambda shard: ray.get(attempts.begin.remote(shard))),
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=1),
        )
        for row in done.iter_rows():
            answer, fault = pickle.loads(row["answer"])
            if fault is not None:
                raise fault
            yield int(row["item"]), answer
    except ray.exceptions.RayError as error:
        raise UsageError("Ray gave the job up", reason=" ".join(str(error).split())[-300:]) from None
    finally:
        ray.shutdown()


@contextmanager
def _sigterm_as_before() -> Iterator[None]:
    """Ray sets handlers of its own, which abort the process."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
