"""Addends and factors per channel, sums of several Values, constants, matrix products and pixels of ncnn's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, integer, one
from ...errors import BuildError
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Weight, dsl, register, spec_of
from ..common import FEATURE_MAPS, FEW, elements, need, need_rank, need_shape, shape_id
from ..norms.norm import along_outer, need_module
from ..shapes.shape import really_reshape
from ..stock import inner_product, memory
from ..stock import matmul as matmul_layer
from ..stock import pixel_shuffle as pixel_shuffle_layer
from ..stock import scale as scale_layer


@register
class Bias(OpSpec):
    """x + bias, one number per channel of (C, H, W) or (C, D, H, W). ncnn: bias.cpp; to it a matrix is one channel."""

    type = "Bias"
    params = (Param("bias_data_size", 0, "int", "C"),)
    weights = (Weight("bias", False, "[C]"),)
    limits = ("bias_data_size >= 1",)
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {"bias": params["bias_data_size"]}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        need_rank(inputs[0], (3, 4), "x")
        need_shape(weights["bias"].shape, inputs[0][:1], "bias")
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0] + along_outer(weights["bias"], inputs[0])]

    def samples(self) -> list[Sample]:
        import torch

        def sample(x: Shape) -> Sample:
            b = np.random.default_rng(4).standard_normal(x[0]).astype(np.float32)
            along = torch.from_numpy(b).reshape(-1, *(1,) * (len(x) - 1))
            return Sample(f"bias-{shape_id(x)}", (x,), lambda g, v: bias(g, v, b), lambda v: v + along)

        return [sample(x) for x in (*FEATURE_MAPS, (5, 2, 3, 4))]


@dsl
def bias(g: Graph, bottom_names: ValueLike, bias: Any) -> Values:
    """x + bias, [C] for (C, H, W) or (C, D, H, W)."""
    data = array(bias, "bias", 1)
    return append(g, spec_of("Bias"), one(bottom_names), {"bias_data_size": data.size}, {"bias": data})


@dsl
def scale(g: Graph, bottom_names: ValueLike, scale: Any = None, bias: Any = None) -> Values:
    """x * scale + bias, each [n] along the outermost axis of x; or inputs [x, scale], which has no bias."""
    values = inputs_of(bottom_names)
    if len(values) == 2:
        need(scale is None and bias is None, "the scale is an input", argument="scale, bias", expected="None")
        return Values([scale_layer(g, values[0], values[1])])
    need(scale is not None, "no scale", argument="scale", expected="numbers, or a second input", got=None)
    held = None if bias is None else array(bias, "bias", 1)
    return Values([scale_layer(g, one(values), array(scale, "scale", 1), held)])


_ELTWISE = ("Prod", "Sum", "Max")


@register
class Eltwise(OpSpec):
    """The product, the sum (weighted by coeffs, if there are any) or the maximum of Values of one shape.

    ncnn: eltwise.cpp.
    """

    type = "Eltwise"
    inputs = ("a", "b", "x*")
    params = (
        Param("op", 0, "int", "0 product, 1 sum, 2 maximum"),
        Param("coeffs", 1, "floats", "factors of a sum, one per input, or none", ()),
    )
    limits = (
        "0 <= op <= 2",
        "op != 1 or len(coeffs) == 0 or len(coeffs) >= len(inputs)",
    )
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        for other in inputs[1:]:
            need_shape(other, inputs[0], "inputs")
        need(0 <= params["op"] < 3, "unknown operation", argument="op", got=params["op"])
        count = len(params["coeffs"])
        need(count == 0 or params["op"] == 1, "factors are for a sum", argument="coeffs", got=params["coeffs"])
        need(count in (0, len(inputs)), "wrong number", argument="coeffs", expected=len(inputs), got=count)
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        stacked = torch.stack(list(inputs))
        if params["op"] == 1:
            factors = torch.tensor(params["coeffs"] or (1.0,) * len(inputs), dtype=stacked.dtype)
            return [(along_outer(factors, stacked) * stacked).sum(0)]
        return [stacked.prod(0) if params["op"] == 0 else stacked.amax(0)]

    def samples(self) -> list[Sample]:
        import torch

        table = {"Prod": lambda *v: torch.stack(v).prod(0), "Sum": lambda *v: sum(v), "Max": _maximum}
        shapes: tuple[Shape, ...] = (*FEW, (2, 3, 4, 5))
        return [
            *(
                Sample(f"{op}-{shape_id(x)}-{n}", (x,) * n, lambda g, *v, op=op: eltwise(g, v, op), table[op])
                for op in _ELTWISE
                for x in shapes
                for n in (2, 3)
            ),
            *(
                Sample(
                    f"weighted-{shape_id(x)}",
                    (x,) * 3,
                    lambda g, *v: eltwise(g, v, "Sum", [0.5, -1.0, 2.0]),
                    lambda a, b, c: 0.5 * a - b + 2 * c,
                )
                for x in shapes
            ),
        ]


def _maximum(*values: Any) -> Any:
    import torch

    return torch.stack(values).amax(0)


@dsl
def eltwise(g: Graph, bottom_names: ValueLike, op: str = "Sum", coeffs: Any = ()) -> Values:
    """Two or more Values of one shape in one layer. op: Prod, Sum, Max. coeffs: factors of a sum, one per input."""
    if op not in _ELTWISE:
        raise BuildError("unknown operation", op="Eltwise", argument="op", expected=list(_ELTWISE), got=op)
    factors = array(coeffs, "coeffs", 1).tolist()
    return append(g, spec_of("Eltwise"), bottom_names, {"op": _ELTWISE.index(op), "coeffs": factors})


# -- declared in stock.py ---------------------------------------------------------------------------------------


@dsl
def linear(g: Graph, bottom_names: ValueLike, linear: Any) -> Values:
    """An nn.Linear over the last axis of x, which has 1 to 4 dimensions."""
    need_module(linear, "linear", "an nn.Linear", "weight", "bias")
    x, weight = one(bottom_names), array(linear.weight, "weight", 2)
    held = None if linear.bias is None else array(linear.bias, "bias", 1)
    if len(x.shape) <= 2:
        return Values([inner_product(g, x, weight, held)])
    rows = really_reshape(g, x, (elements(x.shape[:-1]), x.shape[-1]))
    return really_reshape(g, inner_product(g, rows, weight, held), (*x.shape[:-1], weight.shape[0]))


@dsl
def matmul(g: Graph, bottom_names: ValueLike, transpose_b: bool = False) -> Values:
    """Inputs [a, b]: a @ b, or a @ b.T: matrices, or 3-D and 4-D as torch multiplies them, or a vector a."""
    a, b = inputs_of(bottom_names)
    if len(a.shape) != len(b.shape) and min(len(a.shape), len(b.shape)) > 2:
        a, b = (v if len(v.shape) == 4 else really_reshape(g, v, (1, *v.shape))[0] for v in (a, b))
    return Values([matmul_layer(g, a, b, transpose_b)])


@dsl
def memorydata(g: Graph, data: Any) -> Values:
    """A constant of 1 to 4 dimensions, outer first, by ncnn's own layer; shell() is the predecessor's."""
    numbers = array(data, "data")
    need(1 <= numbers.ndim <= 4, "bad shape", argument="data", expected="1 to 4 dimensions", got=list(numbers.shape))
    return Values([memory(g, numbers)])


@dsl
def pixel_shuffle(g: Graph, bottom_names: ValueLike, upscale_factor: SupportsFloat, mode: int = 0) -> Values:
    """torch's pixel_shuffle: (C * r * r, H, W) -> (C, H * r, W * r). mode 1: the channels are [r * r, C]."""
    factor = integer(upscale_factor, "upscale_factor")
    return Values([pixel_shuffle_layer(g, bottom_names, factor, integer(mode, "mode"))])
