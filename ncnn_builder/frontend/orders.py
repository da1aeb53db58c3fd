"""Orders of a blob's numbers that one layer of ncnn makes: shuffles of channels, and of pixels with channels."""

from __future__ import annotations

from ..ir import Graph, Value
from ..ops.arithmetic.channelwise import pixel_shuffle
from ..ops.shapes.dims import pixel_unshuffle
from ..ops.shapes.orders import channel_shuffle
from .layout import Order, Shape


def by_one_layer(g: Graph, x: Value, base: Shape, order: Order) -> Value | None:
    """x, a picture whose numbers are an array [*base], in another order of these axes; None where that is no shuffle.

    base, order: merged, so that no two axes stay side by side.
    """
    if len(x.shape) != 3:
        return None
    c, h, w = x.shape
    if order in ((1, 0, 2), (1, 0)) and base[0] * base[1] == c:  # groups of channels, and the places of a channel
        return channel_shuffle(g, x, base[0])[0]
    if order == (0, 3, 1, 4, 2):  # [C, r, r, H, W] -> [C, H, r, W, r]
        r = base[1]
        return pixel_shuffle(g, x, r)[0] if base == (c // r // r, r, r, h, w) else None
    if order == (2, 0, 3, 1):  # [r, r, C * H, W] -> [C * H, r, W, r]
        r = base[0]
        fits = c % (r * r) == 0 and base == (r, r, c // r // r * h, w)
        return pixel_shuffle(g, x, r, mode=int(c > r * r))[0] if fits else None
    if order == (0, 2, 4, 1, 3):  # [C, H, r, W, r] -> [C, r, r, H, W]
        r = base[2]
        return pixel_unshuffle(g, x, r)[0] if base == (c, h // r, r, w // r, r) else None
    if order == (1, 3, 0, 2):  # [C * H, r, W, r] -> [r, r, C * H, W]
        r = base[1]
        fits = h % r == 0 and base == (c * (h // r), r, w // r, r)
        return pixel_unshuffle(g, x, r, mode=int(c > 1))[0] if fits else None
    return None
