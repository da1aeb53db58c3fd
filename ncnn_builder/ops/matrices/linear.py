"""Matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...builder import ValueLike, append, inputs_of, integers
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, dsl, register, spec_of
from ..activations.fused_activation import ACTIVATION_DOCS, fused_activation_reference
from ..common import elements, need, need_rank, need_shape
from ..weights import shell


@register
class FmatmulSpec(OpSpec):
    """x @ w.T (+ b), the weights being values of the graph.

    x [in] or [rows, in]; w of any dimensions with out * in elements, row-major [out][in]; b [out].
    """

    type = "Fmatmul"
    custom = True
    inputs = ("x", "w", "b?")
    params = (
        Param("num_output", 0, "int", "out"),
        Param("bias_term", 1, "int", "1: there is a third input"),
        Param("weight_data_size", 2, "int", "out * in"),
        Param("int8_scale_term", 8, "int", "0; there is no int8 form"),
        Param("activation_type", 9, "int", ACTIVATION_DOCS["activation_type"]),
        Param("activation_params", 10, "floats", ACTIVATION_DOCS["activation_params"], ()),
    )
    tolerance = Tolerance(1e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, w = inputs[:2]
        need_rank(x, (1, 2), "x")
        out = params["num_output"]
        need(
            params["weight_data_size"] == out * x[-1],
            "x does not fit the weight",
            argument="x",
            expected=f"{params['weight_data_size'] // out} features",
            got=list(x),
        )
        need(
            elements(w) == params["weight_data_size"],
            "wrong number of elements",
            argument="w",
            expected=params["weight_data_size"],
            got=list(w),
        )
        need(
            (len(inputs) == 3) == bool(params["bias_term"]),
            "bias_term and the inputs disagree",
            got=len(inputs),
        )
        if len(inputs) == 3:
            need_shape(inputs[2], (out,), "b")
        return [(*x[:-1], out)]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        return math.prod(outputs[0]) * inputs[0][-1]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, w = inputs[:2]
        y = x @ w.reshape(params["num_output"], -1).T
        return [fused_activation_reference(y + inputs[2] if len(inputs) == 3 else y, params)]

    def samples(self) -> list[Sample]:
        import torch

        rng = np.random.default_rng(1)

        def constant(x: Shape, out: int, bias: bool) -> Sample:
            w = rng.standard_normal((out, x[-1])).astype(np.float32)
            b = rng.standard_normal(out).astype(np.float32) if bias else None
            return Sample(
                f"fmatmul-{'x'.join(map(str, x))}-{out}{'-bias' if bias else ''}",
                (x,),
                lambda g, v: Fmatmul(g, [v, *shell(g, v, w[:, :, None, None], b)], (out, x[-1])),
                lambda v: v @ torch.from_numpy(w).T + (0 if b is None else torch.from_numpy(b)),
            )

        return [
            *(
                constant(x, out, bias)
                for x, out in (((7,), 5), ((512,), 33), ((1,), 1), ((3, 10), 4), ((64, 3), 8))
                for bias in (False, True)
            ),
            # StyleGAN3's input multiplies by a weight that another layer computed, of any dimensions.
            Sample(
                "fmatmul-runtime",
                ((6,), (4, 2, 3)),
                lambda g, x, w: Fmatmul(g, [x, w], (4, 6)),
                lambda x, w: x @ w.reshape(4, 6).T,
            ),
        ]


@dsl
def Fmatmul(g: Graph, bottom_names: ValueLike, weight_shape: Any) -> Values:
    """Inputs [x, w] or [x, w, b]: x @ w.T (+ b).

    x [in] or [rows, in]; weight_shape (out, in), longer shapes with trailing ones are taken too; w any Value of
    out * in elements. Raises BuildError where they do not fit.
    """
    shape = integers(weight_shape, "weight_shape")
    if len(shape) < 2 or any(n < 1 for n in shape) or any(n != 1 for n in shape[2:]):
        raise BuildError("bad shape", op="Fmatmul", argument="weight_shape", expected="(out, in)", got=list(shape))
    values = inputs_of(bottom_names)
    params = {
        "num_output": shape[0],
        "bias_term": int(len(values) == 3),
        "weight_data_size": shape[0] * shape[1],
        "int8_scale_term": 0,
        "activation_type": 0,
        "activation_params": (),
    }
    return append(g, spec_of("Fmatmul"), values, params)
