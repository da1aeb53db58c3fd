"""Where shards lie: a folder. A file or a folder of files appears there whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from ..errors import UsageError
from ..files import check_directory, sweep, whole_file, whole_folder
from ..strangers import open_regular

if sys.platform != "win32":
    import fcntl


class Store(Protocol):
    """Names are relative, with / between a folder and what is in it."""

    def check(self) -> None:
        """Raises UsageError where nothing can be written; leaves nothing."""

    def held(self) -> AbstractContextManager[None]:
        """Makes the place, for this process alone as far as that can be had. Raises UsageError where another has it."""

    def sweep(self) -> None:
        """Removes what killed processes left half-written."""

    def names(self, folder: str = "") -> set[str]:
        """What is in a folder that may not be there; hidden names, which are of nothing whole, are left out."""

    def file(self, name: str) -> AbstractContextManager[Path]:
        """A path to write to, which becomes the file at the end of the block."""

    def folder(self, name: str) -> AbstractContextManager[Path]:
        """A folder to write files to, which becomes the folder at the end of the block."""

    def open(self, name: str) -> IO[bytes]:
        """Raises OSError."""


class Folder:
    def __init__(self, out: str) -> None:
        self._out, self._place = out, Path(out).absolute()

    def check(self) -> None:
        check_directory(self._out)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._place.mkdir(exist_ok=True)
        with _alone(self._place):
            yield

    def sweep(self) -> None:
        for directory in [self._place, *self._place.glob("_*")]:
            sweep(directory)

    def names(self, folder: str = "") -> set[str]:
        try:
            return {name for name in os.listdir(self._place / folder) if not name.startswith(".")}
        except FileNotFoundError:
            return set()

    def file(self, name: str) -> AbstractContextManager[Path]:
        return whole_file(self._path(name), durable=True)

    def folder(self, name: str) -> AbstractContextManager[Path]:
        return whole_folder(self._path(name))

    def open(self, name: str) -> IO[bytes]:
        return open_regular(self._place / name)

    def _path(self, name: str) -> Path:
        path = self._place / name
        path.parent.mkdir(exist_ok=True)
        return path


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """The lock ends with the process, however that ends."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another job is at work in {place}", fix="Wait for it, or give another out=") from None
        yield
    finally:
        os.close(descriptor)


def open_store(out: str) -> Store:
    return Folder(out)
