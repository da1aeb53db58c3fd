"""Files that appear whole or not at all."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it becomes `path` at the end, or disappears if the block raises."""
    # Named before it is made, so that Ctrl-C finds no moment between the two in which it would be forgotten.
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        temporary.open("xb").close()
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(directory: Path) -> None:
    """Removes what `whole_file` left in a directory of ours when its process was killed."""
    for unfinished in directory.glob(".*-????????.*"):
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
