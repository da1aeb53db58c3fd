"""Reads a data set whole, as training does, and proves that it is one: no gap, no picture that cannot be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from tqdm import tqdm

from runtime.batching.workers import told_by_workers
from runtime.errors import NcnnError
from runtime.stopping import check_stop
from stylegan.dataset.archive import LABELS, name_of
from stylegan.dataset.picture_files import PictureError, is_transparent, open_picture
from stylegan.dataset.sizes import first_block
from stylegan.dataset.source import Source, reason_of
from stylegan.errors import DatasetError

SHARD = 100
NUMBERED = re.compile(r"[0-9]{5,}/img([0-9]{8,})\.png")
Told = tuple[int, int, tuple[int, int, bool] | None, str]
"""(how many of the shard, the picture, its (width, height, whether it is transparent), or what is wrong with it)."""


@dataclass(frozen=True)
class Reading:
    """The pictures of a source, in shards."""

    source: Source

    @property
    def shards(self) -> range:
        return range(-(-len(self.source.names) // SHARD))

    def maker(self) -> Reading:
        return self

    def says(self, shard: int) -> str:
        return f"the pictures from {self.source.names[shard * SHARD]} on"

    def make(self, shard: int, tell: Callable[[Told], object]) -> None:
        for told in self.steps(shard):
            tell(told)

    def steps(self, shard: int) -> Iterator[Told]:
        first = shard * SHARD
        for number, name in enumerate(self.source.names[first : first + SHARD]):
            check_stop()
            try:
                with self.source.open(name) as file:
                    picture = open_picture(file)
                yield number + 1, first + number, (*picture.size, is_transparent(picture)), ""
            except Exception as error:  # of the picture, of the zip, of the disk
                said = str(error) if isinstance(error, PictureError) else f"cannot be read: {reason_of(error)}"
                yield number + 1, first + number, None, said


def verify(path: str, workers: int, quiet: bool) -> tuple[str, list[str]]:
    """(What was proven, in a sentence; what is wrong). workers: processes. Raises DatasetError where there is no data
    set at all."""
    source = Source(path)
    names, faults = source.names, _strangers(source)
    kinds: dict[int, tuple[int, int, bool]] = {}
    wrong: dict[int, str] = {}
    try:
        with closing(_told(Reading(source), workers)) as told:
            for number, kind, said in tqdm(
                told, total=len(names), desc="verify", unit="picture", disable=quiet or None
            ):
                if kind is None:
                    wrong[number] = said
                else:
                    kinds[number] = kind
    except NcnnError as error:
        raise DatasetError(f"data {path}: {error}") from None
    sides = Counter((width, height) for width, height, _ in kinds.values())
    (width, height), _ = sides.most_common(1)[0] if sides else ((0, 0), 0)
    for number, (w, h, _) in sorted(kinds.items()):
        if (w, h) != (width, height):
            wrong[number] = f"it has {w}x{h}, most have {width}x{height}"
        elif first_block(w, h) is None and w != h:
            wrong[number] = f"{w}x{h} is neither square nor what a network makes by doubling"
    faults += [f"{names[number]}: {said}" for number, said in sorted(wrong.items())]
    try:
        labels = source.labels()
    except DatasetError as error:
        faults.append(str(error).removeprefix(f"data {path}: "))
        labels = None
    what = "each has its label" if labels else "no labels"
    return f"{len(names)} pictures of {width}x{height}, {what}: each can be read; sha256 {source.digest()}", faults


def _told(reading: Reading, workers: int) -> Generator[tuple[int, tuple[int, int, bool] | None, str], None, None]:
    """(picture, kind, fault) of each, once."""
    seen = Counter[int]()
    if min(workers, len(reading.shards)) < 2:
        yield from (told[1:] for shard in reading.shards for told in reading.steps(shard))
        return
    with closing(told_by_workers(reading, reading.shards, workers)) as found:
        for shard, told in found:
            if told[0] > seen[shard]:  # one that is made again tells again
                seen[shard] = told[0]
                yield told[1:]


def _strangers(source: Source) -> list[str]:
    """Files that are no pictures; and of a data set in the official layout, whose names are numbers, gaps and more."""
    faults = [f"{name}: it is no picture" for name in source.files if name not in {*source.names, LABELS}]
    numbers = {int(found[1]) for name in source.names if (found := NUMBERED.fullmatch(name))}
    if numbers:
        wanted = {name_of(number) for number in range(max(numbers) + 1)}
        faults += [f"{name}: it is missing" for name in sorted(wanted - {*source.names})]
        faults += [f"{name}: it is not in the order of the others" for name in source.names if name not in wanted]
    return faults
