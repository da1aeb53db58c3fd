"""raise_upfirdn2d: filters as the predecessor's layers spell them out become the composite op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pass_support import FIR as F
from pass_support import fir, fires, graph_of, normal, refuses, same_on_ncnn, types

import ncnn_builder as nb
from ncnn_builder.passes.raise_upfirdn2d import raise_upfirdn2d
from ncnn_builder.targets import lower

Build = Callable[..., Any]
PICTURE = (6, 5, 7)

FILTERS: list[tuple[Build, dict[str, int]]] = [
    (lambda g, x: fir(g, x), {"up_x": 1, "pad_top": 0}),
    (lambda g, x: fir(g, x, padding=(1, 2, 0, 3), stride=(2, 1)), {"pad_bottom": 2, "pad_right": 3, "down_y": 2}),
    (lambda g, x: fir(g, nb.pad(g, x, 1, 2, 3, 0), padding=1), {"pad_top": 2, "pad_left": 4}),
    (lambda g, x: fir(g, nb.pad(g, x, -1, 2, 3, -2)), {"pad_top": -1, "pad_bottom": 2, "pad_right": -2}),
    (lambda g, x: fir(g, nb.pad(g, nb.up2(g, x), 2, 1, 2, 1)), {"up_x": 2, "up_y": 2, "pad_top": 2}),
    (lambda g, x: fir(g, nb.up2(g, nb.up4(g, x)), padding=1), {"up_x": 8}),
    (lambda g, x: fir(g, x, F[:1], padding=(0, 0, 1, 1)), {"pad_left": 1}),
    (lambda g, x: fir(g, nb.pad(g, x, 1, value=0.5)), {"pad_top": 0}),  # the border stays outside
    (lambda g, x: fir(g, nb.pad(g, x, 1, mode="edge")), {"pad_top": 0}),
    (lambda g, x: fir(g, nb.pad(g, x, front=1)), {"pad_top": 0}),
    (lambda g, x: fir(g, nb.crop(g, x, [1], [4], [1]), padding=1), {"pad_top": 1}),  # cropped and then padded
    (lambda g, x: fir(g, nb.crop(g, x, [1], [4], [0])), {"pad_top": 0}),
]


@pytest.mark.parametrize(("build", "params"), FILTERS)
def test_a_filter_is_recognised(build: Build, params: dict[str, int]) -> None:
    g = graph_of(build, PICTURE)
    after = raise_upfirdn2d(g)
    op = after.nodes[-1]
    assert op.spec.type == "upfirdn2d" and {k: op.params[k] for k in params} == params
    fires(raise_upfirdn2d, g, types(after))
    for target in nb.TARGETS:
        same_on_ncnn(g, lower(after, target))


def test_a_static_depthwise_convolution_is_a_filter_too() -> None:
    g = lower(graph_of(lambda g, x: nb.upfirdn2d(g, x, F, up=2, padding=(2, 1), gain=4), PICTURE), "reference")
    assert types(g) == ["Up2", "ConvolutionDepthWise"]
    fires(raise_upfirdn2d, g, ["upfirdn2d"])


def test_what_somebody_reads_stays_outside() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        y = nb.up2(g, x)
        return [*fir(g, nb.pad(g, y, 1, 1, 1, 1)), *nb.abs(g, y)]

    after = fires(raise_upfirdn2d, graph_of(build, PICTURE), ["Up2", "upfirdn2d", "Abs"])
    assert after.nodes[1].params["up_x"] == 1 and after.nodes[1].params["pad_top"] == 1


def _biased(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    kernel = np.broadcast_to(F, (6, 1, 3, 3))
    return nb.Fconv2d_depthwise(g, [x, *nb.shell(g, [], kernel, normal(6))], groups=6)


def _valued(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = fir(g, x, padding=1)
    assert y[0].producer is not None
    y[0].producer.params["pad_value"] = 1.0
    return y


def _activated(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = fir(g, x)
    assert y[0].producer is not None
    y[0].producer.params["activation_type"] = 1
    return y


@pytest.mark.parametrize(
    "build",
    [
        _biased,
        _valued,
        _activated,
        lambda g, x: nb.Fconv2d(g, [x, *nb.shell(g, [], normal(6, 1, 3, 3))], groups=6),  # other kernels
        lambda g, x: nb.Fconv2d(g, [x, *nb.shell(g, [], normal(6, 2, 3, 3))], groups=3),
        lambda g, x: nb.Fconv2d(g, [x, *nb.shell(g, [], np.ones((12, 1, 3, 3)))], groups=6),
        lambda g, x: nb.Fconv2d(g, [x, *nb.shell(g, [], np.ones((6, 1, 1, 1)))], groups=6),  # one number
        lambda g, x: fir(g, x, dilation=2),
        lambda g, x: nb.Fconv2d(g, [x, *nb.shell(g, [], normal(4, 6, 3, 3))]),
    ],
)
def test_what_is_no_filter(build: Build) -> None:
    refuses(raise_upfirdn2d, graph_of(build, PICTURE))


def test_kernels_of_a_value_are_no_filter() -> None:
    refuses(raise_upfirdn2d, graph_of(lambda g, *v: nb.Fconv2d(g, v, groups=6), PICTURE, (6, 1, 3, 3)))
