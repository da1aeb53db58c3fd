"""Reads the command line of ``python -m runtime.run``: key=value and seeds in any order."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from .errors import UsageError
from .films.keyframes import check_film
from .keys import KEYS, MODES, MOST_BLENDED, Blend, Edit, Key, StyleRanges, read_words
from .seeds import Seed, parse_seeds
from .transforms import transform_matrix
from .values import FloatArray

HEAD = """\
usage: python -m runtime.run mode={modes} [SEED ...] [key=value ...] [-q]

  mode=image   {image}
               -> image.png; of several seeds images/seed0085.png ..., or grid.png
  mode=grid    {grid}
               (rows=, cols=) -> grid.png
  mode=mix     {mix} -> mix.png
  mode=a2b     {a2b}
               -> a2b.mp4; also .webm .gif .mkv .mov, or a directory of frames
  mode=film    {film}
               -> film.mp4; the first cell has the first seeds, the next one the next
               what is stopped goes on when the same command is given again
  mode=w_avg   {w_avg} -> w_avg.png
  mode=info    {info}

A SEED is a number (85) or a range (0-20), a file N.bin that the export wrote, a style of its own: .npz (as the
official projector's projected_w.npz) or .npy of [num_ws, w_dim] or [w_dim]; or w_avg, the mean style.

keys:
"""
TAIL = """\
  -q                   no progress, no remarks

examples:
  python -m runtime.run mode=image seeds=0-20 trunc=0.7 grid=7x3
  python -m runtime.run mode=grid rows=85,100,75 cols=55,821,1789,293 styles=0-6
  python -m runtime.run mode=a2b seeds=85,100,75 frames=60 loop=true mix=w_avg styles=0-6 out=loop.webm
  python -m runtime.run mode=film seeds=0-31 grid=4x2 frames=60
  python -m runtime.run mode=film seeds=85 walk=1 keyframes=8 frames=60 script=turn.txt
"""
DEFAULT_STYLES = range(7)
NUMBERS_ONLY = re.compile(r"[0-9][0-9,_-]*", re.ASCII)


@dataclass
class Request:
    """A command line that makes sense by itself; what depends on the model is asked for with its numbers."""

    mode: str
    given: dict[str, str] = field(default_factory=dict)  # the keys as they were written
    seeds: list[Seed] = field(default_factory=list)
    rows: list[Seed] = field(default_factory=list)
    cols: list[Seed] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # of mode=info
    model: str | None = None
    trunc: float = 1.0
    cutoff: int | None = None
    grid: tuple[int, int] | None = None  # columns, rows
    styles: StyleRanges | None = None  # None: the default
    weight: float = 1.0
    blend: Blend | None = None
    stops: list[Blend] | None = None
    mix: Seed | None = None
    frames: int = 120
    fps: Fraction = Fraction(30)
    loop: bool = False
    move: dict[int, float] | None = None
    move_styles: StyleRanges | None = None
    edit: list[Edit] | None = None
    layers: StyleRanges | None = None
    ease: str = "linear"
    script: str | None = None
    keyframes: int | None = None
    shuffle: int | None = None
    walk: int | None = None
    path: str = "cubic"
    speed: str = "even"
    noise: str | None = None  # None: the bundle's own
    noise_seed: int | None = None
    noise_strength: float = 1.0
    rotate: float | None = None
    translate: tuple[float, float] | None = None
    zoom: float | None = None
    label_class: int | None = None
    out: str | None = None
    threads: int | None = None
    fp16: bool = False
    bf16: bool = False
    isolate: bool = os.name == "posix"
    quiet: bool = False

    def chosen_styles(self, num_ws: int) -> set[int]:
        """The styles that come from the other seed. Raises UsageError for one that there is not."""
        if self.styles is None:
            return {i for i in DEFAULT_STYLES if i < num_ws}
        for _, last in self.styles:
            if last >= num_ws:
                raise UsageError("styles= is out of range", expected=f"0 to {num_ws - 1}", got=str(last))
        return {i for first, last in self.styles for i in range(first, last + 1)}

    def transform(self) -> FloatArray | None:
        """What rotate=, translate= and zoom= ask for, [3, 3]; None where none is given."""
        if self.rotate is None and self.translate is None and self.zoom is None:
            return None
        zoom = 1.0 if self.zoom is None else self.zoom
        return transform_matrix(self.rotate or 0.0, self.translate or (0.0, 0.0), zoom)

    def label(self, c_dim: int) -> FloatArray | None:
        """One-hot [c_dim], or None for a model without labels. Raises UsageError if class= does not fit."""
        if c_dim == 0:
            if self.label_class is not None:
                raise UsageError("class= is given, but the model has no labels")
            return None
        if self.label_class is None:
            raise UsageError("the model has labels", expected=f"class=0 to class={c_dim - 1}", got="no class=")
        if self.label_class >= c_dim:
            raise UsageError("class= is out of range", expected=f"0 to {c_dim - 1}", got=str(self.label_class))
        label: FloatArray = np.zeros(c_dim, np.float32)
        label[self.label_class] = 1
        return label


def usage() -> str:
    """The text of --help."""
    head = HEAD.format(modes="|".join(MODES), **MODES)
    return head + "".join(map(Key.line, KEYS.values())) + TAIL


PREDECESSOR = {
    "style_mixing": "It is called mode=grid rows=85,100,75 cols=55,821,1789,293 styles=0-6",
    "A2B": "It is called mode=a2b seeds=85,100,75 frames=120 fps=30",
    "projector": "It is python -m stylegan.project",
    "ncnn": "It is python -m stylegan.export",
}
"""Modes of the predecessor's demo.py, and what does the same here."""


def parse(arguments: list[str]) -> Request:
    """Raises UsageError for an unknown or repeated key, a bad value or mode, or a wrong number of seeds."""
    words = read_words(arguments, KEYS, takes="key=value and seeds")
    given, plain = words.given, words.plain
    mode = given.get("mode")
    if mode not in MODES:
        fix = PREDECESSOR.get(mode or "", "See --help")
        raise UsageError("bad mode", expected=f"mode={'|'.join(MODES)}", got=mode or "none", fix=fix)
    for key in given:
        modes = KEYS[key].modes
        if mode not in modes:
            belongs = " and ".join(f"mode={m}" for m in modes) if len(modes) < 4 else "the modes that make pictures"
            raise UsageError(f"{key}= belongs to {belongs}, not to mode={mode}")
    request = Request(mode, given, quiet=words.quiet)
    for key, value in given.items():
        setattr(request, {"class": "label_class"}.get(key, key), KEYS[key].read(key, value))
    if mode == "info":
        request.files = plain
    elif plain:
        if request.seeds:
            raise UsageError("seeds are given twice", expected="seeds=, or seeds by themselves", got=plain[0])
        for text in plain:  # a path may hold a comma
            request.seeds += parse_seeds("seeds", text) if NUMBERS_ONLY.fullmatch(text) else [Seed(text)]
    _check_counts(request)
    return request


# What a mode needs of seeds: (fewest, most, in words).
COUNTS = {
    "image": (1, None, "1 seed or more"),
    "mix": (2, 2, "2 seeds"),  # with blend= more
    "a2b": (2, None, "2 seeds or more"),
    "film": (1, None, "1 seed or more"),
    "grid": (0, 0, "rows= and cols="),
    "w_avg": (0, 0, "none"),
}


def _check_counts(request: Request) -> None:
    mode, count = request.mode, len(request.seeds)
    if mode == "info":
        if not request.files:
            raise UsageError("mode=info has no picture", expected="mode=info picture.png")
        return
    fewest, most, expected = COUNTS[mode]
    if request.stops is not None:
        fewest, most, expected = 1, MOST_BLENDED, f"1 to {MOST_BLENDED} seeds"
    if request.blend is not None:
        most, expected = MOST_BLENDED, f"2 to {MOST_BLENDED} seeds"
        for key in ("styles", "weight"):
            if key in request.given:
                raise UsageError(f"{key}= and blend= say the same thing", expected="one of them")
    if count < fewest or (most is not None and count > most):
        raise UsageError(f"mode={mode} has a wrong number of seeds", expected=expected, got=str(count))
    for key, said in (("blend", request.blend or []), *(("stops", stop) for stop in request.stops or [])):
        for place in (place for _, parts in said for place, _ in parts):
            if place >= count:
                letter = chr(ord("a") + place)
                raise UsageError(f"{key}= asks for seed {letter}", expected=f"at most {chr(ord('a') + count - 1)}")
    if request.script is not None:
        for key in ("rotate", "translate", "zoom"):
            if key in request.given:
                raise UsageError(f"{key}= and script= say the same thing", expected="one of them")
    if request.move_styles is not None and request.move is None:
        raise UsageError("move_styles= is about move=", expected="move=", got="no move=")
    if request.layers is not None and request.edit is None:
        raise UsageError("layers= is about edit=", expected="edit=", got="no edit=")
    if mode == "grid" and not (request.rows and request.cols):
        missing = "cols=" if request.rows else "rows=" if request.cols else "rows= and no cols="
        raise UsageError(
            "mode=grid needs seeds for its rows and columns", expected="rows= and cols=", got=f"no {missing}"
        )
    if mode == "film":
        check_film(request.grid or (1, 1), count, request.given)
    elif request.grid and count > request.grid[0] * request.grid[1]:
        columns, rows = request.grid
        expected = f"at most {columns * rows} seeds"
        raise UsageError(f"grid={columns}x{rows} has too few places", expected=expected, got=str(count))
    if mode == "a2b" and request.mix is None:
        for key in ("styles", "weight"):
            if key in request.given:
                raise UsageError(
                    f"{key}= of a video is about the seed that is mixed in", expected="mix=", got="no mix="
                )
