"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch

from ...ir import Graph, Value, Values
from ...ops.common import need
from ...ops.conv import conv2d
from ..registry import Call, converts


@converts("aten.conv2d", rank=3)
def _conv2d(
    g: Graph, node: Call, x: Value, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Values:
    return conv2d(g, x, conv_of(weight, bias, stride, padding, dilation, groups))


def conv_of(
    weight: Any, bias: Any, stride: Sequence[int], padding: Any, dilation: Sequence[int], groups: int, **more: Any
) -> SimpleNamespace:
    """The arguments of a functional convolution as the module that the DSL takes."""
    constant = isinstance(weight, torch.Tensor) and (bias is None or isinstance(bias, torch.Tensor))
    need(constant, "a weight that is computed", argument="weight", expected="a constant", got=weight)
    sizes = {"stride": tuple(stride), "padding": padding, "dilation": tuple(dilation), "groups": groups}
    return SimpleNamespace(weight=weight, bias=bias, padding_mode="zeros", **sizes, **more)
