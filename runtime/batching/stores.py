"""Where shards lie: a folder, or an address of fsspec. What is written appears there whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import UsageError
from ..files import check_directory, sweep, whole_file, whole_folder
from ..strangers import open_regular

if sys.platform != "win32":
    import fcntl


class Store(Protocol):
    """Names are relative, with / between a folder and what is in it. out: the place, as it was given."""

    out: str

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

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Raises OSError, for what is not there FileNotFoundError."""


class Folder:
    def __init__(self, out: str) -> None:
        self.out, self._place = out, Path(out).absolute()

    def check(self) -> None:
        check_directory(self.out)

    @contextmanager
    def held(self) -> Iterator[None]:
        self._place.mkdir(exist_ok=True)
        with alone(self._place):
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
def alone(place: Path) -> Iterator[None]:
    """A folder, for this process. The lock ends with the process, however that ends. Raises UsageError."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another job is at work in {place}", fix="Wait for it, or name another place") from None
        yield
    finally:
        os.close(descriptor)


class Bucket:
    """An address of fsspec, of a store where an upload is there whole or not at all.

    Nothing locks it: of two jobs at the same time each makes all, and writes the same.
    """

    def __init__(self, address: str) -> None:
        try:
            import fsspec
        except ImportError as error:
            fix = 'pip install "ncnn-builder[batch]", and the package of that kind of address'
            raise UsageError(f"out={address} needs the package fsspec", reason=str(error), fix=fix) from None
        self.out = address
        with self._told("cannot be used"):
            self._system, self._root = fsspec.core.url_to_fs(address)

    def check(self) -> None:
        if "memory" in self._system.protocol:
            raise UsageError(f"out={self.out} is memory of this process, and workers are others")
        self.names()

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def sweep(self) -> None:
        """What was not uploaded is not there."""

    def names(self, folder: str = "") -> set[str]:
        with self._told("cannot be listed"):
            self._system.invalidate_cache()
            try:
                found = self._system.ls(self._path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return set()
        own = self._path(folder)  # some list an object of this name too, which stands for the folder
        names = {path.rpartition("/")[2] for path in (path.rstrip("/") for path in found) if path != own}
        return {name for name in names if not name.startswith(".")}

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, Path(name).name)
            path.touch()
            yield path
            self._upload(path, name)

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """What a stopped upload left of it is written over: it is no shard before the file that says so."""
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
            for path in sorted(Path(folder).iterdir()):
                self._upload(path, f"{name}/{path.name}")

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with self._told("cannot be read", but=(ValueError,)), self._system.open(self._path(name), "rb") as stream:
            yield stream

    def _upload(self, path: Path, name: str) -> None:
        with self._told("cannot be written"):
            self._system.put_file(str(path), self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")

    @contextmanager
    def _told(self, what: str, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Each kind of address raises errors of its own. but: these are of what is read, and not of the address."""
        let: tuple[type[Exception], ...] = (OSError, UsageError, *but)
        try:
            yield
        except let:
            raise
        except Exception as error:
            raise UsageError(f"{self.out} {what}", reason=" ".join(str(error).split())[:300]) from None


def open_store(out: str) -> Store:
    """Raises UsageError for an address that nobody knows, or whose package is not there."""
    if out.startswith(("file://", "local://")):
        return Folder(url2pathname(urlsplit(out).path))
    return Bucket(out) if "://" in out else Folder(out)
