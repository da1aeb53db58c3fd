"""raise_reorg: every so many-th pixel, as parts one behind the other, becomes one layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn, types
from torch import nn

import ncnn_builder as nb
from ncnn_builder.builder import append, filled
from ncnn_builder.ops.convolutions.conv import static_conv
from ncnn_builder.opspec import spec_of
from ncnn_builder.passes.raise_reorg import raise_reorg
from ncnn_builder.pipeline import lower_and_optimise

ROWS_OUTSIDE = ((0, 0), (0, 1), (1, 0), (1, 1))
YOLO = ((0, 0), (1, 0), (0, 1), (1, 1))
PICTURE = (3, 6, 4)
ONE_PIXEL = {"kernel_w": 1, "pad_mode": 1, "count_include_pad": 1}


def pixels(g: Any, x: Any, begin: tuple[int, int], step: int = 2, both: bool = False, **other: int) -> nb.Value:
    """x[:, begin[0]::step, begin[1]::step] as it is captured, or of both axes at once; other: of the steps."""

    def stepped(value: Any, **strides: int) -> nb.Value:
        pooling = spec_of("Pooling")
        return append(g, pooling, value, filled(pooling, **{**ONE_PIXEL, **strides, **other}))[0]

    (top, left), (bottom, right) = begin, (n - step + b + 1 for n, b in zip(x.shape[1:], begin, strict=True))
    if both:
        return stepped(nb.crop(g, x, [top, left], [bottom, right], [1, 2]), stride_w=step)
    x = stepped(nb.crop(g, x, [top], [bottom], [1]), stride_w=1, stride_h=step)
    return stepped(nb.crop(g, x, [left], [right], [2]), stride_w=step, stride_h=1)


def focus(g: Any, x: Any, order: Any = ROWS_OUTSIDE, dim: int = 1, **other: Any) -> nb.Value:
    return nb.concat(g, [pixels(g, x, begin, **other) for begin in order], dim=dim)[0]


def convolved(g: Any, x: nb.Value) -> Any:
    return static_conv(g, x, normal(5, x.shape[0], 3, 3) / 6, normal(5), padding=1)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("step", [2, 3])
def test_every_so_many_th_pixel_in_order(step: int, both: bool) -> None:
    order = [(i, j) for i in range(step) for j in range(step)]
    g = graph_of(lambda g, x: focus(g, x, order, step=step, both=both), (3, 2 * step, 3 * step))
    same_on_ncnn(g, fires(raise_reorg, g, ["Reorg"]))
    g = graph_of(lambda g, x: convolved(g, focus(g, x, order, step=step, both=both)), (3, 2 * step, 3 * step))
    same_on_ncnn(g, fires(raise_reorg, g, ["Reorg", "Convolution"]))


@pytest.mark.parametrize("order", [YOLO, ((1, 0), (1, 1), (0, 1), (0, 0))])
def test_in_any_order_before_a_convolution(order: Any) -> None:
    g = graph_of(lambda g, x: convolved(g, focus(g, x, order)), PICTURE)
    after = fires(raise_reorg, g, ["Reorg", "Convolution"], tolerance=1e-5)
    same_on_ncnn(g, after)
    spoiled = raise_reorg(g)
    spoiled.nodes[-1].weights = g.nodes[-1].weights
    with pytest.raises(nb.ParityError):
        same_on_ncnn(g, spoiled)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda g, x: focus(g, x, YOLO), "another order than Reorg's"),
        (lambda g, x: nb.abs(g, focus(g, x, YOLO)), "another order than Reorg's"),
        (lambda g, x: [y := focus(g, x, YOLO), *convolved(g, y)], "somebody else reads"),
        (lambda g, x: focus(g, x, (*ROWS_OUTSIDE[:3], (0, 0))), None),
        (lambda g, x: focus(g, x, ROWS_OUTSIDE[:3]), None),
        (lambda g, x: focus(g, x, dim=2), None),
        (lambda g, x: focus(g, x, kernel_w=2), None),
        (lambda g, x: focus(g, x, pooling_type=1), None),
        (lambda g, x: focus(g, nb.pad(g, x, 1, 1, 1, 1)[0], step=3), None),
        (
            lambda g, x: nb.concat(
                g, [pixels(g, v, b) for v, b in zip((x, x, x, *nb.abs(g, x)), YOLO, strict=True)], 1
            ),
            None,
        ),
        (lambda g, x: nb.concat(g, [pixels(g, x[:2] if b[0] else x[1:], b) for b in ROWS_OUTSIDE], 1), None),
    ],
)
def test_no_reorg(build: Any, reason: str | None) -> None:
    refuses(raise_reorg, graph_of(build, PICTURE), reason)


def test_a_weight_that_is_computed_keeps_its_order() -> None:
    g = graph_of(lambda g, x, w: nb.Fconv2d(g, [focus(g, x, YOLO), w]), PICTURE, (4, 12, 1, 1))
    refuses(raise_reorg, lower_and_optimise(g, "reference"), "another order")


def test_a_weight_as_a_file_stores_it_keeps_its_order() -> None:
    g = graph_of(lambda g, x: convolved(g, focus(g, x, YOLO)), PICTURE)
    g.nodes[-1].stored = {"weight": "float16"}
    refuses(raise_reorg, g, "stored in a file's own way")


def test_an_input_of_any_shape_keeps_its_parts() -> None:
    g = nb.Graph("open")
    g.output("y", focus(g, g.input("x", PICTURE, any_shape=True)))
    refuses(raise_reorg, g, "sizes that follow an input of any shape")


class Focus(nn.Module):
    """The stem of YOLOv5, and its parts asked for again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        y = self.conv(torch.cat(parts, 1))
        return y[:, :4] * y[:, 4:].sigmoid()


@pytest.mark.parametrize("target", ["stock", "fused"])
def test_captured_focus(target: str) -> None:
    g = nb.capture(Focus().eval(), [torch.randn(1, 3, 8, 6)])
    after = lower_and_optimise(g, target)
    assert types(after) == ["Reorg", "Convolution", "Slice", "Sigmoid", "BinaryOp"]
    same_on_ncnn(g, after)
