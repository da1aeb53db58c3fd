"""What is to be known of a restorer: from the manifest that the converter wrote, or by running it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BundleError, NcnnError, UsageError
from ..json_reader import Reader
from ..open_sizes import need_schema
from ..strangers import read_regular
from ..values import FloatArray

MOST_MANIFEST = 1 << 24
TRIED = 32
"""Pixels of a side that a net is tried with first; networks take less only where a picture is smaller."""
MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 12, 24, 48, 3, 5, 6, 7, 10, 14, 20, 28, 60)
"""What sizes of a stranger's net may have to be multiples of, in the order in which they are tried."""

Runs = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Facts:
    """scale: the output is so many times the input. channels: 1 grey, 3 RGB; outputs: those of the output. least, most:
    of height and width, which are multiples of `multiple`, and equal with `square`. size: the only (height, width).
    tiling: False where a part of the picture is no picture to the net.
    """

    scale: int
    channels: int
    outputs: int
    least: int = 1
    most: int | None = None
    multiple: int = 1
    square: bool = False
    size: tuple[int, int] | None = None
    tiling: bool = True


def read_facts(path: Path) -> Facts | None:
    """Of a converted checkpoint's manifest; None where there is none, or it says nothing of restorers."""
    try:
        table = json.loads(read_regular(path, MOST_MANIFEST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BundleError("the manifest cannot be read", file=str(path), reason=reason) from None
    if not isinstance(table, dict) or "restorer" not in table:
        return None
    need_schema(table, path, BundleError)
    about = Reader(path, table).at("restorer")
    size = about.value("size", (list, type(None)), "two sizes or null")
    most = about.value("maximum", (int, type(None)), "a whole number or null")
    facts = Facts(
        scale=about.number("scale", 1, 64),
        channels=_channels(about, "input_channels"),
        outputs=_channels(about, "output_channels"),
        least=about.number("minimum", 1, 1 << 20),
        most=most,
        multiple=about.number("multiple_of", 1, 1 << 20),
        square=about.value("square", bool, "true or false"),
        size=_pair(about, about.sizes("size")) if size is not None else None,
        tiling=about.text("tiling") != "internal",
    )
    if most is not None and _up(facts.least, facts.multiple) > most:
        raise about.bad("maximum", f"{_up(facts.least, facts.multiple)} or more", most)
    return facts


def _channels(about: Reader, key: str) -> int:
    number = about.number(key, 1, 4)
    if number not in (1, 3):
        what = f"pictures of {number} channels are not done here"
        raise UsageError(what, file=str(about.path), expected="1 or 3", got=f"{key} {number}")
    return number


def _pair(about: Reader, sizes: tuple[int, ...]) -> tuple[int, int]:
    if len(sizes) != 2:
        raise about.bad("size", "[height, width]", list(sizes))
    return sizes[0], sizes[1]


def try_facts(run: Runs, shape: tuple[int, ...] | None, file: str) -> Facts:
    """Of a net that says nothing: found by running small pictures. shape: what its Input layer states.

    Raises UsageError where no picture comes out.
    """
    refusals: list[str] = []
    if shape is not None:
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise _no_restorer(file, f"its input has the shape {list(shape)}")
        found = _tried(run, shape[0], shape[1], shape[2], refusals)
        if found is None:
            raise _no_restorer(file, refusals[0])
        return Facts(*found, size=(shape[1], shape[2]))
    for channels in (3, 1):
        for multiple in MULTIPLES:
            # An odd multiple and the even one beyond: what needs multiples of more shows in one of them.
            count = -(-TRIED // multiple) | 1
            found = _tried(run, channels, count * multiple, (count + 1) * multiple, refusals)
            if found is not None:
                least = _least(run, channels, multiple, found[0])
                return Facts(*found, least=least, multiple=multiple)
    raise _no_restorer(file, refusals[0])


def _tried(run: Runs, channels: int, height: int, width: int, refusals: list[str]) -> tuple[int, int, int] | None:
    """(scale, channels, channels of the output) by one picture, None where it does not come out so."""
    try:
        shape = run(card(channels, height, width)).shape
    except NcnnError as error:
        refusals.append(str(error))
        return None
    fits = len(shape) == 3 and shape[0] in (1, 3)
    if fits and shape[1] % height == 0 and shape[1] // height * width == shape[2]:
        return shape[1] // height, channels, shape[0]
    refusals.append(f"{[channels, height, width]} makes {list(shape)}")
    return None


def _least(run: Runs, channels: int, multiple: int, scale: int) -> int:
    """The smallest side that runs, as it is doubled."""
    side = multiple
    while side < TRIED:
        found = _tried(run, channels, side, side, [])
        if found is not None and found[0] == scale:
            break
        side *= 2
    return side


def _no_restorer(file: str, reason: str) -> UsageError:
    return UsageError("the net makes no larger picture of a picture", file=file, reason=reason)


def card(channels: int, height: int, width: int) -> FloatArray:
    """[channels, height, width]: a picture with structure of every size, always the same."""
    rng = np.random.default_rng(0)
    total: FloatArray = np.zeros((channels, height, width), np.float32)
    size = 1
    while size < 2 * max(height, width):
        part = rng.random((channels, -(-height // size), -(-width // size)), np.float32) - 0.5
        total += size**0.5 * part.repeat(size, 1).repeat(size, 2)[:, :height, :width]
        size *= 2
    low, high = total.min(), total.max()
    scaled: FloatArray = (total - low) / max(high - low, np.float32(1e-6))
    return scaled


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def check_shape(result: FloatArray, facts: Facts, height: int, width: int, file: str) -> None:
    """Raises UsageError unless the output has the shape that the facts say."""
    wanted = (facts.outputs, facts.scale * height, facts.scale * width)
    if result.shape != wanted:
        what = "the net's output has another shape than its manifest says"
        raise UsageError(what, file=file, expected=str(list(wanted)), got=str(list(result.shape)))
