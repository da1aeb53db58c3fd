"""Sizes that a file computes from the sizes of blobs, such as ``1w,//(0h,2),*(0c,4)``. ncnn: expression.cpp."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from ...errors import BuildError
from ...ir import Shape
from ...sizes import Size

Number = int | np.float32
"""An int as ncnn has it, or a float: whether a number is one or the other decides how it is divided."""


def _quotient(a: Number, b: Number) -> Number:
    if isinstance(a, Size) or isinstance(b, Size):  # ncnn rounds to zero
        return a // b if a >= 0 else _malformed(f"{a} // {b}")
    if isinstance(a, int) and isinstance(b, int):
        if b == 0:
            _malformed("a division by zero")
        return int(float(a) / float(b))
    quotient: Number = np.float32(math.floor(float(a) / float(b)))
    return quotient


def _sign(a: Number) -> Number:
    return int(a > 0) - int(a < 0) if isinstance(a, int) else np.float32(np.sign(a))


def _float(function: Callable[..., float]) -> Callable[..., Number]:
    return lambda *args: np.float32(function(*(np.float32(a) for a in args)))


def _bits(function: Callable[[int, int], int]) -> Callable[..., Number]:
    return lambda a, b: function(int(a), int(b))


def _rounded(function: Callable[[float], int]) -> Callable[..., Number]:
    return lambda a: a if isinstance(a, int) else int(function(float(a)))


_ONE: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "neg": lambda a: -a,
    "sign": _sign,
    "square": lambda a: a * a,
    "trunc": _rounded(math.trunc),
    "ceil": _rounded(math.ceil),
    "floor": _rounded(math.floor),
    "round": _rounded(lambda a: math.floor(abs(a) + 0.5) * (1 if a >= 0 else -1)),
    **{
        name: _float(getattr(math, name)) for name in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh")
    },
    **{
        name: _float(getattr(math, name))
        for name in ("erf", "exp", "log", "log10", "sin", "sinh", "sqrt", "tan", "tanh")
    },
    "reciprocal": _float(lambda a: 1 / a),
    "rsqrt": _float(lambda a: 1 / math.sqrt(a)),
}
_TWO: dict[str, Callable[..., Number]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": _quotient,
    "max": max,
    "min": min,
    "/": _float(lambda a, b: a / b),
    "atan2": _float(math.atan2),
    "fmod": _float(math.fmod),
    "pow": _float(math.pow),
    "remainder": _float(lambda a, b: a - b * math.floor(a / b)),
    "logaddexp": _float(np.logaddexp),
    "and": _bits(int.__and__),
    "or": _bits(int.__or__),
    "xor": _bits(int.__xor__),
    "lshift": _bits(int.__lshift__),
    "rshift": _bits(int.__rshift__),
}


def evaluate(text: str, shapes: Sequence[Shape]) -> list[int]:
    """The numbers of the list, shapes being those of the layer's inputs. Raises BuildError for what is malformed."""
    stack: list[Number] = []
    for token in reversed(re.findall(r"[^(),]+", text)):
        if re.fullmatch(r"\d[whdcn]", token):
            stack.append(_size(token, shapes))
        elif token in _ONE or token in _TWO:
            count = 1 if token in _ONE else 2
            if len(stack) < count:
                _malformed(text)
            args = [stack.pop() for _ in range(count)]
            stack.append((_ONE.get(token) or _TWO[token])(*args))
        else:
            stack.append(_literal(token))
    if not stack:
        _malformed(text)
    return [n if isinstance(n, Size) else int(n) for n in reversed(stack)]


def _size(token: str, shapes: Sequence[Shape]) -> int:
    number, letter = int(token[0]), token[1]
    if number >= len(shapes):
        _malformed(f"{token}: there is no input {number}")
    shape = shapes[number]
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(shape)]
    return dict(zip(names, shape, strict=True)).get(letter, 1)


def _literal(token: str) -> Number:
    try:
        value = float(token)
    except ValueError:
        return _malformed(token)
    return int(value) if value.is_integer() and abs(value) < 2**31 else np.float32(value)


def _malformed(what: str) -> int:
    raise BuildError("an expression of sizes that makes no sense", expected="as 1w,//(0h,2)", got=what)
