"""Which sizes of pictures a net of a restorer is for: open ones, up to a bound, or one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..errors import BuildError
from .network import Restorer

_EXAMPLE = 24
"""Pixels of the example, at least, by which an open net is captured."""
LEASTS = (16, 65)
"""Pixels of the smallest picture, where nobody says it. Networks go other ways where a map of theirs has one pixel, as
after being halved six times: those take the second."""


@dataclass(frozen=True)
class PictureSizes:
    """height, width: of the example; open: whether others are allowed. least, most: theirs, in pixels."""

    height: int
    width: int
    open: bool
    least: int = 2
    most: int | None = None

    def dynamic(self, restorer: Restorer) -> dict[int, str]:
        """What convert() takes for axes 2 and 3."""
        step = restorer.multiple_of
        bounds = f"{self.least}..{self.most or ''}"
        names = ("h", "h") if restorer.square else ("h", "w")
        return {2 + i: f"{step}*{name}={bounds}" if step > 1 else f"{name}={bounds}" for i, name in enumerate(names)}


def sizes_for(restorer: Restorer, size: str | int | tuple[int, int] | None, smallest: int = LEASTS[0]) -> PictureSizes:
    """size: None for all that the network takes; "..512" or "64..512" for bounds; a number, "480,640" or (480, 640) of
    height and width for one. smallest: where nobody says it. Raises BuildError for what the network does not take."""
    text = "" if size is None else ",".join(map(str, size)) if isinstance(size, tuple) else str(size)
    found = re.fullmatch(r"(?P<least>\d*)\.\.(?P<most>\d*)|(?P<height>\d+)(,(?P<width>\d+))?|", text)
    if found is None:
        expected = "480,640 (height, width), 512, or ..512 for all sizes up to that"
        raise BuildError("bad size", argument="size", expected=expected, got=text)
    if found["height"]:
        height, width = int(found["height"]), int(found["width"] or found["height"])
        for n in (height, width):
            _need(n >= restorer.minimum and n % restorer.multiple_of == 0, restorer, text)
        _need(height == width or not restorer.square, restorer, text)
        return PictureSizes(height, width, open=False)
    step = restorer.multiple_of
    asked = int(found["least"] or 0) or max(smallest, 2 * step if 1 < step <= smallest else 0)
    least = -(-max(asked, restorer.minimum, 2) // step) * step
    most = int(found["most"]) // step * step if found["most"] else None
    _need(most is None or most >= least, restorer, text)
    height = max(least + step, -(-_EXAMPLE // step) * step)
    width = height if restorer.square else height + step
    if most is not None:
        height, width = min(height, most), min(width, most)
    return PictureSizes(height, width, True, least, most)


def _need(condition: bool, restorer: Restorer, got: Any) -> None:
    if not condition:
        expected = f"{restorer.minimum} or more" + (" and square" if restorer.square else "")
        if restorer.multiple_of > 1:
            expected += f", multiples of {restorer.multiple_of}"
        raise BuildError(
            f"{restorer.architecture} does not take this size", argument="size", expected=expected, got=got
        )
