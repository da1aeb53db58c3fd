"""A net in two files, as layers that can be changed, written to a temporary folder and run."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..emit.blob import read_bin, write_bin
from ..emit.foreign import QUANTISED
from ..emit.layers import Layer
from ..emit.load import read_bytes, read_file
from ..emit.predecessor import as_today
from ..emit.shapes import infer_shapes
from ..emit.syntax import MASK
from ..emit.text import LINT, error_at, read_layers, write_param
from ..emit.wiring import wiring
from ..errors import BuildError, ReadError
from ..foreign import Foreign
from ..ir import Shape
from ..opspec import spec_of

Blobs = dict[str, Any]
"""Blob -> float32 array, outermost dimension first."""


@dataclass
class NetFiles:
    """A net as its files have it. shapes: of the blobs, () where the file does not say."""

    path: Path
    layers: list[Layer]
    shapes: dict[str, Shape]
    size: int
    producers: dict[str, Layer] = field(default_factory=dict)
    readers: dict[str, Layer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.producers = {blob: layer for layer in self.layers for blob in layer.outputs}
        self.readers = {blob: layer for layer in self.layers for blob in layer.inputs}

    @property
    def inputs(self) -> list[str]:
        return [blob for layer in self.layers if layer.spec.type == "Input" for blob in layer.outputs]

    @property
    def outputs(self) -> list[str]:
        return [blob for layer in self.layers for blob in layer.outputs if blob not in self.readers]

    def source(self, blob: str) -> str:
        """The blob that this one is a copy of: what stands before the Split layers."""
        while self.producers[blob].spec.type == "Split":
            blob = self.producers[blob].inputs[0]
        return blob

    def unit(self, blob: str) -> float:
        """What one step of the blob is worth: 1, or of one that is handed on as int8, the inverse of its scale."""
        layer = self.producers[self.source(blob)]
        row = QUANTISED.get(layer.spec.in_files)
        if row is None or "output_scale" not in layer.weights:
            return 1.0
        return 1.0 / float(layer.weights["output_scale"][0])

    def with_layers(self, layers: Sequence[Layer]) -> NetFiles:
        """Another net of these layers, of the same blobs."""
        return NetFiles(self.path, list(layers), self.shapes, self.size)


def beside(param: Path) -> Path:
    """The .bin of a .param, by its name."""
    return param.with_name(param.name.removesuffix(".bin").removesuffix(".param") + ".bin")


def read_net_files(param: str | PathLike[str]) -> NetFiles:
    """The net in NAME.param (or NAME.param.bin) and NAME.bin beside it.

    Raises ReadError for files that are missing, malformed, or do not belong together.
    """
    path = Path(param)
    file = read_file(path)
    layers = read_layers(file, str(path))
    as_today(layers)
    for problem in wiring(file.read_lines()):
        if problem.rule != "duplicate-layer":
            raise error_at(str(path), problem.token, problem.what, fix=problem.fix or LINT)
    data = read_bytes(beside(path))
    read_bin(data, layers, str(beside(path)))
    return NetFiles(path, layers, infer_shapes(layers).blobs, len(data))


def encoded(net: NetFiles) -> tuple[bytes, bytes]:
    """The .param and the .bin of the net."""
    return write_param(net.layers).encode(), b"".join(write_bin(net.layers))


def runtime() -> Any:
    """The module `runtime`. Raises BuildError where it is not installed."""
    try:
        return importlib.import_module("runtime")
    except ImportError as error:
        raise BuildError(f"the runtime is not installed: {error}", fix="pip install . builds it") from None


def loaded(net: NetFiles, **options: Any) -> Any:
    """The net on our runtime, through files that are gone when it is there. Raises what runtime.Net raises."""
    with tempfile.TemporaryDirectory() as folder:
        param, weights = Path(folder, net.path.name.removesuffix(".bin")), Path(folder, beside(net.path).name)
        text, data = encoded(net)
        param.write_bytes(text)
        weights.write_bytes(data)
        return runtime().Net(param, weights, **{"any_shape": True, **options})


def ran(net: NetFiles, loaded_net: Any, sample: Blobs, blobs: Sequence[str] | None = None) -> Blobs:
    """Blobs of one sample, in the units that they stand for: one handed on as int8 is what it means.

    blobs: which; None: the outputs.
    """
    wanted = list(net.outputs if blobs is None else blobs)
    results = loaded_net.run(sample, wanted)
    return {name: scaled(array, net.unit(name)) for name, array in results.items()}


def scaled(array: Any, unit: float) -> Any:
    return np.asarray(array) if unit == 1.0 else np.asarray(array) * np.float32(unit)


def masked(layer: Layer, mask: int) -> Layer:
    """The layer, with these bits in its feature mask too."""
    if not isinstance(layer.spec, Foreign):
        return replace(layer, mask=layer.mask | mask)
    words = [w for w in layer.spec.verbatim if not w.startswith(f"{MASK}=")]
    made = type("Foreign", (type(layer.spec),), {"verbatim": (*words, f"{MASK}={layer.mask | mask}")})()
    made.shapes = layer.spec.shapes
    return replace(layer, spec=made, mask=layer.mask | mask)


def taken_apart(net: NetFiles, chosen: Iterable[Layer]) -> tuple[NetFiles, dict[str, list[str]]]:
    """A net of the chosen layers in which each reads inputs of its own, and layer -> the names of these inputs."""
    layers: list[Layer] = []
    inputs: dict[str, list[str]] = {}
    taken = {blob for layer in net.layers for blob in (*layer.inputs, *layer.outputs)}
    names = {layer.name for layer in net.layers}
    for number, layer in enumerate(chosen):
        own = []
        for place in range(len(layer.inputs)):
            name = f"apart_{number}_{place}"
            while name in taken or name in names:
                name += "_"
            own.append(name)
            layers.append(Layer(spec_of("Input"), name, [], [name], dict.fromkeys("whcd", 0)))
        inputs[layer.name] = own
        layers.append(replace(layer, inputs=own))
    return net.with_layers(layers), inputs


def unique_names(net: NetFiles) -> None:
    """Raises ReadError where two layers have one name: what is said of a layer is said by its name."""
    seen: set[str] = set()
    for layer in net.layers:
        if layer.name in seen:
            raise ReadError(f"{net.path}: two layers are called {layer.name}", fix="Give each a name of its own")
        seen.add(layer.name)


def samples_of(net: NetFiles, sample: Mapping[str, Any]) -> Blobs:
    """The sample as the net takes it: Embed reads whole numbers, all else float32."""
    return {
        name: np.asarray(array, np.int32)
        if net.readers[name].spec.integer_input
        else np.ascontiguousarray(array, np.float32)
        for name, array in sample.items()
    }
