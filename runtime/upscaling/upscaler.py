"""One picture through a restorer, in tiles that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..values import FloatArray
from .facts import card
from .photos import Photo, check_writable, keeps_16_bits, resized
from .restorer import Restorer
from .tiles import Grid, Span, sides, windows

Pixels = npt.NDArray[Any]
"""[height, width, 1 or 3], uint8 or uint16."""
Tile = int | str
"""Pixels of a side, or one of WORDS."""
AUTO, WHOLE = WORDS = ("auto", "whole")
MOST_SIDE = 512
"""Pixels of a side of automatic tiles: larger ones are not faster."""
TRIAL = 96
LUMA = np.array([0.299, 0.587, 0.114], np.float32)[:, None, None]

Window = tuple[Span, Span]
Watch = Callable[[list[Window]], Iterable[Window]]


class Upscaler:
    """Restores pictures of any size.

    tile: the side of the windows that the net sees; "auto" takes what fits into `memory` bytes, measured by a run,
    "whole" the picture. overlap: pixels of the input around what is kept of a window; None finds out how far the net
    looks. say: is told what the user has to know.
    """

    def __init__(
        self, restorer: Restorer, tile: Tile, overlap: int | None, memory: int, say: Callable[[str], None]
    ) -> None:
        self.restorer, self.scale = restorer, restorer.facts.scale
        self._tile, self._memory, self.say = tile, memory, say
        self._overlap = overlap
        self._area: int | None = None
        self._mentioned = False

    def upscale(self, picture: Pixels, watch: Watch = lambda windows: windows) -> Pixels:
        """[h, w, 1 or 3] -> [scale * h, scale * w, the same] of the same type, in colour where the net makes colour of
        grey. watch: is handed the windows, and hands them on."""
        height, width, channels = picture.shape
        while True:
            grid, most, padded = self._plan(height, width)
            whole = _padded(picture, *padded)
            places = windows(grid, whole.shape[0], whole.shape[1], most)
            self._mention_waste(places)
            result = np.empty((self.scale * height, self.scale * width, self._channels(channels)), picture.dtype)
            for rows, columns in watch(places):
                part = self._restore(whole[rows.start : rows.stop, columns.start : columns.stop])
                if self._too_much(len(places)):
                    break
                self._put(result, part, rows, columns)
            else:
                return result

    def _channels(self, channels: int) -> int:
        f = self.restorer.facts
        return channels if channels == 1 and f.channels == 3 else max(channels, f.outputs)

    def _plan(self, height: int, width: int) -> tuple[Grid, tuple[int, int], tuple[int, int]]:
        """(how windows lie, the longest rows and columns of one, the size that the picture is padded to)."""
        f = self.restorer.facts
        if f.size is not None:
            return self._exact(height, width, f.size)
        tall, wide = (max(_up(n, f.multiple), _up(f.least, f.multiple)) for n in (height, width))
        if f.square:
            side = max(tall, wide)
            limit = min(side, f.most or side, self._side(side, side))
            return self._exact(height, width, (limit // f.multiple * f.multiple,) * 2)
        most = (tall, wide)
        if self._tile == AUTO and f.tiling:
            area = self._affordable()
            if tall * wide > area or max(most) > 2 * MOST_SIDE:
                most = sides(min(area, MOST_SIDE**2), tall, wide, self.restorer.align)
        elif isinstance(self._tile, int):
            most = (min(tall, self._tile), min(wide, self._tile))
        if f.most is not None:
            most = (min(most[0], f.most), min(most[1], f.most))
        if most == (tall, wide):
            return Grid(0, f.multiple, 1), most, most
        align = self.restorer.align
        grid = Grid(self._known_overlap(), align, max(_up(f.least, f.multiple), f.multiple))
        if isinstance(self._tile, int) and self._tile < grid.smallest():
            raise UsageError(
                f"tile={self._tile} is too small for this net",
                expected=f"{grid.smallest()} or more, or a smaller overlap=",
                got=f"an overlap of {grid.overlap}, windows at multiples of {grid.align}",
            )
        least = grid.smallest()
        if self._tile == AUTO and min(least, tall) * min(least, wide) > (self._area or 0) and f.tiling:
            raise self._no_room(least)
        longest = (
            tall if tall <= most[0] else max(most[0] // align * align, least),
            wide if wide <= most[1] else max(most[1] // align * align, least),
        )
        return grid, longest, (tall, wide)

    def _no_room(self, least: int) -> UsageError:
        needed = self._memory * least**2 // max(self._area or 1, 1)
        return UsageError(
            f"tiles of {least} x {least} pixels, which an overlap of {self._overlap} needs, do not fit into memory",
            expected=f"about memory={(needed >> 20) + 1}",
            got=f"memory={self._memory >> 20}",
            fix="Give more memory=, or a smaller overlap= at the cost of seams",
        )

    def _mention_waste(self, places: list[Window]) -> None:
        computed = sum((r.stop - r.start) * (c.stop - c.start) for r, c in places)
        kept = sum((r.last - r.first) * (c.last - c.first) for r, c in places)
        if 2 * kept < computed and not self._mentioned:
            self._mentioned = True
            self.say(
                f"tiles show {self._overlap} pixels around what is kept of them, so that {kept * 100 // computed} % of "
                "them is: more memory=, a larger tile= or a smaller overlap= is faster"
            )

    def _side(self, tall: int, wide: int) -> int:
        """Of a square window."""
        if isinstance(self._tile, int):
            return self._tile
        if self._tile == WHOLE or not self.restorer.facts.tiling or tall * wide <= TRIAL**2:
            return max(tall, wide)
        return min(int(self._affordable() ** 0.5), MOST_SIDE)

    def _exact(self, height: int, width: int, size: tuple[int, int]) -> tuple[Grid, tuple[int, int], tuple[int, int]]:
        """All windows of one size: the picture is padded to a size that they cover without a rest."""
        if height <= size[0] and width <= size[1]:
            return Grid(0), size, size
        align = min(self.restorer.align, *size)
        grid = Grid(self._known_overlap(), align, 1, exact=True)
        padded = [n if n <= s else s + _up(n - s, align) for n, s in zip((height, width), size, strict=True)]
        padded = [max(n, s) for n, s in zip(padded, size, strict=True)]
        return grid, size, (padded[0], padded[1])

    def _known_overlap(self) -> int:
        if self._overlap is None:
            self._overlap, change = self.restorer.overlap
            if change:
                self.say(
                    f"the net looks farther than {self._overlap} pixels: tiles may differ from the whole picture by "
                    f"{change * 255:.1f} levels, as measured on a trial; overlap=N or tile=whole changes that"
                )
        return self._overlap

    def _affordable(self) -> int:
        """Pixels of a window that fit into memory: what a small one takes, extrapolated."""
        if self._area is None:
            f = self.restorer.facts
            side = _up(max(TRIAL, f.least), self.restorer.align)
            side = side if f.most is None else min(side, f.most // f.multiple * f.multiple)
            self.restorer.run(card(f.channels, side, side))
            self._area = max(int(0.9 * self._memory / (self.restorer.memory / side**2 + self._bytes())), 1)
        return self._area

    def _bytes(self) -> int:
        """Of arrays for a pixel of a window: the net's input and output, and copies of them on their way."""
        f = self.restorer.facts
        return 4 * (3 * f.channels + 4 * f.outputs * f.scale**2)

    def _too_much(self, count: int) -> bool:
        """Whether a window took more memory than was said: then all are made smaller."""
        if count == 1 or self._area is None or self.restorer.memory <= self._memory:
            return False
        self._area = max(int(self._area * 0.8 * self._memory / self.restorer.memory), 1)
        self.restorer.fresh()
        return True

    def _restore(self, window: Pixels) -> FloatArray:
        """[h, w, channels] -> [channels of the result, scale * h, scale * w], numbers from 0 to 1."""
        f, most = self.restorer.facts, np.iinfo(window.dtype).max
        planes: FloatArray = np.multiply(window.transpose(2, 0, 1), np.float32(1 / most), dtype=np.float32)
        if f.channels == 1 and len(planes) == 3:
            return np.concatenate([self.restorer.run(plane[None]) for plane in planes])
        if f.channels == 3 and len(planes) == 1:
            planes = planes.repeat(3, 0)
            made = self.restorer.run(planes)
            grey: FloatArray = (made * LUMA).sum(0, keepdims=True) if len(made) == 3 else made
            return grey
        return self.restorer.run(np.ascontiguousarray(planes))

    def _put(self, result: Pixels, part: FloatArray, rows: Span, columns: Span) -> None:
        s, most = self.scale, np.iinfo(result.dtype).max
        top, left = s * rows.first, s * columns.first
        place = result[top : s * rows.last, left : s * columns.last]  # the picture may end before the window
        y, x = top - s * rows.start, left - s * columns.start
        kept = part[:, y : y + place.shape[0], x : x + place.shape[1]].transpose(1, 2, 0)
        place[...] = np.clip(kept, 0, 1) * np.float32(most) + np.float32(0.5)


def upscaled(photo: Photo, path: Path, upscaler: Upscaler, watch: Watch = lambda windows: windows) -> Photo:
    """What is written to `path`, its alpha channel beside. Raises PictureError where it cannot hold the result."""
    scale = upscaler.scale
    height, width, _ = (scale * n for n in photo.pixels.shape)
    check_writable(path, photo, height, width)
    if photo.pixels.dtype == np.uint16 and not keeps_16_bits(path, photo):
        upscaler.say(f"16 bits a channel become 8 in {path.name}; .png keeps them")
    pixels = upscaler.upscale(photo.pixels, watch)
    profile = photo.profile if pixels.shape[2] == photo.pixels.shape[2] else None
    return Photo(pixels, None if photo.alpha is None else resized(photo.alpha, scale), profile)


def _padded(picture: Pixels, height: int, width: int) -> Pixels:
    """Mirrored below and on the right."""
    below, right = height - picture.shape[0], width - picture.shape[1]
    return np.pad(picture, ((0, below), (0, right), (0, 0)), mode="reflect") if below or right else picture


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
