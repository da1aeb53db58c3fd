"""Shards as files: what each format writes, and how its pictures are read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .stores import Store


@dataclass(frozen=True)
class Entry:
    """A picture of a shard. name: its file; data: its bytes; command: what makes it again."""

    seed: int
    name: str
    data: bytes
    command: str


@dataclass(frozen=True)
class Format:
    """picture: the suffix of pictures; shard: that of shards, "" for folders of files.

    write: puts entries, in order, into a path. read: (name, bytes) of each picture of a shard in a store; raises
    OSError or ValueError for what is damaged.
    """

    picture: str
    shard: str
    write: Callable[[Path, Iterable[Entry]], None]
    read: Callable[[Store, str], Iterator[tuple[str, bytes]]]


def _write_files(path: Path, entries: Iterable[Entry]) -> None:
    for entry in entries:
        (path / entry.name).write_bytes(entry.data)


def _read_files(store: Store, shard: str) -> Iterator[tuple[str, bytes]]:
    for name in sorted(store.names(shard)):
        with store.open(f"{shard}/{name}") as stream:
            yield name, stream.read()


FORMATS = {
    "png": Format(".png", "", _write_files, _read_files),
    "webp": Format(".webp", "", _write_files, _read_files),
}
