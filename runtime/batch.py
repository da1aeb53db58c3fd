"""The command line for very many pictures: seeds by the million, on all cores, in shards."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace

from .batching.arguments import Batch, parse, usage
from .batching.cluster import find, made_by_ray
from .batching.formats import FORMATS
from .batching.job import claim
from .batching.maker import Order, plan
from .batching.stores import Store, open_store
from .batching.verify import verify
from .batching.workers import made_by_workers
from .command import answer
from .errors import UsageError
from .modes import choose_model
from .net import check_threads
from .progress import progress
from .strangers import printable


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 1 where --verify finds a fault, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C;
    SIGTERM exits with 143."""
    return answer(argv, usage, run)


def run(arguments: Sequence[str]) -> object:
    """Raises NcnnError for everything that is wrong, and Refuted."""
    batch = parse(list(arguments))
    store = open_store(batch.out)
    return verify(store, batch.request.quiet) if batch.verify else make(batch, store)


def make(batch: Batch, store: Store) -> str:
    """Makes the shards that are not there."""
    quiet = batch.request.quiet
    store.check()
    FORMATS[batch.format].check()
    if batch.ray:
        find(batch.ray)
    order = plan(batch, choose_model(batch.request, ".png"))
    with store.held():
        job = claim(store, order.job)
        store.sweep()
        missing, total = job.missing(store), len(job.seeds)
        done = total - job.count(missing)
        if done and not quiet:
            print(f"{done} of {total} pictures are there already", file=sys.stderr)
        try:
            with closing(_made(batch, replace(order, job=job), missing)) as counts:
                pictures = (1 for count in counts for _ in range(count))
                for _ in progress(pictures, total, batch.out, "picture", quiet, done):
                    pass
            if gone := job.missing(store):
                fix = "With ray=, out= has to be the same place on all its machines"
                raise UsageError(f"{job.says(gone[0])} was made, but is not in out={batch.out}", fix=fix)
        except BaseException:
            if kept := total - job.count(job.missing(store)):
                remark = f"{kept} of {total} pictures are kept in {batch.out}: the same command goes on with them"
                print(printable(remark, keep=""), file=sys.stderr)
            raise
        finally:
            store.sweep()  # of workers that were killed
    return batch.out


def _made(batch: Batch, order: Order, shards: list[int]) -> Generator[int, None, None]:
    """How many pictures more there are, again and again."""
    if batch.ray and shards:
        return made_by_ray(order, shards, batch.ray, batch.workers)
    return made_by_workers(order, shards, min(batch.workers or check_threads(None), len(shards)))


if __name__ == "__main__":
    sys.exit(main())
