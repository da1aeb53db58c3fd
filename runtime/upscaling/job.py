"""The pictures of a folder, one after the other or by several processes: each is there whole, once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from .._ncnn import memory_limit
from ..batching.workers import told_by_workers
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

    def make(self, shard: int, tell: Callable[[str], object]) -> None:
        """Tells what is wrong with the picture, or "". Raises NcnnError for what is wrong with all, and OSError."""
        source, target = self.pictures[shard]
        try:
            write_photo(target, upscaled(read_photo(source), target, self.upscaler), self.quality)
        except PictureError as error:
            tell(str(error))
        else:
            tell("")


def restored(request: Request, upscaler: Upscaler, folder: Folder) -> Generator[str, None, None]:
    """Makes the pictures that are missing; gives, for each, what is wrong with it, or nothing."""
    pictures = folder.missing()
    workers = min(request.workers or 1, len(pictures))
    if workers < 2:
        maker, faults = PictureMaker(upscaler, pictures, request.quality), list[str]()
        for shard in range(len(pictures)):
            check_stop()
            maker.make(shard, faults.append)
            yield faults.pop()
        return
    threads = request.threads or max(1, check_threads(None) // workers)
    memory = max(1, (request.memory or memory_limit() >> 22) // workers)
    alone = replace(request, threads=threads, memory=memory, isolate=False, quiet=True)
    seen = set[int]()
    with closing(told_by_workers(Pictures(alone, pictures), range(len(pictures)), workers)) as told:
        for shard, fault in told:
            if shard not in seen:  # a worker may die between what it tells and the end of its shard
                seen.add(shard)
                yield fault
