"""Seeds and their latents. A seed file holds int32 zero and z_dim float32, little-endian."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stylegan.errors import SeedError

LARGEST_SEED = 2**32 - 1
MOST_SEEDS = 1_000_000


def latent(seed: int, z_dim: int) -> NDArray[np.float32]:
    """z [z_dim] float32, as the official scripts draw it: RandomState(seed).randn(1, z_dim)."""
    return np.asarray(np.random.RandomState(seed).randn(1, z_dim)[0], np.float32)


def parse_seeds(text: str) -> list[int]:
    """'0-1500' or '85,100,3-5' -> the seeds in the order given, each once; 0_1500 is a range too. Raises SeedError."""
    seeds: dict[int, None] = {}  # an ordered set
    for part in text.split(","):
        ends = [end.strip() for end in part.replace("_", "-").split("-")]
        if len(ends) > 2 or not all(end.isascii() and end.isdigit() and len(end) < 19 for end in ends):
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


def checked_seeds(seeds: Iterable[int]) -> list[int]:
    """The seeds as a list. Raises SeedError unless each is a whole number from 0 to LARGEST_SEED."""
    checked = []
    for seed in seeds:
        try:
            number = operator.index(seed)
        except TypeError:
            number = -1
        if not 0 <= number <= LARGEST_SEED:
            raise SeedError(
                f"seeds: expected whole numbers from 0 to {LARGEST_SEED}, got {seed!r}: parse_seeds() reads a text"
            )
        checked.append(number)
    return checked


def seed_bytes(seed: int, z_dim: int) -> bytes:
    """The content of a seed file."""
    data = np.zeros(1 + z_dim, "<f4")  # int32 zero and float32 zero are the same bytes
    data[1:] = latent(seed, z_dim)
    return data.tobytes()
