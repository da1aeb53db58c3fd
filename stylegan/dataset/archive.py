"""Writes a data set in the official layout: 00000/img00000000.png ... and dataset.json, in a zip or a folder."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylegan.errors import DatasetError

LABELS = "dataset.json"
Label = int | list[float]
_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same pictures make the same bytes


def encoded(picture: npt.NDArray[np.uint8]) -> bytes:
    """[H, W, C] of 1 (grey), 3 or 4 channels as a PNG file."""
    data = io.BytesIO()
    # Level 1: training reads a picture many times, and the others make it little smaller.
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(data, "png", compress_level=1)
    return data.getvalue()


def name_of(number: int) -> str:
    """Of a picture in the official layout."""
    return f"{number // 1000:05d}/img{number:08d}.png"


class Writer(ABC):
    """Takes the pictures one by one."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, Label | None]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, png: bytes, label: Label | None = None) -> None:
        """png: of encoded(). label: a class, or numbers."""
        number = len(self._entries)
        name = name_of(number)
        self.write(name, png)
        self._entries.append((name, label))

    def finish(self) -> None:
        """Write the labels: the official null unless every picture has one."""
        has = bool(self._entries) and all(label is not None for _, label in self._entries)
        said = {"labels": [[name, label] for name, label in self._entries] if has else None}
        self.write(LABELS, json.dumps(said).encode())

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """A file of that name."""


class _Zip(Writer):
    def __init__(self, file: zipfile.ZipFile) -> None:
        super().__init__()
        self._file = file

    def write(self, name: str, data: bytes) -> None:
        info = zipfile.ZipInfo(name, _EPOCH)
        info.external_attr = 0o644 << 16
        self._file.writestr(info, data)  # stored: PNG is compressed already


class _Folder(Writer):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def check_out(out: Path) -> None:
    """Raise DatasetError unless writing(out) can begin: looked at before any work."""
    try:
        with contextlib.suppress(FileNotFoundError):
            out.lstat()  # complains of names that can be none
        if out.suffix.lower() == ".zip":
            if out.is_dir():
                raise DatasetError(f"{out}: expected the name of a zip file, got a folder")
        elif out.suffix:
            raise DatasetError(f"{out}: expected OUT.zip or a folder without a suffix, got {out.suffix}")
        elif out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DatasetError(f"{out}: there is something already: name an empty or new folder, or OUT.zip")
        if not out.parent.is_dir():
            raise DatasetError(f"{out}: there is no folder {out.parent}")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{out}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def writing(out: Path) -> Iterator[Writer]:
    """A writer of OUT.zip, or of a folder where `out` has no suffix; it appears whole at the end, or not at all.

    Raises DatasetError where it cannot be written.
    """
    check_out(out)
    # Named before it is made: Ctrl-C finds no moment in which it would be forgotten.
    temporary = out.with_name(f".{out.stem}-{secrets.token_hex(4)}{out.suffix}")
    try:
        if out.suffix:
            with zipfile.ZipFile(temporary, "w") as file:
                writer: Writer = _Zip(file)
                yield writer
                writer.finish()
        else:
            temporary.mkdir()
            writer = _Folder(temporary)
            yield writer
            writer.finish()
            if out.exists():
                out.rmdir()
        temporary.replace(out)
    except OSError as error:
        raise DatasetError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)
