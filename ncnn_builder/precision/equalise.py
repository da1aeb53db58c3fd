"""Scales of channels moved from a convolution to the next: exact, and int8 has less to lose (Nagel et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..emit.layers import Layer
from .int8 import can_be_int8
from .net_files import Blobs, NetFiles

HOMOGENEOUS = (0, 1, 2)
"""Activations with f(s x) = s f(x) for s > 0: none, ReLU, leaky ReLU. A clip is not."""
PLAIN = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
LEAST, MOST = 1 / 64, 64.0


def equalised(net: NetFiles, runs: Sequence[Blobs]) -> NetFiles | None:
    """The net with every such pair of layers scaled, so that the channels between them are the more alike; None where
    there is no pair. The scale of a channel is the square root of its range beside the largest, a power of two."""
    layers = {la.name: la for la in net.layers}
    changed = False
    for first in net.layers:
        second = next_of(net, first)
        if second is None:
            continue
        ranges = np.max(
            [np.abs(run[first.outputs[0]]).reshape(_channels(first), -1).max(axis=1) for run in runs], axis=0
        )
        if not ranges.max() > 0:
            continue
        relative = np.where(ranges > 0, ranges, ranges.max()) / ranges.max()
        scale = np.clip(2.0 ** np.round(np.log2(np.sqrt(relative))), LEAST, MOST).astype(np.float32)
        if (scale == 1).all():
            continue
        layers[first.name] = scaled_out(layers[first.name], 1 / scale)
        layers[second.name] = scaled_in(layers[second.name], scale)
        changed = True
    return net.with_layers([layers[la.name] for la in net.layers]) if changed else None


def _channels(layer: Layer) -> int:
    return int(layer.params["num_output"])


def next_of(net: NetFiles, first: Layer) -> Layer | None:
    """The only reader of a layer, where scales may go from the one to the other."""
    if not _plain(first) or first.params["activation_type"] not in HOMOGENEOUS:
        return None
    second = net.readers.get(first.outputs[0])
    if second is None or not _plain(second) or second.spec.type == "InnerProduct" != first.spec.type:
        return None
    if second.spec.type == "ConvolutionDepthWise":
        depthwise = second.params["group"] == second.params["num_output"] == _channels(first)
        return second if depthwise else None
    return second


def _plain(layer: Layer) -> bool:
    return layer.spec.type in PLAIN and can_be_int8(layer) is None and "weight" in layer.weights and not layer.stored


def scaled_out(layer: Layer, factor: Any) -> Layer:
    """The layer with the channels of its result times these."""
    rows = layer.weights["weight"].reshape(_channels(layer), -1) * factor[:, None]
    weights = {**layer.weights, "weight": rows.reshape(layer.weights["weight"].shape)}
    if "bias" in weights:
        weights["bias"] = weights["bias"] * factor
    return replace(layer, weights=weights)


def scaled_in(layer: Layer, factor: Any) -> Layer:
    """The layer as if the channels of its input were times these."""
    shape = layer.weights["weight"].shape
    if layer.spec.type == "ConvolutionDepthWise":
        rows = layer.weights["weight"].reshape(len(factor), -1) * factor[:, None]
    else:
        rows = layer.weights["weight"].reshape(_channels(layer), len(factor), -1) * factor[None, :, None]
    return replace(layer, weights={**layer.weights, "weight": rows.reshape(shape)})
