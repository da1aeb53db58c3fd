"""Pictures and labels in a folder or a zip, as they lie there."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from copy import copy
from pathlib import Path
from typing import IO, Any

from PIL import Image

from stylegan.dataset.archive import LABELS, Label
from stylegan.errors import DatasetError

LARGEST_CLASS = 99_999  # a vector of zeros and a one for each picture


class Source:
    """The files of a folder, and of all folders in it, or of a zip. It can be copied to other processes.

    names: of the pictures, sorted, with / between folders. Raises DatasetError where there are none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        try:
            if not self.path.exists():
                raise DatasetError(f"data {path}: no such file or folder")
            self._zipped = not self.path.is_dir()
            self.files = sorted(set(self._zip_files() if self._zipped else self._folder_files()))
        except (OSError, ValueError) as error:
            raise DatasetError(f"data {path}: cannot be read: {reason_of(error)}") from None
        Image.init()
        self.names = [name for name in self.files if os.path.splitext(name)[1].lower() in Image.EXTENSION]
        if not self.names:
            what = f"{len(self.files)} files, none of them a picture" if self.files else "nothing in it"
            raise DatasetError(f"data {path}: expected pictures such as .png or .jpg, found {what}")

    def _zip_files(self) -> list[str]:
        if not zipfile.is_zipfile(self.path):
            raise DatasetError(f"data {self.path}: expected a folder or a zip, but it is no zip, or a damaged one")
        return [info.filename for info in self._zip().infolist() if not info.is_dir() and _wanted(info.filename)]

    def _folder_files(self) -> list[str]:
        found = [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()]
        return [name for name in found if _wanted(name)]

    def _zip(self) -> zipfile.ZipFile:
        # A handle of its own for each process: those of a fork would share one position in the file.
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                self._opened = os.getpid(), zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, NotImplementedError) as error:
                raise DatasetError(f"data {self.path}: a damaged zip: {error}") from None
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def absolute(self) -> Source:
        """The same, wherever a process works."""
        found = copy(self)
        found.path, found._opened = self.path.absolute(), None
        return found

    def open(self, name: str) -> IO[bytes]:
        """The file of a name. What is wrong with it raises OSError, and of a zip also other kinds, here or later."""
        return self._zip().open(name) if self._zipped else (self.path / name).open("rb")

    def read(self, name: str) -> bytes:
        """Its bytes. Raises DatasetError."""
        try:
            with self.open(name) as file:
                return file.read()
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            RuntimeError,
            EOFError,
            KeyError,
            NotImplementedError,
        ) as error:
            raise DatasetError(f"data {self.path}: {name} cannot be read: {reason_of(error)}") from None

    def stamp(self, name: str) -> tuple[int, int]:
        """(bytes, when it was changed, or of a zip its CRC): another picture has another. Raises OSError."""
        if self._zipped:
            info = self._zip().getinfo(name)
            return info.file_size, info.CRC
        status = (self.path / name).stat()
        return status.st_size, status.st_mtime_ns

    def labels(self) -> dict[str, Label] | None:
        """Of every picture, from dataset.json: a class, or numbers; None where there are none.

        Raises DatasetError where they are not whole, of one kind, or name pictures that are not there.
        """
        if LABELS not in self.files:
            return None
        where = f"data {self.path}: {LABELS}"
        try:
            said = json.loads(self.read(LABELS))
            found = said["labels"]
            labels = None if found is None else {str(name).replace("\\", "/"): value for name, value in found}
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DatasetError(f'{where}: expected {{"labels": [["00000/img00000000.png", 3], ...]}} or null') from None
        if labels is None:
            return None
        there = set(self.names)
        _refuse(f"{where} names pictures that are not there", [name for name in labels if name not in there])
        _refuse(f"{where} lacks pictures that are there", [name for name in self.names if name not in labels])
        vectors = {name: value for name, value in labels.items() if isinstance(value, list)}
        if vectors:
            length = len(next(iter(vectors.values())))
            bad = [name for name in labels if not _is_vector(labels[name], length)]
            _refuse(f"{where}: expected {length} numbers for every picture as for the first, but not of", bad)
        else:
            # 3.0 is class 3: pandas writes numbers so, and the official data set takes them.
            labels = {name: int(x) if type(x) is float and x.is_integer() else x for name, x in labels.items()}
            bad = [name for name in labels if type(labels[name]) is not int or not 0 <= labels[name] <= LARGEST_CLASS]
            _refuse(f"{where}: expected classes, whole numbers from 0 to {LARGEST_CLASS}, but not of", bad)
        return labels

    def digest(self) -> str:
        """A hash of all names and bytes of pictures: the same for a folder and a zip of it. Raises DatasetError."""
        total = hashlib.sha256()
        for name in self.names:
            if self._zipped:
                info = self._zip().getinfo(name)
                size, crc = info.file_size, info.CRC
            else:
                data = self.read(name)
                size, crc = len(data), zlib.crc32(data)
            total.update(json.dumps([name, size, crc]).encode())
        return total.hexdigest()


def _wanted(name: str) -> bool:
    """Neither hidden, nor what macOS puts into a zip."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _is_vector(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length > 0 and all(type(x) in (int, float) for x in value)


def _refuse(fault: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise DatasetError(f"{fault}: {', '.join(names[:5])}{more}")


def reason_of(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
