"""From files to a graph: the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

from ..errors import BuildError, ReadError
from ..ir import Graph, Node, Shape, Value
from ..open_shapes import as_size
from ..ops.shapes.shape import really_reshape
from ..strangers import open_regular
from . import binary
from .blob import read_bin
from .foreign import Foreign
from .layers import SURPRISES, Layer, legalise, module_of
from .predecessor import as_today
from .shapes import Shapes, broadcast, infer_shapes
from .stated import stated
from .syntax import ParamFile, parse
from .text import LINT, error_at, read_layers, write_param
from .wiring import wiring

READ_BY = "reading"


def load(
    param_path: str | PathLike[str],
    bin_path: str | PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
) -> Graph:
    """The net in two files as a Graph, which can be compiled for any target, printed, and saved again.

    param_path: the text form, or the binary one (.param.bin). shapes: blob -> shape, outer first, no batch, for inputs
    whose shape the file does not say, such as ``{"in0": (3, 224, 224)}`` or ``(3, "h", "w")`` as of Graph.input(), and
    for results of layers that no op declares. What follows from the inputs, from the open sizes that a NAME.json beside
    NAME.param says, and from the file's shape hints, is known without; the rest stays unknown (Value.shape is ()), and
    then only the target `reference` can be compiled, which changes no layer.

    Blobs and layers keep their names, weights the form in which they are stored (float32, float16, bfloat16, int8).
    Split layers become uses of one Value. A BinaryOp of inputs of different ranks gets a Reshape that says what ncnn's
    rule makes of it. A layer of a type that no op declares, or with parameters that its declaration leaves out, is kept
    word for word, and so is one in a form that only files have, such as SAME padding. Blobs that nobody reads are the
    outputs. Saved for `reference` as it was read, the net has the very text of its file.

    Raises ReadError for files that are missing, malformed, do not belong together, or whose layers do not fit each
    other; `python -m ncnn_builder lint` says more about them.
    """
    what = fspath(param_path)
    file = read_file(param_path)
    layers = read_layers(file, what)
    as_today(layers)
    for layer in layers:
        if layer.spec.arity == (0, 0) and layer.spec.type != "Input":
            layer.inputs = []  # a constant that is said to read something, which it does not
    problems = [p for p in wiring(file.read_lines()) if p.rule != "duplicate-layer"]  # which ncnn does not mind
    if problems:
        raise error_at(what, problems[0].token, problems[0].what, fix=problems[0].fix)
    read_bin(read_bytes(bin_path), layers, fspath(bin_path))
    said = stated(param_path, file.text.encode()) if file.text is not None else {}
    given = _given({**said, **(shapes or {})}, layers, what)
    found = infer_shapes(layers, given)
    if found.problems:
        layer, reason = found.problems[0]
        raise _error(layer, what, f"the layer does not fit: {reason}")
    g = _Builder(Path(what).name, what, found, given).graph(layers)
    if file.text is not None:
        g.read = file.text, write_param(legalise(g)[0])
    return g


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Raises ReadError where there is no such file."""
    try:
        with open_regular(path) as stream:
            return stream.read()
    except (OSError, ValueError) as error:  # ValueError: a zero character in the path
        reason = getattr(error, "strerror", None) or error
        raise ReadError(f"cannot read {fspath(path)}: {reason}") from None


def read_file(path: str | PathLike[str]) -> ParamFile:
    """A .param file, of either form, as tokens. Raises ReadError for a missing file, and for one that is no text."""
    data = read_bytes(path)
    if binary.is_binary(data):
        return parse(binary.to_text(data, fspath(path)))
    try:
        file = parse(data.decode())
        file.text = data.decode()
        return file
    except UnicodeDecodeError as error:
        raise ReadError(f"{fspath(path)}: not a param file: no text", got=f"{data[:8]!r}, byte {error.start}") from None


def _given(shapes: Mapping[str, Sequence[int | str]], layers: Sequence[Layer], what: str) -> dict[str, Shape]:
    blobs = {name for layer in layers for name in layer.outputs}
    checked: dict[str, Shape] = {}
    for name, shape in shapes.items():
        if name not in blobs:
            raise ReadError(f"{what}: shapes names a blob that there is not", argument="shapes", got=name)
        checked[name] = tuple(as_size(n) for n in shape)
        if not 1 <= len(checked[name]) <= 4 or any(n < 1 for n in checked[name]):
            raise ReadError(
                f"{what}: bad shape of {name}", argument="shapes", expected="1 to 4 numbers >= 1", got=shape
            )
    return checked


def _error(layer: Layer, what: str, message: str) -> ReadError:
    assert layer.line is not None
    return error_at(what, layer.line.type, message, op=layer.spec.in_files, node=layer.name, got=None, fix=LINT)


class _Builder:
    def __init__(self, name: str, what: str, found: Shapes, given: Mapping[str, Shape]) -> None:
        self.g = Graph(name.removesuffix(".bin").removesuffix(".param"))
        self.what, self.found, self.given = what, found, given
        self.values: dict[str, Value] = {}

    def graph(self, layers: Sequence[Layer]) -> Graph:
        self.g.avoid(name for layer in layers for name in (layer.name, *layer.outputs))
        for layer in layers:  # first, as a layer above may have the name that is the blob of an input
            if layer.spec.type == "Input":
                self._input(layer)
        for layer in layers:
            if layer.spec.type == "Input":
                continue
            if layer.spec.type == "Split":
                self.values.update(dict.fromkeys(layer.outputs, self.values[layer.inputs[0]]))
            else:
                self._node(layer)
        read = {token.text for layer in layers if layer.line is not None for token in layer.line.inputs}
        inputs = {v.name for v in self.g.inputs}
        for name, value in self.values.items():
            if name not in read and name not in inputs:
                self.g.output(name, value)
        if not self.g.outputs:
            raise ReadError(f"{self.what}: the net has no output: every blob is read by a layer")
        return self.g

    def _input(self, layer: Layer) -> None:
        for name in layer.outputs:  # one line may name several inputs of the net
            open_shape = name not in self.given and not any(layer.params.values())
            self.values[name] = self.g.input(name, self.found.blobs[name] or None, any_shape=open_shape)

    def _node(self, layer: Layer) -> None:
        assert layer.line is not None
        inputs = [self.values[name] for name in layer.inputs]
        scope = module_of(layer.name)
        source = f"{Path(self.what).name}:{layer.line.number}"
        wide = broadcast(layer, [v.shape for v in inputs]) if all(v.shape for v in inputs) else None
        if wide is not None:
            with self.g.scope(scope):
                self.g.source, self.g.made_by, self.g.mask = source, READ_BY, layer.mask
                inputs = [
                    v if v.shape == s else really_reshape(self.g, v, s)[0] for v, s in zip(inputs, wide, strict=True)
                ]
                self.g.source, self.g.made_by, self.g.mask = None, None, 0
        node = Node(
            layer.spec, layer.name, inputs, layer.params, layer.weights, scope, source, None, layer.stored, layer.mask
        )
        if isinstance(layer.spec, Foreign):
            layer.spec.shapes = [self.found.blobs[name] for name in layer.outputs]
        outputs = self.g.adopt(node, [(name, self.found.blobs[name]) for name in layer.outputs])
        self.values.update(zip(layer.outputs, outputs, strict=True))
        if all(v.shape for v in outputs):
            try:
                constants = layer.spec.constants(layer.params, layer.weights) or ()
            except (BuildError, *SURPRISES) as error:
                raise _error(layer, self.what, f"the layer does not fit: {error}") from None
            for value, data in zip(outputs, constants, strict=False):
                value.data = data
