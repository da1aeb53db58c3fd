"""Several pictures at the same time, one core each: a small picture leaves the threads of one net little to share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Event, get_ident
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SMALL = 256  # pixels: up to this width a picture at a time on each core is the faster way
MOST_THREADS_OF_MANY = 4  # of each larger picture where several are made


def share_threads(threads: int, pictures: int, resolution: int) -> tuple[int, int]:
    """(threads for each picture, pictures at the same time) for so many pictures on so many threads."""
    each = 1 if resolution <= SMALL else min(threads, MOST_THREADS_OF_MANY)
    at_once = min(pictures, threads // each)
    return (threads, 1) if at_once < 2 else (each, at_once)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], at_once: int, stop: Callable[[], None] = lambda: None
) -> Iterator[Result]:
    """work(item) for each item, in the order of the items, `at_once` of them at the same time.

    Items are taken as results are: no more than at_once + 1 results wait. An exception of `work` comes out at its
    place; nothing further is begun then, nor when the caller stops. Where it is interrupted, or the caller stops,
    `stop` ends what is being worked on, so that nobody has to wait for it.
    """
    if at_once < 2:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    working: set[int] = set()  # threads that do; of futures one is missed where a signal comes as it is submitted
    ended = Event()

    def watched(item: Item) -> Result:
        working.add(get_ident())
        try:
            if ended.is_set():
                raise CancelledError
            return work(item)
        finally:
            working.discard(get_ident())

    with ThreadPoolExecutor(at_once, thread_name_prefix="picture") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(watched, item))
                if len(waiting) > at_once:
                    yield waiting[0].result()
                    waiting.popleft()
            while waiting:
                yield waiting[0].result()
                waiting.popleft()
        except Exception:
            raise
        except BaseException:
            ended.set()
            while working:
                stop()
                time.sleep(0.05)
            raise
        finally:
            for future in waiting:
                future.cancel()
