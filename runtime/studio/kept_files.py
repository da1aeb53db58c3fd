"""Files that are dropped onto the page, seeds and directions: put into the working directory, where commands find them
too."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..edits import read_directions
from ..errors import SeedError, UsageError
from ..manifest import Manifest
from ..seeds import Seed, read_latent

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.(npz|npy|bin)")
MOST_BYTES = 1 << 22
"""Of a seed; the styles of the largest network have 40,000 bytes."""
MOST_OF_DIRECTIONS = 1 << 24


def keep_seed(name: str, data: bytes, manifest: Manifest) -> str:
    """The name under which the file is a seed, see keep()."""
    return keep(name, data, lambda path: read_latent(Seed(path), manifest))


def keep_directions(name: str, data: bytes, manifest: Manifest) -> str:
    """The name under which the file is one of directions, see keep()."""
    return keep(name, data, lambda path: read_directions(path, manifest.num_ws, manifest.w_dim))


def about_directions(name: str, manifest: Manifest) -> dict[str, object]:
    """name; count: how many; styles: those moved where nothing else is said, None for all. Raises SeedError."""
    found = read_directions(name, manifest.num_ws, manifest.w_dim)
    return {"name": name, "count": len(found.vectors), "styles": found.styles}


def keep(name: str, data: bytes, check: Callable[[str], object]) -> str:
    """The file's name in the working directory: its own, or with a number where another file has that.

    Nothing is written where check(), which is given a path, raises SeedError, and no file is written over. Raises
    UsageError for a bad name, SeedError for a file that is not what the page wants of this model.
    """
    if not NAME.fullmatch(name):
        raise UsageError("the file has no name of a seed", expected="letters, digits, - and _, then .npz, .npy or .bin")
    path = Path(name)
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        check(name)
        return name
    if path.exists() or path.is_symlink():
        path = Path(f"{path.stem}-{hashlib.sha256(data).hexdigest()[:8]}{path.suffix}")
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".seed-") as folder:
        new = Path(folder, path.name)
        new.write_bytes(data)
        try:
            check(os.fspath(new))
        except SeedError as error:
            raise SeedError(
                error.what, file=name, expected=error.expected, got=error.got, reason=error.reason
            ) from None
        new.replace(path)
    return path.name
