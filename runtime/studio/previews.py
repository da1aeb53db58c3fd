"""Smaller pictures that are there first: the sum that a StyleGAN2 has made of its colours in a lower block."""

from __future__ import annotations

import re
import threading

import numpy as np
import numpy.typing as npt

from ..manifest import Manifest
from ..pictures import Picture

Matrix = npt.NDArray[np.float64]
TAP = re.compile(r"synthesis\.b([0-9]+):1")
LEAST = 16  # pixels that say anything
STEPS = 16
"""How much smaller a preview is at first."""
TRIALS, LAST = 3, 20
"""Times that are needed to judge a preview by, and that are kept."""
KEPT = 0.8
"""What the pictures before count beside the last one."""
DOUBT = 300.0
"""Levels squared, for each pixel, by which colours are held where they are as long as little is known."""
SHARE = 0.1
"""Of a picture's time, that its preview may take; one that takes more is made smaller the next time."""


def levels(manifest: Manifest) -> dict[int, str]:
    """Resolution -> blob [C, H, W] of the picture so far, of blocks at most a `STEPS`th in size; none of StyleGAN3,
    whose picture is there with its last layer alone."""
    found = {}
    for tap, blob in manifest.graphs["synthesis"].taps.items():
        if (match := TAP.fullmatch(tap)) and LEAST <= int(match[1]) <= manifest.img_resolution // STEPS:
            found[int(match[1])] = blob
    return found


class Previews:
    """Which preview is worth its time, by what those of the same model have taken so far, and what its colours become.

    A block's sum lacks what later ones add: an affine map of colours, fitted by least squares to previews and the
    pictures that came of them, makes up for a part of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[tuple[str, int], list[float]] = {}  # digest, resolution; 0: the whole
        self._sums: dict[tuple[str, int], tuple[Matrix, Matrix]] = {}  # [C + 1, C + 1] and [C + 1, C]
        self._last: tuple[object, str, Picture] | None = None  # recipe, digest, what was shown early, as it is

    def choose(self, manifest: Manifest) -> tuple[int, str] | None:
        """Resolution and blob, or None where the network allows none."""
        found = levels(manifest)
        with self._lock:
            whole = self._seconds.get((manifest.digest, 0), [])
            for size in sorted(found, reverse=True):
                taken = self._seconds.get((manifest.digest, size), [])
                if not whole or len(taken) < TRIALS or min(taken) <= SHARE * min(whole):
                    return size, found[size]
        return None

    def took(self, manifest: Manifest, size: int, seconds: float) -> None:
        """size: 0 for the whole picture. The quickest of the last ones counts: what else runs only makes it longer."""
        with self._lock:
            self._seconds.setdefault((manifest.digest, size), []).append(seconds)
            del self._seconds[manifest.digest, size][:-LAST]

    def early(self, manifest: Manifest, recipe: object, picture: Picture) -> Picture:
        """What is shown of a preview, [H, W, C]."""
        with self._lock:
            self._last = recipe, manifest.digest, picture
            sums = self._sums.get((manifest.digest, len(picture)))
        if sums is None:
            return picture
        colours = _with_one(picture) @ np.linalg.solve(*sums)
        shown: Picture = np.clip(colours, 0, 255).astype(np.uint8).reshape(picture.shape)
        return shown

    def whole(self, manifest: Manifest, recipe: object, picture: Picture) -> None:
        """What became of the last preview, where it was of this recipe."""
        with self._lock:
            if self._last is None or self._last[:2] != (recipe, manifest.digest):
                return
            early, self._last = self._last[2], None
        size = len(early)
        step = len(picture) // size
        small = picture.reshape(size, step, size, step, -1).mean((1, 3))
        x, y = _with_one(early), small.reshape(size * size, -1)
        channels = y.shape[1]
        with self._lock:
            hold = np.eye(channels + 1) * DOUBT * len(x)  # towards the colours as they are
            left, right = self._sums.get((manifest.digest, size), (hold, hold[:, :channels]))
            self._sums[manifest.digest, size] = KEPT * left + x.T @ x, KEPT * right + x.T @ y


def _with_one(picture: Picture) -> Matrix:
    """[pixels, C + 1]."""
    pixels = picture.reshape(-1, picture.shape[2]).astype(np.float64)
    return np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
