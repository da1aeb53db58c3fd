"""Seeds: numbers, the word w_avg, and files.

A seed file is an int32 zero, then z as little-endian float32; .npy and .npz hold styles.
"""

from __future__ import annotations

import io
import math
import os
import re
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

import numpy as np

from .errors import SeedError, UsageError, byte_count
from .manifest import Manifest
from .strangers import open_regular
from .values import FloatArray

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it, whose zipfile refuses such files

    class LZMAError(Exception):  # type: ignore[no-redef]
        """Never raised."""


STYLE_SUFFIXES = (".npy", ".npz")
W_AVG = "w_avg"
LARGEST_SEED = 2**32 - 1
MOST_SEEDS = 100_000
LONGEST_HEADER = 10_000  # of a .npy file, as numpy has it
NOT_WHOLE = (
    *(ValueError, TypeError, EOFError, KeyError, SyntaxError, NotImplementedError, RuntimeError, RecursionError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error, LZMAError),
)
"""What reading a damaged .npy or .npz file raises."""
NUMBERS = re.compile(r"([0-9]+)(?:[-_]([0-9]+))?", re.ASCII)
Latent = tuple[Literal["z", "w"], FloatArray]
"""("z", [z_dim]), or ("w", [w_dim] or [num_ws, w_dim])."""


@dataclass(frozen=True)
class Seed:
    """Where a style comes from, as it is written: 85, w_avg, or a file."""

    text: str

    @cached_property
    def number(self) -> int | None:
        return int(self.text) if self.text.isascii() and self.text.isdigit() else None

    @property
    def is_style(self) -> bool:
        """Whether it is a style already, which needs no mapping and no label."""
        if self.number is not None:
            return False
        return self.text == W_AVG or Path(self.text).suffix.lower() in STYLE_SUFFIXES

    @property
    def stem(self) -> str:
        """What a file of its picture is called, such as seed0085."""
        return Path(self.text).stem if self.number is None else f"seed{self.number:04d}"

    def plain(self, z_dim: int) -> str:
        """As it is written, or its number where that is all that is in its file: a number makes it on any machine."""
        stem = Path(self.text).stem
        if self.number is not None or self.is_style or not (stem.isascii() and stem.isdigit()):
            return self.text
        same = int(stem) <= LARGEST_SEED and np.array_equal(read_seed(self.text, z_dim), latent(int(stem), z_dim))
        return str(int(stem)) if same else self.text


def latent(seed: int, z_dim: int) -> FloatArray:
    """z, float32 [z_dim], as the official scripts draw it: RandomState(seed).randn(1, z_dim)."""
    z: FloatArray = np.random.RandomState(seed).randn(1, z_dim)[0].astype(np.float32)
    return z


def parse_seeds(key: str, text: str) -> list[Seed]:
    """`85,100,0-20,seeds/458.bin,w_avg` in the order given; 0_20 is a range too. Raises UsageError."""
    seeds: list[Seed] = []
    for part in text.split(","):
        if not part or (part[0].isdigit() and not NUMBERS.fullmatch(part) and not Path(part).suffix):
            expected = f"numbers, ranges, {W_AVG} and files, such as {key}=85,100,0-20,seeds/458.bin"
            raise UsageError(f"{key}= is not a list of seeds", expected=expected, got=text)
        if not (numbers := parse_range(key, part)):
            seeds.append(Seed(part))
            continue
        if len(seeds) + len(numbers) > MOST_SEEDS:
            raise UsageError(f"{key}= has too many seeds", expected=f"at most {MOST_SEEDS} at a time")
        seeds.extend(Seed(str(number)) for number in numbers)
    return seeds


def whole_of(key: str, digits: str) -> int:
    """Of digits alone; how large it may be is for those who know. Raises UsageError for very many."""
    if len(digits) > 18:  # Python itself takes 4300, and time for them
        got = f"{digits[:18]}..., {len(digits)} digits"
        raise UsageError(f"{key}= has a number that is too large", expected="at most 18 digits", got=got)
    return int(digits)


def parse_range(key: str, part: str) -> range:
    """A number, or a range of them with both ends; nothing where it is neither. Raises UsageError."""
    found = NUMBERS.fullmatch(part)
    if not found:
        return range(0)
    first, last = whole_of(key, found[1]), whole_of(key, found[2] or found[1])
    if last < first or last > LARGEST_SEED:
        what = f"{key}={part} is an empty range" if last < first else f"{key}={part} is too large"
        expected = f"{last}-{first}" if last < first else f"0 to {LARGEST_SEED}"
        raise UsageError(what, expected=expected)
    return range(first, last + 1)


def read_latent(seed: Seed, manifest: Manifest) -> Latent:
    """Of a number, a seed file, .npy or .npz.

    Raises SeedError. w_avg is the model's affair.
    """
    if seed.number is not None:
        return "z", latent(seed.number, manifest.z_dim)
    if seed.is_style:
        return "w", read_style(seed.text, manifest.num_ws, manifest.w_dim)
    return "z", read_seed(seed.text, manifest.z_dim)


def read_style(path: str | os.PathLike[str], num_ws: int, w_dim: int) -> FloatArray:
    """A style, float32 [w_dim] or [num_ws, w_dim], from a .npy file or the entry w of an .npz file.

    A batch dimension of one is dropped, as in the official projector's projected_w.npz ([1, num_ws, w_dim]).
    Nothing in the file is executed, and no more is read than such a style takes. Raises SeedError.
    """
    name = os.fspath(path)
    try:
        with open_regular(path) as stream:
            if Path(path).suffix.lower() == ".npy":
                return _read_array(stream, name, num_ws, w_dim)
            with zipfile.ZipFile(stream) as archive:
                if "w.npy" not in archive.namelist():
                    entries = ", ".join(entry.removesuffix(".npy") for entry in archive.namelist()[:8])
                    raise SeedError("the file has no entry w", file=name, expected="w", got=entries or "nothing")
                with archive.open("w.npy") as entry:
                    return _read_array(entry, name, num_ws, w_dim)
    except FileNotFoundError:
        raise SeedError("no such file", file=name) from None
    except OSError as error:
        raise SeedError("the file cannot be read", file=name, reason=error.strerror or str(error)) from None
    except NOT_WHOLE as error:
        kind = Path(path).suffix[1:]
        raise SeedError(f"not a whole .{kind} file", file=name, reason=str(error).split("\n")[0]) from None


def _read_array(stream: IO[bytes], name: str, num_ws: int, w_dim: int) -> FloatArray:
    """The header first: what it promises is compared before memory is taken for it."""
    shape, fortran_order, dtype = read_header(stream)
    shapes = [(w_dim,), (num_ws, w_dim)]
    squeezed = shape[1:] if len(shape) > 1 and shape[0] == 1 and shape not in shapes else shape
    if dtype.kind != "f" or squeezed not in shapes:
        raise SeedError(
            "not a style of this model",
            file=name,
            expected=f"floats of [{num_ws}, {w_dim}] or [{w_dim}]",
            got=f"{dtype} of {list(shape)}",
        )
    size = math.prod(shape) * dtype.itemsize
    data = stream.read(size)
    stream.read(1)  # at its end a zip file's entry compares the checksum
    if len(data) != size:
        raise ValueError(f"it ends after {byte_count(len(data))} of {size}")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")
    with np.errstate(over="ignore"):
        w = np.ascontiguousarray(array.reshape(squeezed), np.float32)
    if not np.isfinite(w).all():
        raise SeedError("the style holds numbers that are NaN, infinite or too large", file=name)
    return w


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """(shape, fortran_order, dtype). numpy reads a header of any length, up to 4 GB, before it finds it too long."""
    magic = stream.read(8)
    version = np.lib.format.read_magic(io.BytesIO(magic))
    readers = {(1, 0): (2, np.lib.format.read_array_header_1_0), (2, 0): (4, np.lib.format.read_array_header_2_0)}
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    bytes_of_length, read_header = readers[version]
    head = stream.read(bytes_of_length)
    length = int.from_bytes(head, "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    found: tuple[tuple[int, ...], bool, np.dtype[np.generic]] = read_header(io.BytesIO(head + stream.read(length)))
    return found


def read_seed(path: str | os.PathLike[str], z_dim: int) -> FloatArray:
    """The latent z, float32 [z_dim].

    Raises:
        SeedError: the file is missing, has another length than 4 + 4 * z_dim bytes, does not begin with an
            int32 zero, or holds NaN or infinity.
    """
    name = os.fspath(path)
    expected = 4 + 4 * z_dim
    try:
        with open_regular(path) as stream:
            data = stream.read(expected + 1)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise SeedError("no such seed file", file=name) from None
    except OSError as error:
        raise SeedError("the seed file cannot be read", file=name, reason=error.strerror) from None
    if len(data) != expected:
        raise SeedError(
            "the seed file has the wrong length",
            file=name,
            expected=f"{expected} bytes (an int32 zero and {z_dim} float32)",
            got=byte_count(max(size, len(data))),
        )
    if data[:4] != b"\0\0\0\0":
        raise SeedError("not a seed file", file=name, expected="an int32 zero at its start", got=data[:4].hex(" "))
    z = np.frombuffer(data, dtype="<f4", offset=4).astype(np.float32)
    if not np.isfinite(z).all():
        raise SeedError("the seed file holds NaN or infinity", file=name)
    return z
