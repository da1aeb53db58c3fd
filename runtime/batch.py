"""The command line for very many pictures: seeds by the million, on all cores, in shards."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from .batching.arguments import Batch, parse, usage
from .batching.formats import FORMATS
from .batching.job import claim
from .batching.maker import plan
from .batching.stores import Store, open_store
from .batching.verify import verify
from .batching.workers import made_by_workers
from .command import answer
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
    order = plan(batch, choose_model(batch.request, ".png"))
    with store.held():
        job = claim(store, order.job)
        store.sweep()
        missing, total = job.missing(store), len(job.seeds)
        done = total - job.count(missing)
        if done and not quiet:
            print(f"{done} of {total} pictures are there already", file=sys.stderr)
        workers = min(batch.workers or check_threads(None), len(missing))
        try:
            with closing(made_by_workers(replace(order, job=job), missing, workers)) as pictures:
                for _ in progress(pictures, total, batch.out, "picture", quiet, done):
                    pass
        except BaseException:
            if kept := total - job.count(job.missing(store)):
                remark = f"{kept} of {total} pictures are kept in {batch.out}: the same command goes on with them"
                print(printable(remark, keep=""), file=sys.stderr)
            raise
        finally:
            store.sweep()  # of workers that were killed
    return batch.out


if __name__ == "__main__":
    sys.exit(main())
