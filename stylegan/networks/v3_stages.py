"""Which layers a StyleGAN3 synthesis network has, and those that StyleGAN-XL puts behind it to double its size.

Sources: Karras et al. 2021, section 3.2 and appendix C; Sauer et al. 2022 ("StyleGAN-XL", section 3.2): a network is
trained, its critically sampled layers are cut off, and others behind what is left make pictures of 2, 4, 8 or 16 times
the size, once or several times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stylegan.networks.layers import check_sizes

UP_FACTORS = (2, 4, 8, 16)


@dataclass(frozen=True)
class Point:
    """What the output of a layer is like: cutoff and half_width in cycles per picture, rate in pixels per picture, size
    in pixels with the margins."""

    cutoff: float
    half_width: float
    rate: float
    size: int
    channels: int


@dataclass(frozen=True)
class Layer:
    """index: as in its name; critical: it is sampled critically; torgb: it is the last one."""

    index: int
    before: Point
    after: Point
    critical: bool
    torgb: bool


def layers_of(
    img_resolution: int,
    img_channels: int,
    channel_base: int,
    channel_max: int,
    num_layers: int,
    num_critical: int,
    first_cutoff: float,
    first_stopband: float,
    last_stopband_rel: float,
    margin_size: int,
    heads: Sequence[Sequence[int]] = (),
) -> list[Layer]:
    """All layers, the ToRGB layer last. heads: (how many times the size, layers) of each that StyleGAN-XL put behind;
    num_layers is of what they stand on. Raises ValueError where there are no such layers.
    """
    ups = _checked(heads, img_resolution, num_critical)
    sizes = (channel_base, channel_max, margin_size)
    resolution = img_resolution // int(np.prod([1, *ups]))
    first = (first_cutoff, first_stopband)
    layers = _stage(resolution, img_channels, *sizes, num_layers, num_critical, first, last_stopband_rel, 0, None)
    for up, count in heads:
        layers = [layer for layer in layers if not layer.critical]
        last = layers[-1].after
        resolution *= up
        first = (last.cutoff, last.half_width + last.cutoff)
        start = len(layers) + 1  # the fork counts so, which leaves out a number
        layers += _stage(resolution, img_channels, *sizes, count, num_critical, first, last_stopband_rel, start, last)
    return layers


def _checked(heads: Sequence[Sequence[int]], img_resolution: int, num_critical: int) -> list[int]:
    if not heads:
        return []
    for head in heads:
        if len(head) != 2:
            raise ValueError(f"heads must be pairs (how many times the size, layers), got {head}")
        check_sizes(("heads: layers", head[1], num_critical + 1))
        if head[0] not in UP_FACTORS:
            raise ValueError(f"heads: must make pictures of {', '.join(map(str, UP_FACTORS))} times the size: {head}")
    ups = [head[0] for head in heads]
    stem = img_resolution / float(np.prod(ups))
    if num_critical < 1 or not stem.is_integer() or stem < 4:
        raise ValueError(f"heads {list(heads)} need num_critical of 1 or more and a stem of 4 pixels, got {stem:g}")
    return ups


def _stage(
    resolution: int,
    img_channels: int,
    channel_base: int,
    channel_max: int,
    margin_size: int,
    count: int,
    num_critical: int,
    first: tuple[float, float],
    last_stopband_rel: float,
    start: int,
    behind: Point | None,
) -> list[Layer]:
    """`count` layers and a ToRGB layer, named from `start` on. behind: what they stand on."""
    last_cutoff = resolution / 2
    first_cutoff, first_stopband = first
    last_stopband = last_cutoff * last_stopband_rel
    exponents = np.minimum(np.arange(count + 1) / (count - num_critical), 1)
    cutoffs = first_cutoff * (last_cutoff / first_cutoff) ** exponents
    stopbands = first_stopband * (last_stopband / first_stopband) ** exponents
    rates = np.exp2(np.ceil(np.log2(np.minimum(stopbands * 2, resolution))))
    channels = np.rint(np.minimum((channel_base / 2) / cutoffs, channel_max))
    if behind is not None:
        rates[0], channels[0] = behind.rate, behind.channels
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = rates + margin_size * 2
    sizes[-2:] = resolution
    channels[-1] = img_channels
    if channels.min() < 1:
        raise ValueError(f"channel_base {channel_base} leaves layers without channels at {resolution} pixels")
    points = [
        Point(float(cutoffs[i]), float(half_widths[i]), float(rates[i]), int(sizes[i]), int(channels[i]))
        for i in range(count + 1)
    ]
    return [
        Layer(start + i, points[max(i - 1, 0)], points[i], critical=i >= count - num_critical, torgb=i == count)
        for i in range(count + 1)
    ]
