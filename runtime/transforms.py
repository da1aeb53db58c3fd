"""StyleGAN3's transform: how a turned and moved picture is asked for."""

from __future__ import annotations

import math

import numpy as np

from .errors import InputError
from .net import FloatArray


def transform_matrix(rotate: float = 0.0, translate: tuple[float, float] = (0.0, 0.0)) -> FloatArray:
    """The matrix for `Model.synthesis(transform=)`, float32 [3, 3].

    rotate: degrees, counterclockwise. translate: (x, y) in widths of the picture, to the right and downwards. The
    network looks up where a pixel comes from, so the matrix is the inverse of the movement (as in the official
    gen_images of StyleGAN3). Raises InputError for numbers that are not finite.
    """
    x, y = translate
    if not all(map(math.isfinite, (rotate, x, y))):
        raise InputError("a rotation or translation is not finite", got=f"rotate {rotate}, translate {x}, {y}")
    a = math.radians(rotate)
    movement = np.array([[math.cos(a), math.sin(a), x], [-math.sin(a), math.cos(a), y], [0, 0, 1]])
    inverse: FloatArray = np.linalg.inv(movement).astype(np.float32)
    return inverse
