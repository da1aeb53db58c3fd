"""Inputs of whole numbers: ncnn looks rows up by them (Embed), and all else has to have them as floats."""

from __future__ import annotations

from typing import Any

import torch

from ..ir import Graph, Value
from ..ops.number_types import dequantize
from .layout import Tensor

PASSED_ON = frozenset(
    f"aten.{name}"
    for name in (
        *(
            "view",
            "reshape",
            "flatten",
            "unflatten",
            "squeeze",
            "unsqueeze",
            "ravel",
            "_unsafe_view",
            "alias",
            "detach",
        ),
        *("contiguous", "clone", "lift_fresh", "lift_fresh_copy", "embedding", "_assert_tensor_metadata"),
        *("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"),
    )
)
"""Operators that take whole numbers as they are given: they make no layer, or one that is for them."""
CASTS = frozenset({"aten.to", "aten._to_copy"})
WHOLE = (torch.int64, torch.int32)
"""Types of inputs of whole numbers; a cast from one to the other changes nothing."""


def is_whole(x: Any) -> bool:
    """Whether this is an input of the net, of whole numbers: its blob holds int32."""
    return isinstance(x, Tensor) and not x.dtype.is_floating_point and is_input(x.value)


def is_input(value: Value) -> bool:
    """Whether nothing makes it."""
    return value.producer is None and value.data is None


def as_floats(g: Graph, t: Tensor, known: dict[Value, Value]) -> Tensor:
    """Such an input as floats. known: those that are so already."""
    if t.value not in known:
        known[t.value] = dequantize(g, t.value, [1.0])[0]
    return t.on(known[t.value])
