"""The keys of the command line, declared once: how each is read, where it belongs, what --help says of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .errors import UsageError
from .seeds import Seed, parse_seeds, whole_of

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
StyleRanges = list[tuple[int, int]]  # with both ends
Blend = list[tuple[tuple[int, int], list[tuple[int, float]]]]
"""Styles with both ends -> what they take of further seeds: the seed's place, from 1, and how much."""
MOST_BLENDED = 26
ALL_STYLES = (0, 10**18)  # more than anybody can write
PIECE = re.compile(r"([0-9]+)(?:-([0-9]+))?:(.+)", re.ASCII)
SHARE = re.compile(r"([a-z])(-?(?:[0-9]+\.?[0-9]*|\.[0-9]+))?", re.ASCII)
MOST_SHARE = 4.0
EDIT = re.compile(r"(.+?):([0-9]+):([^:,]+)(?:,(?!$)|$)", re.ASCII)
PATHS = ("cubic", "linear", "circle")
SPEEDS = ("even", "constant")
MOST_KEYFRAMES = 400

# What each mode makes, and its default name.
MODES = {
    "image": "the pictures of seeds: one file, a file each, or a table (grid=)",
    "grid": "a table: the seed of each row with styles of the seed of each column",
    "mix": "the picture of seed A with chosen styles of seed B",
    "a2b": "a video from each seed to the next",
    "film": "a video of a table, each cell of which moves through seeds of its own",
    "w_avg": "the picture of the mean style",
    "info": "what a picture says of itself, and the command that makes it again",
}
PAINTING = tuple(mode for mode in MODES if mode != "info")
MOVING = ("a2b", "film")


@dataclass(frozen=True)
class Key:
    """read: (key, text) -> value, or UsageError. modes: where the key has a meaning. shown: key=value in --help."""

    read: Callable[[str, str], Any]
    shown: str
    help: str
    modes: tuple[str, ...] = PAINTING

    def line(self) -> str:
        """Of --help, or several."""
        first, *more = self.help.split("\n")
        return f"  {self.shown:<20} {first}\n" + "".join(f"{'':<23}{line}\n" for line in more)


@dataclass(frozen=True)
class Words:
    """A command line by its words. given: the keys as they were written; plain: what is no key=value; quiet: -q;
    options: those of the command that were given."""

    given: dict[str, str]
    plain: list[str]
    quiet: bool
    options: set[str]


def read_words(
    arguments: Sequence[str],
    keys: Mapping[str, Key],
    *,
    takes: str,
    else_fix: str | None = None,
    options: Sequence[str] = (),
) -> Words:
    """key=value in any order, -q, and words by themselves, which a path may be that holds '='.

    takes: what the command takes, for who gives it an option; else_fix: what to do about a key that is like no other;
    options: of the command, beside -q. Raises UsageError for an unknown or repeated key, one without a value, and an
    option that there is not.
    """
    given: dict[str, str] = {}
    plain: list[str] = []
    quiet = False
    chosen: set[str] = set()
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if argument in ("-q", "--quiet"):
            quiet = True
        elif argument in options:
            chosen.add(argument)
        elif not equals or "/" in key or "\\" in key:  # a path may hold '='
            if argument.startswith("-"):
                raise UsageError(f"unknown option {argument}", fix=f"Arguments are {takes}; see --help")
            plain.append(argument)
        elif key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            fix = f"Did you mean {near[0]}=?" if near else else_fix
            raise UsageError(f"unknown key {key}=", expected=" ".join(keys), fix=fix)
        elif key in given:
            raise UsageError(f"{key}= is given twice")
        elif not value:
            raise UsageError(f"{key}= has no value")
        else:
            given[key] = value
    return Words(given, plain, quiet, chosen)


def number(key: str, text: str) -> float:
    example = {"rotate": "20", "translate": "0.1,-0.05"}.get(key, "0.7")
    if not NUMBER.fullmatch(text):
        raise UsageError(f"{key}= is not a number", expected=f"such as {key}={example}", got=text)
    value = float(text)
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise UsageError(f"{key}= is not a number that float32 can hold", expected=f"such as {key}={example}", got=text)
    return value


def part(key: str, text: str) -> float:
    value = number(key, text)
    if not 0 <= value <= 1:
        raise UsageError(f"{key}= is out of range", expected="0 to 1", got=text)
    return value


def whole(low: int, high: int = 10**9) -> Callable[[str, str], int]:
    def read(key: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 19) or not low <= int(text) <= high:
            span = f"{low} or more" if high == 10**9 else f"{low} to {high}"
            raise UsageError(f"{key}= is not a fitting number", expected=f"a whole number, {span}", got=text)
        return int(text)

    return read


def word(*words: str) -> Callable[[str, str], str]:
    def read(key: str, text: str) -> str:
        if text not in words:
            raise UsageError(f"{key}= is none of its words", expected=" or ".join(words), got=text)
        return text

    return read


def truth(key: str, text: str) -> bool:
    return word("true", "false")(key, text) == "true"


def text(key: str, text: str) -> str:
    return text


def style_ranges(key: str, text: str) -> StyleRanges:
    ranges = []
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        ends = [first, last] if dash else [first, first]
        digits = all(end.isascii() and end.isdigit() for end in ends)
        if not digits or whole_of(key, ends[0]) > whole_of(key, ends[1]):
            raise UsageError(f"{key}= is not a list of styles", expected="such as 0-6 or 0,2,8-11", got=text)
        ranges.append((int(ends[0]), int(ends[1])))
    return ranges


def blend(key: str, text: str) -> Blend:
    """`0-6:b,7:b0.3+c0.2`: styles 0 to 6 are those of the second seed, b; of style 7 it gives 0.3, the third seed 0.2,
    and the first what is left. Raises UsageError."""
    found: Blend = []
    for piece in text.split(","):
        whole = PIECE.fullmatch(piece)
        shares = [SHARE.fullmatch(share) for share in whole[3].split("+")] if whole else []
        if not whole or not all(shares):
            expected = f"such as {key}=0-6:b,7:b0.3+c0.2, where b is the second seed"
            raise UsageError(f"{key}= is not a list of styles and what they take", expected=expected, got=piece)
        first, last = whole_of(key, whole[1]), whole_of(key, whole[2] or whole[1])
        parts = [(ord(share[1]) - ord("a"), float(share[2] or 1)) for share in shares if share]
        letters = [place for place, _ in parts]
        if 0 in letters or len(set(letters)) < len(letters):
            expected = "each of b, c ... once; the first seed, a, takes what they leave"
            raise UsageError(f"{key}= has a seed too many", expected=expected, got=piece)
        if any(abs(share) > MOST_SHARE for _, share in parts):
            raise UsageError(f"{key}= is out of range", expected=f"-{MOST_SHARE:g} to {MOST_SHARE:g}", got=piece)
        if first > last or any(first <= end and start <= last for (start, end), _ in found):
            raise UsageError(f"{key}= needs each style once", expected="ranges that rise", got=piece)
        found.append(((first, last), parts))
    return found


def stops(key: str, text: str) -> list[Blend]:
    """`a/0-6:b/c`: what blend= says for each stop, or one seed's letter."""
    found: list[Blend] = []
    for stop in text.split("/"):
        if re.fullmatch("[a-z]", stop):
            found.append([] if stop == "a" else [(ALL_STYLES, [(ord(stop) - ord("a"), 1.0)])])
        else:
            found.append(blend(key, stop))
    if len(found) < 2:
        raise UsageError(f"{key}= has one stop", expected=f"2 or more, such as {key}=a/0-6:b/c", got=text)
    return found


def moves(key: str, text: str) -> dict[int, float]:
    """`0:2.5,3:-1`: so far along direction 0, and so far back along direction 3."""
    found: dict[int, float] = {}
    for piece in text.split(","):
        place, colon, far = piece.partition(":")
        if not colon or not re.fullmatch(r"[0-9]+", place, re.ASCII) or whole_of(key, place) in found:
            raise UsageError(
                f"{key}= is not a list of directions", expected=f"such as {key}=0:2.5,3:-1", got=piece or text
            )
        found[int(place)] = number(key, far)
    return found


@dataclass(frozen=True)
class Edit:
    """How far styles go along direction `number` of a file."""

    path: str
    number: int
    far: float


def edits(key: str, text: str) -> list[Edit]:
    """`FILE:3:+2.5,FILE:0:-1`; a path may hold commas and colons. Raises UsageError."""
    found, rest = [], text
    while rest:
        piece = EDIT.match(rest)
        if not piece:
            expected = f"FILE:DIRECTION:HOW_FAR, such as {key}=faces_pca.npz:3:+2.5"
            raise UsageError(f"{key}= is not a list of directions in files", expected=expected, got=rest)
        found.append(Edit(piece[1], whole_of(key, piece[2]), number(key, piece[3])))
        rest = rest[piece.end() :]
    return found


def translation(key: str, text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise UsageError(f"{key}= is not two numbers", expected="such as translate=0.1,-0.05", got=text)
    x, y = (number(key, piece) for piece in parts)
    return x, y


def frame_rate(key: str, text: str) -> Fraction:
    """Exact, because a video counts time in fractions of a second."""
    rate = Fraction(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) else Fraction(0)
    if not 1 <= rate <= 1000:
        expected = "1 to 1000 with at most 3 decimals, such as 25 or 29.97"
        raise UsageError(f"{key}= is not a fitting number", expected=expected, got=text)
    return rate


def columns_by_rows(key: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", text)
    if not found:
        raise UsageError(f"{key}= is not a size", expected="columns x rows, such as grid=5x3", got=text)
    return int(found[1]), int(found[2])


def one_seed(key: str, text: str) -> Seed:
    seeds = parse_seeds(key, text)
    if len(seeds) != 1:
        raise UsageError(f"{key}= is not one seed", expected=f"such as {key}=458 or {key}=w_avg", got=text)
    return seeds[0]


KEYS = {
    "mode": Key(word(*MODES), "mode=WORD", "what to make, see above", tuple(MODES)),
    "model": Key(
        text,
        "model=PATH",
        "the bundle, PATH/NAME or PATH/NAME.json (default: the newest one here); faces comes with the package",
    ),
    "seeds": Key(parse_seeds, "seeds=LIST", "the seeds, such as 85,100,0-20", ("image", "mix", "a2b", "film")),
    "rows": Key(parse_seeds, "rows=LIST", "grid: the seeds of the rows, which keep their colours", ("grid",)),
    "cols": Key(parse_seeds, "cols=LIST", "grid: the seeds of the columns, which give the styles", ("grid",)),
    "trunc": Key(number, "trunc=1.0", "truncation: 1 keeps each style, 0 is the mean one"),
    "cutoff": Key(whole(0, 1024), "cutoff=N", "truncates the first N styles only"),
    "grid": Key(
        columns_by_rows,
        "grid=5x3",
        "image: one picture, a table of 5 columns and 3 rows; film: so many cells (default: 1x1)",
        ("image", "film"),
    ),
    "styles": Key(
        style_ranges,
        "styles=0-6",
        "mix, grid, a2b with mix=: the styles that come from the other seed,\n"
        "such as 0-6 or 0,2,8-11 (first: pose, last: colour)",
        ("mix", "grid", "a2b"),
    ),
    "weight": Key(part, "weight=1.0", "likewise: how much these styles take, 0 to 1", ("mix", "grid", "a2b")),
    "blend": Key(
        blend,
        "blend=0-6:b,7:b0.3+c",
        "mix, instead of styles= and weight=: what styles take of the second seed (b),\n"
        "the third (c) ...; the first takes what they leave",
        ("mix",),
    ),
    "stops": Key(
        stops,
        "stops=a/0-6:b/c",
        "a2b: what it goes through, each as blend= says it or as the letter of a seed\n(default: the seeds in turn)",
        ("a2b",),
    ),
    "move": Key(
        moves,
        "move=0:2.5,3:-1",
        "moves styles along directions that the network's weights give (SeFa), 0 to 15, the\nstrongest first",
    ),
    "move_styles": Key(
        style_ranges,
        "move_styles=0-3",
        "those that are moved, and whose layers give the directions (default: all)",
    ),
    "edit": Key(
        edits,
        "edit=FILE:3:+2.5",
        "moves styles along direction 3 of a file: of python -m runtime.directions, or another .npz\n"
        "or .npy; several with commas between",
    ),
    "layers": Key(style_ranges, "layers=0-6", "the styles that edit= moves (default: what FILE says, else all)"),
    "mix": Key(one_seed, "mix=SEED", "a2b: every frame with styles of this seed, or of w_avg", ("a2b",)),
    "frames": Key(whole(1), "frames=120", "a2b, film: frames from one seed to the next", MOVING),
    "fps": Key(frame_rate, "fps=30", "a2b, film: frames a second, such as 25 or 29.97", MOVING),
    "loop": Key(
        truth, "loop=true", "a2b, film (there by itself): from the last seed back to the first, without a seam", MOVING
    ),
    "script": Key(
        text,
        "script=FILE",
        "a2b, film: StyleGAN3 exported with --transform-input is turned, moved and enlarged frame by\n"
        "frame; lines such as 60 rotate=90 translate=0.1,0 zoom=1.5 ease=cubic (frame, 2.5s or 50%)",
        MOVING,
    ),
    "keyframes": Key(
        whole(1, MOST_KEYFRAMES),
        "keyframes=N",
        "film: seeds that each cell goes through, which begin anew where they end (default: as many as\nthere are)",
        ("film",),
    ),
    "shuffle": Key(whole(0, 2**32 - 1), "shuffle=N", "film: the seeds in an order by chance, of this seed", ("film",)),
    "walk": Key(
        whole(0, 2**32 - 1),
        "walk=N",
        "film: each cell begins with its seed, and walks on through seeds by chance, of this seed",
        ("film",),
    ),
    "path": Key(
        word(*PATHS),
        "path=cubic",
        "film: cubic, as the official gen_video; linear; or circle, the one through three styles",
        ("film",),
    ),
    "speed": Key(
        word(*SPEEDS),
        "speed=even",
        "film: even, seed to seed in the same time; or constant, in w (default with walk=)",
        ("film",),
    ),
    "ease": Key(
        word("linear", "cubic"),
        "ease=linear",
        "a2b: the pace between two seeds; cubic starts and stops softly",
        ("a2b",),
    ),
    "noise": Key(
        word("const", "random", "none"), "noise=WORD", "StyleGAN2: const, random or none, as --noise-mode left it open"
    ),
    "noise_seed": Key(
        whole(0, 2**32 - 1), "noise_seed=0", "of random noise; each further picture takes the next number"
    ),
    "noise_strength": Key(number, "noise_strength=1.0", "multiplies the noise"),
    "rotate": Key(number, "rotate=DEG", "StyleGAN3 exported with --transform-input: turn it counterclockwise"),
    "translate": Key(translation, "translate=X,Y", "likewise: move it right and down, in widths of the picture"),
    "zoom": Key(number, "zoom=1.0", "likewise: how much larger, about the middle, 0.01 to 100"),
    "class": Key(whole(0), "class=N", "the label, for a model that has labels"),
    "out": Key(text, "out=PATH", "where to write; the suffix says the format, see above"),
    "threads": Key(whole(1, 1024), "threads=N", "default: the physical cores"),
    "fp16": Key(
        truth,
        "fp16=true",
        "convolutions multiply in half precision, where the processor can: 64-bit ARM, from\nARMv8.2 on",
    ),
    "bf16": Key(
        truth,
        "bf16=true",
        "convolutions multiply in bfloat16, where the processor can: x86 with AVX-512-BF16;\n"
        "1.2 to 1.4 times as fast, a picture is 45 to 56 dB from its own",
    ),
    "isolate": Key(
        truth,
        "isolate=false",
        "runs the nets in this process; by itself each has its own, whose end is an error here",
    ),
}
