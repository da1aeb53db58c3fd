"""Numbers of other types: rounded to bytes and back, float16 and bfloat16, and packed ones.

A value has no type here. What quantize(), requantize() and cast() make are bytes or half floats in the net, which few
layers take: Cast, Dequantize, and those that only move numbers. It has to come back by cast() before anything else, the
outside too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..builder import ValueLike, append, array, integer, one
from ..errors import BuildError
from ..ir import Array, Graph, Params, Shape, Values
from ..opspec import OpSpec, Param, Sample, Weight, dsl, register, spec_of
from .activations.fused_activation import ACTIVATION_DOCS, fused_activation_reference
from .common import FEW, need, shape_id
from .norms.norm import along_outer

_SHAPES: tuple[Shape, ...] = (*FEW, (16, 3, 3), (8, 2, 3, 4), (8, 5))


def _to_int8(x: Any) -> Any:
    """To the nearest, ties away from zero, from -127 to 127."""
    return ((x.abs() + 0.5).floor() * x.sign()).clamp(-127, 127)


def _need_each(size: int, x: Shape, argument: str) -> None:
    """One number, or one per index of the outermost axis, of which a vector has none."""
    sizes = (1,) if len(x) == 1 else (1, x[0])
    need(size in sizes, "wrong number of scales", argument=argument, expected=f"one of {sizes}", got=size)


@register
class Quantize(OpSpec):
    """x * scale to the nearest whole number from -127 to 127, as bytes. ncnn: quantize.cpp.

    One scale, or one per index of the outermost axis of [n, W], (C, H, W) or (C, D, H, W). Ties go away from zero.
    """

    type = "Quantize"
    departs = "a tie goes away from zero, in torch's round() to even"
    plain = False
    params = (Param("scale_data_size", 0, "int", "number of scales", 1),)
    weights = (Weight("scale", False, "[1] or [n]"),)
    limits = (
        "scale_data_size >= 1",
        "scale_data_size in (1, x.outer)",
    )

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {"scale": params["scale_data_size"]}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        _need_each(params["scale_data_size"], inputs[0], "scale")
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [_to_int8(inputs[0] * along_outer(weights["scale"], inputs[0]))]

    def samples(self) -> list[Sample]:
        import torch

        def sample(x: Shape, each: bool) -> Sample:
            s: Array = np.linspace(20, 90, x[0], dtype=np.float32) if each else np.array([37.5], np.float32)
            along = torch.from_numpy(s).reshape(-1, *(1,) * (len(x) - 1))
            return Sample(
                f"quantize-{shape_id(x)}-{each}",
                (x,),
                lambda g, v: cast(g, quantize(g, v, s), "int8", "float32"),
                lambda v: (v * along).round().clamp(-127, 127),
            )

        return [sample(x, each) for x in _SHAPES for each in (False, True) if len(x) > 1 or not each]


@register
class Dequantize(OpSpec):
    """x * scale + bias of whole numbers of 32 bits, which are an input of the net. ncnn: dequantize.cpp.

    One of each, or one per index of the outermost axis of [n, W], (C, H, W) or (C, D, H, W).
    """

    type = "Dequantize"
    integer_input = True
    params = (
        Param("scale_data_size", 0, "int", "number of scales", 1),
        Param("bias_data_size", 1, "int", "number of biases"),
    )
    weights = (Weight("scale", False, "[1] or [n]"), Weight("bias", False, "[1] or [n]"))
    limits = (
        "scale_data_size >= 1 and bias_data_size >= 0",
        "x.bits == 32",
        "scale_data_size in (1, x.outer)",
        "bias_data_size in (0, 1, x.outer)",
    )

    def weight_sizes(self, params: Params) -> dict[str, int]:
        bias = {"bias": params["bias_data_size"]} if params["bias_data_size"] else {}
        return {"scale": params["scale_data_size"], **bias}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        _need_each(params["scale_data_size"], inputs[0], "scale")
        if params["bias_data_size"]:
            _need_each(params["bias_data_size"], inputs[0], "bias")
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        y = x * along_outer(weights["scale"], x)
        return [y + along_outer(weights["bias"], x) if "bias" in weights else y]

    def samples(self) -> list[Sample]:
        import torch

        def sample(x: Shape, each: bool, bias: bool) -> Sample:
            s, b = (np.linspace(-0.5, 0.75, x[0] if each else 1, dtype=np.float32) for _ in "sb")
            along = torch.from_numpy(s).reshape(-1, *(1,) * (len(x) - 1))
            return Sample(
                f"dequantize-{shape_id(x)}-{each}-{bias}",
                (x,),
                lambda g, v: dequantize(g, v, s, b if bias else None),
                lambda v: v * along + (along if bias else 0),
                draw="integer",
            )

        cases = [(x, each) for x in _SHAPES for each in (False, True) if len(x) > 1 or not each]
        return [sample(x, each, bias) for x, each in cases for bias in (False, True)]


@register
class Requantize(OpSpec):
    """activation(x * scale_in + bias) * scale_out to the nearest from -127 to 127, as bytes. ncnn: requantize.cpp.

    x are whole numbers of 32 bits, which are an input of the net. Scales and bias as those of Dequantize.
    """

    type = "Requantize"
    plain = False
    integer_input = True
    params = (
        Param("scale_in_data_size", 0, "int", "number of scales before", 1),
        Param("scale_out_data_size", 1, "int", "number of scales after", 1),
        Param("bias_data_size", 2, "int", "number of biases"),
        Param("activation_type", 3, "int", ACTIVATION_DOCS["activation_type"]),
        Param("activation_params", 4, "floats", ACTIVATION_DOCS["activation_params"], ()),
    )
    weights = (
        Weight("scale_in", False, "[1] or [n]"),
        Weight("scale_out", False, "[1] or [n]"),
        Weight("bias", False, "[1] or [n]"),
    )
    limits = (
        "scale_in_data_size >= 1 and scale_out_data_size >= 1 and bias_data_size >= 0",
        "0 <= activation_type <= 6",
        "len(activation_params) >= (1 if activation_type == 2 else 2 if activation_type in (3, 6) else 0)",
        "x.bits == 32",
        "scale_in_data_size in (1, x.outer) and scale_out_data_size in (1, x.outer)",
        "bias_data_size in (0, 1, x.outer)",
    )

    def weight_sizes(self, params: Params) -> dict[str, int]:
        bias = {"bias": params["bias_data_size"]} if params["bias_data_size"] else {}
        return {"scale_in": params["scale_in_data_size"], "scale_out": params["scale_out_data_size"], **bias}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        for name, size in self.weight_sizes(params).items():
            _need_each(size, inputs[0], name)
        need(0 <= params["activation_type"] <= 6, "unknown activation", argument="activation_type", expected="0 to 6")
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        y = x * along_outer(weights["scale_in"], x)
        y = fused_activation_reference(y + along_outer(weights["bias"], x) if "bias" in weights else y, params)
        return [_to_int8(y * along_outer(weights["scale_out"], x))]

    def samples(self) -> list[Sample]:
        import torch

        def sample(x: Shape, each: bool, bias: bool, act: int = 0, act_params: tuple[float, ...] = ()) -> Sample:
            n = x[0] if each else 1
            s, o, b = (
                np.linspace(*ends, n, dtype=np.float32)
                for ends in ((0.1137, 0.9071), (1.3019, 2.7083), (-3.1071, 4.2117))
            )
            along = [torch.from_numpy(w).reshape(-1, *(1,) * (len(x) - 1)) for w in (s, o, b)]

            def torch_requantize(v: Any) -> Any:
                y = v * along[0] + (along[2] if bias else 0)
                y = torch.relu(y) if act == 1 else y.clamp(*act_params) if act == 3 else y
                return (y * along[1]).round().clamp(-127, 127)

            return Sample(
                f"requantize-{shape_id(x)}-{each}-{bias}-{act}",
                (x,),
                lambda g, v: cast(g, requantize(g, v, s, o, b if bias else None, act, act_params), "int8", "float32"),
                torch_requantize,
                draw="integer",
            )

        cases = [(x, each) for x in _SHAPES for each in (False, True) if len(x) > 1 or not each]
        return [
            *(sample(x, each, bias) for x, each in cases for bias in (False, True)),
            sample((8, 2, 4), True, True, 1),
            sample((5, 3, 7), True, True, 3, (-20.0, 30.0)),
        ]


@dsl
def quantize(g: Graph, bottom_names: ValueLike, scale: Any) -> Values:
    """x * scale as bytes, one scale or one per index of the outermost axis. Back: cast(g, y, "int8", "float32")."""
    factors = array(scale, "scale").reshape(-1)
    return append(g, spec_of("Quantize"), one(bottom_names), {"scale_data_size": factors.size}, {"scale": factors})


@dsl
def dequantize(g: Graph, bottom_names: ValueLike, scale: Any, bias: Any = None) -> Values:
    """x * scale + bias of an input of the graph that holds int32; each a number, or one per index of the outer axis."""
    factors = array(scale, "scale").reshape(-1)
    held = None if bias is None else array(bias, "bias").reshape(-1)
    params = {"scale_data_size": factors.size, "bias_data_size": 0 if held is None else held.size}
    return append(g, spec_of("Dequantize"), one(bottom_names), params, {"scale": factors, "bias": held})


@dsl
def requantize(
    g: Graph,
    bottom_names: ValueLike,
    scale_in: Any,
    scale_out: Any,
    bias: Any = None,
    activation_type: int = 0,
    activation_params: Any = (),
) -> Values:
    """activation(x * scale_in + bias) * scale_out as bytes, of an input of the graph that holds int32.

    activation_type: 0 none, 1 ReLU, 2 with a slope, 3 clip, 4 sigmoid, 5 mish, 6 hard swish, with its parameters.
    """
    weights: dict[str, Array | None] = {
        "scale_in": array(scale_in, "scale_in").reshape(-1),
        "scale_out": array(scale_out, "scale_out").reshape(-1),
        "bias": None if bias is None else array(bias, "bias").reshape(-1),
    }
    sizes = {f"{name}_data_size": 0 if w is None else w.size for name, w in weights.items()}
    kind = integer(activation_type, "activation_type")
    numbers = array(activation_params, "activation_params", 1).tolist()
    least = {2: 1, 3: 2, 6: 2}.get(kind, 0)
    need(len(numbers) >= least, "parameters are missing", argument="activation_params", expected=least, got=numbers)
    params = {**sizes, "activation_type": kind, "activation_params": numbers}
    return append(g, spec_of("Requantize"), one(bottom_names), params, weights)


_TYPES = {"float32": 1, "float16": 2, "int8": 3, "bfloat16": 4}
_CASTS = (
    *(("float32", "float16"), ("float16", "float32"), ("int8", "float32"), ("float32", "bfloat16")),
    ("bfloat16", "float32"),
)


@register
class Cast(OpSpec):
    """The same numbers as another type, rounded where it holds less. ncnn: cast.cpp.

    Types: 1 float32, 2 float16, 3 int8, 4 bfloat16. ncnn knows float32 to and from 2 and 4, and 3 to float32; for any
    other pair it leaves the result as the memory was, so these are refused here.
    """

    type = "Cast"
    departs = (
        "to float16: a number below 2^-14 in size may become 0, and a tie may go either way (ncnn's code for the last "
        "numbers of a row, float32_to_float16 in mat.cpp, does so; its vector code rounds as torch does)"
    )
    plain = False
    params = (
        Param("type_from", 0, "int", "1 float32, 2 float16, 3 int8, 4 bfloat16"),
        Param("type_to", 1, "int", "likewise"),
    )
    limits = (
        "type_from == type_to or 10 * type_from + type_to in (12, 21, 31, 14, 41)",
        "type_from == type_to or x.bits == (32 if type_from == 1 else 8 if type_from == 3 else 16)",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """The type that it is, which leaves the numbers alone."""
        return [inputs[0]] if params["type_from"] == params["type_to"] else None

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        known = [(_TYPES[a], _TYPES[b]) for a, b in _CASTS]
        got = (params["type_from"], params["type_to"])
        need(got in known, "ncnn has no such cast", argument="type_from, type_to", expected=known, got=got)
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        x = inputs[0]
        types = {2: torch.float16, 4: torch.bfloat16}
        return [x.to(types[params["type_to"]]).to(x.dtype) if params["type_to"] in types else x]

    def samples(self) -> list[Sample]:
        import torch

        return [
            Sample(
                f"cast-{name}-{shape_id(x)}",
                (x,),
                lambda g, v, name=name: cast(g, cast(g, v, "float32", name), name, "float32"),
                lambda v, name=name: v.to(getattr(torch, name)).float(),
            )
            for name in ("float16", "bfloat16")
            for x in _SHAPES
        ]


@dsl
def cast(g: Graph, bottom_names: ValueLike, type_from: str, type_to: str) -> Values:
    """The same numbers as another type: float32 to and from float16 and bfloat16, and int8 to float32."""
    if (type_from, type_to) not in _CASTS:
        raise BuildError(
            "ncnn has no such cast",
            op="Cast",
            argument="type_from, type_to",
            expected=[f"{a} to {b}" for a, b in _CASTS],
            got=f"{type_from} to {type_to}",
        )
    params = {"type_from": _TYPES[type_from], "type_to": _TYPES[type_to]}
    return append(g, spec_of("Cast"), one(bottom_names), params)


@register
class Packing(OpSpec):
    """The same numbers, `out_elempack` of the outermost axis side by side in memory. ncnn: packing.cpp.

    Where they do not divide it, nothing happens. ncnn packs by itself what a layer wants: this is for experiments.
    """

    type = "Packing"
    plain = False
    params = (
        Param("out_elempack", 0, "int", "1, 4, 8 or 16", 1),
        Param("use_padding", 1, "int", "0; 1 would add numbers to what does not divide"),
    )
    left_out = dict.fromkeys((2, 3), "cast_type: cast() says it")
    limits = (
        "out_elempack in (1, 4, 8, 16)",
        "not use_padding or x.outer % out_elempack == 0",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """With padding, of which one number at a time needs none."""
        one = params["use_padding"] and params["out_elempack"] == 1
        return [inputs[0]] if one and not any(extra.values()) else None

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        n = params["out_elempack"]
        need(n in (1, 4, 8, 16), "bad packing", argument="out_elempack", expected="1, 4, 8, 16", got=n)
        need(params["use_padding"] == 0, "padding would change the shape", argument="use_padding", expected=0, got=1)
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0]]

    def samples(self) -> list[Sample]:
        return [
            Sample(f"packing-{n}-{shape_id(x)}", (x,), lambda g, v, n=n: packing(g, v, n), lambda v: v)
            for n in (1, 4, 8, 16)
            for x in ((16,), (8, 5), (16, 3, 3), (5, 2, 3), (8, 2, 3, 4))
        ]


@dsl
def packing(g: Graph, bottom_names: ValueLike, out_elempack: int) -> Values:
    """The same numbers, 1, 4, 8 or 16 of the outermost axis side by side in memory. (ncnn does it where it helps.)"""
    params = {"out_elempack": integer(out_elempack, "out_elempack"), "use_padding": 0}
    return append(g, spec_of("Packing"), one(bottom_names), params)
