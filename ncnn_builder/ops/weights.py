"""Weights as values of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ..builder import ValueLike, append, array, integer
from ..errors import BuildError
from ..ir import Array, Graph, Shape, Values
from ..opspec import OpSpec, Param, Sample, Weight, dsl, register, spec_of
from .common import need


@register
class Shell(OpSpec):
    """Holds a weight (and a bias) and hands it out: no input, no computation.

    weight (C, D, H, W) -> an output of `dims` dimensions: 4 (C, D, H, W); 3 (C, H, W), D = 1; 2 (H, W),
    C = D = 1; 1 (W,), C = D = H = 1. bias (C,) -> a second output.
    """

    type = "Shell"
    custom = True
    inputs = ()
    outputs = ("weight", "bias")
    params = (
        Param("w", 0, "int", "innermost dimension of the weight"),
        Param("h", 1, "int", "second dimension", 1),
        Param("c", 2, "int", "outermost dimension", 1),
        Param("dims", 3, "int", "number of dimensions of the output", 4),
        Param("bias_term", 5, "int", "1: there is a bias of c numbers", 0),
        Param("weight_data_size", 6, "int", "number of elements of the weight", 0),
        Param("d", 11, "int", "third dimension", 1),
    )
    weights = (Weight("weight", True, "[C, D, H, W]"), Weight("bias", False, "[C]"))

    def weight_sizes(self, params: Any) -> dict[str, int]:
        return {
            "weight": params["weight_data_size"],
            **({"bias": params["c"]} if params["bias_term"] else {}),
        }

    def _shape(self, params: Any) -> Shape:
        c, d, h, w = (params[k] for k in "cdhw")
        dims = params["dims"]
        need(
            dims in (1, 2, 3, 4),
            "bad number of dimensions",
            argument="ncnn_weight_dims",
            expected="1 to 4",
            got=dims,
        )
        dropped = {4: (), 3: (d,), 2: (c, d), 1: (c, d, h)}[dims]
        need(
            all(n == 1 for n in dropped),
            f"a weight of {dims} dimensions",
            argument="weight",
            expected="1 in each dimension that is dropped",
            got=[c, d, h, w],
        )
        kept: Shape = {4: (c, d, h, w), 3: (c, h, w), 2: (h, w), 1: (w,)}[dims]
        return kept

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        need(
            "bias" not in weights or weights["bias"].shape == (params["c"],),
            "wrong shape",
            argument="bias",
            expected=[params["c"]],
            got=list(weights["bias"].shape) if "bias" in weights else None,
        )
        return [self._shape(params), *([(params["c"],)] if params["bias_term"] else [])]

    def constants(self, params: Any, weights: Mapping[str, Array]) -> list[Array]:
        return [
            weights["weight"].reshape(self._shape(params)),
            *([weights["bias"]] if "bias" in weights else []),
        ]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [
            weights["weight"].reshape(self._shape(params)),
            *([weights["bias"]] if "bias" in weights else []),
        ]

    def samples(self) -> list[Sample]:
        import torch

        rng = np.random.default_rng(3)

        def sample(shape: Shape, dims: int, bias: bool) -> Sample:
            w = rng.standard_normal(shape).astype(np.float32)
            b = rng.standard_normal(shape[0]).astype(np.float32) if bias else None
            kept = {4: shape, 3: (shape[0], *shape[2:]), 2: shape[2:], 1: shape[3:]}[dims]
            want = (
                torch.from_numpy(w).reshape(1, *kept),
                *([torch.from_numpy(b)[None]] if b is not None else []),
            )
            return Sample(
                f"shell-{'x'.join(map(str, shape))}-{dims}{'-bias' if bias else ''}",
                (),
                lambda g: shell(g, [], w, b, dims),
                lambda: want,
            )

        return [
            sample((5, 3, 3, 3), 4, True),
            sample((3, 1, 1, 1), 4, False),
            sample((1, 1, 7, 5), 4, False),
            sample((5, 1, 3, 7), 3, False),
            sample((1, 1, 3, 5), 2, False),
            sample((1, 1, 1, 9), 1, False),
        ]


@dsl
def shell(
    g: Graph,
    bottom_names: ValueLike,
    weight: Any,
    bias: Any | None = None,
    ncnn_weight_dims: SupportsFloat = 4,
) -> Values:
    """A weight, and a bias if given, as Values.

    weight: [C, D, H, W]; an [out, in] matrix is passed as [out, in, 1, 1]. bias: [C]. ncnn_weight_dims: how many
    dimensions the Value has (a constant that goes into a convolution has to have 3). bottom_names is not used:
    the predecessor's layer wanted an input. Raises BuildError where the shapes do not fit.
    """
    data = array(weight, "weight")
    if data.ndim != 4:
        raise BuildError(
            "wrong number of dimensions",
            op="Shell",
            argument="weight",
            expected="4: [C, D, H, W]",
            got=list(data.shape),
        )
    c, d, h, w = data.shape
    params = {
        "w": w,
        "h": h,
        "c": c,
        "d": d,
        "dims": integer(ncnn_weight_dims, "ncnn_weight_dims"),
        "bias_term": int(bias is not None),
        "weight_data_size": data.size,
    }
    return append(
        g,
        spec_of("Shell"),
        [],
        params,
        {"weight": data, "bias": None if bias is None else array(bias, "bias", 1)},
    )
