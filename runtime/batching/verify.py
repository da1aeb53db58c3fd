"""Reads all pictures of a place and proves that each seed is there once, as it was written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from ..command import Refuted
from ..progress import progress
from .job import BOOKS, NOTE, Job, digest, parse, read, read_job
from .maker import KIND
from .stores import Store

MOST_LINES = 50


def verify(store: Store, quiet: bool) -> str:
    """What was proven, in a sentence. Raises Refuted with what is wrong and where, UsageError where there is no job."""
    job = read_job(store)
    job.form.check()
    shards = progress(job.shards, len(job.shards), "verify", "shard", quiet)
    found = [*_strangers(store, job), *(line for shard in shards for line in _shard(store, job, shard))]
    count = len(job.seeds)
    if found:
        more = [f"and {len(found) - MOST_LINES} more"] if len(found) > MOST_LINES else []
        cure = f"To have a shard made again, delete its file in {BOOKS} and give the command: {job.command}"
        head = "1 fault:" if len(found) == 1 else f"{len(found)} faults:"
        raise Refuted("\n".join([head, *found[:MOST_LINES], *more, cure]))
    return (
        f"{count} pictures of {len(job.shards)} shards, seeds {job.seeds}: each is there once, every SHA-256 is right"
    )


def _strangers(store: Store, job: Job) -> Iterator[str]:
    """What is in the place and belongs to no shard."""
    places = {job.place(shard) for shard in job.shards} | {BOOKS}
    books = {job.index(shard) for shard in job.shards} | {NOTE}
    for name in sorted(store.names() - places):
        yield f"{name}: it is of no shard"
    for name in sorted(f"{BOOKS}/{name}" for name in store.names(BOOKS)):
        if name not in books:
            yield f"{name}: it is of no shard"


def _shard(store: Store, job: Job, shard: int) -> Iterator[str]:
    wanted = {job.name(seed): str(seed) for part in job.seeds_of(shard).ranges for seed in part}
    try:
        index = parse(read(store, job.index(shard)), KIND)
        hashes = dict(index["sha256"])
        key = index["key"]
    except FileNotFoundError:
        yield f"{job.says(shard)}: it is missing"
        return
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        yield f"{job.index(shard)}: it is damaged; reason: {error}"
        return
    if key != job.key:
        yield f"{job.index(shard)}: it is of another job"
    yield from _differences(job.index(shard), "seed", wanted.values(), hashes)
    place, seen = job.place(shard), list[str]()
    try:
        if job.form.shard:
            with store.open(place) as stream:
                if digest(stream) == index.get("shard_sha256"):
                    return  # byte for byte the file whose pictures the index lists
            yield f"{place}: its SHA-256 is not the one that was written"
        for name, data in job.form.read(store, place):
            seen.append(name)
            sha256 = hashlib.sha256(data).hexdigest()
            if hashes.get(wanted.get(name, ""), sha256) != sha256:
                yield f"{place}/{name}: its SHA-256 is not the one that was written"
    except (OSError, ValueError) as error:
        yield f"{place}: it cannot be read to its end; reason: {error}"
    yield from _differences(place, "picture", wanted, seen)


def _differences(where: str, what: str, wanted: Iterable[str], found: Iterable[str]) -> Iterator[str]:
    """Each wanted one has to be found once, and nothing else."""
    there, wished = Counter(iter(found)), list(wanted)
    yield from (f"{where}: {what} {name} is missing" for name in wished if name not in there)
    yield from (f"{where}: {what} {name} does not belong there" for name in sorted(there.keys() - wished))
    yield from (f"{where}: {what} {name} is there twice" for name, times in sorted(there.items()) if times > 1)
