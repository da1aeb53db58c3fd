"""StyleGAN3's transform: how a turned and moved picture is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .errors import InputError, brief
from .net import FloatArray
from .values import number_of

MOST_DEGREES = 1e6  # beyond these float32 leaves no exact picture
MOST_WIDTHS = 1e3
ZOOMS = (1e-2, 1e2)


def transform_matrix(rotate: float = 0.0, translate: Sequence[float] = (0.0, 0.0), zoom: float = 1.0) -> FloatArray:
    """The matrix for `Model.synthesis(transform=)`, float32 [3, 3].

    rotate: degrees, counterclockwise. translate: (x, y) in widths of the picture, to the right and downwards. zoom: how
    much larger all is, about the middle, 0.01 to 100. The network looks up where a pixel comes from, so the matrix is
    the inverse of the movement (as in the official gen_images of StyleGAN3, which has no zoom; the network's input
    leaves out the waves that would be too fine then). Raises InputError for what is no number, or beyond these,
    10^6 degrees or 1000 widths.
    """
    try:
        x, y = translate
    except (TypeError, ValueError):
        raise InputError("translate is not two numbers", got=brief(translate)) from None
    angle, x, y = number_of("rotate", rotate), number_of("translate", x), number_of("translate", y)
    for name, value, most in (
        ("rotate", angle, MOST_DEGREES),
        ("translate", x, MOST_WIDTHS),
        ("translate", y, MOST_WIDTHS),
    ):
        if abs(value) > most:
            raise InputError(f"{name} is out of range", expected=f"-{most:.0f} to {most:.0f}", got=f"{value:g}")
    scale = number_of("zoom", zoom)
    if not float(np.float32(ZOOMS[0])) <= scale <= ZOOMS[1]:
        raise InputError("zoom is out of range", expected=f"{ZOOMS[0]:g} to {ZOOMS[1]:g}", got=f"{scale:g}")
    a = math.radians(angle)
    cos, sin = scale * math.cos(a), scale * math.sin(a)
    movement = np.array([[cos, sin, x], [-sin, cos, y], [0, 0, 1]])
    inverse: FloatArray = np.linalg.inv(movement).astype(np.float32)
    return inverse
