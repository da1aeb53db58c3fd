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

Refused: a row and a column that differ in their taps; channels that differ in their kernel; a kernel that is no
constant, or one number; a bias, an activation or a dilation; a border that is not 0 or not along height and width; a
value on the way that somebody else reads (that part then stays outside).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.generators.fir import MOST_FACTOR, MOST_TAPS, PADDINGS, paddings, upfirdn2d_params
from ..ops.shapes.crop import Crop
from ..opspec import spec_of
from .inserted_zeros import inserted_zeros
from .match import Matcher, rewrite_all


def raise_upfirdn2d(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_upfirdn2d")


@dataclass(frozen=True)
class _Filter:
    """upfirdn2d of `x` as far as it is known, walking backwards from the convolution."""

    x: Value
    padding: tuple[int, ...]  # top, bottom, left, right
    up: tuple[int, int] = (1, 1)  # along height, width


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type in ("Down2", "Pooling"):
        return _fewer(new, node, matcher)
    if node.spec.type == "upfirdn2d":
        return _both_axes(new, node, matcher)
    kernel = _kernel(node, matcher)
    if kernel is None:
        return None
    p = node.params
    found = _zeros(_cropped(_padded(_Filter(node.inputs[0], paddings(p)), matcher), matcher), matcher)
    down = (p["stride_h"], p["stride_w"])
    params = upfirdn2d_params(found.up, down, found.padding, True, 1.0)
    return append(new, spec_of("upfirdn2d"), found.x, params, {"f": kernel})


def _fewer(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """The pixels that Down2 keeps, or a Pooling with windows of one pixel, kept by the filter before it."""
    fir, kept = matcher.interior(node.inputs[0], "upfirdn2d"), (2, 2)
    if fir is None:
        return None
    if node.spec.type == "Pooling":
        p = node.params
        one = p["kernel_h"] == p["kernel_w"] == 1 and not any(paddings(p)) and p["pad_mode"] == 1
        one = one and p["count_include_pad"] in (0, 1)  # which means nothing to a maximum
        if not one or p["pooling_type"] or p["global_pooling"] or p["adaptive_pooling"]:
            return None
        kept = p["stride_h"], p["stride_w"]
    down = fir.params["down_y"] * kept[0], fir.params["down_x"] * kept[1]
    if max(down) > MOST_FACTOR:
        return None
    return append(new, fir.spec, fir.inputs[0], {**fir.params, "down_y": down[0], "down_x": down[1]}, fir.weights)


def _both_axes(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    """A row and a column of the same taps, whichever comes first, as one filter along both axes."""
    first, g = matcher.interior(node.inputs[0], "upfirdn2d"), node.weights.get("f")
    f = None if first is None else first.weights.get("f")
    if first is None or f is None or g is None or f.ndim != 2 or f.shape != g.shape[::-1] or 1 not in f.shape:
        return None
    p, q = first.params, node.params
    row = f.shape[0] == 1
    own = "up_y" if row else "up_x"  # of the second
    borders, more = paddings(p), paddings(q)
    fits = (
        f.size > 1
        and (f.ravel() == g.ravel()).all()
        # Zeros and a border along the first filter have to be there before it.
        and q["up_x" if row else "up_y"] == 1
        and not any(more[2:] if row else more[:2])
        # Zeros that come behind it come before the border along the second.
        and (q[own] == 1 or (p[own] == 1 and not any(borders[:2] if row else borders[2:])))
        and p["down_y" if row else "down_x"] == 1
        and p["flip_filter"] == q["flip_filter"]
        and not any(a * b < 0 for a, b in zip(borders, more, strict=True))
        and max(p[k] * q[k] for k in ("up_y", "up_x", "down_y", "down_x")) <= MOST_FACTOR
    )
    if not fits:
        return None
    params = {
        **p,
        **{k: p[k] * q[k] for k in ("up_y", "up_x", "down_y", "down_x", "gain")},
        **dict(zip(PADDINGS, (a + b for a, b in zip(borders, more, strict=True)), strict=True)),
    }
    return append(new, node.spec, first.inputs[0], params, {"f": np.ascontiguousarray(f.ravel())})


def _kernel(node: Node, matcher: Matcher) -> Array | None:
    """[kh, kw], the same for every channel, of a convolution that does nothing else."""
    p = node.params
    if node.spec.type not in ("ConvolutionDepthWise", "Convolution"):
        return None
    channels = node.inputs[0].shape[0]
    plain = p["dilation_h"] == p["dilation_w"] == 1 and not p["bias_term"] and not p["activation_type"]
    if not plain or p["pad_value"] or not p.get("group", 1) == p["num_output"] == channels:
        return None
    data = node.inputs[1].data if p["dynamic_weight"] else node.weights["weight"]
    if data is None or data[0].size == 1 or not (data == data[:1]).all():
        return None
    if max(data.shape[2:]) > MOST_TAPS or max(p["stride_h"], p["stride_w"]) > MOST_FACTOR:
        return None
    return np.ascontiguousarray(data[0, 0])


def _padded(found: _Filter, matcher: Matcher) -> _Filter:
    node = matcher.interior(found.x, "Padding")
    if node is None:
        return found
    p = node.params
    if p["mode"] or p["value"] or p["front"] or p["behind"] or p["per_channel_pad_data_size"]:
        return found
    sides = (p["top"], p["bottom"], p["left"], p["right"])
    return replace(found, x=node.inputs[0], padding=tuple(a + b for a, b in zip(found.padding, sides, strict=True)))


def _cropped(found: _Filter, matcher: Matcher) -> _Filter:
    """A side that is cropped and then padded has zeros where pixels were, so it must be one or the other."""
    node = matcher.interior(found.x, "Crop")
    if node is None:
        return found
    assert isinstance(node.spec, Crop)
    x = node.inputs[0]
    (front, behind), *ranges = node.spec.ranges(x.shape, node.params)
    cut = [n for (a, b), size in zip(ranges, x.shape[1:], strict=True) for n in (a, size - b)]
    if (front, behind) != (0, x.shape[0]) or any(c and p for c, p in zip(cut, found.padding, strict=True)):
        return found
    return replace(found, x=x, padding=tuple(p - c for p, c in zip(found.padding, cut, strict=True)))


def _zeros(found: _Filter, matcher: Matcher) -> _Filter:
    factors: dict[str, Any] = {"Up2": 2, "Up4": 4}
    while (node := matcher.interior(found.x, *factors)) is not None:
        up = (found.up[0] * factors[node.spec.type], found.up[1] * factors[node.spec.type])
        if max(up) > MOST_FACTOR:
            break
        found = replace(found, x=node.inputs[0], up=up)
    inserted = inserted_zeros(found.x, matcher)
    if inserted is not None:
        x, (rows, columns) = inserted
        up = (found.up[0] * rows, found.up[1] * columns)
        found = replace(found, x=x, up=up) if max(up) <= MOST_FACTOR else found
    return found
