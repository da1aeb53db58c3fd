"""Say upfirdn2d where the predecessor's layers spell it out.

before:  y = Up2(x); z = Padding(y, top, bottom, left, right); u = ConvolutionDepthWise(z, k for every channel)
after:   u = upfirdn2d(x, f=k, up=2, padding=(top, bottom, left, right), flip_filter=1)

Of one channel it is a Convolution. The zeros and the border may be missing; the border may be a Crop and a Padding,
which is how pad() writes mixed signs, and the convolution's own; the convolution's stride is the factor of the pixels
kept. Exact: it is the definition of upfirdn2d, with a correlation where the layer correlates. Then every target has its
fast form of it.

Refused: channels that differ in their kernel; a kernel that is no constant, or one number; a bias, an activation or a
dilation; a border that is not 0 or not along height and width; a value on the way that somebody else reads (that part
then stays outside).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.fir import MOST_FACTOR, MOST_TAPS, paddings, upfirdn2d_params
from ..ops.shape import Crop
from ..opspec import spec_of
from .match import Matcher, constant, rewrite_all


def raise_upfirdn2d(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_upfirdn2d")


@dataclass(frozen=True)
class _Filter:
    """upfirdn2d of `x` as far as it is known, walking backwards from the convolution."""

    x: Value
    padding: tuple[int, ...]  # top, bottom, left, right
    up: int = 1


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    kernel = _kernel(node, matcher)
    if kernel is None:
        return None
    p = node.params
    found = _zeros(_cropped(_padded(_Filter(node.inputs[0], paddings(p)), matcher), matcher), matcher)
    down = (p["stride_h"], p["stride_w"])
    params = upfirdn2d_params(found.up, down, found.padding, True, 1.0)
    return append(new, spec_of("upfirdn2d"), found.x, params, {"f": kernel})


def _kernel(node: Node, matcher: Matcher) -> Array | None:
    """[kh, kw], the same for every channel, of a convolution that does nothing else."""
    p = node.params
    if node.spec.type not in ("ConvolutionDepthWise", "Convolution"):
        return None
    channels = node.inputs[0].shape[0]
    plain = p["dilation_h"] == p["dilation_w"] == 1 and not p["bias_term"] and not p["activation_type"]
    if not plain or p["pad_value"] or not p.get("group", 1) == p["num_output"] == channels:
        return None
    data = constant(node.inputs[1]) if p["dynamic_weight"] else node.weights["weight"]
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
        up = found.up * factors[node.spec.type]
        if up > MOST_FACTOR:
            break
        found = replace(found, x=node.inputs[0], up=up)
    return found
