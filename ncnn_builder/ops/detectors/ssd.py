"""Detection with boxes around fixed ones: PriorBox, DetectionOutput (SSD) and Proposal (Faster R-CNN).

How many boxes there are only the data say: their results are declared as long as they can be, and are outputs of a
graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, integer, number
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ..arithmetic.channelwise import memorydata
from ..arithmetic.reduce import softmax
from ..common import elements, need, need_rank
from .boxes import suppressed

_VARIANCES = (0.1, 0.1, 0.2, 0.2)


_MXNET = "(image_width == -233 and image_height == -233 and len(max_sizes) == 0)"


@register
class PriorBox(OpSpec):
    """Boxes at each place of x (C, H, W), and their variances: [2, 4 * H * W * n]. ncnn: priorbox.cpp.

    At the middle (offset + place) * step: for each min size a square of it, one of sqrt(min * max), and for each ratio
    a box of size * sqrt(ratio) by size / sqrt(ratio), with flip also the other way round; as (x1, y1, x2, y2) / image
    size. image_width, image_height: -233 are those of the second input. step -233: image size / size of x (rounded up
    if step_mmdetection). center_mmdetection: the middle is offset * (step - 1) + place * step. clip: inside of 0 to 1.
    With one input, image sizes of -233 and no max sizes it is MXNet's: [4 * H * W * n], sizes of a picture of 1 by 1,
    one box per min size and one per ratio but the first of the first size. Source: Liu et al. 2016, "SSD: Single Shot
    MultiBox Detector".
    """

    type = "PriorBox"
    inputs = ("x", "image?")
    params = (
        Param("min_sizes", 0, "floats", "sizes", ()),
        Param("max_sizes", 1, "floats", "as many, or none", ()),
        Param("aspect_ratios", 2, "floats", "width / height", ()),
        *(Param(f"variance_{i}", 3 + i, "float", "of x, y, w, h", v) for i, v in enumerate(_VARIANCES)),
        Param("flip", 7, "int", "1: ratios also the other way round", 1),
        Param("clip", 8, "int", "1: inside of the picture"),
        Param("image_width", 9, "int", "or -233"),
        Param("image_height", 10, "int", "or -233"),
        Param("step_width", 11, "float", "or -233", -233.0),
        Param("step_height", 12, "float", "or -233", -233.0),
        Param("offset", 13, "float", "of the middle, in steps", 0.0),
        Param("step_mmdetection", 14, "int", "1: steps are rounded up"),
        Param("center_mmdetection", 15, "int", "1: offset * (step - 1)"),
    )
    limits = (
        "len(min_sizes) >= 1",
        "len(max_sizes) in (0, len(min_sizes))",
        f"len(inputs) == 2 or (image_width != -233 and image_height != -233) or {_MXNET}",
        f"len(inputs) == 2 or not {_MXNET} or len(aspect_ratios) >= 1",
        "4 * x.w * x.h * (1 + len(min_sizes) + len(max_sizes) + 2 * len(min_sizes) * len(aspect_ratios)) <= int_max",
    )

    def _mxnet(self, inputs: Sequence[Any], p: Any) -> bool:
        return len(inputs) == 1 and p["image_width"] == p["image_height"] == -233 and not p["max_sizes"]

    def _count(self, inputs: Sequence[Any], p: Any) -> int:
        sizes, ratios = len(p["min_sizes"]), len(p["aspect_ratios"])
        if self._mxnet(inputs, p):
            return sizes - 1 + ratios
        return sizes * (1 + ratios * (2 if p["flip"] else 1)) + len(p["max_sizes"])

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, p = inputs[0], params
        need_rank(x, (3,), "x")
        need(len(p["min_sizes"]) >= 1, "no sizes", argument="min_sizes", expected="1 or more", got=p["min_sizes"])
        fits = len(p["max_sizes"]) in (0, len(p["min_sizes"]))
        need(fits, "as many as min_sizes, or none", argument="max_sizes", got=p["max_sizes"])
        need(min((*p["aspect_ratios"], 1.0)) > 0, "bad ratio", argument="aspect_ratios", got=p["aspect_ratios"])
        count = self._count(inputs, p)
        need(count >= 1, "no boxes", argument="aspect_ratios", expected="1 or more", got=p["aspect_ratios"])
        if self._mxnet(inputs, p):
            return [(4 * x[1] * x[2] * count,)]
        for name in ("image_width", "image_height"):
            given = p[name] > 0 or (p[name] == -233 and len(inputs) == 2)
            need(given, "no size of the picture", argument=name, expected="a size, or a second input", got=p[name])
        if len(inputs) == 2:
            need_rank(inputs[1], (3,), "image")
        return [(2, 4 * x[1] * x[2] * count)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        p, (h, w) = params, inputs[0].shape[1:]
        if self._mxnet(inputs, p):
            steps = [1 / n if p[f"step_{a}"] == -233 else p[f"step_{a}"] for n, a in ((w, "width"), (h, "height"))]
            boxes = [(s * h / w, s) for s in p["min_sizes"]]
            s = p["min_sizes"][0]
            boxes += [(s * h / w * r**0.5, s / r**0.5) for r in p["aspect_ratios"][1:]]
            return [torch.as_tensor(_placed(h, w, steps, p["offset"], boxes, (1, 1), p["clip"]), dtype=inputs[0].dtype)]
        image = [
            inputs[1].shape[i] if p[f"image_{a}"] == -233 else p[f"image_{a}"] for i, a in ((2, "width"), (1, "height"))
        ]
        steps = [p["step_width"], p["step_height"]]
        for i, n in enumerate((w, h)):
            if steps[i] == -233:
                steps[i] = -(-image[i] // n) if p["step_mmdetection"] else image[i] / n
        boxes = []
        for k, s in enumerate(p["min_sizes"]):
            boxes.append((s, s))
            if p["max_sizes"]:
                boxes.append(((s * p["max_sizes"][k]) ** 0.5,) * 2)
            for r in p["aspect_ratios"]:
                boxes.append((s * r**0.5, s / r**0.5))
                boxes += [boxes[-1][::-1]] if p["flip"] else []
        first = [p["offset"] * (s - 1 if p["center_mmdetection"] else s) for s in steps]
        places = _placed(h, w, steps, first, boxes, image, p["clip"])
        variances = np.tile([p[f"variance_{i}"] for i in range(4)], places.size // 4)
        return [torch.as_tensor(np.stack([places, variances]), dtype=inputs[0].dtype)]

    def samples(self) -> list[Sample]:
        def sample(name: str, x: Shape, image: Shape | None = None, **kw: Any) -> Sample:
            shapes = (x,) if image is None else (x, image)
            return Sample(f"prior-{name}", shapes, lambda g, *v: prior_box(g, v, **kw))

        return [
            sample("plain", (5, 3, 4), min_sizes=[10.0], aspect_ratios=[2.0], image_size=(60, 80)),
            sample("image", (1, 2, 5), (3, 40, 50), min_sizes=[8, 16], max_sizes=[16, 30], aspect_ratios=[2, 3]),
            sample(
                "clip",
                (8, 3, 3),
                min_sizes=[30.0],
                aspect_ratios=[2.0],
                image_size=(30, 45),
                clip=True,
                flip=False,
                variances=(0.2, 0.2, 0.1, 0.1),
                offset=0.25,
            ),
            sample("steps", (1, 4, 2), min_sizes=[10.0], image_size=(64, 32), steps=(15.0, 17.0)),
            sample(
                "mmdetection", (1, 3, 3), min_sizes=[12.0], aspect_ratios=[2], image_size=(50, 50), mmdetection=True
            ),
            sample("mxnet", (5, 3, 4), min_sizes=[0.2, 0.4], aspect_ratios=[1, 2, 0.5]),
            sample("mxnet-clip", (5, 2, 2), min_sizes=[0.8], aspect_ratios=[1, 2], clip=True, steps=(0.4, 0.3)),
        ]


def _placed(h: int, w: int, steps: Any, first: Any, boxes: Any, image: Any, clip: int) -> Array:
    """Boxes (width, height) at each place, flat, as fractions of the image; first: of the middle, pixels or steps."""
    if not isinstance(first, list):
        first = [first * s for s in steps]
    ys, xs = (first[i] + steps[i] * np.arange(n) for i, n in ((1, h), (0, w)))
    sizes = np.asarray(boxes, np.float64) / np.asarray(image)
    middles = np.stack(np.meshgrid(xs / image[0], ys / image[1]), -1)[:, :, None]
    flat: Array = np.concatenate([middles - sizes / 2, middles + sizes / 2], -1).reshape(-1)
    return flat.clip(0, 1) if clip else flat


@dsl
def prior_box(
    g: Graph,
    bottom_names: ValueLike,
    min_sizes: Any,
    max_sizes: Any = (),
    aspect_ratios: Any = (),
    variances: Any = _VARIANCES,
    image_size: Any = None,
    steps: Any = None,
    offset: SupportsFloat = 0.5,
    flip: bool = True,
    clip: bool = False,
    mmdetection: bool = False,
) -> Values:
    """SSD's boxes for x (C, H, W): [2, 4 * H * W * n], corners and variances; inputs [x] or [x, image].

    image_size and steps: (height, width), steps None: image / x. Without image_size the second input has it; with
    neither, it is MXNet's form, [4 * H * W * n] in fractions. mmdetection: steps rounded up, middles at offset * (step
    - 1).
    """
    values = inputs_of(bottom_names)
    numbers = {
        name: array(v, name).reshape(-1).tolist()
        for name, v in (("min_sizes", min_sizes), ("max_sizes", max_sizes), ("aspect_ratios", aspect_ratios))
    }
    image = (-233, -233) if image_size is None else tuple(integer(n, "image_size") for n in image_size)
    step = (-233.0, -233.0) if steps is None else tuple(number(n, "steps") for n in steps)
    four = array(variances, "variances", 1).tolist()
    need(len(four) == 4, "bad variances", argument="variances", expected="4 numbers", got=four)
    need(len(image) == len(step) == 2, "bad size", argument="image_size, steps", expected="(height, width)")
    params = {
        **numbers,
        **{f"variance_{i}": v for i, v in enumerate(four)},
        "flip": int(flip),
        "clip": int(clip),
        "image_width": image[1],
        "image_height": image[0],
        "step_width": step[1],
        "step_height": step[0],
        "offset": number(offset, "offset"),
        "step_mmdetection": int(mmdetection),
        "center_mmdetection": int(mmdetection),
    }
    return append(g, spec_of("PriorBox"), values, params)


@register
class DetectionOutput(OpSpec):
    """The detections of an SSD, best first: [n, 6] as class, score, x1, y1, x2, y2; n is at most keep_top_k.

    location [4 * priors], confidence [priors, num_class] (class 0 is the background; each row adds up to 1, or ncnn
    reads memory that was never written), priorbox [2, 4 * priors] of PriorBox. A box is (middle + variance * location *
    size, size * exp(variance * location)); of each class those above confidence_threshold stay that no better one
    overlaps by more than nms_threshold. num_class -233: MXNet's, confidence [classes, priors] and priorbox [priors, 4]
    with the variances here. With nothing found the result is empty. ncnn: detectionoutput.cpp.
    """

    type = "DetectionOutput"
    open_length = True
    inputs = ("location", "confidence", "priorbox")
    params = (
        Param("num_class", 0, "int", "classes with the background, or -233"),
        Param("nms_threshold", 1, "float", "greatest overlap", 0.05),
        Param("nms_top_k", 2, "int", "of each class the best so many are looked at", 300),
        Param("keep_top_k", 3, "int", "most that come out", 100),
        Param("confidence_threshold", 4, "float", "least score", 0.5),
        *(Param(f"variance_{i}", 5 + i, "float", "for MXNet's form", v) for i, v in enumerate(_VARIANCES)),
    )
    limits = (
        "num_class == -233 or num_class >= 1",
        "nms_top_k >= 0 and keep_top_k >= 0",
        "priorbox.rank == 2",
        "location.c == 1 and confidence.c == 1 and location.d == 1 and confidence.d == 1",
        "priorbox.w == 4 if num_class == -233 else priorbox.h >= 2",
        "location.total >= 4 * (priorbox.h if num_class == -233 else priorbox.w // 4)",
        "confidence.w >= priorbox.h if num_class == -233 else confidence.total >= num_class * (priorbox.w // 4)",
        "(confidence.h if num_class == -233 else num_class)"
        " * min(priorbox.h if num_class == -233 else priorbox.w // 4, nms_top_k)**2 <= work",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Confidences in any shape, as a softmax of a flat vector leaves them."""
        location, confidence, prior = inputs
        classes = params["num_class"]
        if (len(confidence) == 2 and confidence[1] == classes) or classes < 2 or elements(confidence) % classes:
            return None
        return self.infer([location, (elements(confidence) // classes, classes), prior], params, {})

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        location, confidence, prior = inputs
        mxnet = params["num_class"] == -233
        need_rank(prior, (2,), "priorbox")
        need(prior[1] == 4 if mxnet else prior[0] == 2, "wrong shape", argument="priorbox", got=list(prior))
        count = prior[0] if mxnet else prior[1] // 4
        fits = len(location) <= 2 and elements(location) == 4 * count
        need(fits, "wrong shape", argument="location", expected=[4 * count], got=list(location))
        need_rank(confidence, (2,), "confidence")
        priors, classes = confidence[::-1] if mxnet else confidence
        fits = priors == count and (mxnet or classes == params["num_class"])
        need(fits and classes >= 2, "wrong shape", argument="confidence", expected=f"{count} priors", got=confidence)
        need(min(params["nms_top_k"], params["keep_top_k"]) >= 1, "bad number", argument="keep_top_k, nms_top_k")
        return [(min(params["keep_top_k"], (classes - 1) * min(count, params["nms_top_k"])), 6)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        location, confidence, prior = (v.numpy() for v in inputs)
        mxnet, loc = params["num_class"] == -233, location.reshape(-1, 4)
        scores = confidence if mxnet else confidence.T
        boxes = prior if mxnet else prior[0].reshape(-1, 4)
        variance = np.array([params[f"variance_{i}"] for i in range(4)]) if mxnet else prior[1].reshape(-1, 4)
        size, middle = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
        moved = variance * loc
        middle, half = middle + moved[:, :2] * size, np.exp(moved[:, 2:]) * size / 2
        boxes = np.concatenate([middle - half, middle + half], 1)
        rows = []
        for label in range(1, len(scores)):
            chosen = np.flatnonzero(scores[label] > params["confidence_threshold"])
            own = scores[label][chosen]
            kept = suppressed(boxes[chosen], own, params["nms_threshold"], params["nms_top_k"])
            rows += [(label, own[i], *boxes[chosen[i]]) for i in kept]
        rows.sort(key=lambda row: -row[1])
        found = np.array(rows[: params["keep_top_k"]]).reshape(-1, 6)
        return [torch.as_tensor(found, dtype=inputs[0].dtype)]

    def samples(self) -> list[Sample]:
        def priors(n: int) -> Array:
            corners = np.random.default_rng(51).random((n, 2)) * 0.6
            boxes: Array = np.concatenate([corners, corners + 0.3], 1).astype(np.float32)
            return boxes

        def ssd(n: int, classes: int, **kw: Any) -> Sample:
            boxes = priors(n)
            flat = np.stack([boxes.reshape(-1), np.tile(np.array(_VARIANCES, np.float32), n)])
            return Sample(
                f"ssd-{n}-{classes}-{len(kw)}",
                ((4 * n,), (n, classes)),
                lambda g, loc, x: detection_output(g, [loc, *softmax(g, x, 2), *memorydata(g, flat)], classes, **kw),
            )

        def mxnet(n: int, classes: int, **kw: Any) -> Sample:
            return Sample(
                f"mxnet-{n}-{classes}",
                ((4 * n,), (classes, n)),
                lambda g, loc, x: detection_output(g, [loc, *softmax(g, x, 1), *memorydata(g, priors(n))], None, **kw),
            )

        return [
            ssd(20, 3, confidence_threshold=0.4),
            ssd(30, 5, confidence_threshold=0.3, nms_threshold=0.4, keep_top_k=7),
            ssd(30, 4, confidence_threshold=0.3, nms_threshold=0.2, nms_top_k=3),
            mxnet(25, 4, confidence_threshold=0.35, nms_threshold=0.3),
        ]


@dsl
def detection_output(
    g: Graph,
    bottom_names: ValueLike,
    num_class: SupportsFloat | None,
    nms_threshold: SupportsFloat = 0.45,
    nms_top_k: SupportsFloat = 300,
    keep_top_k: SupportsFloat = 100,
    confidence_threshold: SupportsFloat = 0.5,
    variances: Any = _VARIANCES,
) -> Values:
    """An SSD's detections, best first, [n, 6] as class, score, x1, y1, x2, y2; inputs [location, confidence, priorbox].

    confidence [priors, num_class] are probabilities that add up to 1, the background first. num_class None: MXNet's
    form. Only the net itself says what n is: an output of the graph, nothing else.
    """
    four = array(variances, "variances", 1).tolist()
    need(len(four) == 4, "bad variances", argument="variances", expected="4 numbers", got=four)
    params = {
        "num_class": -233 if num_class is None else integer(num_class, "num_class"),
        "nms_threshold": number(nms_threshold, "nms_threshold"),
        "nms_top_k": integer(nms_top_k, "nms_top_k"),
        "keep_top_k": integer(keep_top_k, "keep_top_k"),
        "confidence_threshold": number(confidence_threshold, "confidence_threshold"),
        **{f"variance_{i}": v for i, v in enumerate(four)},
    }
    return append(g, spec_of("DetectionOutput"), bottom_names, params)
