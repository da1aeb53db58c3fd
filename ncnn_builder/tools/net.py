"""A net as the tools look at it: its words, its layers as ncnn takes them, its weights and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath

from ..emit.blob import Reader
from ..emit.layers import Layer
from ..emit.load import read_bytes, read_file
from ..emit.shapes import Shapes, infer_shapes
from ..emit.syntax import ParamFile
from ..emit.text import read_layers
from ..errors import ReadError
from ..ir import Shape


@dataclass
class Net:
    """path: of the .param file. unread: what went wrong with the .bin, at which layer; left: its bytes left over."""

    path: str
    file: ParamFile
    layers: list[Layer]
    shapes: Shapes
    has_bin: bool = False
    unread: tuple[Layer, ReadError] | None = None
    left: int = 0
    consumers: dict[str, list[Layer]] = field(default_factory=dict)
    producers: dict[str, Layer] = field(default_factory=dict)

    def shape(self, blob: str) -> Shape:
        return self.shapes.blobs.get(blob, ())

    def wrong_hints(self, layer: Layer) -> Iterator[tuple[str, Shape]]:
        """Outputs of which the file says another shape than follows from the inputs, and what it says.

        Where data decide how long a result is, it may say less than the most.
        """
        for name, hint in zip(layer.outputs, layer.hints or (), strict=False):
            shape = self.shape(name)
            less = layer.spec.open_length and len(hint) == len(shape) > 0 and hint[0] <= shape[0]
            if hint and shape and hint != shape and not (less and hint[1:] == shape[1:]):
                yield name, hint

    def outputs(self) -> list[str]:
        """The blobs that nobody reads."""
        return [b for layer in self.layers for b in layer.outputs if b not in self.consumers]


def read_net(
    param: str | PathLike[str],
    data: str | PathLike[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Net:
    """Both files, as far as they can be read.

    Raises ReadError for a file that is missing, or that is no .param file at all.
    """
    file = read_file(param)
    if file.counts is None or any(p.rule == "magic" for p in file.problems):
        problem = file.problems[0]
        raise ReadError(f"{fspath(param)}: {problem.what}", got=problem.token.text[:40] or "nothing", fix=problem.fix)
    content = None if data is None else Reader(read_bytes(data), fspath(data))
    return net_of(file, fspath(param), content, shapes)


def net_of(
    file: ParamFile, path: str, content: Reader | None = None, shapes: Mapping[str, Sequence[int]] | None = None
) -> Net:
    """The net that a file says, and its weights. Raises ReadError for a shape of a blob that there is not."""
    layers = read_layers(file, path, lenient=True)
    strange = sorted((shapes or {}).keys() - {name for layer in layers for name in layer.outputs})
    if strange:
        raise ReadError(f"{path}: there is no blob {', '.join(strange)}", argument="--shape")
    net = Net(path, file, layers, Shapes(), content is not None)
    if content is not None:
        _weights(net, content)
    given = {name: tuple(shape) for name, shape in (shapes or {}).items()}
    net.shapes = infer_shapes(layers, given)
    for layer in layers:
        for name in layer.inputs:
            net.consumers.setdefault(name, []).append(layer)
        for name in layer.outputs:
            net.producers.setdefault(name, layer)
    return net


def _weights(net: Net, content: Reader) -> None:
    for layer in net.layers:
        try:
            content.layer(layer)
        except ReadError as error:
            net.unread = (layer, error)
            return
    net.left = len(content.data) - content.at
