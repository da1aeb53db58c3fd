"""Channels up to a multiple of 8 or 16, where ncnn's depthwise layers need that to be fast.

Over channels that are no multiple of 4 ncnn's ConvolutionDepthWise runs channel by channel, each on one thread
(x86/convolutiondepthwise_x86.cpp, create_group_ops); StyleGAN3 has 203 or 81 of them. So the convolution before the
filters makes some channels of zeros more, the filters run over all, and a Crop takes the real ones. What comes behind
looks through that Crop, which then nobody computes unless it is tapped.

With AVX-512 a layer of 16 n channels takes 16 at once, else 8, and twice as long. So it is a multiple of 16 where that
adds a sixteenth at most to the multiple of 8, which other machines compute in vain: filters of StyleGAN3 of 1024
channels take 3.9 s of a core (Zen 4) and not 4.9.
"""

from __future__ import annotations

import numpy as np

from ...ir import Array, Graph, Value
from ...ops.shapes.crop import crop
from ...ops.shapes.pad import pad

FEW = 4  # below, depthwise() has a dense form


def rounded(channels: int) -> int:
    if channels < FEW:
        return channels
    eights, sixteens = (-(-channels // n) * n for n in (8, 16))
    return sixteens if sixteens * 16 <= eights * 17 else eights


def widened(g: Graph, x: Value) -> Value:
    """x (C, H, W) with rounded(C) channels; there are only zeros in the further ones."""
    source = uncropped(x)
    if source is not None:
        return source
    return pad(g, x, behind=rounded(x.shape[0]) - x.shape[0])[0]


def uncropped(x: Value) -> Value | None:
    """What x is the first channels of, if that has a rounded number of them and this target has cropped it.

    Only then are the further channels known to be finite, so that they vanish against weights of zero.
    """
    node = x.producer
    if node is None or node.spec.type != "Crop" or node.made_by is None or len(x.shape) != 3:
        return None
    if node.params["axes"] != (0,) or node.params["starts"] != (0,):
        return None
    source = node.inputs[0]
    return source if source.shape[0] == rounded(x.shape[0]) else None


def first(g: Graph, x: Value, channels: int) -> Value:
    return x if x.shape[0] == channels else crop(g, x, [0], [channels], [0])[0]


def padded(a: Array, axis: int, size: int) -> Array:
    """Zeros behind the last index of an axis."""
    widths = [(0, size - n if i == axis else 0) for i, n in enumerate(a.shape)]
    return np.pad(a, widths) if size > a.shape[axis] else a
