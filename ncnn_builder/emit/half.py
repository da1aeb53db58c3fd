"""Weights stored as float16: which, and what it costs.

Only storage: ncnn makes float32 of them when it loads a file (Mat::from_float16 in modelbin.cpp), so layers compute as
ever, with rounded weights. A weight can be stored so where it is `tagged`: the 4 bytes before it say its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import BuildError
from ..ir import Array
from .layers import Layer

STORAGES = ("fp32", "fp16")
AS_READ = "as read"
"""What a graph made in Python has as fp32; weights that were read from a file stay as that file has them."""
BEHIND_TAG = "packed, behind a tag"
"""Bytes that hold numbers of few bits as ncnnllm2int wrote them until 2026-07: behind the tag of int8, which ncnn no
longer reads there."""
SMALL = 4096
"""Below so many numbers a weight stays float32: biases, filters, frequencies and grids, which are a thousandth of a
file and do more harm than a convolution's weights, whose errors cancel."""
_GREATEST = float(np.finfo(np.float16).max)
_LEAST = float(np.finfo(np.float16).tiny)


@dataclass
class WeightStorage:
    """How the weights of a model are stored.

    storage    "fp32", "fp16", or "as read" where some are in another form that a file had
    halved     number of weights that are float16
    error      the largest rounding error, relative to the largest magnitude of its weight
    kept       "LAYER WEIGHT: reason" of each weight that fp16 could not hold, and that is float32 therefore
    """

    storage: str = "fp32"
    halved: int = 0
    error: float = 0.0
    kept: list[str] = field(default_factory=list)


def store(layers: Sequence[Layer], storage: str) -> WeightStorage:
    """Mark the weights that are to be written as float16. Raises BuildError for an unknown storage."""
    if storage == AS_READ:
        for layer in layers:  # a pass that changed the numbers has made more of them than a table has
            for name in [k for k, form in layer.stored.items() if form == "table"]:
                if len(np.unique(layer.weights[name])) > 256:
                    del layer.stored[name]
        return WeightStorage(AS_READ if any(layer.stored for layer in layers) else "fp32")
    if storage not in STORAGES:
        raise BuildError("unknown storage of weights", argument="weights", expected=list(STORAGES), got=storage)
    report = WeightStorage(storage)
    without_old_tags(layers)
    for layer in layers:
        for weight in layer.spec.weights:
            data = layer.weights.get(weight.name)
            if data is None or data.dtype != np.float32:  # a quantised weight has no other form
                continue
            layer.stored.pop(weight.name, None)
            if storage == "fp32" or not layer.spec.is_tagged(weight, layer.params) or data.size < SMALL:
                continue
            reason = _unfit(data)
            if reason:
                report.kept.append(f"{layer.name} {weight.name}: {reason}")
                continue
            layer.stored[weight.name] = "fp16"
            report.halved += 1
            report.error = max(report.error, _error(data))
    return report


def without_old_tags(layers: Sequence[Layer]) -> None:
    """As the ncnn of today reads them."""
    for layer in layers:
        layer.stored = {name: how for name, how in layer.stored.items() if how != BEHIND_TAG}


def _unfit(data: Array) -> str | None:
    greatest = float(np.abs(data).max())
    if greatest > _GREATEST:
        return f"magnitude {greatest:.3g}, float16 ends at {_GREATEST:.0f}"
    if 0 < greatest < _LEAST:
        return f"magnitude {greatest:.3g}, float16 has few digits below {_LEAST:.2g}"
    return None


def _error(data: Array) -> float:
    greatest = float(np.abs(data).max())
    return float(np.abs(halved(data).astype(np.float32) - data).max()) / greatest if greatest else 0.0


def halved(data: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    """To the nearest float16, in the byte order of the file."""
    return np.ascontiguousarray(data, dtype="<f2")
