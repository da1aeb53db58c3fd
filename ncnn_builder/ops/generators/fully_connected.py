"""StyleGAN's fully connected layer, which says what the author means; a target lowers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array
from ...ir import Array, Graph, Shape, Values
from ...opspec import OpSpec, Sample, Weight, dsl, register, spec_of
from ..common import need, need_rank, need_shape, shape_id
from .composite import BIAS_ACT_PARAMS, normal
from .stylegan import ACTIVATIONS, bias_act_params, bias_act_reference


@register
class FullyConnected(OpSpec):
    """clamp(act(x @ weight.T + bias) * gain); x [in] or [rows, in], weight [out, in], bias [out] or none."""

    type = "fully_connected"
    composite = True
    params = BIAS_ACT_PARAMS
    weights = (Weight("weight", True, "[out, in]"), Weight("bias", False, "[out]"))

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, w = inputs[0], weights["weight"].shape
        need_rank(x, (1, 2), "x")
        need(
            len(w) == 2 and w[1] == x[-1],
            "the weight does not fit",
            argument="weight",
            expected=["out", x[-1]],
            got=list(w),
        )
        if "bias" in weights:
            need_shape(weights["bias"].shape, (w[0],), "bias")
        return [(*x[:-1], w[0])]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [bias_act_reference(inputs[0] @ weights["weight"].T, weights.get("bias"), params)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(2)

        def sample(x: Shape, out: int, act: str, bias: bool) -> Sample:
            w, b = normal(rng, out, x[-1]), normal(rng, out) if bias else None
            return Sample(f"{shape_id(x)}-{out}-{act}-{bias}", (x,), lambda g, v: fully_connected(g, v, w, b, act))

        return [
            *(sample((12,), 5, act, bias) for act in ACTIVATIONS for bias in (False, True)),
            sample((512,), 64, "lrelu", True),
            sample((3, 7), 4, "linear", True),
            sample((1,), 1, "linear", False),
        ]


@dsl
def fully_connected(
    g: Graph,
    x: ValueLike,
    weight: Any,
    bias: Any | None = None,
    act: Any = "linear",
    alpha: SupportsFloat | None = None,
    gain: SupportsFloat | None = None,
    clamp: SupportsFloat | None = None,
) -> Values:
    """clamp(act(x @ weight.T + bias) * gain). Weight gains are the author's: pass the effective weight [out, in].

    act, alpha, gain, clamp as in bias_act().
    """
    return append(
        g,
        spec_of("fully_connected"),
        x,
        bias_act_params(act, alpha, gain, clamp),
        {"weight": array(weight, "weight", 2), "bias": None if bias is None else array(bias, "bias", 1)},
    )
