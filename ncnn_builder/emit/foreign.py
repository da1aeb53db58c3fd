"""Declarations made for layers that were read and that the registry does not cover as they are.

No pass and no lowering knows them, because their type is another one inside a graph; in files they are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..foreign import Foreign as Foreign
from ..ir import Array, Params, Shape
from ..opspec import OpSpec, Param, Weight


def undeclared(spec: OpSpec) -> bool:
    """Whether nobody says what weights the layer has."""
    return isinstance(spec, Foreign) and spec.base is None


def foreign(
    written: str,
    base: OpSpec | None,
    given: Params,
    extra: Mapping[int, Any],
    verbatim: Sequence[str],
    shapes: Sequence[Shape],
) -> Foreign:
    """A declaration for one layer."""
    fields = {
        "__doc__": f"A layer of type {written} as a file has it; its parameters are kept word for word.",
        "type": f"{written}/as-read",
        "written": written,
        "base": base,
        "given": given,
        "extra": extra,
        "verbatim": tuple(verbatim),
        "shapes": list(shapes),
        "weights": () if base is None else base.weights,
        "open_length": base is not None and base.open_length,
        "integer_input": base is not None and base.integer_input,
    }
    made: Foreign = type("Foreign", (Foreign,), fields)()
    return made


class Quantised(OpSpec):
    """A layer of ncnn with int8 weights, or with weights that ncnn quantises when it loads them.

    Behind the weights of `base` stand those scales that the layer has for this value of its parameter `term`.
    """

    base: ClassVar[OpSpec]
    term: ClassVar[str]

    @property
    def in_files(self) -> str:
        return self.base.in_files

    @property
    def foreign(self) -> bool:
        return True

    @property
    def scales(self) -> tuple[str, ...]:
        return QUANTISED[self.base.type].scales

    def weight_sizes(self, params: Params) -> dict[str, int]:
        sizes = self.base.weight_sizes(self._of_base(params))
        return {**sizes, **QUANTISED[self.base.type].sizes(params, params[self.term])} if sizes else {}

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        return self.base.weight_shapes(self._of_base(params))

    def is_tagged(self, weight: Weight, params: Params) -> bool:
        return weight.name not in self.scales and self.base.is_tagged(weight, params)

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        return self.base.as_read(inputs, self._of_base(params), extra, count)

    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        own = {k: w for k, w in weights.items() if k not in self.scales}
        return self.base.infer(inputs, self._of_base(params), own)

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        return self.base.macs(inputs, outputs, params)

    def _of_base(self, params: Params) -> dict[str, Any]:
        """The parameters that the declaration of the layer has, which knows of no quantisation."""
        names = {p.name for p in self.base.params}
        return {k: 0 if k == self.term else v for k, v in params.items() if k in names}


@dataclass(frozen=True)
class Scales:
    """How a layer is quantised.

    id      of the parameter that says it; values below `most` are known
    scales  names of the float32 weights behind the others, in file order
    sizes   their numbers, by the parameters and the value of that parameter; without those that are not there
    """

    id: int
    scales: tuple[str, ...]
    sizes: Callable[[Params, int], dict[str, int]]
    most: int = 400  # weights in blocks of few bits, which Gemm and MultiHeadAttention have, begin here


_CONV = ("weight_scales", "input_scale", "output_scale")
_RECURRENT = ("weight_xc_scales", "weight_hc_scales")


def _conv(weight: int, term: int) -> dict[str, int]:
    return {"weight_scales": weight, "input_scale": 1, **({"output_scale": 1} if term > 100 else {})}


def _recurrent(gates: int) -> Scales:
    def sizes(p: Params, term: int) -> dict[str, int]:
        hidden = p.get("hidden_size", p["num_output"])
        return dict.fromkeys(_RECURRENT, gates * hidden * (2 if p["direction"] == 2 else 1))

    return Scales(8, _RECURRENT, sizes)


def _gemm(p: Params, term: int) -> dict[str, int]:
    sizes: dict[str, int] = {"A_scales": p["constant_m"]} if p["constant_a"] else {}
    return {**sizes, "B_scale": 1} if p["constant_b"] else sizes


QUANTISED = {
    "Convolution": Scales(8, _CONV, lambda p, term: _conv(p["num_output"], term)),
    "ConvolutionDepthWise": Scales(8, _CONV, lambda p, term: _conv(p["group"] if term % 100 == 1 else 1, term)),
    "InnerProduct": Scales(8, _CONV, lambda p, term: _conv(p["num_output"], 0)),
    "Embed": Scales(18, ("weight_scale",), lambda p, term: {"weight_scale": 1}),
    "RNN": _recurrent(1),
    "GRU": _recurrent(3),
    "LSTM": _recurrent(4),
    "Gemm": Scales(18, ("A_scales", "B_scale"), _gemm),
    "MultiHeadAttention": Scales(
        18,
        ("q_scales", "k_scales", "v_scales", "out_scale"),
        lambda p, term: {
            "q_scales": p["embed_dim"],
            "k_scales": p["embed_dim"],
            "v_scales": p["embed_dim"],
            "out_scale": 1,
        },
    ),
}
"""By type of layer. ncnn: load_model of each layer."""


def quantised(base: OpSpec) -> Quantised:
    """The declaration of the int8 form of a layer in QUANTISED."""
    row = QUANTISED[base.type]
    declared = next((p for p in base.params if p.id == row.id), None)
    term = declared or Param("int8_scale_term", row.id, "int", "which scales there are")
    fields = {
        "__doc__": f"{base.type} with int8 weights.",
        "type": f"{base.type}/int8",
        "base": base,
        "term": term.name,
        "inputs": base.inputs,
        "outputs": base.outputs,
        "params": base.params if declared else (*base.params, term),
        "weights": (*base.weights, *(Weight(name, False, "float32") for name in row.scales)),
        "left_out": {k: v for k, v in base.left_out.items() if k != row.id},
    }
    made: Quantised = type("Quantised", (Quantised,), fields)()
    return made
