"""Seed files: an int32 zero, then the latent as little-endian float32."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import SeedError, byte_count


def read_seed(path: str | os.PathLike[str], z_dim: int) -> npt.NDArray[np.float32]:
    """The latent z, float32 [z_dim].

    Raises:
        SeedError: the file is missing, has another length than 4 + 4 * z_dim bytes, does not begin with an
            int32 zero, or holds NaN or infinity.
    """
    name = os.fspath(path)
    expected = 4 + 4 * z_dim
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(expected + 1)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise SeedError("no such seed file", file=name) from None
    except OSError as error:
        raise SeedError("the seed file cannot be read", file=name, reason=error.strerror) from None
    if len(data) != expected:
        raise SeedError(
            "the seed file has the wrong length",
            file=name,
            expected=f"{expected} bytes (an int32 zero and {z_dim} float32)",
            got=byte_count(max(size, len(data))),
        )
    if data[:4] != b"\0\0\0\0":
        raise SeedError("not a seed file", file=name, expected="an int32 zero at its start", got=data[:4].hex(" "))
    z = np.frombuffer(data, dtype="<f4", offset=4).astype(np.float32)
    if not np.isfinite(z).all():
        raise SeedError("the seed file holds NaN or infinity", file=name)
    return z
