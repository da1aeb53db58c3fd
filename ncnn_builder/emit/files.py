"""Files appear whole, all of a set or none."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import EmitError


def write_files(files: Mapping[Path, Iterable[bytes | memoryview]]) -> None:
    """Write every file beside its place, then rename all, in the order given. Missing folders are made.

    Raises EmitError where a folder cannot be made or written; nothing is changed then.
    """
    ready: list[tuple[str, Path]] = []
    made: list[Path] = []
    try:
        for path, chunks in files.items():
            for folder in reversed([f for f in path.parents if not f.exists()]):
                folder.mkdir()
                made.append(folder)
            if path.is_dir():  # seen now, because the renaming below must not stop half-way
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            ready.append((name, path))
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(chunks)
        mode = 0o666 & ~_umask()
        for name, path in ready:
            os.chmod(name, mode)
            os.replace(name, path)
        made.clear()
        ready.clear()
    except OSError as error:
        raise EmitError(
            f"cannot write {path}: {error.strerror}", fix="Choose a place that is a folder of yours and has room"
        ) from None
    finally:
        for name, _ in ready:
            Path(name).unlink(missing_ok=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
