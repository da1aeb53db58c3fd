"""Convolutions, forward and transposed, of one to three dimensions; weights that are constant or computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from ...ir import Graph, Value, Values
from ...ops.common import need
from ...ops.convolutions.conv import Fconv2d
from ...ops.convolutions.conv_modules import (
    Fconv1d,
    Fconv_transpose1d,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from ...ops.convolutions.deconv import deconv
from ..blobs import constant
from ..registry import Call, converts

_MODULES: dict[tuple[bool, int], Callable[..., Values]] = {
    (False, 1): conv1d,
    (False, 2): conv2d,
    (False, 3): conv3d,
    (True, 1): conv_transpose1d,
    (True, 2): conv_transpose2d,
    (True, 3): conv_transpose3d,
}


def convolution(
    g: Graph,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    output_padding: Any = None,
) -> Value:
    """One convolution, transposed where there is an output_padding; weight and bias constants, or Values."""
    transposed, dims = output_padding is not None, len(weight.shape) - 2
    if isinstance(x, torch.Tensor):
        x = constant(g, x, x.shape[-dims - 1 :])
    if isinstance(weight, torch.Tensor) and not isinstance(bias, Value):
        module = conv_of(weight, bias, stride, padding, dilation, groups, output_padding=output_padding)
        return _MODULES[transposed, dims](g, x, module)[0]
    w = weight if isinstance(weight, Value) else constant(g, weight, weight.shape)
    b = bias if bias is None or isinstance(bias, Value) else constant(g, bias, bias.shape)
    values = [x, w, *([] if b is None else [b])]
    strides, dilations = _each(stride, dims), _each(dilation, dims)
    if padding in ("same", "valid"):
        padding = _borders(padding, weight.shape[2:], dilations)
    if dims == 1:
        if transposed:
            return Fconv_transpose1d(g, values, strides, padding, _each(output_padding, 1), dilations, groups)[0]
        return Fconv1d(g, values, strides, padding, dilations, groups)[0]
    need(dims == 2, "a weight that is computed, in three dimensions", argument="weight", expected="a constant")
    if transposed:
        return deconv(g, x, w, b, strides, padding, _each(output_padding, 2), dilations, groups)
    return Fconv2d(g, values, strides, padding, dilations, groups)[0]


def _borders(padding: str, kernel: Sequence[int], dilation: Sequence[int]) -> Any:
    """The border of a name; torch puts the odd one behind."""
    if padding == "valid":
        return 0
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if len(total) == 1:
        need(total[0] % 2 == 0, "a border that is wider behind", argument="padding", expected="an odd kernel")
        return total[0] // 2
    return (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)


def _each(numbers: Any, dims: int) -> tuple[int, ...]:
    given = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return given * dims if len(given) == 1 else given


def conv_of(
    weight: Any, bias: Any, stride: Sequence[int], padding: Any, dilation: Sequence[int], groups: int, **more: Any
) -> SimpleNamespace:
    """The arguments of a functional convolution as the module that the DSL takes."""
    sizes = {"stride": _plain(stride), "padding": _plain(padding), "dilation": _plain(dilation), "groups": groups}
    more = {name: _plain(value) for name, value in more.items() if value is not None}
    return SimpleNamespace(
        weight=weight, bias=bias, padding_mode="zeros", transposed="output_padding" in more, **sizes, **more
    )


def _plain(numbers: Any) -> Any:
    return numbers if isinstance(numbers, (str, int)) else tuple(numbers)


def _forward(dims: int) -> None:
    @converts(f"aten.conv{dims}d", rank=dims + 1, whole=("weight", "bias"))
    def convert(
        g: Graph, node: Call, x: Value, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> Value:
        return convolution(g, x, weight, bias, stride, padding, dilation, groups)


def _backward(dims: int) -> None:
    @converts(f"aten.conv_transpose{dims}d", rank=dims + 1, whole=("weight", "bias"))
    def convert(
        g: Graph,
        node: Call,
        x: Value,
        weight: Any,
        bias: Any,
        stride: Any,
        padding: Any,
        output_padding: Any,
        groups: int,
        dilation: Any,
    ) -> Value:
        return convolution(g, x, weight, bias, stride, padding, dilation, groups, output_padding)


for _dims in (1, 2, 3):
    _forward(_dims)
    _backward(_dims)
