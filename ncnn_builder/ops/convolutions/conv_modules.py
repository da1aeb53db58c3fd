"""The DSL of convolutions: torch's modules of one to three dimensions, also transposed, and 1-D functions."""

from __future__ import annotations

from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, filled, inputs_of, integer, integers, one, padding4, pair
from ...errors import BuildError
from ...ir import Array, Graph, Value, Values
from ...opspec import dsl, spec_of
from ..common import need, need_eval, need_rank
from ..norms.norm import need_module
from ..shapes.pad import pad
from .conv import static_conv
from .conv_nd import AXES
from .deconv import by_value, deconv, weight_value

Borders = list[tuple[int, int]]


def _each(value: Any, argument: str, dims: int, least: int) -> tuple[int, ...]:
    """One number per axis, outermost first, from one or `dims`."""
    numbers = integers(value, argument)
    numbers = numbers * dims if len(numbers) == 1 else numbers
    fits = len(numbers) == dims and min(numbers) >= least
    need(fits, "bad numbers", argument=argument, expected=f"1 or {dims} numbers >= {least}", got=value)
    return numbers


def _borders(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Borders:
    if padding == "valid":
        padding = 0
    if padding == "same":  # torch puts the odd one at the end
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return [(n // 2, n - n // 2) for n in total]
    return [(n, n) for n in _each(padding, "padding", len(kernel), 0)]


def _params(
    layer: str, kernel: tuple[int, ...], stride: Any, dilation: Any, borders: Borders, **given: Any
) -> dict[str, Any]:
    """All parameters of a layer of conv_nd; kernel and borders outermost first."""
    dims = len(kernel)
    strides, dilations = _each(stride, "stride", dims, 1), _each(dilation, "dilation", dims, 1)
    params: dict[str, Any] = dict(given)
    for i, (letter, before, after) in enumerate(reversed(AXES[:dims])):
        params[f"kernel_{letter}"], params[f"stride_{letter}"] = kernel[i], strides[i]
        params[f"dilation_{letter}"] = dilations[i]
        params[f"pad_{before}"], params[f"pad_{after}"] = borders[i]
    return filled(spec_of(layer), **params)


def _name(kind: str, dims: int, groups: int) -> str:
    return f"{kind}{'DepthWise' if groups > 1 else ''}{dims}D"


def _conv(g: Graph, bottom_names: ValueLike, conv: Any, dims: int) -> Values:
    need_module(conv, "conv", f"an nn.Conv{dims}d", "weight", "bias", "stride", "padding_mode", "groups", "padding")
    need(
        not getattr(conv, "transposed", False),
        "a transposed one",
        argument="conv",
        expected=f"nn.Conv{dims}d",
        got=conv,
    )
    x, weight = one(bottom_names), array(conv.weight, "weight", dims + 2)
    need_rank(x.shape, (dims + 1,), "x")
    kernel, dilation = weight.shape[2:], _each(conv.dilation, "dilation", dims, 1)
    borders = _borders(conv.padding, kernel, dilation)
    if conv.padding_mode != "zeros" and any(n for border in borders for n in border):
        modes = {"reflect": "reflect", "replicate": "edge"} if dims == 1 else {}
        if conv.padding_mode not in modes:
            raise BuildError(
                "ncnn has no such padding", argument="padding_mode", expected=["zeros", *modes], got=conv.padding_mode
            )
        x = pad(g, x, left=borders[0][0], right=borders[0][1], mode=modes[conv.padding_mode])[0]
        borders = [(0, 0)]
    bias = None if conv.bias is None else array(conv.bias, "bias", 1)
    layer = _name("Convolution", dims, conv.groups)
    given = {"group": conv.groups} if conv.groups > 1 else {}
    params = _params(
        layer,
        kernel,
        conv.stride,
        dilation,
        borders,
        num_output=weight.shape[0],
        bias_term=int(bias is not None),
        weight_data_size=weight.size,
        **given,
    )
    return append(g, spec_of(layer), x, params, {"weight": weight, "bias": bias})


@dsl
def conv1d(g: Graph, bottom_names: ValueLike, conv: Any) -> Values:
    """An nn.Conv1d of x (C, W): any stride, padding (also "same"), dilation, groups; padding_mode zeros, reflect or
    replicate. Raises BuildError for padding_mode circular."""
    return _conv(g, bottom_names, conv, 1)


@dsl
def conv3d(g: Graph, bottom_names: ValueLike, conv: Any) -> Values:
    """An nn.Conv3d of x (C, D, H, W): any stride, padding (also "same"), dilation, groups; padding_mode zeros."""
    return _conv(g, bottom_names, conv, 3)


def _in_file_order(weight: Array, groups: int) -> Array:
    """[in, out / groups, kernel], torch's, as [out, in / groups, kernel], ncnn's."""
    c, per, *kernel = weight.shape
    parts = weight.reshape(groups, c // groups, per, *kernel).swapaxes(1, 2)
    return np.ascontiguousarray(parts.reshape(per * groups, c // groups, *kernel))


def _transposed(g: Graph, bottom_names: ValueLike, conv: Any, dims: int) -> Values:
    names = ("weight", "bias", "stride", "output_padding", "groups", "padding")
    need_module(conv, "conv", f"an nn.ConvTranspose{dims}d", *names)
    need(
        getattr(conv, "transposed", True),
        "not transposed",
        argument="conv",
        expected=f"nn.ConvTranspose{dims}d",
        got=conv,
    )
    x, weight = one(bottom_names), array(conv.weight, "weight", dims + 2)
    need_rank(x.shape, (dims + 1,), "x")
    need(x.shape[0] == weight.shape[0], "wrong number of channels", argument="x", expected=weight.shape[0], got=x)
    bias, groups = None if conv.bias is None else array(conv.bias, "bias", 1), conv.groups
    if dims == 2:
        more = (conv.stride, conv.padding, conv.output_padding, conv.dilation, groups)
        return Values([deconv(g, x, weight, bias, *more)])
    layer = _name("Deconvolution", dims, groups)
    extra = _each(conv.output_padding, "output_padding", dims, 0)
    given = {f"output_pad_{after}": n for (_, _, after), n in zip(reversed(AXES[:dims]), extra, strict=True)}
    params = _params(
        layer,
        weight.shape[2:],
        conv.stride,
        conv.dilation,
        _borders(conv.padding, weight.shape[2:], ()),
        num_output=weight.shape[1] * groups,
        bias_term=int(bias is not None),
        weight_data_size=weight.size,
        **given,
        **({"group": groups} if groups > 1 else {}),
    )
    return append(g, spec_of(layer), x, params, {"weight": _in_file_order(weight, groups), "bias": bias})


@dsl
def conv_transpose1d(g: Graph, bottom_names: ValueLike, conv: Any) -> Values:
    """An nn.ConvTranspose1d of x (C, W): any stride, padding, output_padding, dilation, groups."""
    return _transposed(g, bottom_names, conv, 1)


@dsl
def conv_transpose2d(
    g: Graph,
    bottom_names: ValueLike,
    conv: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: SupportsFloat = 1,
) -> Values:
    """An nn.ConvTranspose2d of x (C, H, W), or F.conv_transpose2d of [x, w] or [x, w, b] with the weight as a Value.

    conv: the module, which has all the rest; without one the shape of w, which is optional: [C, out / groups, kh, kw],
    torch's order. (ncnn's, [out, C / groups, kh, kw], is for Fconv_transpose2d().) padding: one number, (vertical,
    horizontal), or (top, bottom, left, right); it crops the result, negative numbers widen it with zeros.
    """
    if hasattr(conv, "weight"):
        return _transposed(g, bottom_names, conv, 2)
    values, n = inputs_of(bottom_names), integer(groups, "groups")
    order = "[C, out / groups, kh, kw], torch's order; ncnn's is for Fconv_transpose2d()"
    shape = weight_value(values, conv, n, order, axis_in=0)
    return by_value(g, values, shape, shape[0], stride, padding, output_padding, dilation, n)


@dsl
def conv_transpose3d(g: Graph, bottom_names: ValueLike, conv: Any) -> Values:
    """An nn.ConvTranspose3d of x (C, D, H, W): any stride, padding, output_padding, dilation, groups."""
    return _transposed(g, bottom_names, conv, 3)


def _by_value(g: Graph, values: list[Value], kind: str, groups: int, geometry: Any, extra: int = 0) -> Values:
    need(len(values) in (2, 3), "wrong number of inputs", expected="[x, w] or [x, w, b]", got=len(values))
    stride, padding, dilation = geometry
    w = values[1].shape
    need_rank(w, (3,), "w")
    need(groups >= 1, "bad number of groups", argument="groups", expected=">= 1", got=groups)
    given: dict[str, Any] = {"group": groups} if groups > 1 else {}
    if kind == "Deconvolution":
        given["output_pad_right"] = extra
    layer = _name(kind, 1, groups)
    dilations = _each(dilation, "dilation", 1, 1)
    params = _params(
        layer,
        w[2:],
        stride,
        dilation,
        _borders(padding, w[2:], dilations),
        num_output=w[1] * groups if kind == "Deconvolution" else w[0],
        bias_term=len(values) - 2,
        weight_data_size=w[0] * w[1] * w[2],
        dynamic_weight=1,
        **given,
    )
    return append(g, spec_of(layer), values, params)


@dsl
def Fconv1d(
    g: Graph,
    bottom_names: ValueLike,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: SupportsFloat = 1,
) -> Values:
    """F.conv1d with the weight as a Value: inputs [x, w] or [x, w, b], x (C, W), w [out, C / groups, k]."""
    values = inputs_of(bottom_names)
    return _by_value(g, values, "Convolution", integer(groups, "groups"), (stride, padding, dilation))


@dsl
def Fconv_transpose1d(
    g: Graph,
    bottom_names: ValueLike,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: SupportsFloat = 1,
) -> Values:
    """F.conv_transpose1d with the weight as a Value: inputs [x, w] or [x, w, b], w [C, out / groups, k]."""
    values, n = inputs_of(bottom_names), integer(groups, "groups")
    extra = _each(output_padding, "output_padding", 1, 0)[0]
    return _by_value(g, values, "Deconvolution", n, (stride, padding, dilation), extra)


@dsl
def conv2d(g: Graph, bottom_names: ValueLike, conv: Any) -> Values:
    """An nn.Conv2d: any stride, padding (numbers, "same", "valid"), dilation, groups, padding_mode zeros, reflect
    or replicate. Raises BuildError for padding_mode circular."""
    _need_conv2d(conv)
    return _module_conv(
        g,
        bottom_names,
        conv,
        array(conv.weight, "weight", 4),
        None if conv.bias is None else array(conv.bias, "bias", 1),
    )


@dsl
def fuse_conv_bn(g: Graph, bottom_names: ValueLike, conv: Any, bn: Any) -> Values:
    """An nn.Conv2d followed by an nn.BatchNorm2d in eval mode, folded into one convolution.

    w' = w * gamma / sqrt(var + eps) and b' = (b - mean) * gamma / sqrt(var + eps) + beta, per output channel.
    """
    _need_conv2d(conv)
    need_eval(bn, "bn")
    mean, var = (
        array(v, n).astype(np.float64) for v, n in ((bn.running_mean, "running_mean"), (bn.running_var, "running_var"))
    )
    gamma = 1.0 if bn.weight is None else array(bn.weight, "bn.weight").astype(np.float64)
    beta = 0.0 if bn.bias is None else array(bn.bias, "bn.bias").astype(np.float64)
    need(
        var.shape == (conv.weight.shape[0],),
        "the two modules do not fit",
        argument="bn",
        expected=f"{conv.weight.shape[0]} channels with running statistics",
        got=list(var.shape),
    )
    factor = gamma / np.sqrt(var + bn.eps)
    bias = 0.0 if conv.bias is None else array(conv.bias, "bias").astype(np.float64)
    weight = (array(conv.weight, "weight", 4) * factor[:, None, None, None]).astype(np.float32)
    return _module_conv(g, bottom_names, conv, weight, ((bias - mean) * factor + beta).astype(np.float32))


def _need_conv2d(conv: Any) -> None:
    fits = all(hasattr(conv, name) for name in ("weight", "bias", "stride", "padding_mode", "groups"))
    if not fits or getattr(conv, "transposed", False):  # repr() prints weights, which takes longer than all else
        raise BuildError("the module does not fit", argument="conv", expected="an nn.Conv2d", got=repr(conv)[:80])


def _module_conv(g: Graph, bottom_names: ValueLike, conv: Any, weight: Array, bias: Array | None) -> Values:
    x = one(bottom_names)
    kernel, dilation, padding = weight.shape[2:], pair(conv.dilation, "dilation"), conv.padding
    if padding == "valid":
        padding = 0
    elif padding == "same":  # torch puts the odd one at the end
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        padding = (total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2)
    if conv.padding_mode != "zeros":
        mode = {"reflect": "reflect", "replicate": "edge"}.get(conv.padding_mode)
        if mode is None:
            raise BuildError(
                "ncnn has no such padding",
                op="Convolution",
                argument="padding_mode",
                expected=["zeros", "reflect", "replicate"],
                got=conv.padding_mode,
            )
        top, bottom, left, right = padding4(padding)
        x, padding = pad(g, x, top, bottom, left, right, mode=mode)[0], 0
    return static_conv(g, x, weight, bias, conv.stride, padding, dilation, conv.groups)
