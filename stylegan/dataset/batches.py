"""CIFAR's python batches, which are pickles, without running them: nothing that a stream names is imported."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt

LARGEST_CLASS = 99
SIDE = 32


class NotABatch(Exception):
    """Why a file is none, as a phrase."""


class _Array:
    """What a stream says of a numpy array; of a dtype its name."""

    def __init__(self, *said: Any) -> None:
        self.said = said
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> _Array:
    found = _Array()
    found.state = (1, shape, dtype, order == "F", data)
    return found


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How pickles of protocol 2 hold bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes in an unusual encoding")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Array,
    ("_codecs", "encode"): _encode,
}
"""What a batch may name -> what takes its place. None of it is numpy's."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which a batch has no use for")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it names an object outside of itself")


def read_batch(data: bytes) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """(pixels [N, 32, 32, 3], classes) of a batch of CIFAR-10, or of CIFAR-100 with its fine labels. Raises NotABatch.

    The stream is read by Python's unpickler, all of whose names are replaced by functions of this module.
    """
    try:
        found = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # of anything: the stream may be any bytes
        raise NotABatch(" ".join(str(error).split())[:200] or type(error).__name__) from None
    if not isinstance(found, dict):
        raise NotABatch(f"expected a dict, got {type(found).__name__}")
    said = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in found.items()}
    pixels = _pixels(said.get("data"))
    classes = said.get("fine_labels", said.get("labels"))
    if not isinstance(classes, list) or not all(type(c) is int and 0 <= c <= LARGEST_CLASS for c in classes):
        raise NotABatch(f"expected labels, whole numbers from 0 to {LARGEST_CLASS}")
    if len(classes) != len(pixels):
        raise NotABatch(f"expected as many labels as pictures, got {len(classes)} and {len(pixels)}")
    return pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), classes


def _pixels(value: Any) -> npt.NDArray[np.uint8]:
    """[N, 3072], row by row."""
    numbers = 3 * SIDE * SIDE
    state = value.state if isinstance(value, _Array) else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise NotABatch("expected data, an array of bytes")
    _, shape, dtype, fortran, raw = state
    name = dtype.said[0] if isinstance(dtype, _Array) and dtype.said else None
    if name not in ("u1", "|u1", b"u1", b"|u1") or fortran or not isinstance(raw, (bytes, bytearray)):
        raise NotABatch("expected data, an array of bytes")
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] != numbers or len(raw) != shape[0] * numbers:
        raise NotABatch(f"expected data of [N, {numbers}], got {shape} with {len(raw)} bytes")
    return np.frombuffer(raw, np.uint8).reshape(-1, numbers)
