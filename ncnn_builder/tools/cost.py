"""What a net costs: products, parameters, memory, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..emit.layers import SURPRISES, Layer, module_of
from ..errors import BuildError
from ..ir import Shape
from .net import Net

FLOAT = 4


@dataclass(frozen=True)
class LayerCost:
    """One layer. shapes: of its outputs, () unknown. macs: None unknown. parameters: numbers in its weights.

    weight_bytes: in the .bin, None where it was not read. blob_bytes: of its outputs as float32; None unknown.
    """

    type: str
    name: str
    shapes: list[Shape]
    macs: int | None
    parameters: int
    weight_bytes: int | None
    blob_bytes: int | None

    @property
    def module(self) -> str:
        """The module path that its name begins with."""
        return module_of(self.name.removesuffix("/split"))  # a Split is called by what it splits


@dataclass(frozen=True)
class NetCost:
    """All layers. peak_bytes: of blobs that are alive at a time, None where shapes are unknown."""

    layers: list[LayerCost]
    peak_bytes: int | None

    @property
    def macs(self) -> int:
        return total(c.macs for c in self.layers)

    @property
    def parameters(self) -> int:
        return sum(c.parameters for c in self.layers)

    @property
    def weight_bytes(self) -> int:
        return total(c.weight_bytes for c in self.layers)

    @property
    def blob_bytes(self) -> int:
        return total(c.blob_bytes for c in self.layers)

    @property
    def unknown(self) -> int:
        """Layers whose cost is not known."""
        return sum(c.macs is None for c in self.layers)


def total(numbers: Iterable[int | None]) -> int:
    return sum(n for n in numbers if n is not None)


def cost(net: Net) -> NetCost:
    """The cost of every layer, from the declarations in the registry.

    A Split costs nothing, for its outputs are its input. The peak is that of light mode, which frees a blob after its
    last use, if no layer worked in place and none had a workspace of its own.
    """
    layers = [_layer(net, layer) for layer in net.layers]
    return NetCost(layers, _peak(net))


def _layer(net: Net, layer: Layer) -> LayerCost:
    shapes = [net.shape(b) for b in layer.outputs]
    inputs = [net.shape(b) for b in layer.inputs]
    macs: int | None = None
    if all(shapes) and all(inputs) and not (layer.spec.foreign and not layer.spec.weights):
        try:
            macs = layer.spec.macs(inputs, shapes, layer.params)
        except (BuildError, *SURPRISES):
            macs = None
    try:
        sizes = layer.weight_sizes()
    except BuildError:
        sizes = {}
    read = set(sizes) == set(layer.weights)
    stored = {"fp16": 2, "bf16": 2, "int8": 1}
    weight_bytes = sum(w.size * stored.get(layer.stored.get(k, ""), FLOAT) for k, w in layer.weights.items())
    return LayerCost(
        layer.spec.in_files,
        layer.name,
        shapes,
        macs,
        sum(max(n, 0) for n in sizes.values()),
        weight_bytes if read and net.has_bin else None,
        (0 if layer.spec.type == "Split" else sum(map(size, shapes))) if all(shapes) else None,
    )


def size(shape: Shape) -> int:
    """Bytes of a blob in float32."""
    return FLOAT * math.prod(shape)


def _peak(net: Net) -> int | None:
    if not all(net.shape(b) for layer in net.layers for b in layer.outputs):
        return None
    owner: dict[str, str] = {}  # a Split's outputs are its input
    for layer in net.layers:
        for blob in layer.outputs:
            split = layer.spec.type == "Split" and layer.inputs
            owner[blob] = owner.get(layer.inputs[0], layer.inputs[0]) if split else blob
    last: dict[str, int] = {}
    for i, layer in enumerate(net.layers):
        for blob in layer.inputs:
            last[owner.get(blob, blob)] = i
    for blob in net.outputs():
        last[owner[blob]] = len(net.layers)
    alive: dict[str, int] = {}
    peak = 0
    for i, layer in enumerate(net.layers):
        alive.update({b: size(net.shape(b)) for b in layer.outputs if owner[b] == b})
        peak = max(peak, sum(alive.values()))
        alive = {b: n for b, n in alive.items() if last.get(b, i) > i}
    return peak


def by_module(layers: Sequence[LayerCost], depth: int | None = None) -> dict[str, list[LayerCost]]:
    """Module path, cut after `depth` parts, -> its layers."""
    groups: dict[str, list[LayerCost]] = {}
    for layer in layers:
        path = layer.module
        path = path if depth is None else ".".join(path.split(".")[:depth])
        groups.setdefault(path, []).append(layer)
    return groups
