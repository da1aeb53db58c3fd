"""Files appear whole, all of a set or none."""

from __future__ import annotations

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
    try:
        for path, chunks in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            ready.append((name, path))
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(chunks)
            os.chmod(name, 0o666 & ~_umask())
        for name, path in ready:
            os.replace(name, path)
        ready.clear()
    except OSError as error:
        raise EmitError(
            f"cannot write {error.filename or path}: {error.strerror}",
            got=str(path),
            fix="Choose a place that exists, is a folder of yours, and has room",
        ) from None
    finally:
        for name, _ in ready:
            Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
