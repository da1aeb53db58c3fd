"""Make one Reorg of every so many-th pixel that a Concat puts into channels: the focus of YOLOv5 and YOLOX.

before:  p = Crop(x, [0], [7], axes=[1]); q = Pooling(p, kernel=1, stride_h=2)            rows 0, 2, 4, 6
         r = Crop(q, [0], [7], axes=[2]); a = Pooling(r, kernel=1, stride_w=2)            of these, columns 0, 2, 4, 6
         y = Concat(a, b, c, d, axis=0); z = Convolution(y, weight=w)                     b, c, d: the other three
after:   y = Reorg(x, stride=2, mode=1); z = Convolution(y, weight=w with the channels in the order of Reorg)

Without a Convolution where the parts are in Reorg's order, rows outside: [0::2, 0::2], [0::2, 1::2], [1::2, 0::2], ...
Crops and steps may come in any order, and be several.

Exact: Reorg copies the same pixels. A convolution adds its products in another order of channels, which rounds
differently.
Refused: parts in another order with anything but a Convolution behind them, or that somebody else reads; weights that
are computed, or stored in a file's own way; open sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..ir import Node, Value
from ..ops.enums import Pool, Windows
from ..ops.layers import Concat, Convolution, Crop, Pooling, Reorg
from .match import Matcher, expect, is_a, need
from .rules import Made, Rules

raise_reorg = Rules("raise_reorg")


@dataclass(frozen=True, eq=False)
class _Pixels:
    """x[:, begin_h::step_h, begin_w::step_w], or the beginning of it."""

    x: Value
    begin: tuple[int, int]
    step: tuple[int, int]


@raise_reorg.on(Concat)
def _in_order(m: Matcher, node: Node) -> Made:
    x, step, order = _parts(node)
    need(order == sorted(order), "the parts are in another order than Reorg's")
    return m.make(Reorg, x, stride=step, mode=1)


@raise_reorg.on(Convolution)
def _in_any_order(m: Matcher, conv: Node) -> Made:
    concat = m.maker(conv.inputs[0], Concat)
    x, step, order = _parts(concat)
    expect(order != sorted(order))
    need(
        not conv.params["dynamic_weight"] and not conv.stored,
        "a weight that is computed, or stored in a file's own way",
    )
    weight, channels = conv.weights["weight"], x.shape[0]
    blocks = weight.reshape(len(weight), step * step, channels, *weight.shape[2:])
    sorted_blocks = blocks[:, [order.index(k) for k in range(step * step)]]
    made = m.make(Reorg, x, stride=step, mode=1)
    return m.again(conv, made, {**conv.weights, "weight": sorted_blocks.reshape(weight.shape)})


def _parts(concat: Node) -> tuple[Value, int, list[int]]:
    """(x, step, number of each part in the order of Reorg). Raises NoMatch where a Concat has not just all of them."""
    y, count = concat.outputs[0], len(concat.inputs)
    step = next((n for n in range(2, count) if n * n == count), 0)
    expect(step and len(y.shape) == 3 and concat.params["axis"] in (0, -3))
    found = [{id(p.x): p for p in _ways(v) if p.step == (step, step)} for v in concat.inputs]
    for key, first in found[0].items():
        of_x = [parts[key] for parts in found if key in parts]
        order = [p.begin[0] * step + p.begin[1] for p in of_x]
        inside = all(max(p.begin) < step for p in of_x)
        if len(of_x) == count and inside and sorted(order) == list(range(count)):
            c, h, w = first.x.shape
            expect(y.shape == (c * count, h // step, w // step))
            need(not first.x.open, "sizes that follow an input of any shape")
            return first.x, step, order
    expect(False)
    raise AssertionError


def _ways(value: Value) -> Iterator[_Pixels]:
    """What a value is pixels of: itself, what it was cut out of, what this was cut out of."""
    (h, w), (step_h, step_w) = (0, 0), (1, 1)
    while True:
        yield _Pixels(value, (h, w), (step_h, step_w))
        node = value.producer
        if node is None or len(node.inputs) != 1 or len(node.inputs[0].shape) != 3:
            return
        if is_a(node, Crop):
            assert isinstance(node.spec, Crop)
            channels, rows, columns = node.spec.ranges(node.inputs[0].shape, node.params)
            if channels != (0, node.inputs[0].shape[0]):
                return
            h, w = h + rows[0], w + columns[0]
        elif is_a(node, Pooling) and _only_steps(node):
            down, right = node.params["stride_h"], node.params["stride_w"]
            h, w, step_h, step_w = h * down, w * right, step_h * down, step_w * right
        else:
            return
        value = node.inputs[0]


def _only_steps(pooling: Node) -> bool:
    """Whether it is the maximum of windows of one pixel each."""
    p = dict(pooling.params)  # the others mean nothing then
    windows = (p["pooling_type"], p["pad_mode"], p["kernel_h"], p["kernel_w"]) == (Pool.MAX, Windows.VALID, 1, 1)
    border = any(p[f"pad_{side}"] for side in ("left", "right", "top", "bottom"))
    return windows and not border and not p["global_pooling"] and not p["adaptive_pooling"]
