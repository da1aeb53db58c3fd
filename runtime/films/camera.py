"""script=FILE: how StyleGAN3's picture is turned, moved and enlarged, frame by frame."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..errors import NcnnError, UsageError
from ..keys import number, translation, word
from ..strangers import open_regular
from ..transforms import MOST_DEGREES, MOST_WIDTHS, ZOOMS, transform_matrix
from ..values import FloatArray

MOST_BYTES = 1 << 20
TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(s|%|)", re.ASCII)
EXAMPLE = "such as: 60 zoom=1.5 rotate=90 translate=0.1,0"
EASES = ("linear", "cubic")
Track = list[tuple[float, tuple[float, ...], str]]
"""Frames, what holds there, and the pace towards it."""


@dataclass(frozen=True)
class Camera:
    """What a script says; digest: a text that is another for another script."""

    rotate: Track
    translate: Track
    zoom: Track

    def transform(self, frame: int) -> FloatArray:
        """float32 [3, 3], as runtime.transform_matrix gives it."""
        (turn,) = _at(self.rotate, frame, (0.0,))
        x, y = _at(self.translate, frame, (0.0, 0.0))
        (zoom,) = _at(self.zoom, frame, (0.0,))
        return transform_matrix(turn, (x, y), math.exp(zoom))

    @property
    def digest(self) -> str:
        return repr((self.rotate, self.translate, self.zoom))


def _at(track: Track, frame: int, otherwise: tuple[float, ...]) -> tuple[float, ...]:
    """Held before the first and behind the last place that says it."""
    if not track:
        return otherwise
    after = next((i for i, (place, _, _) in enumerate(track) if place > frame), len(track))
    if after in (0, len(track)):
        return track[max(after - 1, 0)][1]
    (start, before, _), (end, then, ease) = track[after - 1], track[after]
    part = (frame - start) / (end - start)
    if ease == "cubic":
        part = part * part * (3 - 2 * part)
    return tuple(a + part * (b - a) for a, b in zip(before, then, strict=True))


def read_script(path: str, frames: int, fps: Fraction) -> Camera:
    """A line for each place: `TIME [rotate=DEG] [translate=X,Y] [zoom=N] [ease=cubic]`; # begins a remark.

    TIME: a frame, seconds (2.5s), or a share of the video's frames (50%), rising from line to line. In between each of
    the three goes evenly from where it was said last to where it is said next, zoom by equal factors; with ease=cubic
    it starts and stops softly. Raises UsageError with the line.
    """
    try:
        with open_regular(path) as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError("script= cannot be read", file=path, reason=error.strerror or str(error)) from None
    if len(data) > MOST_BYTES:
        raise UsageError("script= is too long", file=path, expected=f"at most {MOST_BYTES} bytes")
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise UsageError("script= is no text", file=path, expected=f"lines {EXAMPLE}") from None
    tracks: dict[str, Track] = {"rotate": [], "translate": [], "zoom": []}
    last = -1.0
    for i, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = _time(words[0], frames, fps, path, i)
        if place <= last:
            raise UsageError("script= goes back in time", file=path, line=i, expected=f"a time beyond frame {last:g}")
        last = place
        said = _said(words[1:], path, i)
        ease = str(said.pop("ease", "linear"))
        for key, value in said.items():
            tracks[key].append((place, value if isinstance(value, tuple) else (float(str(value)),), ease))
    if not any(tracks.values()):
        raise UsageError("script= says nothing", file=path, expected=f"lines {EXAMPLE}")
    return Camera(**tracks)


def _time(text: str, frames: int, fps: Fraction, path: str, line: int) -> float:
    found = TIME.fullmatch(text)
    if not found:
        expected = f"a frame (60), seconds (2.5s) or a share (50%), {EXAMPLE}"
        raise UsageError("script= begins a line with no time", file=path, line=line, expected=expected, got=text)
    value = float(found[1])
    if found[2] == "%":
        if value > 100:
            raise UsageError("script= is beyond the video", file=path, line=line, expected="0% to 100%", got=text)
        return value / 100 * frames
    return value * float(fps) if found[2] == "s" else value


def _said(words: list[str], path: str, line: int) -> dict[str, float | str | tuple[float, ...]]:
    """The keys of a line; zoom as its logarithm. What they may be is what transform_matrix takes."""
    found: dict[str, float | str | tuple[float, ...]] = {}
    try:
        for written in words:
            key, _, value = written.partition("=")
            if key not in ("rotate", "translate", "zoom", "ease") or key in found or not value:
                expected = "rotate=, translate=, zoom= and ease=, each once"
                raise UsageError("not what a line of script= says", expected=expected, got=written)
            if key == "ease":
                found[key] = word(*EASES)(key, value)
            elif key == "translate":
                x, y = translation(key, value)
                _within(key, max(abs(x), abs(y)), 0, MOST_WIDTHS)
                found[key] = x, y
            else:
                n = number(key, value)
                _within(key, n if key == "zoom" else abs(n), *(ZOOMS if key == "zoom" else (0, MOST_DEGREES)))
                found[key] = math.log(n) if key == "zoom" else n
    except NcnnError as error:
        raise UsageError(error.what, file=path, line=line, expected=error.expected, got=error.got) from None
    if not found.keys() - {"ease"}:
        raise UsageError("script= has a line without a movement", file=path, line=line, expected=EXAMPLE)
    return found


def _within(key: str, size: float, least: float, most: float) -> None:
    if not least <= size <= most or not np.isfinite(size):
        raise UsageError(f"{key}= is out of range", expected=f"{least:g} to {most:g}", got=f"{size:g}")
