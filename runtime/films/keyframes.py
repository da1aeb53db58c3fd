"""mode=film: which cell goes through which seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import UsageError
from ..keys import MOST_KEYFRAMES
from ..seeds import LARGEST_SEED, Seed

MOST_CELLS = 1024


def check_film(grid: tuple[int, int], count: int, given: Mapping[str, str]) -> None:
    """Raise UsageError where so many seeds are not the key frames of a table of columns x rows, or keys do not go
    together."""
    cells = grid[0] * grid[1]
    if cells > MOST_CELLS:
        raise UsageError("grid= has too many cells for a video", expected=f"at most {MOST_CELLS}", got=str(cells))
    if "walk" in given:
        if count > cells:
            raise UsageError(
                "walk= begins each cell with one seed",
                expected="1 seed" if cells == 1 else f"at most {cells} seeds",
                got=str(count),
            )
        if "keyframes" not in given:
            raise UsageError("walk= does not say how far", expected="keyframes=, such as keyframes=8")
        if given.get("path") == "circle":
            raise UsageError("walk= and path=circle are two ways to go", expected="one of them")
    elif "keyframes" not in given and (count % cells or count // cells > MOST_KEYFRAMES):
        expected = f"{cells}, {2 * cells} ... {MOST_KEYFRAMES * cells}, as many for each cell, or keyframes="
        raise UsageError(f"mode=film has a wrong number of seeds for {cells} cells", expected=expected, got=str(count))
    if given.get("path") == "circle" and given.get("keyframes", str(count // cells)) != "3":
        got = given.get("keyframes", str(count // cells))
        raise UsageError("path=circle goes through three seeds", expected="3 for each cell", got=got)
    if given.get("path") == "circle" and given.get("speed") == "even":
        raise UsageError("path=circle has constant speed", expected="speed=constant, or none")


def film_seeds(
    seeds: Sequence[Seed], cells: int, keyframes: int | None, shuffle: int | None, walk: int | None
) -> list[list[Seed]]:
    """For each cell its key frames, as the official gen_video of StyleGAN3 gives them out: the first cell has the
    first ones; where there are too few they begin anew. shuffle: that of numpy's RandomState over all. walk: behind the
    first, numbers by chance.
    """
    n = keyframes or len(seeds) // cells
    if walk is not None:
        drawn = np.random.RandomState(walk).randint(0, LARGEST_SEED + 1, size=(cells, n - 1), dtype=np.int64)
        firsts = [seeds[i % len(seeds)] for i in range(cells)]
        found = [[first, *(Seed(str(number)) for number in row)] for first, row in zip(firsts, drawn, strict=True)]
        return found if shuffle is None else [found[i] for i in np.random.RandomState(shuffle).permutation(cells)]
    places = np.arange(cells * n) % len(seeds)
    if shuffle is not None:
        np.random.RandomState(shuffle).shuffle(places)
    return [[seeds[i] for i in row] for row in places.reshape(cells, n)]
