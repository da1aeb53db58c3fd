"""The conversion of many pictures in shards, by one process or several: what was stopped goes on with what is there.

Beside OUT lies a hidden folder until OUT is whole, with a zip of converted pictures for each shard. They become parts
of OUT one after the other and go as they do, so that the disk holds everything once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.batching.cluster import find, made_by_ray
from runtime.batching.stores import Folder
from runtime.batching.workers import made_by_workers
from runtime.errors import UsageError
from runtime.stopping import check_stop
from stylegan.dataset.source import Source

LARGEST_SHARD = 1000
SMALLEST_SHARD = 50
MOST_SHARDS = 64  # of pictures that are fewer than as many of the largest
NOTE = "job.json"
REASONS = "left_out.json"
VERSION = 1
Watch = Callable[[Iterator[int], int, int], Iterator[int]]


@dataclass(frozen=True)
class Job:
    """names: of the pictures, in their order. work: the PNG of a picture, or why there is none. key: a hash of the
    settings. place: the hidden folder.
    """

    source: Source
    names: list[str]
    work: Callable[[Source, str], bytes | str]
    key: str
    place: Path

    @property
    def shard(self) -> int:
        """Pictures of each, whoever works on them."""
        return min(LARGEST_SHARD, max(SMALLEST_SHARD, -(-len(self.names) // MOST_SHARDS)))

    @property
    def shards(self) -> range:
        return range(-(-len(self.names) // self.shard))

    def names_of(self, shard: int) -> list[str]:
        return self.names[shard * self.shard : (shard + 1) * self.shard]

    def count(self, shards: list[int]) -> int:
        return sum(len(self.names_of(shard)) for shard in shards)

    def says(self, shard: int) -> str:
        return f"the shard of pictures {self.names_of(shard)[0]} to {self.names_of(shard)[-1]}"

    def maker(self) -> Job:
        return self

    def make(self, shard: int, tell: Callable[[int], object]) -> None:
        """Tells how many pictures are converted. Raises OSError."""
        for count in self.steps(shard):
            tell(count)

    def steps(self, shard: int) -> Iterator[int]:
        """Makes a shard; gives how many of its pictures are converted."""
        reasons = {}
        with Folder(str(self.place)).file(_title(shard)) as path, zipfile.ZipFile(path, "w") as file:
            for number, name in enumerate(self.names_of(shard)):
                check_stop()
                result = self.work(self.source, name)
                if isinstance(result, str):
                    reasons[number] = result
                else:
                    file.writestr(str(number), result)  # stored: PNG is compressed already
                yield number + 1
            file.writestr(REASONS, json.dumps(reasons))

    def results(self, shard: int) -> Iterator[tuple[str, bytes | str]]:
        """(name, PNG or reason) of the pictures of one that is there. Raises OSError, and others for a damaged one."""
        with zipfile.ZipFile(self.place / _title(shard)) as file:
            reasons = json.loads(file.read(REASONS))
            for number, name in enumerate(self.names_of(shard)):
                yield name, reasons[str(number)] if str(number) in reasons else file.read(str(number))

    def drop(self, shard: int) -> None:
        (self.place / _title(shard)).unlink()


@contextmanager
def converted_shards(job: Job, workers: int | None, watch: Watch, ray: str | None = None) -> Iterator[None]:
    """All shards are there inside of the block; behind it nothing of them is, unless it raises.

    workers: of this machine, or of the Ray cluster of this address, None for its cores. watch: is given what counts the
    pictures by 1, how many there are, and how many were there before; it hands them on. Raises OSError, and NcnnError
    of runtime: where another process is at work for the same OUT, workers die, or there is no Ray.
    """
    if ray is not None:
        find(ray)
    store = Folder(str(job.place))
    with store.held():
        try:
            _claim(job, store)
            missing = _missing(job, store)
            with closing(_made(job, missing, workers, ray)) as counts:
                for _ in watch(counts, len(job.names), len(job.names) - job.count(missing)):
                    check_stop()
            if gone := _missing(job, store):
                fix = "With --ray, IN and OUT have to be the same places on all its machines"
                raise UsageError(f"{job.says(gone[0])} was made, but is not in {job.place}", fix=fix)
            yield
        except BaseException:
            store.sweep()
            kept = len(job.names) - job.count(_missing(job, store))
            if kept:
                said = f"{kept} of {len(job.names)} pictures are kept: the same command goes on with them"
                sys.stderr.write(f"stylegan.dataset: {said}\n")
            else:
                _remove(job.place)
            raise
        _remove(job.place)


def _made(job: Job, shards: list[int], workers: int | None, ray: str | None) -> Generator[int, None, None]:
    """1 for each picture."""
    if ray is not None and shards:
        abroad = replace(job, source=job.source.absolute(), place=job.place.absolute())
        with closing(made_by_ray(abroad, shards, ray, workers)) as counts:
            for count in counts:
                yield from (1 for _ in range(count))
    elif (count := min(workers or 1, len(shards))) > 1:
        yield from made_by_workers(job, shards, count)
    else:  # as workers do it, in this process
        for shard in shards:
            yield from (1 for _ in job.steps(shard))


def _claim(job: Job, store: Folder) -> None:
    """What is left of other pictures or settings goes."""
    told = [VERSION, job.key, job.shard, [(name, *job.source.stamp(name)) for name in job.names]]
    key = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads((job.place / NOTE).read_text())["key"] == key:
            store.sweep()
            return
    for path in job.place.iterdir():
        path.unlink()
    with store.file(NOTE) as path:
        path.write_text(json.dumps({"key": key}))


def _missing(job: Job, store: Folder) -> list[int]:
    there = store.names()
    return [shard for shard in job.shards if _title(shard) not in there]


def _remove(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


def _title(shard: int) -> str:
    return f"{shard:06d}.zip"
