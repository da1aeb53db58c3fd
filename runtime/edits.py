"""Directions of the styles as files, and what edit= does with them.

A file holds float vectors [K, w_dim], or [K, num_ws, w_dim] where each style has its own: a .npy, or a .npz with the
entry `directions`, and `styles`, whole numbers, for those that are moved where layers= says nothing. Files of others
(boundaries of InterFaceGAN, say) are such too. Nothing in them is executed.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import SeedError, UsageError
from .keys import Edit, StyleRanges
from .seeds import NOT_WHOLE, read_header
from .strangers import read_regular
from .values import FloatArray

SUFFIXES = (".npz", ".npy")
MOST_BYTES = 1 << 27
MOST_DIRECTIONS = 4096


@dataclass(frozen=True)
class Directions:
    """vectors [K, 1 or num_ws, w_dim]. styles: those that are moved by default, None for all. sha256: of the file."""

    vectors: FloatArray
    styles: tuple[int, ...] | None
    sha256: str


def movement(edits: Iterable[Edit], layers: StyleRanges | None, num_ws: int, w_dim: int) -> tuple[FloatArray, str]:
    """[num_ws, w_dim]: how far edit= takes each style; and the SHA-256 sums of its files, each once.

    Raises SeedError for a file that holds no directions of this model, UsageError for one that is not in it.
    """
    files: dict[str, Directions] = {}
    total: FloatArray = np.zeros((num_ws, w_dim), np.float32)
    for edit in edits:
        if edit.path not in files:
            files[edit.path] = read_directions(edit.path, num_ws, w_dim)
        found = files[edit.path]
        if edit.number >= len(found.vectors):
            raise UsageError(
                "edit= asks for a direction that there is not",
                file=edit.path,
                expected=f"0 to {len(found.vectors) - 1}",
                got=str(edit.number),
            )
        chosen = _chosen(layers, found.styles, num_ws)
        total[chosen] += np.float32(edit.far) * np.broadcast_to(found.vectors[edit.number], total.shape)[chosen]
    return total, ", ".join(dict.fromkeys(found.sha256 for found in files.values()))


def _chosen(layers: StyleRanges | None, styles: tuple[int, ...] | None, num_ws: int) -> list[int]:
    if layers is None:
        return list(range(num_ws)) if styles is None else list(styles)
    if (last := max(last for _, last in layers)) >= num_ws:
        raise UsageError("layers= is out of range", expected=f"0 to {num_ws - 1}", got=str(last))
    return sorted({i for first, last in layers for i in range(first, last + 1)})


def read_directions(path: str, num_ws: int, w_dim: int) -> Directions:
    """Raises SeedError."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise SeedError("not a file of directions", file=path, expected=" or ".join(SUFFIXES))
    try:
        data = read_regular(path, MOST_BYTES)
        vectors, styles = _read_arrays(data, Path(path).suffix.lower() == ".npz", path)
    except FileNotFoundError:
        raise SeedError("no such file", file=path) from None
    except OSError as error:
        raise SeedError("the file cannot be read", file=path, reason=error.strerror or str(error)) from None
    except NOT_WHOLE as error:
        raise SeedError(f"not a whole {Path(path).suffix} file", file=path, reason=str(error).split("\n")[0]) from None
    if vectors.ndim == 2:
        vectors = vectors[:, None]
    if vectors.dtype.kind != "f" or vectors.shape[1:] not in ((1, w_dim), (num_ws, w_dim)) or not len(vectors):
        expected = f"floats of [K, {w_dim}] or [K, {num_ws}, {w_dim}]"
        got = f"{vectors.dtype} of {list(vectors.shape)}"
        raise SeedError("not directions of this model", file=path, expected=expected, got=got)
    with np.errstate(over="ignore"):
        exact = np.ascontiguousarray(vectors, np.float32)
    if not np.isfinite(exact).all():
        raise SeedError("the directions hold numbers that are NaN, infinite or too large", file=path)
    numbers = None if styles is None else tuple(int(i) for i in styles)
    if numbers is not None and not all(0 <= i < num_ws for i in numbers):
        raise SeedError("the file moves styles that the model has not", file=path, expected=f"0 to {num_ws - 1}")
    return Directions(exact, numbers, hashlib.sha256(data).hexdigest())


def _read_arrays(data: bytes, packed: bool, path: str) -> tuple[npt.NDArray[np.generic], Sequence[int] | None]:
    if not packed:
        return _array(data), None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = {info.filename: info for info in archive.infolist()}
        if "directions.npy" not in names:
            entries = ", ".join(name.removesuffix(".npy") for name in list(names)[:8])
            raise SeedError("the file has no entry directions", file=path, expected="directions", got=entries)
        if any(info.file_size > MOST_BYTES for info in names.values()):
            raise ValueError(f"an entry of more than {MOST_BYTES} bytes")
        vectors = _array(archive.read("directions.npy"))
        if "styles.npy" not in names:
            return vectors, None
        styles = _array(archive.read("styles.npy"))
        if styles.dtype.kind not in "iu" or styles.ndim != 1:
            raise ValueError(f"styles that are {styles.dtype} of {list(styles.shape)}")
        return vectors, styles.tolist()


def _array(data: bytes) -> npt.NDArray[np.generic]:
    """The header is looked at before memory is taken for what it promises. Raises ValueError."""
    stream = io.BytesIO(data)
    shape, fortran_order, dtype = read_header(stream)
    count = 1
    for size in shape:
        count *= size
    if dtype.hasobject or len(shape) > 3 or (shape and shape[0] > MOST_DIRECTIONS):
        raise ValueError(f"{dtype} of {list(shape)}")
    if count * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"{len(data) - stream.tell()} bytes for {dtype} of {list(shape)}")
    return np.frombuffer(data, dtype, count, stream.tell()).reshape(shape, order="F" if fortran_order else "C")


def directions_file(vectors: FloatArray, styles: Iterable[int] | None, about: str) -> bytes:
    """The .npz of directions [K, w_dim]; about: what they are, as text."""
    arrays = {"directions": np.ascontiguousarray(vectors, np.float32), "about": np.array(about)}
    if styles is not None:
        arrays["styles"] = np.array(sorted(styles), np.int32)
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    return data.getvalue()
