"""Regions of a picture as pictures of one size: ROIPooling, ROIAlign, PSROIPooling, one region each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, inputs_of, integer, number, pair
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ..arithmetic.channelwise import memorydata
from ..common import elements, need, need_rank, shape_id

_SIZE = (Param("pooled_width", 0, "int", "width of the result"), Param("pooled_height", 1, "int", "its height"))


class _Region(OpSpec):
    """x (C, H, W) and four numbers, (x1, y1, x2, y2) in the picture's pixels; spatial_scale brings them to x's."""

    inputs = ("x", "roi")

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Of several regions, as a Proposal makes them, the first."""
        x, roi = inputs
        return self.infer([x, (4,)], params, {}) if elements(roi) > 4 and roi[-1] == 4 else None

    def _check(self, inputs: Sequence[Shape], p: Any) -> tuple[int, int, int]:
        x, roi = inputs
        need_rank(x, (3,), "x")
        need(len(roi) <= 2 and elements(roi) == 4, "wrong shape", argument="roi", expected="[4]", got=list(roi))
        size = (p["pooled_height"], p["pooled_width"])
        need(min(size) >= 1, "bad size", argument="output_size", expected="1 or more each", got=size)
        return (x[0], *size)

    def _samples(self, name: str, build: Any, rois: Sequence[tuple[float, ...]], c: int = 5) -> list[Sample]:
        """build(graph, [x, roi]) over some regions, constant ones: they have to lie inside."""
        return [
            Sample(
                f"{name}-{i}-{shape_id((n, 7, 9))}",
                ((n, 7, 9),),
                lambda g, x, roi=roi: build(g, [x, *memorydata(g, np.float32(roi))]),
            )
            for n in (c, c * 8)
            for i, roi in enumerate(rois)
        ]


_ROIS = ((1.2, 0.7, 9.6, 8.1), (0.0, 0.0, 13.9, 11.9), (4.0, 4.0, 4.0, 5.0), (2.3, 1.1, 6.8, 10.4))
# of which no part of two or three ends on a whole number
_ODD_ROIS = ((1.0, 0.0, 7.0, 6.0), (0.0, 1.0, 4.0, 5.0), (2.2, 1.4, 8.3, 5.2), (3.0, 3.0, 3.0, 3.0))


@register
class ROIPooling(_Region):
    """The maximum of each of pooled_height x pooled_width parts of a region. ncnn: roipooling.cpp.

    Corners are rounded, both belong to the region; parts overlap where they do not divide it. An empty part is 0.
    ncnn is compiled with fast arithmetic: where the parts are whole numbers of pixels, 6 / 2 may be 2.9999998, and then
    a part begins a pixel too early.
    Source: Girshick 2015, "Fast R-CNN".
    """

    type = "ROIPooling"
    params = (*_SIZE, Param("spatial_scale", 2, "float", "factor of the corners", 1.0))
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        return [self._check(inputs, params)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, roi = inputs[0], inputs[1].flatten()
        c, h, w = x.shape
        corners = [_round(float(v)) for v in roi * params["spatial_scale"]]
        y = x.new_zeros(c, params["pooled_height"], params["pooled_width"])
        rows, columns = (
            _parts(corners[i], max(corners[i + 2] - corners[i] + 1, 1), count, size)
            for i, count, size in ((1, y.shape[1], h), (0, y.shape[2], w))
        )
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                if top < bottom and left < right:
                    y[:, i, j] = x[:, top:bottom, left:right].amax((1, 2))
        return [y]

    def samples(self) -> list[Sample]:
        return [
            *self._samples("3x2", lambda g, v: roi_pool(g, v, (3, 2)), _ODD_ROIS),
            *self._samples(
                "2x2", lambda g, v: roi_pool(g, v, 2, 0.5), [tuple(2 * v for v in roi) for roi in _ODD_ROIS]
            ),
        ]


def _round(value: float) -> int:
    """To the nearest, ties away from zero, as C does it."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _parts(start: int, length: int, count: int, size: int) -> list[tuple[int, int]]:
    """[first, end) of each part along an axis of `size`."""
    each = np.float32(length) / np.float32(count)
    return [
        (
            min(max(start + math.floor(np.float32(i) * each), 0), size),
            min(max(start + math.ceil(np.float32(i + 1) * each), 0), size),
        )
        for i in range(count)
    ]


@register
class ROIAlign(_Region):
    """The mean of points in each of pooled_height x pooled_width parts of a region. ncnn: roialign.cpp.

    sampling_ratio x sampling_ratio points per part, 0: as many as the part has pixels; a point is interpolated between
    four pixels. aligned 1: half a pixel is taken off the corners. version 0: parts are cut at the border of x, 1:
    detectron2's and torchvision's, where points outside count as 0.
    Source: He et al. 2017, "Mask R-CNN".
    """

    type = "ROIAlign"
    params = (
        *_SIZE,
        Param("spatial_scale", 2, "float", "factor of the corners", 1.0),
        Param("sampling_ratio", 3, "int", "points per part along an axis, or 0"),
        Param("aligned", 4, "int", "1: half a pixel is taken off"),
        Param("version", 5, "int", "0 the first, 1 detectron2's"),
    )
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        version = params["version"]
        need(version in (0, 1), "unknown version", argument="version", expected="0 or 1", got=version)
        return [self._check(inputs, params)]

    def _points(self, low: float, high: float, count: int, size: int, p: Any) -> list[list[float]]:
        """The points of each part along an axis."""
        length = high - low if p["aligned"] else max(high - low, 1.0)
        part, points = length / count, []
        for i in range(count):
            start, end = low + i * part, low + (i + 1) * part
            if p["version"] == 0:
                start, end = (min(max(v, 0.0), float(size)) for v in (start, end))
            n = p["sampling_ratio"] or math.ceil(end - start if p["version"] == 0 else part)
            points.append([start + (k + 0.5) * part / n for k in range(n)] if start < end else [])
        return points

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, p = inputs[0], params
        c, h, w = x.shape
        corners = [float(v) * p["spatial_scale"] - (0.5 if p["aligned"] else 0) for v in inputs[1].flatten()]
        y = x.new_zeros(c, p["pooled_height"], p["pooled_width"])
        for i, ys in enumerate(self._points(corners[1], corners[3], y.shape[1], h, p)):
            for j, xs in enumerate(self._points(corners[0], corners[2], y.shape[2], w, p)):
                values = [_between(x, v, u) for v in ys for u in xs]
                if values:
                    y[:, i, j] = sum(values) / len(values)
        return [y]

    def samples(self) -> list[Sample]:
        return [
            *self._samples("3x2", lambda g, v: roi_align(g, v, (3, 2), 0.6, 2), _ROIS),
            *self._samples("aligned", lambda g, v: roi_align(g, v, 2, 0.5, 0, True), _ROIS),
            *self._samples("first", lambda g, v: roi_align(g, v, (2, 3), 0.6, 2, version=0), _ROIS),
        ]


def _between(x: Any, v: float, u: float) -> Any:
    """x at row v and column u, between pixels; 0 more than a pixel outside."""
    h, w = x.shape[1:]
    if not (-1 <= v <= h and -1 <= u <= w):
        return x.new_zeros(x.shape[0])
    v, u = min(max(v, 0.0), h - 1), min(max(u, 0.0), w - 1)
    top, left = int(v), int(u)
    bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
    dv, du = v - top, u - left
    upper = x[:, top, left] * (1 - du) + x[:, top, right] * du
    lower = x[:, bottom, left] * (1 - du) + x[:, bottom, right] * du
    return upper * (1 - dv) + lower * dv


@register
class PSROIPooling(_Region):
    """The mean of each of pooled_height x pooled_width parts, each of channels of its own. ncnn: psroipooling.cpp.

    x (output_dim * pooled_height * pooled_width, H, W): part (i, j) of channel q is the mean of channel
    (q * pooled_height + i) * pooled_width + j there. Corners are rounded, the second one behind the pixel.
    Source: Dai et al. 2016, "R-FCN".
    """

    type = "PSROIPooling"
    params = (
        Param("pooled_width", 0, "int", "width of the result", 7),
        Param("pooled_height", 1, "int", "its height", 7),
        Param("spatial_scale", 2, "float", "factor of the corners", 0.0625),
        Param("output_dim", 3, "int", "channels of the result"),
    )
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        c, h, w = self._check(inputs, params)
        expected = params["output_dim"] * h * w
        need(c == expected and c > 0, "wrong number of channels", argument="x", expected=expected, got=list(inputs[0]))
        return [(params["output_dim"], h, w)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, roi = inputs[0], inputs[1].flatten()
        h, w = x.shape[1:]
        scale = np.float32(params["spatial_scale"])
        corners = [np.float32(_round(float(v) + (i > 1))) * scale for i, v in enumerate(roi)]
        y = x.new_zeros(params["output_dim"], params["pooled_height"], params["pooled_width"])

        def parts(low: np.float32, high: np.float32, count: int, size: int) -> list[tuple[int, int]]:
            each = max(high - low, np.float32(0.1)) / np.float32(count)
            edges = [(math.floor(low + i * each), math.ceil(low + (i + 1) * each)) for i in range(count)]
            return [(min(max(a, 0), size), min(max(b, 0), size)) for a, b in edges]

        for i, (top, bottom) in enumerate(parts(corners[1], corners[3], y.shape[1], h)):
            for j, (left, right) in enumerate(parts(corners[0], corners[2], y.shape[2], w)):
                own = x.reshape(y.shape[0], y.shape[1], y.shape[2], h, w)[:, i, j, top:bottom, left:right]
                if own.numel():
                    y[:, i, j] = own.mean((1, 2))
        return [y]

    def samples(self) -> list[Sample]:
        return [
            *self._samples("3x2", lambda g, v: ps_roi_pool(g, v, (3, 2), 0.6), _ROIS, 6),
            *self._samples("2x2", lambda g, v: ps_roi_pool(g, v, 2, 0.5), _ROIS, 4),
        ]


@dsl
def roi_pool(g: Graph, bottom_names: ValueLike, output_size: Any, spatial_scale: SupportsFloat = 1.0) -> Values:
    """torchvision's roi_pool of one region, inputs [x, roi]: x (C, H, W), roi [4] as (x1, y1, x2, y2)."""
    h, w = pair(output_size, "output_size")
    params = {"pooled_width": w, "pooled_height": h, "spatial_scale": number(spatial_scale, "spatial_scale")}
    return append(g, spec_of("ROIPooling"), bottom_names, params)


@dsl
def roi_align(
    g: Graph,
    bottom_names: ValueLike,
    output_size: Any,
    spatial_scale: SupportsFloat = 1.0,
    sampling_ratio: SupportsFloat = 0,
    aligned: bool = False,
    version: int = 1,
) -> Values:
    """torchvision's roi_align of one region, inputs [x, roi]: x (C, H, W), roi [4] as (x1, y1, x2, y2).

    sampling_ratio: points per part along an axis; 0 (torchvision: -1): as many as the part has pixels. version 0 is
    ncnn's first one, which cuts parts at the border.
    """
    h, w = pair(output_size, "output_size")
    params = {
        "pooled_width": w,
        "pooled_height": h,
        "spatial_scale": number(spatial_scale, "spatial_scale"),
        "sampling_ratio": max(integer(sampling_ratio, "sampling_ratio"), 0),
        "aligned": int(aligned),
        "version": integer(version, "version"),
    }
    return append(g, spec_of("ROIAlign"), bottom_names, params)


@dsl
def ps_roi_pool(g: Graph, bottom_names: ValueLike, output_size: Any, spatial_scale: SupportsFloat = 1.0) -> Values:
    """torchvision's ps_roi_pool of one region, inputs [x, roi]: x (C * h * w, H, W), roi [4] -> (C, h, w)."""
    values = inputs_of(bottom_names)
    h, w = pair(output_size, "output_size")
    channels = values[0].shape[0] // (h * w) if values else 0
    scale = number(spatial_scale, "spatial_scale")
    params = {"pooled_width": w, "pooled_height": h, "spatial_scale": scale, "output_dim": channels}
    return append(g, spec_of("PSROIPooling"), values, params)
