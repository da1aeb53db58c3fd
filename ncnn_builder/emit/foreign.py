"""Declarations made for layers that were read and that the registry does not cover as they are.

No pass and no lowering knows them, because their type is another one inside a graph; in files they are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..ir import Array, Params, Shape
from ..opspec import OpSpec, Param, Weight

INT8_ID = 8


class Foreign(OpSpec):
    """A layer whose parameters are kept word for word.

    base      the declaration of its type, which says what weights it has; None where there is none
    given     parameters of that declaration, as far as the line says them
    verbatim  the words of the line behind the blobs
    shapes    of its outputs, () where nobody says them
    """

    base: ClassVar[OpSpec | None]
    given: ClassVar[Params]
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

    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        return list(self.shapes)

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {} if self.base is None else self.base.weight_sizes(self.given)

    def is_tagged(self, weight: Weight, params: Params) -> bool:
        return weight.tagged if self.base is None else self.base.is_tagged(weight, self.given)


def foreign(
    written: str, base: OpSpec | None, given: Params, verbatim: Sequence[str], shapes: Sequence[Shape]
) -> Foreign:
    """A declaration for one layer."""
    fields = {
        "__doc__": f"A layer of type {written} as a file has it; its parameters are kept word for word.",
        "type": f"{written}/as-read",
        "written": written,
        "base": base,
        "given": given,
        "verbatim": tuple(verbatim),
        "shapes": list(shapes),
        "weights": () if base is None else base.weights,
    }
    made: Foreign = type("Foreign", (Foreign,), fields)()
    return made


class Quantised(OpSpec):
    """A layer of ncnn with int8 weights, or with weights that ncnn quantises when it loads them.

    Behind the weights of `base` stand those scales that the layer has for this value of int8_scale_term.
    """

    base: ClassVar[OpSpec]
    term: ClassVar[str]

    @property
    def in_files(self) -> str:
        return self.base.in_files

    @property
    def foreign(self) -> bool:
        return True

    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        own = {k: w for k, w in weights.items() if k not in _SCALES}
        return self.base.infer(inputs, _without(params, self.base, self.term), own)

    def weight_sizes(self, params: Params) -> dict[str, int]:
        sizes = self.base.weight_sizes(_without(params, self.base, self.term))
        return {**sizes, **QUANTISED[self.base.type](params, params[self.term])} if sizes else {}

    def is_tagged(self, weight: Weight, params: Params) -> bool:
        return weight.name not in _SCALES and self.base.is_tagged(weight, params)

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        return self.base.macs(inputs, outputs, params)


def _without(params: Params, base: OpSpec, term: str) -> dict[str, Any]:
    """The parameters that the declaration of the layer has, which knows of no quantisation."""
    names = {p.name for p in base.params}
    return {k: 0 if k == term else v for k, v in params.items() if k in names}


_SCALES = ("weight_scales", "input_scale", "output_scale")


def _scales(weight: int, term: int) -> dict[str, int]:
    return {"weight_scales": weight, "input_scale": 1, **({"output_scale": 1} if term > 100 else {})}


QUANTISED: dict[str, Callable[[Params, int], dict[str, int]]] = {
    "Convolution": lambda p, term: _scales(p["num_output"], term),
    "ConvolutionDepthWise": lambda p, term: _scales(p["group"] if term % 100 == 1 else 1, term),
    "InnerProduct": lambda p, term: _scales(p["num_output"], 0),
}
"""Type -> numbers of scales, by the parameters and int8_scale_term. ncnn: load_model of each layer."""


def quantised(base: OpSpec) -> Quantised:
    """The declaration of the int8 form of a layer in QUANTISED."""
    declared = next((p for p in base.params if p.id == INT8_ID), None)
    term = declared or Param("int8_scale_term", INT8_ID, "int", "which scales there are")
    fields = {
        "__doc__": f"{base.type} with int8 weights.",
        "type": f"{base.type}/int8",
        "base": base,
        "term": term.name,
        "inputs": base.inputs,
        "outputs": base.outputs,
        "params": base.params if declared else (*base.params, term),
        "weights": (*base.weights, *(Weight(name, False, "float32") for name in _SCALES)),
    }
    made: Quantised = type("Quantised", (Quantised,), fields)()
    return made
