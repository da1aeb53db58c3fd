"""Seeds that are dropped onto the page: files, put into the working directory, where commands find them too."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from ..errors import SeedError, UsageError
from ..manifest import Manifest
from ..seeds import Seed, read_latent

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.(npz|npy|bin)")
MOST_BYTES = 1 << 22
"""Of a file; the styles of the largest network have 40,000 bytes."""


def keep(name: str, data: bytes, manifest: Manifest) -> str:
    """The name under which the file is a seed: its own, or with a number where another file has that.

    Nothing is written of what is no seed of this model, and no file is written over. Raises UsageError for a bad name,
    SeedError for a file that is no seed of the model.
    """
    if not NAME.fullmatch(name):
        raise UsageError("the file has no name of a seed", expected="letters, digits, - and _, then .npz, .npy or .bin")
    path = Path(name)
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        read_latent(Seed(name), manifest)
        return name
    if path.exists() or path.is_symlink():
        path = Path(f"{path.stem}-{hashlib.sha256(data).hexdigest()[:8]}{path.suffix}")
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".seed-") as folder:
        new = Path(folder, path.name)
        new.write_bytes(data)
        try:
            read_latent(Seed(os.fspath(new)), manifest)
        except SeedError as error:
            raise SeedError(
                error.what, file=name, expected=error.expected, got=error.got, reason=error.reason
            ) from None
        new.replace(path)
    return path.name
