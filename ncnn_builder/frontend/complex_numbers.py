"""Complex numbers: ncnn has none, so that a complex tensor is what makes its real numbers when they are asked for.

Most of them are spectra, of which a net takes the magnitude: that is one layer then, and (re, im) is never made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .layout import Shape, Tensor

Kind = str
"""``parts``: (re, im) as one more axis behind; ``abs``: the magnitude."""


@dataclass(frozen=True)
class Complex:
    """A complex tensor.

    shape  torch's
    dtype  torch's
    make   (kind, factor) -> a real Tensor: its numbers times a factor, which is positive
    """

    shape: Shape
    dtype: Any
    make: Callable[[Kind, float], Tensor]

    @property
    def parts(self) -> Tensor:
        return self.make("parts", 1.0)


COMPLEX: dict[str, Callable[..., Any]] = {}
"""Name of an operator -> its converter where an argument is Complex; as on_tensors() has them."""


def on_complex(*operators: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: this function (g, node, *arguments) converts calls of these operators with complex tensors."""

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        for operator in operators:
            COMPLEX[operator] = function
        return function

    return put
