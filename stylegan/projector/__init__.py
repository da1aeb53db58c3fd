"""Projection: from a picture to the style that makes it.

    from stylegan.projector import Settings, project
    found = project(G, target, settings=Settings(steps=300))  # target [C, R, R], 0..255
    found.w  # [num_ws, w_dim]

`python -m stylegan.project` is the command line.
"""

from __future__ import annotations

from stylegan.projector.distance import PIXELS, Distance, NetworkDistance, PixelDistance, choose
from stylegan.projector.optimise import Projection, Projector, project
from stylegan.projector.schedule import Settings
from stylegan.projector.tuning import Tuning

__all__ = [
    "PIXELS",
    "Distance",
    "NetworkDistance",
    "PixelDistance",
    "Projection",
    "Projector",
    "Settings",
    "Tuning",
    "choose",
    "project",
]
