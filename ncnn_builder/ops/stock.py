"""Layers of ncnn with weights that are fixed, and others that the `stock` target makes the other ops of.

The functions in lower case that return a single Value are for lowerings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..builder import ValueLike, append
from ..ir import Array, Graph, Params, Shape, Value
from ..opspec import OpSpec, Param, Sample, Weight, functions, register, spec_of
from .activations.fused_activation import ACTIVATION_DOCS, fused_activation_reference
from .common import FEATURE_MAPS, elements, functional, need, need_rank, need_shape, shape_id


@register
class Scale(OpSpec):
    """x * scale (+ bias), one number per index of the outermost axis, in place. ncnn: scale.cpp.

    size -233: the scale [n] is the second input; there is no bias then, as ncnn reads none from the file.
    """

    type = "Scale"
    inputs = ("x", "scale?")
    params = (
        Param("size", 0, "int", "number of scales, or -233"),
        Param("bias_term", 1, "int", "1: there is a bias"),
    )
    weights = (Weight("scale", False, "[n]"), Weight("bias", False, "[n]"))
    limits = (
        "size == -233 or size >= 1",
        "size != -233 or bias_term == 0",
    )
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        n = params["size"]
        return {} if n == -233 else {"scale": n, **({"bias": n} if params["bias_term"] else {})}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, given = inputs[0], params["size"] == -233
        need((len(inputs) == 2) == given, "a scale is an input or a weight", got=f"{len(inputs)} inputs")
        need(not (given and params["bias_term"]), "ncnn has no bias with a scale that is an input", got="bias_term 1")
        need_shape(inputs[1] if given else weights["scale"].shape, x[:1], "scale")
        if params["bias_term"]:
            need_shape(weights["bias"].shape, x[:1], "bias")
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        along = (-1, *(1,) * (x.ndim - 1))
        y = x * (inputs[1] if len(inputs) == 2 else weights["scale"]).reshape(along)
        return [y + weights["bias"].reshape(along) if params["bias_term"] else y]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(21)

        def constant(x: Shape, bias: bool) -> Sample:
            s, b = (rng.standard_normal(x[0]).astype(np.float32) for _ in "sb")
            return Sample(f"{shape_id(x)}-{bias}", (x,), lambda g, v: functions["scale"](g, v, s, b if bias else None))

        shapes: tuple[Shape, ...] = ((7,), (3, 5), *FEATURE_MAPS, (8, 3, 4, 5))
        return [
            *(constant(x, bias) for x in shapes for bias in (False, True)),
            *(
                Sample(
                    f"{shape_id(x)}-input",
                    (x, x[:1]),
                    lambda g, v, s: functions["scale"](g, [v, s]),
                    lambda v, s: v * s.reshape(-1, *(1,) * (v.ndim - 2)),
                )
                for x in shapes
            ),
        ]


def scale(g: Graph, x: Value, factor: Value | Array, bias: Array | None = None) -> Value:
    """x * factor (+ bias), each [x.shape[0]]; no bias where the factor is a Value."""
    if isinstance(factor, Value):
        return append(g, spec_of("Scale"), [x, factor], {"size": -233, "bias_term": 0})[0]
    params = {"size": factor.size, "bias_term": int(bias is not None)}
    return append(g, spec_of("Scale"), x, params, {"scale": factor, "bias": bias})[0]


@register
class InnerProduct(OpSpec):
    """x @ weight.T (+ bias) with weights in the file: x [in] or [rows, in]. ncnn: innerproduct.cpp."""

    type = "InnerProduct"
    params = (
        Param("num_output", 0, "int", "out"),
        Param("bias_term", 1, "int", "1: there is a bias"),
        Param("weight_data_size", 2, "int", "out * in"),
        Param("int8_scale_term", 8, "int", "0"),
        Param("activation_type", 9, "int", ACTIVATION_DOCS["activation_type"]),
        Param("activation_params", 10, "floats", ACTIVATION_DOCS["activation_params"], ()),
    )
    weights = (Weight("weight", True, "[out, in]"), Weight("bias", False, "[out]"))
    limits = (
        "num_output >= 1",
        "weight_data_size >= 1 and weight_data_size % num_output == 0",
    )
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        bias = {"bias": params["num_output"]} if params["bias_term"] else {}
        return {"weight": params["weight_data_size"], **bias}

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """A map, or a matrix, whose numbers are taken for one vector."""
        x, size = inputs[0], params["weight_data_size"]
        if len(x) == 1 or (len(x) == 2 and x[1] * params["num_output"] == size):
            return None
        expected = size // max(params["num_output"], 1)
        need(math.prod(x) == expected, "x does not fit the weight", argument="x", expected=expected, got=list(x))
        return [(params["num_output"],)]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, out = inputs[0], params["num_output"]
        need_rank(x, (1, 2), "x")
        need_shape(weights["weight"].shape, (out, x[-1]), "weight")
        need(params["weight_data_size"] == weights["weight"].size, "wrong size", argument="weight_data_size")
        if params["bias_term"]:
            need_shape(weights["bias"].shape, (out,), "bias")
        return [(*x[:-1], out)]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        rows = outputs[0][0] if len(outputs[0]) == 2 else 1
        return int(rows * params["weight_data_size"])

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        y = inputs[0] @ weights["weight"].reshape(params["num_output"], -1).T
        return [fused_activation_reference(y + weights["bias"] if params["bias_term"] else y, params)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(22)

        def sample(x: Shape, out: int, bias: bool) -> Sample:
            w, b = (rng.standard_normal(s).astype(np.float32) for s in ((out, x[-1]), (out,)))
            return Sample(
                f"{shape_id(x)}-{out}-{bias}", (x,), lambda g, v: [inner_product(g, v, w, b if bias else None)]
            )

        cases: tuple[tuple[Shape, int], ...] = (((7,), 5), ((512,), 33), ((1,), 1), ((3, 10), 4), ((64, 3), 8))
        return [
            *(sample(x, out, bias) for x, out in cases for bias in (False, True)),
            *(_linear(x, out) for x, out in (((5,), 4), ((3, 5), 4), ((2, 3, 5), 4), ((2, 3, 4, 5), 6))),
        ]


def _linear(x: Shape, out: int) -> Sample:
    from torch import nn

    module = nn.Linear(x[-1], out, bias=len(x) != 2)
    return Sample(f"linear-{shape_id(x)}", (x,), lambda g, v: functions["linear"](g, v, module), module)


def inner_product(g: Graph, x: ValueLike, weight: Array, bias: Array | None = None) -> Value:
    params = {
        "num_output": weight.shape[0],
        "bias_term": int(bias is not None),
        "weight_data_size": weight.size,
        "int8_scale_term": 0,
        "activation_type": 0,
        "activation_params": (),
    }
    return append(g, spec_of("InnerProduct"), x, params, {"weight": weight, "bias": bias})[0]


@register
class MatMul(OpSpec):
    """a @ b, or a @ b.T: a [in] or [rows, in], b [in, out] or, transposed, [out, in]. ncnn: matmul.cpp.

    With one or two more axes in front, of both or of one of them, each size equal or 1: a product for each, as torch.
    """

    type = "MatMul"
    inputs = ("a", "b")
    params = (Param("transpose_b", 0, "int", "1: b is [out, in]"),)
    limits = ()
    checked_in_cpp = True

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """A vector on the right side."""
        a, b = inputs
        if len(b) != 1:
            return None
        need(a[-1] == b[0], "the inner sizes differ", expected=a[-1], got=list(b))
        return [a[:-1] or (1,)]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        a, b = inputs
        need_rank(b, (2, 3, 4) if len(a) > 1 else (2,), "b")
        inner, out = b[:-3:-1] if params["transpose_b"] else b[-2:]
        need(a[-1] == inner, "the inner sizes differ", expected=a[-1], got=list(b))
        if len(a) == 1:
            return [(out,)]
        need(len(a) == len(b) or 2 in (len(a), len(b)), "the ranks differ", expected=list(a), got=list(b))
        pairs = list(itertools.zip_longest(a[-3::-1], b[-3::-1], fillvalue=1))
        need(all(m == n or 1 in (m, n) for m, n in pairs), "the outer sizes differ", expected=list(a), got=list(b))
        return [(*reversed([max(pair) for pair in pairs]), a[-2], out)]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        return math.prod(outputs[0]) * inputs[0][-1]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0] @ (inputs[1].mT if params["transpose_b"] else inputs[1])]

    def samples(self) -> list[Sample]:
        def sample(a: Shape, b: Shape, transposed: bool) -> Sample:
            return Sample(
                f"{shape_id(a)}-{shape_id(b)}-{transposed}",
                (a, b),
                lambda g, x, y: functions["matmul"](g, [x, y], transposed),
                lambda x, y: (x[0] @ (y.mT if transposed else y)[0])[None],
            )

        return [
            *(
                sample(a, b, False)
                for a, b in (((3, 5), (5, 4)), ((7,), (7, 3)), ((1, 3), (3, 1)), ((20, 33), (33, 9)))
            ),
            *(sample(a, b, True) for a, b in (((3, 5), (4, 5)), ((7,), (3, 7)), ((1, 1), (6, 1)), ((20, 33), (9, 33)))),
            *(
                sample(a, b, transposed)
                for transposed, a, b in (
                    (False, (4, 3, 5), (4, 5, 6)),
                    (False, (4, 3, 5), (1, 5, 6)),
                    (False, (1, 3, 5), (4, 5, 6)),
                    (False, (4, 3, 5), (5, 6)),
                    (True, (3, 5), (4, 6, 5)),
                    (False, (2, 4, 3, 5), (2, 4, 5, 6)),
                    (True, (2, 4, 3, 5), (1, 4, 6, 5)),
                    (False, (2, 4, 3, 5), (2, 1, 5, 6)),
                    (True, (8, 3, 5), (8, 6, 5)),
                    (False, (2, 4, 3, 5), (4, 5, 6)),
                    (False, (4, 3, 5), (2, 4, 5, 6)),
                )
            ),
        ]


def matmul(g: Graph, a: Value, b: Value, transpose_b: bool = False) -> Value:
    return append(g, spec_of("MatMul"), [a, b], {"transpose_b": int(transpose_b)})[0]


@register
class MemoryData(OpSpec):
    """A constant: no input, no computation. ncnn: memorydata.cpp. The shape's missing dimensions are 0."""

    type = "MemoryData"
    inputs = ()
    params = (
        Param("w", 0, "int", "innermost dimension"),
        Param("h", 1, "int", "second dimension, or 0"),
        Param("c", 2, "int", "outermost of three or four, or 0"),
        Param("d", 11, "int", "third of four, or 0"),
        Param("load_type", 21, "int", "0: with a tag, which float16 needs; 1: raw float32", 1),
    )
    weights = (Weight("data", True, "the numbers"),)
    limits = (
        "0 <= load_type <= 4",
        "min(w, h, c, d) >= 0",
        "c >= 1 or d == 0",
        "h >= 1 or c == 0",
        "w >= 1 or h == 0",
        "max(w, 1) * max(h, 1) * max(c, 1) * max(d, 1) <= int_max",
    )

    def _shape(self, params: Params) -> Shape:
        return tuple(params[k] for k in "cdhw" if params[k])

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {"data": elements(self._shape(params))}

    def is_tagged(self, weight: Weight, params: Params) -> bool:
        return bool(params["load_type"] == 0)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        shape = self._shape(params)
        need(params["load_type"] in (0, 1), "unknown", argument="load_type", expected="0 or 1", got=params["load_type"])
        need(weights["data"].size == elements(shape), "wrong number of elements", argument="data", expected=shape)
        return [shape]

    def constants(self, params: Params, weights: Mapping[str, Array]) -> list[Array]:
        return [weights["data"].reshape(self._shape(params))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [weights["data"].reshape(self._shape(params))]

    def samples(self) -> list[Sample]:
        import torch

        def sample(shape: Shape) -> Sample:
            data: Array = np.random.default_rng(23).standard_normal(shape).astype(np.float32)
            return Sample(
                shape_id(shape), (), lambda g: functions["memorydata"](g, data), lambda: torch.from_numpy(data)[None]
            )

        return [sample(shape) for shape in ((9,), (3, 5), (5, 3, 7), (8, 2, 4), (2, 3, 4, 5), (1, 1, 1, 1))]


def memory(g: Graph, data: Array) -> Value:
    """A constant of 1 to 4 dimensions."""
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[data.ndim]
    params = {**dict.fromkeys("whcd", 0), "load_type": 0, **dict(zip(names, data.shape, strict=True))}
    return append(g, spec_of("MemoryData"), [], params, {"data": np.ascontiguousarray(data, np.float32)})[0]


@register
class PixelShuffle(OpSpec):
    """(C * r * r, H, W) -> (C, H * r, W * r). ncnn: pixelshuffle.cpp.

    mode 0: channel c * r * r + i * r + j holds the pixels (y * r + i, x * r + j) of channel c, as torch has it;
    mode 1: channel (i * r + j) * C + c does.
    """

    type = "PixelShuffle"
    params = (Param("factor", 0, "int", "r", 1), Param("mode", 1, "int", "order of the channels"))
    limits = (
        "mode in (0, 1)",
        "1 <= factor <= 4096",
        "x.rank == 3",
    )
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, r = inputs[0], params["factor"]
        need_rank(x, (3,), "x")
        need(r >= 1 and x[0] % (r * r) == 0, "the channels do not fit", argument="factor", expected=x[0], got=r)
        return [(x[0] // (r * r), x[1] * r, x[2] * r)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, r = inputs[0], params["factor"]
        if params["mode"]:
            x = x.reshape(r * r, -1, *x.shape[1:]).transpose(0, 1).flatten(0, 1)
        return [functional().pixel_shuffle(x, r)]

    def samples(self) -> list[Sample]:
        shapes: tuple[tuple[Shape, int], ...] = (((4, 3, 5), 2), ((32, 4, 3), 2), ((27, 2, 3), 3), ((12, 1, 1), 2))
        return [
            Sample(
                f"{shape_id(x)}-{r}-{mode}",
                (x,),
                lambda g, v, r=r, mode=mode: functions["pixel_shuffle"](g, v, r, mode),
            )
            for x, r in shapes
            for mode in (0, 1)
        ]


def pixel_shuffle(g: Graph, x: ValueLike, factor: int, mode: int = 0) -> Value:
    return append(g, spec_of("PixelShuffle"), x, {"factor": factor, "mode": mode})[0]
