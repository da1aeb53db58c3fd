"""Transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, inputs_of, integer, integers, one, padding4, pair
from ...ir import Array, Graph, Params, Shape, Value, Values
from ...opspec import Param, Sample, dsl, functions, register, same_as, spec_of
from ..activations.fused_activation import fused_activation_reference
from ..common import elements, functional, need, need_rank, shape_id
from ..shapes.pad import pad
from ..shapes.permute import really_permute
from ..shapes.shape import really_reshape
from .conv import GEOMETRY, GROUP, ConvBase, geometry

_DECONV = (
    Param("output_pad_right", 18, "int", "columns added"),
    Param("output_pad_bottom", 19, "int", "rows added", same_as("output_pad_right")),
    Param("output_w", 20, "int", "0"),
    Param("output_h", 21, "int", "0", same_as("output_w")),
    Param("dynamic_weight", 28, "int", "1: weights are inputs"),
)


class _Deconv(ConvBase):
    """Weights [out, in / groups, kh, kw] in the file; as an input [in, out / groups, kh, kw], as torch has it."""

    transposed = True

    def _weight_shape(self, x: Shape, params: Params) -> Shape:
        shape = super()._weight_shape(x, params)
        if params["dynamic_weight"]:
            return shape
        return (params["num_output"], x[0] // params.get("group", 1), *shape[2:])

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        p, groups = params, params.get("group", 1)
        x, w, b = self._operands(inputs, params, weights)
        if not p["dynamic_weight"]:
            w = _torchs(w, groups)
        return [_transposed(x, w, b, p)]

    def _sample(self, x: Shape, out: int, kernel: tuple[int, int], dynamic: bool, **kw: Any) -> Sample:
        """kw: stride, padding, output_padding, groups, bias."""
        F, rng = functional(), np.random.default_rng(24)
        groups, bias = kw.pop("groups", 1), kw.pop("bias", False)
        shape = (x[0], out // groups, *kernel)
        name = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
        name = f"{shape_id(x)}-{shape_id(shape)}-g{groups}-{name}{'-bias' if bias else ''}"
        if dynamic:
            return Sample(
                f"{name}-dynamic",
                (x, shape, *([(out,)] if bias else [])),
                lambda g, *v: [deconv(g, v[0], v[1], v[2] if bias else None, groups=groups, **kw)],
                lambda v, w, b=None: F.conv_transpose2d(v, w[0], None if b is None else b[0], groups=groups, **kw),
            )
        w, b = (rng.standard_normal(s).astype(np.float32) for s in (shape, (out,)))
        return Sample(name, (x,), lambda g, v: [deconv(g, v, w, b if bias else None, groups=groups, **kw)])


@register
class Deconvolution(_Deconv):
    """Transposed convolution of (C, H, W), weights [out, C, kh, kw]. ncnn: deconvolution.cpp.

    dynamic_weight 1: the weight [C, out, kh, kw] (and bias) are inputs.
    """

    type = "Deconvolution"
    params = (*GEOMETRY, *_DECONV)
    checked_in_cpp = True

    def samples(self) -> list[Sample]:
        return [
            self._sample(x, out, kernel, dynamic, **kw)
            for dynamic in (False, True)
            for x, out, kernel, kw in (
                ((5, 4, 6), 3, (3, 3), dict(stride=2)),
                ((16, 5, 3), 8, (3, 3), dict(stride=2, padding=1, output_padding=1, bias=True)),
                ((1, 4, 4), 1, (2, 3), dict(stride=(3, 2))),
                ((8, 1, 7), 12, (1, 1), dict(stride=2)),
            )
        ] + _module_samples(1)


@register
class DeconvolutionDepthWise(_Deconv):
    """Transposed convolution in groups, weights [out, C / groups, kh, kw] in the file.

    ncnn: deconvolutiondepthwise.cpp. A 1x1 kernel of ones, one group per channel, inserts zeros by any factor.
    dynamic_weight 1: the weight [C, out / groups, kh, kw] (and bias) are inputs.
    """

    type = "DeconvolutionDepthWise"
    params = (*GEOMETRY, GROUP, *_DECONV)
    checked_in_cpp = True

    def samples(self) -> list[Sample]:
        def build(g: Graph, x: Value, up: tuple[int, int]) -> Values:
            return insert_zeros(g, x, up)

        return [
            *(
                Sample(
                    f"zeros-{up[0]}x{up[1]}",
                    ((5, 3, 4),),
                    lambda g, x, up=up: build(g, x, up),
                    lambda x, up=up: _zeros(x, up),
                )
                for up in ((3, 3), (1, 2), (2, 1), (5, 2))
            ),
            *(
                self._sample(x, out, kernel, dynamic, **kw)
                for dynamic in (False, True)
                for x, out, kernel, kw in (
                    ((5, 4, 6), 5, (3, 3), dict(stride=2, groups=5)),
                    ((16, 4, 3), 16, (4, 1), dict(stride=(2, 1), padding=(1, 0), groups=16)),
                    ((8, 3, 5), 4, (3, 3), dict(groups=2, bias=True)),
                )
            ),
            *_module_samples(2),
        ]


def _module_samples(groups: int) -> list[Sample]:
    from torch import nn

    kinds: tuple[dict[str, Any], ...] = ({}, dict(stride=(2, 1), padding=1, output_padding=(1, 0)), dict(bias=False))
    modules = [nn.ConvTranspose2d(8, 4 * groups, 3, groups=groups, **kw) for kw in kinds]
    build = functions["conv_transpose2d"]
    return [
        Sample(f"module-{groups}-{i}", ((8, 4, 5),), lambda g, x, m=m: build(g, x, m), m) for i, m in enumerate(modules)
    ]


def _zeros(x: Any, up: tuple[int, int]) -> Any:
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, h * up[0], w * up[1])
    y[:, :, :: up[0], :: up[1]] = x
    return y


@register
class FconvTranspose2d(ConvBase):
    """torch's conv_transpose2d with the weight as an input: [in, out / groups, kh, kw], and a bias [out].

    num_input 0: the weight is in the order that ncnn's own layer has in a file, [out, in / groups, kh, kw].
    """

    type = "FconvTranspose2d"
    custom = True
    inputs = ("x", "w", "b?")
    params = (
        *GEOMETRY,
        GROUP,
        Param("num_input", 17, "int", "input channels; 0: they follow from the weight, in ncnn's order"),
        Param("output_pad_right", 18, "int", "columns added"),
        Param("output_pad_bottom", 19, "int", "rows added"),
    )
    weights = ()
    transposed = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        need(
            params["num_input"] in (0, inputs[0][0]),
            "wrong number of channels",
            argument="x",
            expected=params["num_input"],
            got=list(inputs[0]),
        )
        return super().infer(inputs, params, weights)

    def _weight_shape(self, x: Shape, params: Params) -> Shape:
        shape = super()._weight_shape(x, params)
        if params["num_input"]:
            return shape
        return (params["num_output"], x[0] // params["group"], *shape[2:])

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, w, b = self._operands(inputs, params, weights)
        return [_transposed(x, w if params["num_input"] else _torchs(w, params["group"]), b, params)]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(x: Shape, out: int, kernel: tuple[int, int], bias: bool = False, **kw: Any) -> Sample:
            groups = kw.get("groups", 1)
            w = (x[0], out // groups, *kernel)
            shapes = (x, w, *([(out,)] if bias else []))
            name = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
            return Sample(
                f"{shape_id(x)}-{shape_id(w)}-{name}{'-bias' if bias else ''}",
                shapes,
                lambda g, *v: functions["conv_transpose2d"](g, v, w, **kw),
                lambda v, w, b=None: F.conv_transpose2d(v, w[0], None if b is None else b[0], **kw),
            )

        def ncnns(groups: int, bias: bool) -> Sample:
            x, w = (6, 3, 5), (4, 6 // groups, 3, 2)
            return Sample(
                f"ncnns-order-g{groups}-{bias}",
                (x, w, *([(4,)] if bias else [])),
                lambda g, *v: Fconv_transpose2d(g, v, w, stride=2, groups=groups),
                lambda v, w, b=None: F.conv_transpose2d(
                    v, _torchs(w[0], groups), None if b is None else b[0], stride=2, groups=groups
                ),
            )

        return [
            *(ncnns(groups, bias) for groups in (1, 2) for bias in (False, True)),
            sample((5, 4, 6), 3, (3, 3), stride=2),
            sample((1, 4, 4), 1, (3, 3), stride=2),
            sample((16, 5, 3), 8, (3, 3), stride=2),
            sample((5, 4, 6), 3, (3, 3), True, stride=2, padding=1, output_padding=1),
            sample((5, 1, 7), 4, (2, 3), stride=(3, 2)),
            sample((8, 3, 5), 4, (3, 3), True, groups=2),
            sample((8, 3, 5), 8, (4, 4), groups=8, stride=2, padding=1),
            sample((5, 4, 6), 3, (3, 2), dilation=(2, 3), padding=(1, 2)),
            sample((4, 3, 3), 4, (1, 1), stride=2, output_padding=(1, 0)),
            Sample(
                "asymmetric",
                ((5, 4, 6), (5, 3, 3, 3)),
                lambda g, x, w: functions["conv_transpose2d"](g, [x, w], stride=2, padding=(0, 1, 2, 1)),
                lambda x, w: F.conv_transpose2d(x, w[0], stride=2)[:, :, 0:-1, 2:-1],
            ),
        ]


def _torchs(w: Any, groups: int) -> Any:
    """[out, in / groups, kh, kw], ncnn's order, as [in, out / groups, kh, kw]."""
    out, per, kh, kw = w.shape
    return w.reshape(groups, out // groups, per, kh, kw).transpose(1, 2).reshape(per * groups, -1, kh, kw)


def _transposed(x: Any, w: Any, b: Any, p: Any) -> Any:
    y = functional().conv_transpose2d(
        x, w, b, (p["stride_h"], p["stride_w"]), 0, 0, p.get("group", 1), (p["dilation_h"], p["dilation_w"])
    )
    # output padding adds rows and columns that no input reaches: they hold the bias
    y = functional().pad(y, (0, p["output_pad_right"], 0, p["output_pad_bottom"]))
    if b is not None and (p["output_pad_right"] or p["output_pad_bottom"]):
        h, w_ = y.shape[2] - p["output_pad_bottom"], y.shape[3] - p["output_pad_right"]
        y[:, :, h:] = b[:, None, None]
        y[:, :, :, w_:] = b[:, None, None]
    h, w_ = y.shape[2:]
    y = y[0, :, p["pad_top"] : h - p["pad_bottom"], p["pad_left"] : w_ - p["pad_right"]]
    return fused_activation_reference(y, p)


def deconv(
    g: Graph,
    x: Value,
    weight: Value | Array,
    bias: Value | Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    """F.conv_transpose2d as a layer of ncnn: weight [in, out / groups, kh, kw], constant or a Value, as the bias is.

    padding, which is not negative, crops; output_padding adds rows below and columns behind, which hold the bias.
    """
    c, per, kh, kw = weight.shape
    extra = pair(output_padding, "output_padding", least=0)
    dynamic = isinstance(weight, Value)
    params = {
        **geometry(per * groups, (kh, kw), stride, padding4(padding), dilation, bias is not None, c * per * kh * kw),
        "output_pad_right": extra[1],
        "output_pad_bottom": extra[0],
        "output_w": 0,
        "output_h": 0,
        "dynamic_weight": int(dynamic),
    }
    spec = spec_of("Deconvolution" if groups == 1 else "DeconvolutionDepthWise")
    if groups > 1:
        params["group"] = groups
    if isinstance(weight, Value):
        return append(g, spec, [v for v in (x, weight, bias) if isinstance(v, Value)], params)[0]
    held = weight.reshape(groups, c // groups, per, kh, kw).swapaxes(1, 2).reshape(per * groups, c // groups, kh, kw)
    return append(g, spec, x, params, {"weight": np.ascontiguousarray(held), "bias": bias})[0]  # type: ignore[dict-item]


def insert_zeros(g: Graph, x: ValueLike, up: tuple[int, int]) -> Values:
    """(C, H, W) -> (C, H * up[0], W * up[1]) with x at every up-th pixel, by any factors."""
    value = one(x)
    ones: Array = np.ones((value.shape[0], 1, 1, 1), np.float32)
    extra = (up[0] - 1, up[1] - 1)
    return Values([deconv(g, value, ones, None, up, 0, extra, groups=value.shape[0])])


def in_torchs_order(g: Graph, w: Value | Array, groups: int) -> Value | Array:
    """A weight [out, in / groups, kh, kw] as [in, out / groups, kh, kw]."""
    out, per, kh, kw = w.shape
    split, turned = (groups, out // groups, per, kh * kw), (per * groups, out // groups, kh, kw)
    if not isinstance(w, Value):
        return np.ascontiguousarray(w.reshape(split).swapaxes(1, 2).reshape(turned))
    if groups == 1:
        return really_permute(g, w, (1, 0, 2, 3))[0]
    return really_reshape(g, really_permute(g, really_reshape(g, w, split), (0, 2, 1, 3)), turned)[0]


def by_value(
    g: Graph,
    values: Sequence[Value],
    shape: tuple[int, ...],
    num_input: int,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Values:
    """FconvTranspose2d of [x, w] or [x, w, b]; shape: of w, which num_input says the order of.

    padding: one number, (vertical, horizontal), or (top, bottom, left, right); it crops the result, negative numbers
    widen it with zeros.
    """
    border, extra = padding4(padding), pair(output_padding, "output_padding", least=0)
    wider_top, wider_bottom, wider_left, wider_right = (max(0, -p) for p in border)
    border = (max(border[0], 0), max(border[1], 0), max(border[2], 0), max(border[3], 0))
    out, kernel = shape[1] * groups if num_input else shape[0], (shape[2], shape[3])
    params = {
        **geometry(out, kernel, stride, border, dilation, len(values) == 3, elements(shape)),
        "group": groups,
        "num_input": num_input,
        "output_pad_right": extra[1],
        "output_pad_bottom": extra[0],
    }
    y = append(g, spec_of("FconvTranspose2d"), values, params)
    return pad(g, y, wider_top, wider_bottom, wider_left, wider_right)


def weight_value(values: Sequence[Value], given: Any, groups: int, order: str, axis_in: int) -> tuple[int, ...]:
    """The shape of w, checked: it is what was given, if anything was, and its channels fit x."""
    need(len(values) in (2, 3), "wrong number of inputs", expected="[x, w] or [x, w, b]", got=len(values))
    x, w = values[0].shape, values[1].shape
    shape = w if given is None else integers(given, "weight_shape")
    need(len(shape) == 4, "bad shape", argument="weight_shape", expected=order, got=list(shape))
    need(w == shape, "wrong shape", argument="w", expected=list(shape), got=list(w))
    need(groups >= 1, "bad number of groups", argument="groups", expected=">= 1", got=groups)
    channels = shape[axis_in] * (groups if axis_in else 1)
    need(x[:1] == (channels,), "wrong number of channels", argument="x", expected=f"{channels}: w is {order}", got=x)
    return shape


@dsl
def Fconv_transpose2d(
    g: Graph,
    bottom_names: ValueLike,
    weight_shape: Any,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: SupportsFloat = 1,
) -> Values:
    """A transposed convolution with the weight as a Value in ncnn's order: inputs [x, w] or [x, w, b].

    weight_shape: that of w, [out, in / groups, kh, kw], as ncnn's file has it; a weight in torch's order, [in, out /
    groups, kh, kw], is for conv_transpose2d(). padding: one number, (vertical, horizontal), or (top, bottom, left,
    right); it crops the result, negative numbers widen it with zeros.
    """
    order = "[out, in / groups, kh, kw], ncnn's order; torch's is for conv_transpose2d()"
    values, n = inputs_of(bottom_names), integer(groups, "groups")
    shape = weight_value(values, weight_shape, n, order, axis_in=1)
    return by_value(g, values, shape, 0, stride, padding, output_padding, dilation, n)
