"""A layer that is kept word for word: no pass and no lowering knows it, and in files it is what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .ir import Array, Params, Shape
from .opspec import OpSpec, Weight


class Foreign(OpSpec):
    """A layer whose parameters are kept word for word.

    base      the declaration of its type, which says what weights it has; None where there is none
    given     all parameters of that declaration
    extra     id -> value of those that the declaration leaves out, as far as the line says them
    verbatim  the words of the line behind the blobs
    shapes    of its outputs, () where nobody says them
    """

    base: ClassVar[OpSpec | None]
    given: ClassVar[Params]
    extra: ClassVar[Mapping[int, Any]]
    verbatim: ClassVar[tuple[str, ...]]
    shapes: list[Shape]
    written: ClassVar[str]

    @property
    def in_files(self) -> str:
        return self.written

    @property
    def foreign(self) -> bool:
        return True

    @property
    def arity(self) -> tuple[int, float]:
        return 0, float("inf")

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {} if self.base is None else self.base.weight_sizes(self.given)

    def is_tagged(self, weight: Weight, params: Params) -> bool:
        return weight.tagged if self.base is None else self.base.is_tagged(weight, self.given)

    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        if self.base is not None and inputs and all(inputs):
            found = self.base.as_read(inputs, self.given, self.extra, len(self.shapes))
            if found is not None:
                return found
        return list(self.shapes)

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        return 0 if self.base is None else self.base.macs(inputs, outputs, self.given)
