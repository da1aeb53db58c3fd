"""Results that fp16 cannot hold, made smaller or larger by a power of two that the next layer takes back: exact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..emit.layers import Layer
from .equalise import next_of, scaled_in, scaled_out
from .halves import GREATEST, LEAST
from .net_files import NetFiles

MIDDLE = 256.0
"""What the largest number of such a result becomes, about."""


def beyond(span: tuple[float, float]) -> bool:
    """Whether fp16 cannot hold these: least and largest magnitude, zeros left out."""
    least, most = span
    return most > GREATEST["fp16"] / 2 or (0 < most < LEAST["fp16"] and least > 0)


def rescaled(net: NetFiles, ranges: Mapping[str, tuple[float, float]]) -> tuple[NetFiles, dict[str, float]]:
    """The net with every such result scaled where the layer behind it can take it back, and layer -> its factor.

    ranges: blob -> least and largest magnitude. A result stays as it is where weights would leave fp16 instead.
    """
    layers = {la.name: la for la in net.layers}
    factors: dict[str, float] = {}
    for first in net.layers:
        second = next_of(net, first)
        if second is None or not beyond(ranges.get(first.outputs[0], (0.0, 0.0))):
            continue
        most = ranges[first.outputs[0]][1]
        factor = 2.0 ** round(math.log2(MIDDLE / most))
        every = np.full(int(first.params["num_output"]), factor, np.float32)
        made, back = scaled_out(layers[first.name], every), scaled_in(layers[second.name], 1 / every)
        if (_holds(made) or not _holds(layers[first.name])) and (_holds(back) or not _holds(layers[second.name])):
            layers[first.name], layers[second.name] = made, back
            factors[first.name] = factor
    return net.with_layers([layers[la.name] for la in net.layers]), factors


def _holds(layer: Layer) -> bool:
    """Whether fp16 holds its weights."""
    sizes: Any = np.abs(layer.weights["weight"])
    return not sizes.any() or LEAST["fp16"] < float(sizes.max()) < GREATEST["fp16"] / 2
