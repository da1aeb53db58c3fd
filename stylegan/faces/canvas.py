"""Filled shapes and lines in coordinates of a head, drawn large and reduced at the end."""

from __future__ import annotations

import colorsys
import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw

Points = npt.NDArray[np.float64]
Colour = tuple[int, int, int]

_CIRCLE = np.stack([np.cos(np.arange(48) * (math.tau / 48)), np.sin(np.arange(48) * (math.tau / 48))], 1)


def hsl(hue: float, saturation: float, lightness: float) -> Colour:
    """Hue in degrees, the others 0 to 1; what is beyond that is cut off."""
    rgb = colorsys.hls_to_rgb(hue / 360 % 1, min(max(lightness, 0), 1), min(max(saturation, 0), 1))
    return round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255)


def blend(a: Colour, b: Colour, part: float) -> Colour:
    """a at part 0, b at part 1."""
    r, g, b_ = (round(p + (q - p) * part) for p, q in zip(a, b, strict=True))
    return r, g, b_


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0) -> Points:
    """Points [48, 2] of its outline; angle in degrees, clockwise."""
    return moved(rotated(_CIRCLE * (rx, ry), angle), x, y)


def moved(points: Points, x: float, y: float) -> Points:
    """To the right and down."""
    there: Points = points + np.array((x, y))
    return there


def rotated(points: Points, angle: float) -> Points:
    """Around the origin, by degrees clockwise as seen with y downwards."""
    if not angle:
        return points
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    found: Points = points @ np.array([[c, s], [-s, c]])
    return found


def curve(corners: Sequence[tuple[float, float]], steps: int = 6) -> Points:
    """A smooth closed outline through the points: a Catmull-Rom spline, [steps * len(corners), 2]."""
    p = np.array(corners)
    before, after, far = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = (q[:, None] for q in (before, p, after, far))
    points: Points = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return points.reshape(-1, 2)


@functools.lru_cache(maxsize=4)
def _gradient(side: int) -> Image.Image:
    """Black above, white below."""
    return Image.linear_gradient("L").resize((side, side), Image.Resampling.BILINEAR)


class Canvas:
    """A square picture. Shapes are in units of `scale` widths of it around (x, y), and turned by `tilt` degrees."""

    def __init__(self, resolution: int, back: Colour) -> None:
        self.factor = 4 if resolution <= 256 else 2  # of supersampling: fine enough where pixels are small themselves
        self.resolution, self.side = resolution, resolution * self.factor
        self.image = Image.new("RGB", (self.side, self.side), back)
        self._draw = ImageDraw.Draw(self.image)
        self.place(0.5, 0.5, 1, 0)

    def place(self, x: float, y: float, scale: float, tilt: float) -> None:
        """Where what is drawn from now on goes."""
        self.origin, self.scale, self.tilt = np.array((x, y)) * self.side, scale * self.side, tilt

    def _pixels(self, points: Points) -> list[float]:
        found: list[float] = (rotated(points, self.tilt) * self.scale + self.origin).ravel().tolist()
        return found

    def fill(self, points: Points, colour: Colour) -> None:
        """points: [n, 2], the outline."""
        self._draw.polygon(self._pixels(points), fill=colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """points: [n, 2]; the width in the same units."""
        pixels = max(1, round(width * self.scale))
        self._draw.line(self._pixels(points), fill=colour, width=pixels, joint="curve")

    def mask(self, shapes: Sequence[Points]) -> Image.Image:
        """White where one of the shapes is."""
        found = Image.new("L", (self.side, self.side))
        draw = ImageDraw.Draw(found)
        for points in shapes:
            draw.polygon(self._pixels(points), fill=255)
        return found

    def fill_within(self, mask: Image.Image, shapes: Sequence[Points], colour: Colour) -> None:
        """The part of the shapes that is inside the mask."""
        self.image.paste(colour, mask=ImageChops.darker(mask, self.mask(shapes)))

    def shade(self, colour: Colour, strength: float, mask: Image.Image | None = None, up: bool = False) -> None:
        """A colour that comes in from above to below (or up), as strongly as `strength` (0 to 1), inside the mask."""
        gradient = _gradient(self.side)
        if up:
            gradient = gradient.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        gradient = gradient.point([round(v * strength) for v in range(256)])
        self.image.paste(colour, mask=gradient if mask is None else ImageChops.multiply(gradient, mask))

    def finished(self) -> npt.NDArray[np.uint8]:
        """[resolution, resolution, 3]."""
        return np.array(self.image.reduce(self.factor), np.uint8)
