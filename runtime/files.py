"""Files that appear whole or not at all, and what tells one from another."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError
from .strangers import open_regular

FOLDER = ".unfinished"  # suffix of a folder that is not whole


@contextmanager
def whole_file(path: Path, durable: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to; it becomes `path` at the end, or disappears if the block raises.

    durable: it is on the disk by then, and stays when the machine stops. An OSError that names no file, as that of a
    full disk, names `path`.
    """
    # Named before it is made, so that Ctrl-C finds no moment between the two in which it would be forgotten.
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        temporary.open("xb").close()
        yield temporary
        if durable:
            _to_disk(temporary)
        temporary.replace(path)
        if durable:
            _to_disk(path.parent)
    except OSError as error:
        _name(error, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """As `whole_file`, durable: a folder for files, which takes the place of one that is there."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}{FOLDER}")
    try:
        temporary.mkdir()
        yield temporary
        for file in temporary.iterdir():  # all are written: the system has begun with the first
            _to_disk(file)
        _to_disk(temporary)
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
        _to_disk(path.parent)
    except OSError as error:
        _name(error, path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name(error: OSError, path: Path) -> None:
    if error.filename is None and error.errno is not None and not isinstance(error, ConnectionError):
        error.filename = str(path)


def _to_disk(path: Path) -> None:
    """A file, or the names in a folder: POSIX has that alone."""
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> None:
    """Removes what `whole_file` and `whole_folder` left in a directory of ours when their process was killed."""
    for unfinished in directory.glob(".*-????????.*"):
        if unfinished.suffix == FOLDER and unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)


def check_file(out: str, suffixes: tuple[str, ...]) -> Path:
    """The file to write. Raises UsageError unless its suffix is known and its directory can be written to."""
    path = Path(out)
    if path.suffix.lower() not in suffixes:
        got = path.suffix or "no suffix"
        raise UsageError(f"out={out}: unknown kind of file", expected=" ".join(suffixes), got=got)
    if path.is_dir():
        raise UsageError(f"out={out} is a directory")
    _try_to_write(out, path.parent)
    return path


def check_directory(out: str) -> Path:
    """The directory to write to; it may not be there yet. Raises UsageError where none can be."""
    path = Path(out)
    if path.exists() and not path.is_dir():
        raise UsageError(f"out={out} is a file", expected="a directory, or a name that is still free")
    _try_to_write(out, path if path.is_dir() else path.parent)
    return path


def _try_to_write(out: str, directory: Path) -> None:
    """Makes a file there for a moment: permissions alone do not tell for root."""
    if not directory.is_dir():
        raise UsageError(f"out={out}: there is no directory {directory}")
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise UsageError(f"out={out} cannot be written", reason=error.strerror) from None


def sha256_of(path: Path) -> str:
    """Of a regular file, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
