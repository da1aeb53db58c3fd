"""Data sets in the formats that they are published in: CIFAR's python batches, MNIST's IDX files, LSUN's databases.

Sources: Krizhevsky 2009, LeCun et al. 1998, Yu et al. 2015, and the official dataset_tool, whose order, labels and
border (MNIST's 28 x 28 pixels become 32 x 32) these have.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import re
import tarfile
import zlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from stylegan.dataset.archive import Label, encoded
from stylegan.dataset.batches import NotABatch, read_batch
from stylegan.dataset.source import Source, reason_of
from stylegan.errors import DatasetError

Pixels = npt.NDArray[np.uint8]
TARS = (".tar.gz", ".tgz", ".tar")
BATCH = re.compile(r"data_batch_\d{1,3}|train")
"""CIFAR-10's training batches, and CIFAR-100's."""
IMAGES, LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"
"""How IDX files of bytes with three dimensions and with one begin."""
MOST_BYTES = 1 << 31
DATABASE, MAGIC = "data.mdb", b"\xde\xc0\xef\xbe"
DAMAGED = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError)


def open_source(path: str | os.PathLike[str]) -> Source:
    """Pictures and labels in whatever the path is, by its content. Raises DatasetError."""
    place = Path(path)
    try:
        if place.is_dir():
            if (place / DATABASE).is_file():
                return Database(place)
            return Cifar(place) if any(BATCH.fullmatch(p.name) for p in place.iterdir()) else Source(path)
        if place.is_file():
            if place.name.lower().endswith(TARS):
                return Cifar(place)
            if _head(place) == IMAGES:
                return Idx(place)
    except (OSError, ValueError) as error:
        raise DatasetError(f"data {path}: cannot be read: {reason_of(error)}") from None
    return Source(path)


class _Whole(Source):
    """A set that is held in memory, each process for itself: pixels [N, H, W, C] and a class for each, or None."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded: tuple[Pixels, list[int] | None] | None = None
        pixels, self._classes = self._arrays()
        if not len(pixels):
            raise DatasetError(f"data {path}: there is no picture in it")
        digits = max(5, len(str(len(pixels) - 1)))
        self.names = self.files = [f"{i:0{digits}d}.png" for i in range(len(pixels))]

    @abstractmethod
    def _load(self) -> tuple[Pixels, list[int] | None]:
        """Raises DatasetError, and DAMAGED."""

    def _arrays(self) -> tuple[Pixels, list[int] | None]:
        if self._loaded is None:
            try:
                self._loaded = self._load()
            except DAMAGED as error:
                raise DatasetError(f"data {self.path}: cannot be read: {reason_of(error)}") from None
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}

    def open(self, name: str) -> IO[bytes]:
        return io.BytesIO(encoded(self._arrays()[0][int(Path(name).stem)]))

    def read(self, name: str) -> bytes:
        return self.open(name).read()

    def stamp(self, name: str) -> tuple[int, int]:
        picture = self._arrays()[0][int(Path(name).stem)]
        return picture.size, zlib.crc32(picture.tobytes())

    def labels(self) -> dict[str, Label] | None:
        return None if self._classes is None else dict(zip(self.names, self._classes, strict=True))

    def digest(self) -> str:
        return hashlib.sha256(repr([self.stamp(name) for name in self.names]).encode()).hexdigest()


class Cifar(_Whole):
    """CIFAR-10 or -100: cifar-10-python.tar.gz, or the folder that it holds; the batches for training, in their order.

    What is in a batch is read by an unpickler that makes lists, numbers and bytes of it and calls nothing.
    """

    def _load(self) -> tuple[Pixels, list[int] | None]:
        found = {}
        for name, data in self._batches():
            try:
                found[name] = read_batch(data)
            except NotABatch as error:
                raise DatasetError(f"data {self.path}: {name}: no batch of CIFAR: {error}") from None
        if not found:
            raise DatasetError(f"data {self.path}: expected CIFAR's data_batch_1 ... or train, found none of them")
        ordered = [found[name] for name in sorted(found)]
        return np.concatenate([pixels for pixels, _ in ordered]), [c for _, classes in ordered for c in classes]

    def _batches(self) -> list[tuple[str, bytes]]:
        if self.path.is_dir():
            paths = [path for path in self.path.iterdir() if BATCH.fullmatch(path.name) and path.is_file()]
            return [(path.name, _limited(path.open("rb"), path.name, self.path)) for path in paths]
        found = []
        with tarfile.open(self.path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and BATCH.fullmatch(name):
                    stream = archive.extractfile(member)
                    assert stream is not None  # of a file
                    found.append((name, _limited(stream, name, self.path)))
        return found


class Idx(_Whole):
    """MNIST and its kin: train-images-idx3-ubyte, .gz or not; its labels are beside it, or there are none."""

    def _load(self) -> tuple[Pixels, list[int] | None]:
        pixels = self._array(self.path, IMAGES)
        if pixels.shape[1:] == (28, 28):
            pixels = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))
        beside = self.path.with_name(self.path.name.replace("images-idx3", "labels-idx1"))
        if beside == self.path or not beside.is_file():
            return pixels[..., None], None
        classes = self._array(beside, LABELS)
        if len(classes) != len(pixels):
            raise DatasetError(f"data {beside}: expected {len(pixels)} labels, as many as pictures, got {len(classes)}")
        return pixels[..., None], classes.tolist()

    @staticmethod
    def _array(path: Path, magic: bytes) -> Pixels:
        dims = magic[3]
        with _unzipped(path) as stream:
            head = stream.read(4 + 4 * dims)
            if head[:4] != magic or len(head) != 4 + 4 * dims:
                raise DatasetError(f"data {path}: expected an IDX file of bytes with {dims} dimensions")
            shape = np.frombuffer(head, ">u4", offset=4).tolist()
            count = math.prod(shape)
            if count > MOST_BYTES:
                raise DatasetError(f"data {path}: expected at most {MOST_BYTES} bytes, its header says {shape}")
            data = stream.read(count + 1)
        if len(data) != count:
            got = f"only {len(data)}" if len(data) < count else "more"
            raise DatasetError(f"data {path}: a damaged IDX file: its header says {shape}, {count} bytes, got {got}")
        return np.asarray(np.frombuffer(data, np.uint8).reshape(shape))


class Database(Source):
    """LSUN and its kin: a folder with an LMDB database whose values are files of pictures. Their keys are their names.

    Raises DatasetError; the package lmdb is needed. LMDB trusts its files: one that was damaged on purpose can end the
    process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._env: tuple[int, Any] | None = None
        with (path / DATABASE).open("rb") as file:
            head = file.read(20)
        if head[16:] != MAGIC:
            raise DatasetError(f"data {path}: {DATABASE} is no LMDB database, or of a machine with another byte order")
        with self._transaction() as transaction:
            self._keys = {_title(key): key for key in transaction.cursor().iternext(keys=True, values=False)}
        self.names = self.files = list(self._keys)
        if not self.names:
            raise DatasetError(f"data {path}: there is no picture in it")

    def _environment(self) -> Any:
        if self._env is None or self._env[0] != os.getpid():  # a process may not use one of before a fork
            try:
                import lmdb
            except ImportError:
                fix = 'pip install lmdb, or this project with its extra "lmdb"'
                raise DatasetError(f"data {self.path}: an LMDB database needs the package lmdb: {fix}") from None
            try:
                opened = lmdb.open(str(self.path), readonly=True, lock=False, readahead=False, max_readers=1)
            except lmdb.Error as error:
                raise DatasetError(f"data {self.path}: a database that cannot be read: {error}") from None
            self._env = os.getpid(), opened
        return self._env[1]

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        environment = self._environment()
        import lmdb

        try:
            with environment.begin() as transaction:
                yield transaction
        except lmdb.Error as error:
            raise DatasetError(f"data {self.path}: a damaged {DATABASE}: {error}") from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_env": None}

    def open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self.read(name))

    def read(self, name: str) -> bytes:
        with self._transaction() as transaction:
            found = transaction.get(self._keys[name])
        if found is None:
            raise DatasetError(f"data {self.path}: {name} is no more in it")
        return bytes(found)

    def stamp(self, name: str) -> tuple[int, int]:
        data = self.read(name)
        return len(data), zlib.crc32(data)

    def labels(self) -> dict[str, Label] | None:
        return None

    def digest(self) -> str:
        total = hashlib.sha256()
        for name in self.names:
            total.update(repr((name, self.stamp(name))).encode())
        return total.hexdigest()


def _title(key: bytes) -> str:
    """A key as a name without folders: as it is where that is one, else its bytes."""
    plain = key.decode("ascii", "replace")
    return plain if re.fullmatch(r"[\w][\w.-]*", plain, re.ASCII) else key.hex()


def _unzipped(path: Path) -> Any:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _head(path: Path) -> bytes:
    try:
        with _unzipped(path) as stream:
            return bytes(stream.read(4))
    except (OSError, EOFError, zlib.error):
        return b""


def _limited(stream: IO[bytes], name: str, path: Path) -> bytes:
    with stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DatasetError(f"data {path}: {name}: expected at most {MOST_BYTES} bytes")
    return data
