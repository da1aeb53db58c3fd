"""An endless data set of drawn animal faces, in which shape, pose and colour vary independently.

    face(7, 64)                # uint8 [64, 64, 3], always the same
    draw(parameters(7), 256)   # the same face, larger
    draw(dataclasses.replace(parameters(7), ears="long"), 64)

Without data of one's own it shows whether training works, and what a network has learned: every property is known.
`python -m stylegan.faces OUT.zip` writes a data set for training.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stylegan.faces.drawing import draw
from stylegan.faces.parameters import EARS, PATTERNS, Face, parameters

__all__ = ["EARS", "PATTERNS", "Face", "draw", "face", "parameters"]


def face(index: int, resolution: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """The picture of a number, 0 and above: RGB, [resolution, resolution, 3], always the same bytes."""
    return draw(parameters(index, seed), resolution)
