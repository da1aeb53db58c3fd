"""The caller's numbers as float32 arrays of the right shape, or an InputError that says what is wrong with them."""

from __future__ import annotations

import operator

import numpy as np
import numpy.typing as npt

from .errors import InputError, brief

FloatArray = npt.NDArray[np.float32]


def whole_number(value: object) -> int | None:
    """A Python or numpy integer as an int; None for anything else, truth values among it."""
    try:
        return None if isinstance(value, (bool, np.bool_)) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def real_array(name: str, value: npt.ArrayLike) -> FloatArray:
    """Any finite real numbers."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} cannot be made into an array", reason=str(error)) from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} has the wrong type", expected="real numbers", got=str(array.dtype))
    with np.errstate(over="ignore"):
        result: FloatArray = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(result).all():
        raise InputError(f"{name} holds numbers that are NaN, infinite or too large", expected="finite float32")
    return result


def array_of(name: str, value: npt.ArrayLike, *shapes: tuple[int, ...]) -> FloatArray:
    """Finite real numbers in one of these shapes."""
    array = real_array(name, value)
    if array.shape not in shapes:
        expected = " or ".join(str(list(shape)) for shape in shapes)
        raise InputError(f"{name} has the wrong shape", expected=expected, got=str(list(array.shape)))
    return array


def number_of(name: str, value: object) -> float:
    """A Python or numpy number, or an array without dimensions, finite as float32; text and truth values are none."""
    try:
        if np.ndim(value) or np.asarray(value).dtype.kind in "bSU":  # type: ignore[arg-type]
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InputError(f"{name} is not a number", got=brief(value)) from None
    return float(array_of(name, [number], (1,))[0])
