"""Rows of a sequence: embeddings, running sums, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, one
from ...ir import Array, Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, Weight, dsl, register, spec_of
from ..activations.activation import activation
from ..arithmetic.binary import binaryOp
from ..common import ANY_SHAPES, axes_from_end, functional, need, need_rank, need_shape, shape_id
from ..norms.norm import need_module
from ..shapes.crop import crop
from ..shapes.slices import axis_of


@register
class Embed(OpSpec):
    """Row x[i] of weight (+ bias), for each i: [n] -> [n, num_output]. ncnn: embed.cpp.

    x are whole numbers: an input of the net, given to the runtime as int32. Those outside of 0 to input_dim - 1 are
    taken for the nearest of them.
    """

    type = "Embed"
    integer_input = True
    params = (
        Param("num_output", 0, "int", "size of a row"),
        Param("input_dim", 1, "int", "number of rows"),
        Param("bias_term", 2, "int", "1: there is a bias"),
        Param("weight_data_size", 3, "int", "input_dim * num_output"),
    )
    weights = (Weight("weight", True, "[input_dim, num_output]"), Weight("bias", False, "[num_output]"))
    left_out = {18: "int8_scale_term: quantised weights are made by ncnn's own tools"}
    limits = (
        "num_output >= 1 and input_dim >= 1",
        "weight_data_size == num_output * input_dim",
        "x.bits == 32",
        "num_output * x.w <= int_max",
    )

    def weight_sizes(self, params: Params) -> dict[str, int]:
        bias = {"bias": params["num_output"]} if params["bias_term"] else {}
        return {"weight": params["weight_data_size"], **bias}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        need_rank(inputs[0], (1,), "x")
        need_shape(weights["weight"].shape, (params["input_dim"], params["num_output"]), "weight")
        if params["bias_term"]:
            need_shape(weights["bias"].shape, (params["num_output"],), "bias")
        return [(inputs[0][0], params["num_output"])]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        rows = inputs[0].long().clamp(0, params["input_dim"] - 1)
        y = functional().embedding(rows, weights["weight"].reshape(params["input_dim"], -1))
        return [y + weights["bias"] if params["bias_term"] else y]

    def samples(self) -> list[Sample]:
        import torch
        from torch import nn

        def sample(n: int, rows: int, size: int, bias: bool) -> Sample:
            module = nn.Embedding(rows, size)
            b: Array = np.random.default_rng(3).standard_normal(size).astype(np.float32)
            return Sample(
                f"embed-{n}-{rows}-{size}-{bias}",
                ((n,),),
                lambda g, x: embedding(g, x, module, b if bias else None),
                lambda x: module(x.clamp(max=rows - 1)) + (torch.from_numpy(b) if bias else 0),
                draw="index",
            )

        cases = ((5, 10, 7), (1, 12, 8), (9, 10, 1), (16, 4, 5))
        return [sample(n, rows, size, bias) for n, rows, size in cases for bias in (False, True)]


@dsl
def embedding(g: Graph, bottom_names: ValueLike, embedding: Any, bias: Any = None) -> Values:
    """An nn.Embedding (or its weight [rows, size]) of whole numbers [n], an input of the graph; + bias [size].

    The runtime is given such an input as whole numbers, so nothing may read it that takes floats; dequantize() makes
    floats of it.
    """
    x = one(bottom_names)
    if not isinstance(embedding, (np.ndarray, list)) and not hasattr(embedding, "detach"):
        need_module(embedding, "embedding", "an nn.Embedding", "weight")
        norm = getattr(embedding, "max_norm", None)
        need(norm is None, "max_norm changes the weight", argument="embedding", expected="max_norm=None", got=norm)
        embedding = embedding.weight
    weight = array(embedding, "weight", 2)
    held = None if bias is None else array(bias, "bias", 1)
    params = {
        "num_output": weight.shape[1],
        "input_dim": weight.shape[0],
        "bias_term": int(held is not None),
        "weight_data_size": weight.size,
    }
    return append(g, spec_of("Embed"), x, params, {"weight": weight, "bias": held})


@register
class CumulativeSum(OpSpec):
    """Sums of the numbers up to each one, along an axis. ncnn: cumulativesum.cpp."""

    type = "CumulativeSum"
    params = (Param("axis", 0, "int", "axis, outer first, without batch"),)
    limits = ("x.rank == 1 or -x.rank <= axis < x.rank",)

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        return axes_from_end(self, inputs, params)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, axis = inputs[0], params["axis"]
        need(0 <= axis < len(x), "bad axis", argument="dim", expected=f"an axis of {list(x)}", got=axis)
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].cumsum(params["axis"])]

    def samples(self) -> list[Sample]:
        return [
            Sample(
                f"cumsum-{shape_id(x)}-{dim}",
                (x,),
                lambda g, v, dim=dim: cumsum(g, v, dim),
                lambda v, dim=dim: v.cumsum(dim),
            )
            for x in ANY_SHAPES
            for dim in range(1, len(x) + 1)
        ]


@dsl
def cumsum(g: Graph, bottom_names: ValueLike, dim: SupportsFloat) -> Values:
    """torch's cumsum; dim counts the batch."""
    x = one(bottom_names)
    return append(g, spec_of("CumulativeSum"), x, {"axis": axis_of(dim, len(x.shape))})


@register
class GLU(OpSpec):
    """The first half of x along an axis times the sigmoid of the second. ncnn: glu.cpp."""

    type = "GLU"
    departs = "a gate below -88, whose exp(-x) overflows: NaN or 0; glu() is made of other layers, which are right"
    params = (Param("axis", 0, "int", "axis, outer first, without batch"),)
    limits = ("x.rank == 1 or -x.rank <= axis < x.rank",)

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        return axes_from_end(self, inputs, params)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, axis = inputs[0], params["axis"]
        need(0 <= axis < len(x), "bad axis", argument="dim", expected=f"an axis of {list(x)}", got=axis)
        need(x[axis] % 2 == 0, "no two halves", argument="dim", expected="an even size", got=list(x))
        return [tuple(n // 2 if i == axis else n for i, n in enumerate(x))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, gate = inputs[0].chunk(2, params["axis"])
        divisor = 1 + (-gate).exp()
        return [x / divisor.where(gate >= -88, float("nan"))]  # in double as well, which overflows later

    def nonsense(self, params: Params) -> str:
        return "at gates below -88: NaN or 0"

    def samples(self) -> list[Sample]:
        F = functional()
        shapes: tuple[Shape, ...] = ((8,), (6, 4), (16, 2), (6, 4, 8), (2, 2, 2), (16, 3, 5), (4, 2, 6, 4))
        by_function = Sample("glu", ((6, 4),), lambda g, v: glu(g, v, 1), lambda v: F.glu(v, 1))
        return [
            by_function,
            *(
                Sample(
                    f"glu-{shape_id(x)}-{dim}",
                    (x,),
                    lambda g, v, dim=dim: append(g, self, v, {"axis": axis_of(dim, len(v.shape))}),
                    lambda v, dim=dim: F.glu(v, dim),
                )
                for x in shapes
                for dim in range(1, len(x) + 1)
                if x[dim - 1] % 2 == 0
            ),
        ]


@dsl
def glu(g: Graph, bottom_names: ValueLike, dim: SupportsFloat = -1) -> Values:
    """torch's glu; dim counts the batch. By Crop and Sigmoid: ncnn's layer GLU gives NaN for gates below -88."""
    x = one(bottom_names)
    return gated(g, x, axis_of(dim, len(x.shape)))


def gated(g: Graph, x: Value, axis: int) -> Values:
    """The first half of x along an axis, outer first and without batch, times the sigmoid of the second."""
    n = x.shape[axis]
    need(n % 2 == 0, "no two halves", argument="dim", expected="an even size", got=list(x.shape))
    first, gate = (one(crop(g, x, [start], [start + n // 2], [axis])) for start in (0, n // 2))
    return binaryOp(g, [first, one(activation(g, gate, "sigmoid"))], "Mul")
