"""Detection by networks that move anchors: Proposal (Faster R-CNN) and the outputs of YOLO, versions 2 and 3.

How many boxes there are only the data say: their results are declared as long as they can be, and are outputs of a
graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, integer, number
from ...ir import Array, Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, dsl, functions, register, spec_of
from ..arithmetic.channelwise import memorydata
from ..common import elements, need, need_rank
from .boxes import rows_of, sigmoid, suppressed

_ANCHORS = 9


@register
class Proposal(OpSpec):
    """Regions that may hold something, best first: [n, 1, 4] as x1, y1, x2, y2, and their scores [n, 1, 1].

    score (18, H, W), of which the last 9 channels count, bbox (36, H, W), image [3] as height, width, scale. At each
    place feat_stride apart there are 9 anchors, of base_size, ratios 0.5, 1, 2 and scales 8, 16, 32; each is moved by
    (dx, dy, dw, dh) of its channels and cut at the image; those below min_size * scale go, the best pre_nms_topN stay,
    of them those that no better one overlaps by more than nms_thresh, and after_nms_topN of these. With none left ncnn
    fails. ncnn: proposal.cpp. Source: Ren et al. 2015, "Faster R-CNN".
    """

    type = "Proposal"
    open_length = True
    inputs = ("score", "bbox", "image")
    outputs = ("roi", "score?")
    params = (
        Param("feat_stride", 0, "int", "pixels from one place to the next", 16),
        Param("base_size", 1, "int", "size of an anchor, before its scale", 16),
        Param("pre_nms_topN", 2, "int", "most that are compared", 6000),
        Param("after_nms_topN", 3, "int", "most that come out", 300),
        Param("nms_thresh", 4, "float", "greatest overlap", 0.7),
        Param("min_size", 5, "int", "least width and height, times the image's scale", 16),
    )
    limits = (
        "after_nms_topN >= 1",
        "score.rank == 3 and bbox.rank == 3",
        "score.c >= 18 and bbox.c >= 36",
        "bbox.w == score.w and bbox.h == score.h",
        "image.total >= 3 and image.c == 1",
        "min(9 * score.w * score.h, pre_nms_topN if pre_nms_topN > 0 else int_max)**2 <= work",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Without the scores."""
        return self.infer(inputs, params, {})[:1] if count == 1 else None

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        score, bbox, image = inputs
        for shape, channels, name in ((score, 2 * _ANCHORS, "score"), (bbox, 4 * _ANCHORS, "bbox")):
            need_rank(shape, (3,), name)
            need(shape[0] == channels, "wrong number of channels", argument=name, expected=channels, got=list(shape))
        need(score[1:] == bbox[1:], "the sizes differ", argument="bbox", expected=list(score[1:]), got=list(bbox))
        need(elements(image) == 3 and len(image) == 1, "wrong shape", argument="image", expected=[3], got=list(image))
        most = params["after_nms_topN"]
        need(most >= 1, "bad number", argument="after_nms_topN", expected=">= 1", got=most)
        n = min(most, _ANCHORS * score[1] * score[2])
        return [(n, 1, 4), (n, 1, 1)]

    def _anchors(self, base: int) -> Array:
        rows = []
        for ratio in (0.5, 1.0, 2.0):
            w = np.floor(base / np.sqrt(np.float32(ratio)) + 0.5)
            h = np.floor(w * ratio + 0.5)
            for scale in (8, 16, 32):
                rows.append((base / 2 - w * scale / 2, base / 2 - h * scale / 2, w * scale, h * scale))
        return np.array(rows)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        score, bbox, image = (v.numpy().astype(np.float64) for v in inputs)
        h, w = score.shape[1:]
        anchors = self._anchors(params["base_size"])[:, :, None, None]
        ys, xs = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
        size = anchors[:, 2:]
        corner = anchors[:, :2] + params["feat_stride"] * np.stack([xs, ys])
        moved = bbox.reshape(_ANCHORS, 4, h, w)
        middle, half = corner + size / 2 + size * moved[:, :2], size * np.exp(moved[:, 2:]) / 2
        limit = np.array([image[1] - 1, image[0] - 1])[:, None, None]
        boxes = np.concatenate([(middle - half).clip(0, limit), (middle + half).clip(0, limit)], 1)
        boxes = boxes.transpose(0, 2, 3, 1).reshape(-1, 4)
        scores = score[_ANCHORS:].reshape(-1)
        large = (boxes[:, 2:] - boxes[:, :2] + 1 >= params["min_size"] * image[2]).all(1)
        boxes, scores = boxes[large], scores[large]
        most = params["pre_nms_topN"] if params["pre_nms_topN"] > 0 else None
        kept = suppressed(boxes, scores, params["nms_thresh"], most)[: params["after_nms_topN"]]
        found = [boxes[kept].reshape(-1, 1, 4), scores[kept].reshape(-1, 1, 1)]
        return [torch.as_tensor(v, dtype=inputs[0].dtype) for v in found]

    def samples(self) -> list[Sample]:
        def sample(h: int, w: int, **kw: Any) -> Sample:
            image = np.array([h * 16, w * 16, 1.0], np.float32)

            def build(g: Graph, score: Value, bbox: Value) -> Values:
                small = functions["MulConstant"](g, bbox, 0.2)
                return proposal(g, [score, *small, *memorydata(g, image)], **kw)

            return Sample(f"proposal-{h}-{w}-{len(kw)}", ((18, h, w), (36, h, w)), build)

        return [
            sample(5, 6),
            sample(3, 4, nms_thresh=0.5, after_nms_topN=5),
            sample(4, 4, feat_stride=16, base_size=8, pre_nms_topN=20, min_size=4),
        ]


@dsl
def proposal(
    g: Graph,
    bottom_names: ValueLike,
    feat_stride: SupportsFloat = 16,
    base_size: SupportsFloat = 16,
    pre_nms_topN: SupportsFloat = 6000,
    after_nms_topN: SupportsFloat = 300,
    nms_thresh: SupportsFloat = 0.7,
    min_size: SupportsFloat = 16,
) -> Values:
    """Faster R-CNN's proposals and their scores, inputs [score (18, H, W), bbox (36, H, W), image [3]].

    -> [n, 1, 4] as x1, y1, x2, y2 and [n, 1, 1]. Only the net itself says what n is: outputs of the graph, nothing
    else.
    """
    params = {
        "feat_stride": integer(feat_stride, "feat_stride"),
        "base_size": integer(base_size, "base_size"),
        "pre_nms_topN": integer(pre_nms_topN, "pre_nms_topN"),
        "after_nms_topN": integer(after_nms_topN, "after_nms_topN"),
        "nms_thresh": number(nms_thresh, "nms_thresh"),
        "min_size": integer(min_size, "min_size"),
    }
    return append(g, spec_of("Proposal"), bottom_names, params)


class _Yolo(OpSpec):
    """x (num_box * (5 + num_class), H, W), one or more: of each box x, y, w, h, its score and those of the classes."""

    open_length = True
    inputs = ("x", "x*")

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        p = params
        need(p["num_class"] >= 1 and p["num_box"] >= 1, "bad number", argument="num_class, num_box", expected=">= 1")
        for x in inputs:
            need_rank(x, (3,), "x")
            channels = p["num_box"] * (5 + p["num_class"])
            need(x[0] == channels, "wrong number of channels", argument="x", expected=channels, got=list(x))
        need(min(p["biases"], default=0) > 0, "bad anchors", argument="anchors", expected="above 0", got=p["biases"])
        return [(sum(x[1] * x[2] for x in inputs) * p["num_box"], 6)]

    def _boxes(self, x: Any, anchors: Any, net: Any) -> tuple[Any, Any, Any]:
        """Corners [box, H, W, 4] as fractions, the score of each box, those of its classes, as the net gives them."""
        boxes, (h, w) = len(anchors), x.shape[1:]
        parts = x.reshape(boxes, -1, h, w).astype(np.float64)
        middle = (np.stack(np.meshgrid(np.arange(w), np.arange(h))) + sigmoid(parts[:, :2])) / [[[w]], [[h]]]
        half = np.exp(parts[:, 2:4]) * anchors[:, :, None, None] / np.array(net)[:, None, None] / 2
        corners = np.concatenate([middle - half, middle + half], 1).transpose(0, 2, 3, 1)
        return corners, parts[:, 4], parts[:, 5:]

    def _found(self, parts: list[tuple[Any, Any, Any]], params: Any, like: Any) -> list[Any]:
        """parts: corners, confidence and class of every box."""
        import torch

        corners, scores, labels = (np.concatenate([p[i].reshape(-1, *p[i].shape[3:]) for p in parts]) for i in range(3))
        chosen = scores >= params["confidence_threshold"]
        corners, scores, labels = corners[chosen], scores[chosen], labels[chosen]
        kept = suppressed(corners, scores, params["nms_threshold"])
        return [torch.as_tensor(rows_of(labels[kept] + 1, scores[kept], corners[kept]), dtype=like.dtype)]


@register
class YoloDetectionOutput(_Yolo):
    """The detections of a YOLO, version 2, best first: [n, 6] as class + 1, score, x1, y1, x2, y2 (fractions).

    x (num_box * (5 + num_class), H, W). Middle (place + sigmoid(x, y)) / size, size exp(w, h) * anchor / size;
    confidence sigmoid(score) * greatest of the classes' softmax. With nothing found ncnn gives back its input instead.
    ncnn: yolodetectionoutput.cpp. Source: Redmon and Farhadi 2016, "YOLO9000".
    """

    type = "YoloDetectionOutput"
    params = (
        Param("num_class", 0, "int", "classes", 20),
        Param("num_box", 1, "int", "boxes per place", 5),
        Param("confidence_threshold", 2, "float", "least confidence", 0.01),
        Param("nms_threshold", 3, "float", "greatest overlap", 0.45),
        Param("biases", 4, "floats", "width and height of the anchors, in places", ()),
    )
    limits = ()

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        shapes = super().infer(inputs, params, weights)
        got, expected = len(params["biases"]), 2 * params["num_box"]
        need(got == expected, "wrong number of anchors", argument="anchors", expected=expected, got=got)
        return shapes

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        anchors, parts = np.reshape(params["biases"], (-1, 2)), []
        for x in (v.numpy() for v in inputs):
            corners, score, classes = self._boxes(x, anchors, (x.shape[2], x.shape[1]))
            odds = np.exp(classes - classes.max(1, keepdims=True))
            odds /= odds.sum(1, keepdims=True)
            parts.append((corners, sigmoid(score) * odds.max(1), odds.argmax(1)))
        return self._found(parts, params, inputs[0])

    def samples(self) -> list[Sample]:
        def sample(classes: int, anchors: Any, *sizes: tuple[int, int], **kw: Any) -> Sample:
            shapes = tuple((len(anchors) * (5 + classes), *size) for size in sizes)
            name = f"yolo2-{classes}-{len(anchors)}-{len(sizes)}"
            return Sample(name, shapes, lambda g, *v: yolo_detection_output(g, v, classes, anchors, **kw))

        return [
            sample(3, [(1.0, 1.5), (2.0, 0.7)], (4, 5), confidence_threshold=0.3),
            sample(5, [(1.3, 1.7)], (6, 3), confidence_threshold=0.25, nms_threshold=0.2),
            sample(2, [(1.0, 1.0), (3.0, 2.0)], (3, 3), (5, 4), confidence_threshold=0.4),
        ]


@register
class Yolov3DetectionOutput(_Yolo):
    """The detections of a YOLO, version 3, best first: [n, 6] as class + 1, score, x1, y1, x2, y2 (fractions).

    x (num_box * (5 + num_class), H, W), several of them. As version 2, with anchors in pixels of the net's input, which
    is anchors_scale times x; input b has the anchors mask[b * num_box ...]. The confidence is 1 / (1 + exp(-score) * (1
    + exp(-class))): a bracket in ncnn is not where sigmoid(score) * sigmoid(class) wants it, which is smaller. With
    nothing found the result is empty. ncnn: yolov3detectionoutput.cpp. Source: Redmon and Farhadi 2018, "YOLOv3: An
    Incremental Improvement".
    """

    type = "Yolov3DetectionOutput"
    params = (
        Param("num_class", 0, "int", "classes", 20),
        Param("num_box", 1, "int", "boxes per place", 5),
        Param("confidence_threshold", 2, "float", "least confidence", 0.01),
        Param("nms_threshold", 3, "float", "greatest overlap", 0.45),
        Param("biases", 4, "floats", "width and height of all anchors, in pixels", ()),
        Param("mask", 5, "floats", "which anchors, num_box for each input", (), bits=True),
        Param("anchors_scale", 6, "floats", "pixels per place, for each input", ()),
    )
    limits = ()

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        shapes, p = super().infer(inputs, params, weights), params
        need(len(p["biases"]) % 2 == 0, "anchors are pairs", argument="anchors", got=p["biases"])
        fits = len(p["mask"]) == p["num_box"] * len(inputs) and set(p["mask"]) <= set(range(len(p["biases"]) // 2))
        need(fits, "wrong choice of anchors", argument="mask", expected=f"{p['num_box']} per input", got=p["mask"])
        fits = len(p["anchors_scale"]) == len(inputs) and min(p["anchors_scale"]) > 0
        need(fits, "one per input", argument="anchors_scale", expected=len(inputs), got=p["anchors_scale"])
        return shapes

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        anchors, n, parts = np.reshape(params["biases"], (-1, 2)), params["num_box"], []
        for b, x in enumerate(v.numpy() for v in inputs):
            mine = anchors[[int(i) for i in params["mask"][b * n : (b + 1) * n]]]
            net = tuple(float(int(params["anchors_scale"][b] * size)) for size in (x.shape[2], x.shape[1]))
            corners, score, classes = self._boxes(x, mine, net)
            confidence = 1 / (1 + np.exp(-score) * (1 + np.exp(-classes.max(1))))
            parts.append((corners, confidence, classes.argmax(1)))
        return self._found(parts, params, inputs[0])

    def samples(self) -> list[Sample]:
        anchors = [(10, 14), (23, 27), (37, 58), (81, 82)]

        def sample(classes: int, sizes: Any, mask: Any, scales: Any, **kw: Any) -> Sample:
            n = len(mask) // len(sizes)
            shapes = tuple((n * (5 + classes), *size) for size in sizes)
            return Sample(
                f"yolo3-{classes}-{n}-{len(sizes)}",
                shapes,
                lambda g, *v: yolov3_detection_output(g, v, classes, anchors, mask, scales, **kw),
            )

        return [
            sample(3, [(4, 5)], [0, 2], [16.0], confidence_threshold=0.7),
            sample(2, [(3, 3), (6, 4)], [2, 3, 0, 1], [32.0, 16.0], confidence_threshold=0.75, nms_threshold=0.3),
            sample(1, [(5, 2)], [1], [8.5], confidence_threshold=0.6),
        ]


def _anchors(anchors: Any) -> list[float]:
    pairs = array(anchors, "anchors", 2)
    need(
        pairs.shape[1] == 2, "bad anchors", argument="anchors", expected="pairs (width, height)", got=list(pairs.shape)
    )
    return [float(n) for n in pairs.reshape(-1)]


@dsl
def yolo_detection_output(
    g: Graph,
    bottom_names: ValueLike,
    num_class: SupportsFloat,
    anchors: Any,
    confidence_threshold: SupportsFloat = 0.01,
    nms_threshold: SupportsFloat = 0.45,
) -> Values:
    """YOLOv2's detections, best first, [n, 6] as class + 1, score, x1, y1, x2, y2 in fractions of the picture.

    Inputs (boxes * (5 + num_class), H, W); anchors [boxes, 2] as (width, height) in places. Only the net itself says
    what n is: an output of the graph, nothing else. With nothing found ncnn gives back the first input.
    """
    held = _anchors(anchors)
    params = {
        "num_class": integer(num_class, "num_class"),
        "num_box": len(held) // 2,
        "confidence_threshold": number(confidence_threshold, "confidence_threshold"),
        "nms_threshold": number(nms_threshold, "nms_threshold"),
        "biases": held,
    }
    return append(g, spec_of("YoloDetectionOutput"), bottom_names, params)


@dsl
def yolov3_detection_output(
    g: Graph,
    bottom_names: ValueLike,
    num_class: SupportsFloat,
    anchors: Any,
    mask: Any,
    anchors_scale: Any,
    confidence_threshold: SupportsFloat = 0.01,
    nms_threshold: SupportsFloat = 0.45,
) -> Values:
    """YOLOv3's detections, best first, [n, 6] as class + 1, score, x1, y1, x2, y2 in fractions of the picture.

    Inputs (boxes * (5 + num_class), H, W), one or more; anchors [all, 2] as (width, height) in pixels; mask: which of
    them each input has, in order; anchors_scale: pixels per place of each input. The score is ncnn's own, see its op.
    Only the net itself says what n is: an output of the graph, nothing else.
    """
    values, chosen = inputs_of(bottom_names), array(mask, "mask").reshape(-1).tolist()
    need(len(values) > 0 and len(chosen) % len(values) == 0, "bad choice", argument="mask", got=chosen)
    params = {
        "num_class": integer(num_class, "num_class"),
        "num_box": len(chosen) // len(values),
        "confidence_threshold": number(confidence_threshold, "confidence_threshold"),
        "nms_threshold": number(nms_threshold, "nms_threshold"),
        "biases": _anchors(anchors),
        "mask": chosen,
        "anchors_scale": array(anchors_scale, "anchors_scale").reshape(-1).tolist(),
    }
    return append(g, spec_of("Yolov3DetectionOutput"), values, params)
