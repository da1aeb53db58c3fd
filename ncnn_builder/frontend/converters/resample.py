"""Resizing.

ncnn has nearest, linear and cubic for rows and for pictures, by a size or by a scale, which is one thing for torch only
where the scale is that of the sizes. A volume is resized as pictures, one axis after another. What ncnn does not have
(antialias, nearest-exact where it is not nearest) is linear in the numbers of each axis, so that it is one product with
a constant matrix for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...ir import Graph, Value
from ...open_shapes import shape_at, some_sizes
from ...ops.arithmetic.channelwise import matmul
from ...ops.common import need
from ...ops.resampling.resample import interpolate
from ...sizes import is_open
from ..blobs import constant, reshaped
from ..registry import Call, converts

_NCNN = {"nearest": "nearest", "nearest_exact": "nearest", "linear": "bilinear", "bilinear": "bilinear"}
_NCNN |= {"trilinear": "bilinear", "bicubic": "bicubic"}
Scales = Sequence[float | None]


def _register(name: str, dims: int, mode: str, corners: bool) -> None:
    """Both forms of an operator: (x, size, [align_corners], scales) and (x, size, [align_corners], scale of each)."""

    def convert(g: Graph, node: Call, x: Value, size: Any, *rest: Any) -> Value:
        align = bool(rest[0]) if corners else False
        scales: Scales = rest[corners:]
        if len(scales) == 1 and (scales[0] is None or isinstance(scales[0], (list, tuple))):
            scales = scales[0] or []
        scales = list(scales) if scales else [None] * dims
        return _resized(g, x, mode, node.shape[-dims:], scales, align, antialias=name.endswith("_aa"))

    converts(f"aten.{name}", rank=dims + 1)(convert)


for _dims in (1, 2, 3):
    _register(f"upsample_nearest{_dims}d", _dims, "nearest", False)
    _register(f"_upsample_nearest_exact{_dims}d", _dims, "nearest_exact", False)
_register("upsample_linear1d", 1, "linear", True)
_register("upsample_bilinear2d", 2, "bilinear", True)
_register("upsample_bicubic2d", 2, "bicubic", True)
_register("upsample_trilinear3d", 3, "trilinear", True)
_register("_upsample_bilinear2d_aa", 2, "bilinear", True)
_register("_upsample_bicubic2d_aa", 2, "bicubic", True)


def _resized(
    g: Graph, x: Value, mode: str, size: Sequence[int], scales: Scales, align: bool, *, antialias: bool
) -> Value:
    """x (C, W), (C, H, W) or (C, D, H, W) with its last axes of these sizes."""
    if is_open((*x.shape, *size)):
        forms = _open_forms(mode, x.shape[1:], size, scales, align, antialias=antialias)
    else:
        found = _forms(mode, x.shape[1:], size, scales, align, antialias=antialias)
        if any(form is None for form in found):
            return _by_matrices(g, x, mode, size, scales, align, antialias=antialias)
        forms = [form for form in found if form is not None]
    if len(forms) == 3:
        return _volume(g, x, mode, size, forms, align)
    if len({type(form) for form in forms}) > 1:  # a layer takes sizes or scales
        c, h, w = x.shape
        rows = _layer(g, reshaped(g, x, (c * h, w)), mode, forms[1:], align)
        return _layer(g, reshaped(g, rows, (c, h, size[1])), mode, [forms[0], size[1]], align)
    return _layer(g, x, mode, forms, align)


def _forms(
    mode: str, sizes: Sequence[int], to: Sequence[int], scales: Scales, align: bool, *, antialias: bool
) -> list[float | int | None]:
    """Per axis a scale, which is a float, or a size; None where ncnn's layer computes neither."""
    if antialias:
        return [None] * len(to)
    places = _nearest(mode, sizes, to, scales) if mode.startswith("nearest") else [None] * len(to)
    each = zip(sizes, to, scales, places, strict=True)
    return [_form(mode, n, m, scale, align, place) for n, m, scale, place in each]


def _open_forms(
    mode: str, sizes: Sequence[int], to: Sequence[int], scales: Scales, align: bool, *, antialias: bool
) -> list[float | int]:
    """Likewise for open sizes: of one kind at all that are tried, as is asked of torch at each."""
    tried = [
        _forms(mode, shape_at(sizes, at), shape_at(to, at), scales, align, antialias=antialias)
        for at in some_sizes((*sizes, *to))
    ]
    forms: list[float | int] = []
    for m, *found in zip(to, *tried, strict=True):
        kinds = {form if isinstance(form, float) or form is None else int for form in found}
        one_kind = len(kinds) == 1 and None not in kinds
        need(
            one_kind,
            "resized by another rule at each size, as no layer of ncnn does",
            argument="size, scale_factor",
            expected="a rule of torch that ncnn has, for all sizes",
            got=[list(map(str, sizes)), list(map(str, to)), list(scales)],
        )
        (kind,) = kinds
        forms.append(kind if isinstance(kind, float) else m)
    return forms


def _layer(g: Graph, x: Value, mode: str, forms: Sequence[float | int], align: bool) -> Value:
    if any(isinstance(form, float) for form in forms):
        forms = [float(form) if isinstance(form, float) else 1.0 for form in forms]
        return interpolate(g, x, None, tuple(forms), _NCNN[mode], align or None)[0]
    return interpolate(g, x, tuple(forms), None, _NCNN[mode], align or None)[0]


def _volume(g: Graph, x: Value, mode: str, size: Sequence[int], forms: Sequence[float | int], align: bool) -> Value:
    """The pictures of a volume, and then its depth, a picture being a row."""
    c, d, h, w = x.shape
    pictures = reshaped(g, x, (c * d, h, w))
    if len({type(form) for form in forms[1:]}) > 1:
        rows = _layer(g, reshaped(g, x, (c * d * h, w)), mode, forms[2:], align)
        pictures = _layer(g, reshaped(g, rows, (c * d, h, size[2])), mode, [forms[1], size[2]], align)
    elif (h, w) != tuple(size[1:]) or mode == "bicubic":
        pictures = _layer(g, pictures, mode, forms[1:], align)
    area = size[1] * size[2]
    if d == size[0]:
        return reshaped(g, pictures, (c, *size))
    along: list[float | int] = [forms[0], 1.0] if isinstance(forms[0], float) else [forms[0], area]
    return reshaped(g, _layer(g, reshaped(g, pictures, (c, d, area)), mode, along, align), (c, *size))


def _form(mode: str, n: int, m: int, scale: float | None, align: bool, places: Any) -> float | int | None:
    """How ncnn's layer is told of this axis: by its scale, by its size; None where neither is what torch computes.

    places: of nearest, which number each of torch's is.
    """
    same = scale is not None and int(np.float32(n) * np.float32(scale)) == m  # ncnn makes as many of the scale
    if places is not None:
        if scale is not None and same and np.array_equal(_of_ncnn(n, m, np.float32(1) / np.float32(scale)), places):
            return float(scale)
        return m if np.array_equal(_of_ncnn(n, m, np.float32(n) / np.float32(m)), places) else None
    if scale is None or align or (n == m and mode != "bicubic") or n * scale == m:
        return m
    return float(scale) if same else None


def _of_ncnn(n: int, m: int, step: np.float32) -> np.ndarray[Any, Any]:
    """Which number each of ncnn's nearest is: interp.cpp, in float32."""
    return np.minimum((np.arange(m, dtype=np.float32) * step).astype(np.int64), n - 1)


def _nearest(mode: str, sizes: Sequence[int], to: Sequence[int], scales: Scales) -> list[np.ndarray[Any, Any]]:
    """Which number each of torch's is, along each axis: asked of torch, whose rules differ by the sizes."""
    dims = len(sizes)
    op = getattr(torch.ops.aten, f"{'_' if mode == 'nearest_exact' else ''}upsample_{mode}{dims}d")
    found = []
    for axis, n in enumerate(sizes):
        places = torch.arange(float(n)).view([n if i == axis else 1 for i in range(dims)]).expand(*sizes)
        each = op(places[None, None].contiguous(), list(to), *scales)[0, 0]
        found.append(each[tuple(slice(None) if i == axis else 0 for i in range(dims))].long().numpy())
    return found


def _by_matrices(
    g: Graph, x: Value, mode: str, size: Sequence[int], scales: Scales, align: bool, *, antialias: bool
) -> Value:
    """One product with a constant matrix for each axis, the last one first."""
    shape = list(x.shape)
    for axis in reversed(range(1, len(shape))):
        n, m, scale = shape[axis], size[axis - 1], scales[axis - 1]
        if n == m and mode != "bicubic":
            continue
        matrix = _matrix(mode, n, m, scale, align, antialias)  # [m, n]
        outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        if inner == 1:
            x = matmul(g, [reshaped(g, x, (outer, n)), constant(g, matrix.T.contiguous())])[0]
        else:
            left = constant(g, matrix[None].expand(outer, -1, -1).contiguous() if outer != 1 else matrix[None])
            x = matmul(g, [left, reshaped(g, x, (outer, n, inner))])[0]
        shape[axis] = m
        x = reshaped(g, x, shape)
    return x


def _matrix(mode: str, n: int, m: int, scale: float | None, align: bool, antialias: bool) -> Any:
    """The numbers of an axis as sums of what they were: torch's own, of each of them alone."""
    each = torch.eye(n)
    if mode == "nearest_exact":
        return torch.ops.aten._upsample_nearest_exact1d(each[None], [m], scale)[0].T
    names = {"linear": "upsample_bilinear2d", "trilinear": "upsample_bilinear2d", "nearest": "upsample_nearest2d"}
    op = getattr(
        torch.ops.aten, names.get(mode, f"{'_' if antialias else ''}upsample_{mode}2d{'_aa' if antialias else ''}")
    )
    corners = () if mode == "nearest" else (align,)
    return op(each.view(1, n, 1, n), [1, m], *corners, None, scale)[0, :, 0].T
