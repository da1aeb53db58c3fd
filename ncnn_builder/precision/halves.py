"""Blobs and weights of 16 bits, as a device that stores them so has them: rounded between layers, computed in float32.

On x86 ncnn stores no blob as float16, so a net that overflows on a phone is right there; this shows it on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ..emit.layers import Layer
from ..features import FEATURES
from .int8 import is_int8
from .net_files import Blobs, NetFiles, loaded, taken_apart

Kind = Literal["fp16", "bf16"]
OFF = {"fp16": 1 << FEATURES["fp16_storage"], "bf16": 1 << FEATURES["bf16"]}
"""The bit of the mask with which a layer keeps float32."""
BITS = {"fp16": 11, "bf16": 8}
GREATEST = {"fp16": 65504.0, "bf16": float(np.finfo(np.float32).max)}
LEAST = {"fp16": float(np.finfo(np.float16).tiny), "bf16": float(np.finfo(np.float32).tiny)}
"""Below it numbers lose digits."""


def to_halves(array: Any, kind: Kind) -> Any:
    """float32, rounded to the nearest number of the kind; infinite beyond its end."""
    if kind == "fp16":
        with np.errstate(over="ignore"):
            return np.asarray(array, np.float32).astype(np.float16).astype(np.float32)
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    kept = (bits + 0x7FFF + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(array), kept.view(np.float32), array)


class Emulated:
    """A net as a device with 16-bit storage runs it, layer by layer. Layers whose mask says so keep float32."""

    def __init__(self, net: NetFiles, kind: Kind, **options: Any) -> None:
        self.net, self.kind = net, kind
        self.chosen = [la for la in net.layers if la.spec.type not in ("Input", "Split")]
        half = [self._with_halves(la) if self.on(la) else la for la in self.chosen]
        apart, self.inputs = taken_apart(net, half)
        self.loaded = loaded(apart, **options)

    def on(self, layer: Layer) -> bool:
        return not layer.mask & OFF[self.kind]

    def _with_halves(self, layer: Layer) -> Layer:
        weights = {
            name: to_halves(data, self.kind)
            if data.dtype == np.float32 and not is_int8(layer) and layer.spec.is_tagged(spec, layer.params)
            else data
            for spec in layer.spec.weights
            if (name := spec.name) in layer.weights and (data := layer.weights[name]) is not None
        }
        return replace(layer, weights=weights, stored={k: v for k, v in layer.stored.items() if v == "int8"})

    def layer(self, layer: Layer, given: Sequence[Any]) -> list[Any]:
        """One layer on these inputs, rounded before and after where it is not masked."""
        on = self.on(layer) and not layer.spec.integer_input
        arrays = [to_halves(a, self.kind) if on and a.dtype == np.float32 else a for a in given]
        if not all(np.isfinite(a).all() for a in arrays):  # no layer is asked what it makes of infinity
            unknown = [np.full(self.net.shapes.get(b) or (1,), np.nan, np.float32) for b in layer.outputs]
            return unknown
        results = self.loaded.run(dict(zip(self.inputs[layer.name], arrays, strict=True)), layer.outputs)
        made = [np.array(results[b]) for b in layer.outputs]
        return [to_halves(a, self.kind) if on else a for a in made]

    def run(self, sample: Blobs) -> Blobs:
        """All blobs of a sample; NaN in all that follows from a number beyond the end."""
        blobs: Blobs = dict(sample)
        for layer in self.net.layers:
            if layer.spec.type == "Split":
                blobs.update(dict.fromkeys(layer.outputs, blobs[layer.inputs[0]]))
            elif layer.spec.type != "Input":
                made = self.layer(layer, [blobs[b] for b in layer.inputs])
                blobs.update(zip(layer.outputs, made, strict=True))
        return blobs
