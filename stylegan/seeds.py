"""Seeds and their latents. A seed file holds int32 zero and z_dim float32, little-endian."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylegan.errors import SeedError

LARGEST_SEED = 2**32 - 1
MOST_SEEDS = 1_000_000


def latent(seed: int, z_dim: int) -> NDArray[np.float32]:
    """z [z_dim] float32, as the official scripts draw it: RandomState(seed).randn(1, z_dim)."""
    return np.asarray(np.random.RandomState(seed).randn(1, z_dim)[0], np.float32)


def parse_seeds(text: str) -> list[int]:
    """'0-1500' or '85,100,3-5' -> the seeds in the order given, each once. Raises SeedError."""
    seeds: dict[int, None] = {}  # an ordered set
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) > 2 or not all(end.isascii() and end.isdigit() for end in ends):
            raise SeedError(
                f"seeds {text!r}: cannot read {part.strip()!r}: "
                "expected numbers and ranges such as 0-1500 or 85,100,3-5"
            )
        first, last = int(ends[0]), int(ends[-1])
        if last < first:
            raise SeedError(f"seeds {text!r}: the range {part.strip()!r} is empty: write {last}-{first}")
        if last > LARGEST_SEED:
            raise SeedError(f"seeds {text!r}: {last} is too large: a seed is at most {LARGEST_SEED}")
        if len(seeds) + last - first >= MOST_SEEDS:
            raise SeedError(f"seeds {text!r}: too many: at most {MOST_SEEDS} seeds at a time")
        seeds.update(dict.fromkeys(range(first, last + 1)))
    return list(seeds)


def write_seed(path: str | os.PathLike[str], seed: int, z_dim: int) -> None:
    """Write one seed file, whole or not at all. Raises SeedError if it cannot be written."""
    path = Path(path)
    data = np.zeros(1 + z_dim, "<f4")  # int32 zero and float32 zero are the same bytes
    data[1:] = latent(seed, z_dim)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            partial.write_bytes(data.tobytes())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
    except OSError as error:
        raise SeedError(f"cannot write the seed file {path}: {error.strerror or error}") from error


def write_seeds(directory: str | os.PathLike[str], seeds: Iterable[int], z_dim: int) -> list[Path]:
    """Write directory/SEED.bin for every seed, making the directory if needed. Raises SeedError."""
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SeedError(f"cannot make the seed directory {directory}: {error.strerror or error}") from error
    paths = []
    for seed in seeds:
        paths.append(directory / f"{seed}.bin")
        write_seed(paths[-1], seed, z_dim)
    return paths
