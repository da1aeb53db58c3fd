"""The pictures of a folder, one after the other or by several processes: each is there whole, once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from .._ncnn import memory_limit
from ..batching.cluster import told_by_ray
from ..batching.workers import told_by_workers
from ..files import sha256_of
from ..net import check_threads
from ..stopping import check_stop
from ..strangers import printable
from .arguments import Request
from .folder import Folder
from .photos import PictureError, read_photo, write_photo
from .restorer import Restorer
from .upscaler import Upscaler, upscaled


def upscaler_of(request: Request) -> Upscaler:
    """Raises what loading the net raises."""

    def say(remark: str) -> None:
        if not request.quiet:
            print(printable(remark, keep=""), file=sys.stderr)

    restorer = Restorer(request.model, request.threads, request.isolate)
    memory = request.memory << 20 if request.memory else memory_limit() // 4
    return Upscaler(restorer, request.tile, request.overlap, memory, say)


@dataclass(frozen=True)
class Done:
    """A picture. fault: what is wrong with it; else the SHA-256 of its file and of the result's."""

    fault: str = ""
    source_sha256: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Pictures:
    """What a process works on: shards of one picture. The net runs in it: its end is that of the process."""

    request: Request
    pictures: list[tuple[Path, Path]]

    def maker(self) -> PictureMaker:
        return PictureMaker(upscaler_of(self.request), self.pictures, self.request.quality)

    def says(self, shard: int) -> str:
        return str(self.pictures[shard][0])


@dataclass(frozen=True)
class PictureMaker:
    upscaler: Upscaler
    pictures: list[tuple[Path, Path]]
    quality: int

    def make(self, shard: int, tell: Callable[[Done], object]) -> None:
        """Tells what became of the picture. Raises NcnnError for what is wrong with all, and OSError."""
        source, target = self.pictures[shard]
        try:
            photo, seen = read_photo(source), sha256_of(source)
            write_photo(target, upscaled(photo, target, self.upscaler), self.quality)
        except PictureError as error:
            tell(Done(str(error)))
        else:
            tell(Done("", seen, sha256_of(target)))


def restored(request: Request, upscaler: Upscaler, folder: Folder) -> Generator[str, None, None]:
    """Makes the pictures that are missing, and enters them into the folder's book; gives, for each, what is wrong with
    it, or nothing."""
    pictures, seen = folder.missing(), set[int]()
    with closing(_made(request, upscaler, pictures)) as told:
        for shard, done in told:
            if shard in seen:  # a worker may die between what it tells and the end of its shard
                continue
            seen.add(shard)
            if not done.fault:
                folder.enter(*pictures[shard], done.source_sha256, done.sha256)
            yield done.fault


def _made(
    request: Request, upscaler: Upscaler, pictures: list[tuple[Path, Path]]
) -> Generator[tuple[int, Done], None, None]:
    shards = range(len(pictures))
    workers = min(request.workers or 1, len(pictures))
    if request.ray is not None and pictures:
        places = [(source.absolute(), target.absolute()) for source, target in pictures]
        memory = request.memory or max(1, (memory_limit() >> 22) // check_threads(None))
        alone = replace(request, model=os.path.abspath(request.model), threads=request.threads or 1, memory=memory)
        order = Pictures(replace(alone, isolate=False, quiet=True), places)
        yield from told_by_ray(order, shards, request.ray, request.workers)
    elif workers < 2:
        maker, told = PictureMaker(upscaler, pictures, request.quality), list[Done]()
        for shard in shards:
            check_stop()
            maker.make(shard, told.append)
            yield shard, told.pop()
    else:
        threads = request.threads or max(1, check_threads(None) // workers)
        memory = max(1, (request.memory or memory_limit() >> 22) // workers)
        alone = replace(request, threads=threads, memory=memory, isolate=False, quiet=True)
        yield from told_by_workers(Pictures(alone, pictures), shards, workers)
