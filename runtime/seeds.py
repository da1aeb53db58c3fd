"""Latents from files: a seed file is an int32 zero, then z as little-endian float32; .npy and .npz hold styles."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Literal

import numpy as np

from .errors import SeedError, byte_count
from .manifest import Manifest
from .values import FloatArray

STYLE_SUFFIXES = (".npy", ".npz")


def read_latent(path: str | os.PathLike[str], manifest: Manifest) -> tuple[Literal["z", "w"], FloatArray]:
    """("z", [z_dim]) from a seed file, ("w", [w_dim] or [num_ws, w_dim]) from .npy or .npz. Raises SeedError."""
    if Path(path).suffix.lower() in STYLE_SUFFIXES:
        return "w", read_style(path, manifest.num_ws, manifest.w_dim)
    return "z", read_seed(path, manifest.z_dim)


def read_style(path: str | os.PathLike[str], num_ws: int, w_dim: int) -> FloatArray:
    """A style, float32 [w_dim] or [num_ws, w_dim], from a .npy file or the entry w of an .npz file.

    A batch dimension of one is dropped, as in the official projector's projected_w.npz ([1, num_ws, w_dim]).
    Nothing in the file is executed, and no more is read than such a style takes. Raises SeedError.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as stream:
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
    except (ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        kind = Path(path).suffix[1:]
        raise SeedError(f"not a whole .{kind} file", file=name, reason=str(error).split("\n")[0]) from None


def _read_array(stream: IO[bytes], name: str, num_ws: int, w_dim: int) -> FloatArray:
    """The header first: what it promises is compared before memory is taken for it."""
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"version {version} of the format")
    shape, fortran_order, dtype = read_header[version](stream)
    shapes = [(w_dim,), (num_ws, w_dim)]
    squeezed = shape[1:] if len(shape) > 1 and shape[0] == 1 and shape not in shapes else shape
    if dtype.kind != "f" or squeezed not in shapes:
        raise SeedError(
            "not a style of this model",
            file=name,
            expected=f"floats of [{num_ws}, {w_dim}] or [{w_dim}]",
            got=f"{dtype} of {list(shape)}",
        )
    size = int(np.prod(shape)) * dtype.itemsize
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


def read_seed(path: str | os.PathLike[str], z_dim: int) -> FloatArray:
    """The latent z, float32 [z_dim].

    Raises:
        SeedError: the file is missing, has another length than 4 + 4 * z_dim bytes, does not begin with an
            int32 zero, or holds NaN or infinity.
    """
    name = os.fspath(path)
    expected = 4 + 4 * z_dim
    try:
        with Path(path).open("rb") as stream:
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
