"""Declarations made for layers that were read and that the registry does not cover as they are.

No pass and no lowering knows them, because their type is another one inside a graph; in files they are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

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

    def packed(self, params: Params) -> dict[str, tuple[int, int]]:
        """Weight -> (rows, numbers in each) of those in blocks of few bits."""
        blocks = QUANTISED[self.base.type].blocks
        return {} if blocks is None or block_form(params[self.term]) is None else blocks(params)

    def weight_sizes(self, params: Params) -> dict[str, int]:
        sizes = self.base.weight_sizes(self._of_base(params))
        form = block_form(params[self.term])
        if form is not None:
            packed = self.packed(params)
            sizes.update((name, rows * -(-width * form.bits // 8)) for name, (rows, width) in packed.items())
            sizes.update((f"{n}_block_scales", rows * -(-width // form.block)) for n, (rows, width) in packed.items())
            if form.input_scales:
                sizes.update((f"{name}_input_scales", width) for name, (_, width) in packed.items())
            return sizes
        return {**sizes, **QUANTISED[self.base.type].sizes(params, params[self.term])} if sizes else {}

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        packed = self.packed(params)
        return {k: s for k, s in self.base.weight_shapes(self._of_base(params)).items() if k not in packed}

    def is_tagged(self, weight: Weight, params: Params) -> bool:
        own = weight.name not in self.scales and self.base.is_tagged(weight, params)
        return own and not self.is_packed(weight, params)

    def is_packed(self, weight: Weight, params: Params) -> bool:
        return weight.name in self.packed(params)

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        return self.base.as_read(inputs, self._of_base(params), extra, count)

    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        own = {k: w for k, w in weights.items() if k not in self.scales}
        of_base, packed = self._of_base(params), self.packed(params)
        shapes = self.base.weight_shapes(of_base) if packed else {}
        for name, (rows, width) in packed.items():
            own[name] = np.broadcast_to(np.float32(0), shapes.get(name, (rows, width)))
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

    id      of the parameter that says it
    scales  names of the float32 weights behind the others, in file order
    sizes   their numbers, by the parameters and the value of that parameter; without those that are not there
    """

    id: int
    scales: tuple[str, ...]
    sizes: Callable[[Params, int], dict[str, int]]
    blocks: Callable[[Params], dict[str, tuple[int, int]]] | None = None

    def knows(self, term: int) -> bool:
        """Whether there is a layer of this value of the parameter."""
        return 0 < term < LEAST_BLOCKS or (self.blocks is not None and block_form(term) is not None)


LEAST_BLOCKS = 400
"""From here on the parameter says weights in blocks of few bits, each block with a scale."""


class BlockForm(NamedTuple):
    """bits of a weight; block: how many along a row have a scale; input_scales: of each number of the input, too."""

    bits: int
    block: int
    input_scales: bool


def block_form(term: int) -> BlockForm | None:
    """What a parameter of LEAST_BLOCKS or more says: bits, 1 for scales of the input, and 0, 1, 2 for 32, 64, 128."""
    bits, scales, size = term // 100, term % 100 // 10, term % 10
    return BlockForm(bits, 32 << size, scales == 1) if bits in (4, 6, 8) and scales < 2 and size < 3 else None


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


_BLOCKS = {kind: [f"{n}_weight_{kind}_scales" for n in ("q", "k", "v", "out")] for kind in ("block", "input")}

QUANTISED = {
    "Convolution": Scales(8, _CONV, lambda p, term: _conv(p["num_output"], term)),
    "ConvolutionDepthWise": Scales(8, _CONV, lambda p, term: _conv(p["group"] if term % 100 == 1 else 1, term)),
    "InnerProduct": Scales(8, _CONV, lambda p, term: _conv(p["num_output"], 0)),
    "Embed": Scales(18, ("weight_scale",), lambda p, term: {"weight_scale": 1}),
    "RNN": _recurrent(1),
    "GRU": _recurrent(3),
    "LSTM": _recurrent(4),
    "Gemm": Scales(
        18,
        ("A_scales", "B_scale", "B_block_scales", "B_input_scales"),
        _gemm,
        lambda p: {"B": (p["constant_n"], p["constant_k"])},
    ),
    "MultiHeadAttention": Scales(
        18,
        ("q_scales", "k_scales", "v_scales", "out_scale", *_BLOCKS["block"], *_BLOCKS["input"]),
        lambda p, term: {
            "q_scales": p["embed_dim"],
            "k_scales": p["embed_dim"],
            "v_scales": p["embed_dim"],
            "out_scale": 1,
        },
        lambda p: {
            "q_weight": (p["embed_dim"], p["weight_data_size"] // p["embed_dim"]),
            "k_weight": (p["embed_dim"], p["kdim"]),
            "v_weight": (p["embed_dim"], p["vdim"]),
            "out_weight": (p["weight_data_size"] // p["embed_dim"], p["embed_dim"]),
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
