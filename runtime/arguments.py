"""Reads the command line of ``python -m runtime.run``: key=value and seed files in any order."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from .errors import UsageError
from .net import FloatArray
from .pictures import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from .transforms import transform_matrix

USAGE = """\
usage: python -m runtime.run mode=image|mix|a2b SEED.bin... [key=value ...]

A seed is a file N.bin that the export wrote, or a style of its own: .npz (as the official projector's
projected_w.npz) or .npy of [num_ws, w_dim] or [w_dim].

  mode=image   one seed: its picture                                     -> image.png
  mode=mix     two seeds A B: the picture of A with chosen styles of B   -> mix.png
  mode=a2b     two or more seeds: a video from each to the next          -> a2b.mp4

keys, in any order among the seed files:
  model=PATH   the bundle, PATH/NAME or PATH/NAME.json (default: the newest one in the working directory)
  trunc=1.0    truncation: 1 keeps each style, 0 is the mean one
  cutoff=N     truncates the first N styles only
  styles=0-6   mix only: the styles that come from B, such as 0-6 or 0,2,8-11 (first: pose, last: colour)
  weight=1.0   mix only: how much of B these styles take, from 0 to 1
  frames=120   a2b only: frames from one seed to the next
  fps=30       a2b only: frames a second, such as 25 or 29.97
  noise=WORD   StyleGAN2: const, random or none, as far as the export left it open (--noise-mode)
  noise_seed=0 of random noise; each further frame takes the next number
  noise_strength=1.0  multiplies the noise
  rotate=DEG   StyleGAN3 exported with --transform-input: turn the picture counterclockwise
  translate=X,Y  likewise: move it right and down, in widths of the picture
  class=N      the label, for a model that has labels
  out=FILE     where to write; the suffix says the format (.png .jpg ..., a2b: .mp4 .mkv .mov)
  threads=N    default: the physical cores

examples:
  python -m runtime.run mode=image seeds/85.bin trunc=0.7 out=85.png
  python -m runtime.run mode=mix seeds/458.bin seeds/293.bin styles=0-3
  python -m runtime.run mode=a2b seeds/85.bin seeds/100.bin seeds/85.bin frames=60 out=loop.mp4
"""

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
MODES = ("image", "mix", "a2b")
NOISES = ("const", "random", "none")
KEYS = (
    *("mode", "model", "trunc", "cutoff", "styles", "weight", "frames", "fps", "noise", "noise_seed", "noise_strength"),
    *("rotate", "translate", "class", "out", "threads"),
)
KEYS_OF_ONE_MODE = {"styles": "mix", "weight": "mix", "frames": "a2b", "fps": "a2b"}
DEFAULT_STYLES = range(7)


@dataclass
class Request:
    """A command line that makes sense by itself; what depends on the model is asked for with its numbers."""

    mode: str
    seeds: list[str]
    model: str | None = None
    trunc: float = 1.0
    cutoff: int | None = None
    weight: float = 1.0
    noise: str | None = None  # None: the bundle's own
    noise_seed: int | None = None
    noise_strength: float = 1.0
    styles: list[tuple[int, int]] | None = None  # ranges with both ends; None: the default
    frames: int = 120
    fps: Fraction = Fraction(30)
    rotate: float | None = None
    translate: tuple[float, float] | None = None
    label_class: int | None = None
    out: str = ""
    threads: int | None = None
    suffixes: tuple[str, ...] = field(default=PICTURE_SUFFIXES)

    def chosen_styles(self, num_ws: int) -> set[int]:
        """The styles that come from the second seed. Raises UsageError for one that there is not."""
        if self.styles is None:
            return {i for i in DEFAULT_STYLES if i < num_ws}
        for _, last in self.styles:
            if last >= num_ws:
                raise UsageError("styles= is out of range", expected=f"0 to {num_ws - 1}", got=str(last))
        return {i for first, last in self.styles for i in range(first, last + 1)}

    def transform(self) -> FloatArray | None:
        """What rotate= and translate= ask for, [3, 3]; None where neither is given."""
        if self.rotate is None and self.translate is None:
            return None
        return transform_matrix(self.rotate or 0.0, self.translate or (0.0, 0.0))

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


def parse(arguments: list[str]) -> Request:
    """Raises UsageError for an unknown or repeated key, a bad value or mode, or a wrong number of seeds."""
    values: dict[str, str] = {}
    seeds: list[str] = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or "/" in key or "\\" in key:  # a path may hold '='
            if argument.startswith("-"):
                raise UsageError(f"unknown option {argument}", fix="Arguments are key=value and seed files; see --help")
            seeds.append(argument)
            continue
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            raise UsageError(
                f"unknown key {key}=",
                expected=" ".join(KEYS),
                fix=f"Did you mean {near[0]}=?" if near else None,
            )
        if key in values:
            raise UsageError(f"{key}= is given twice")
        if not value:
            raise UsageError(f"{key}= has no value")
        values[key] = value

    mode = values.get("mode")
    if mode not in MODES:
        got = "none" if mode is None else mode
        raise UsageError("bad mode", expected="mode=image, mode=mix or mode=a2b", got=got, fix="See --help")
    for key, only in KEYS_OF_ONE_MODE.items():
        if key in values and mode != only:
            raise UsageError(f"{key}= belongs to mode={only}, not to mode={mode}")
    expected = {"image": "1 seed file", "mix": "2 seed files", "a2b": "2 seed files or more"}[mode]
    if not {"image": len(seeds) == 1, "mix": len(seeds) == 2, "a2b": len(seeds) >= 2}[mode]:
        raise UsageError(f"mode={mode} has a wrong number of seeds", expected=expected, got=str(len(seeds)))

    label = _whole(values, "class", None, 0)
    frames = _whole(values, "frames", 120, 1)
    return Request(
        mode=mode,
        seeds=seeds,
        model=values.get("model"),
        trunc=_number("trunc", values.get("trunc", "1.0"), "0.7"),
        cutoff=_whole(values, "cutoff", None, 0, 1024),
        weight=_weight(values.get("weight", "1.0")),
        noise=_word(values.get("noise"), "noise", NOISES),
        noise_seed=_whole(values, "noise_seed", None, 0, 2**32 - 1),
        noise_strength=_number("noise_strength", values.get("noise_strength", "1.0"), "0.5"),
        styles=_ranges(values["styles"]) if "styles" in values else None,
        frames=frames or 120,
        fps=_frame_rate(values.get("fps", "30")),
        rotate=_number("rotate", values["rotate"], "20") if "rotate" in values else None,
        translate=_translation(values["translate"]) if "translate" in values else None,
        label_class=label,
        out=values.get("out", "a2b.mp4" if mode == "a2b" else f"{mode}.png"),
        threads=_whole(values, "threads", None, 1, 1024),
        suffixes=VIDEO_SUFFIXES if mode == "a2b" else PICTURE_SUFFIXES,
    )


def _number(key: str, text: str, example: str) -> float:
    if not NUMBER.fullmatch(text):
        raise UsageError(f"{key}= is not a number", expected=f"such as {key}={example}", got=text)
    value = float(text)
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise UsageError(f"{key}= is not a number that float32 can hold", expected=f"such as {key}={example}", got=text)
    return value


def _weight(text: str) -> float:
    weight = _number("weight", text, "0.5")
    if not 0 <= weight <= 1:
        raise UsageError("weight= is out of range", expected="0 to 1", got=text)
    return weight


def _word(text: str | None, key: str, words: tuple[str, ...]) -> str | None:
    if text is not None and text not in words:
        raise UsageError(f"{key}= is none of its words", expected=" or ".join(words), got=text)
    return text


def _translation(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise UsageError("translate= is not two numbers", expected="such as translate=0.1,-0.05", got=text)
    x, y = (_number("translate", part, "0.1,-0.05") for part in parts)
    return x, y


def _frame_rate(text: str) -> Fraction:
    """Exact, because a video counts time in fractions of a second."""
    rate = Fraction(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) else Fraction(0)
    if not 1 <= rate <= 1000:
        expected = "1 to 1000 with at most 3 decimals, such as 25 or 29.97"
        raise UsageError("fps= is not a fitting number", expected=expected, got=text)
    return rate


def _whole(values: dict[str, str], key: str, default: int | None, low: int, high: int = 10**9) -> int | None:
    text = values.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12) or not low <= int(text) <= high:
        span = f"{low} or more" if high == 10**9 else f"{low} to {high}"
        raise UsageError(f"{key}= is not a fitting number", expected=f"a whole number, {span}", got=text)
    return int(text)


def _ranges(text: str) -> list[tuple[int, int]]:
    ranges = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = [first, last] if dash else [first, first]
        if not all(end.isascii() and end.isdigit() and len(end) < 6 for end in ends) or int(ends[0]) > int(ends[1]):
            raise UsageError("styles= is not a list of styles", expected="such as 0-6 or 0,2,8-11", got=text)
        ranges.append((int(ends[0]), int(ends[1])))
    return ranges
