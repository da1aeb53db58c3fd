"""Say upfirdn2d where the predecessor's layers spell it out.

before:  y = Up2(x); z = Padding(y, top, bottom, left, right); u = ConvolutionDepthWise(z, k for every channel)
after:   u = upfirdn2d(x, f=k, up=2, padding=(top, bottom, left, right), flip_filter=1)

before:  u = upfirdn2d(x, f=[k, 1], up, padding); v = upfirdn2d(u, f=[1, k]); d = Down2(v)
after:   d = upfirdn2d(x, f=[k], up, down=2, padding)

before:  a = Padding(Reshape(x, [C * H, 1, W]), 1 row of zeros behind)
         b = Padding(Reshape(a, [C * H * 2 * W, 1]), 1 column of zeros behind); y = Reshape(b, [C, H * 2, W * 2])
after:   y = Up2(x)    in the above; the official code inserts zeros by a border of axes of 1, for any factor

Of one channel it is a Convolution. The zeros and the border may be missing; the border may be a Crop and a Padding,
which is how pad() writes mixed signs, and the convolution's own; the convolution's stride is the factor of the pixels
kept, and so is that of a Pooling with windows of one pixel behind it, as x[:, ::2, ::2] is captured. Exact: it is the
definition of upfirdn2d, with a correlation where the layer correlates. Then every target has its fast form of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ir import Array, Node, Value
from ..ops.enums import Border, Fused, Pool, Windows
from ..ops.generators.fir import MOST_FACTOR, MOST_TAPS, PADDINGS, paddings, upfirdn2d_params
from ..ops.layers import Convolution, ConvolutionDepthWise, Down2, Padding, Pooling, Up2, Up4, Upfirdn2d
from ..ops.shapes.crop import Crop
from ..opspec import OpSpec
from .inserted_zeros import inserted_zeros
from .match import Matcher, NoMatch, expect, is_a, need
from .rules import Made, Rules

TOO_FAR = "a factor that is too large"

raise_upfirdn2d = Rules("raise_upfirdn2d")


@dataclass(frozen=True)
class _Filter:
    """upfirdn2d of `x` as far as it is known, walking backwards from the convolution."""

    x: Value
    padding: tuple[int, ...]  # top, bottom, left, right
    up: tuple[int, int] = (1, 1)  # along height, width


@raise_upfirdn2d.on(ConvolutionDepthWise, Convolution)
def _filter(m: Matcher, conv: Node) -> Made:
    kernel, p = _kernel(conv), conv.params
    found = _zeros(m, _cropped(m, _padded(m, _Filter(conv.inputs[0], paddings(p)))))
    params = upfirdn2d_params(found.up, (p["stride_h"], p["stride_w"]), found.padding, True, 1.0)
    return m.make(Upfirdn2d, found.x, {"f": kernel}, **params)


def _kernel(conv: Node) -> Array:
    """[kh, kw], the same for every channel, of a convolution that does nothing else."""
    p = conv.params
    expect(p.get("group", 1) == p["num_output"] == conv.inputs[0].shape[0])
    data = conv.inputs[1].data if p["dynamic_weight"] else conv.weights["weight"]
    if data is None or data[0].size == 1 or not (data == data[:1]).all():
        raise NoMatch
    need(not p["bias_term"] and p["activation_type"] == Fused.NONE, "a bias, or an activation")
    need(p["dilation_h"] == p["dilation_w"] == 1, "a dilation")
    need(not p["pad_value"], "a border that is not 0")
    need(max(data.shape[2:]) <= MOST_TAPS, "too many taps")
    need(max(p["stride_h"], p["stride_w"]) <= MOST_FACTOR, TOO_FAR)
    return np.ascontiguousarray(data[0, 0])


@raise_upfirdn2d.on(Down2, Pooling)
def _fewer(m: Matcher, node: Node) -> Made:
    """The pixels that Down2 keeps, or a Pooling with windows of one pixel, kept by the filter before it."""
    fir, kept = m.maker(node.inputs[0], Upfirdn2d), (2, 2)
    if is_a(node, Pooling):
        p = node.params
        one = p["kernel_h"] == p["kernel_w"] == 1 and not any(paddings(p)) and p["pad_mode"] == Windows.VALID
        one = one and p["count_include_pad"] in (0, 1)  # which means nothing to a maximum
        need(one and p["pooling_type"] == Pool.MAX, "a window of more than one pixel")
        need(not p["global_pooling"] and not p["adaptive_pooling"], "a window of more than one pixel")
        kept = p["stride_h"], p["stride_w"]
    down = fir.params["down_y"] * kept[0], fir.params["down_x"] * kept[1]
    need(max(down) <= MOST_FACTOR, TOO_FAR)
    return m.again(fir, down_y=down[0], down_x=down[1])


@raise_upfirdn2d.on(Upfirdn2d)
def _both_axes(m: Matcher, second: Node) -> Made:
    """A row and a column of the same taps, whichever comes first, as one filter along both axes."""
    first = m.maker(second.inputs[0], Upfirdn2d)
    f, g, p, q = first.weights.get("f"), second.weights.get("f"), first.params, second.params
    if f is None or g is None or f.ndim != 2 or f.shape != g.shape[::-1] or 1 not in f.shape or f.size == 1:
        raise NoMatch
    row = f.shape[0] == 1
    own = "up_y" if row else "up_x"  # of the second
    borders, more = paddings(p), paddings(q)
    need((f.ravel() == g.ravel()).all(), "a row and a column that differ in their taps")
    # Zeros and a border along the first filter have to be there before it.
    early = q["up_x" if row else "up_y"] == 1 and not any(more[2:] if row else more[:2])
    # Zeros that come behind it come before the border along the second.
    late = q[own] == 1 or (p[own] == 1 and not any(borders[:2] if row else borders[2:]))
    need(early and late and p["down_y" if row else "down_x"] == 1, "zeros, a border or fewer pixels between the two")
    need(p["flip_filter"] == q["flip_filter"], "filters of which only one is turned")
    need(not any(a * b < 0 for a, b in zip(borders, more, strict=True)), "a border that one adds and the other cuts")
    factors: dict[str, Any] = {k: p[k] * q[k] for k in ("up_y", "up_x", "down_y", "down_x")}
    need(max(factors.values()) <= MOST_FACTOR, TOO_FAR)
    padding = dict(zip(PADDINGS, (a + b for a, b in zip(borders, more, strict=True)), strict=True))
    weights = {"f": np.ascontiguousarray(f.ravel())}
    return m.again(first, first.inputs, weights, **factors, **padding, gain=p["gain"] * q["gain"])


def _padded(m: Matcher, found: _Filter) -> _Filter:
    node = m.maybe(found.x, Padding)
    if node is None:
        return found
    p = node.params
    if p["mode"] != Border.CONSTANT or p["value"] or p["front"] or p["behind"] or p["per_channel_pad_data_size"]:
        return found
    sides = (p["top"], p["bottom"], p["left"], p["right"])
    return replace(found, x=node.inputs[0], padding=tuple(a + b for a, b in zip(found.padding, sides, strict=True)))


def _cropped(m: Matcher, found: _Filter) -> _Filter:
    """A side that is cropped and then padded has zeros where pixels were, so it must be one or the other."""
    node = m.maybe(found.x, Crop)
    if node is None:
        return found
    assert isinstance(node.spec, Crop)
    x = node.inputs[0]
    (front, behind), *ranges = node.spec.ranges(x.shape, node.params)
    cut = [n for (a, b), size in zip(ranges, x.shape[1:], strict=True) for n in (a, size - b)]
    if (front, behind) != (0, x.shape[0]) or any(c and p for c, p in zip(cut, found.padding, strict=True)):
        return found
    return replace(found, x=x, padding=tuple(p - c for p, c in zip(found.padding, cut, strict=True)))


def _zeros(m: Matcher, found: _Filter) -> _Filter:
    factors: dict[type[OpSpec], int] = {Up2: 2, Up4: 4}
    while (node := m.maybe(found.x, *factors)) is not None:
        up = (found.up[0] * factors[type(node.spec)], found.up[1] * factors[type(node.spec)])
        if max(up) > MOST_FACTOR:
            break
        found = replace(found, x=node.inputs[0], up=up)
    inserted = inserted_zeros(found.x, m)
    if inserted is not None:
        x, (rows, columns) = inserted
        up = (found.up[0] * rows, found.up[1] * columns)
        found = replace(found, x=x, up=up) if max(up) <= MOST_FACTOR else found
    return found
