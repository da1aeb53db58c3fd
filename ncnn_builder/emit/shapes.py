"""Shapes of the blobs of a net that was read, as far as they follow from its inputs, its hints and the caller."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from ..errors import BuildError
from ..ir import Array, Params, Shape
from ..opspec import OpSpec
from .foreign import Foreign
from .layers import SURPRISES, Layer
from .text import keep_words


@dataclass
class Shapes:
    """blobs: name -> shape, () where it is not known. problems: layers whose inputs do not fit, and why."""

    blobs: dict[str, Shape] = field(default_factory=dict)
    problems: list[tuple[Layer, str]] = field(default_factory=list)


def infer_shapes(layers: Sequence[Layer], given: Mapping[str, Shape] | None = None) -> Shapes:
    """The shape of every blob. given: blobs whose shape the caller knows better than the file.

    On the way the weights get the shapes that the declarations ask for.
    """
    found, given = Shapes(), given or {}
    for layer in layers:
        shapes = _layer(layer, [found.blobs.get(name, ()) for name in layer.inputs], found.problems)
        if len(shapes) != len(layer.outputs):
            if all(shapes):
                found.problems.append((layer, f"it makes {len(shapes)} blobs, and the file names {len(layer.outputs)}"))
            shapes = [()] * len(layer.outputs)
        said = layer.hints or [()] * len(layer.outputs)
        for name, shape, hint in zip(layer.outputs, shapes, said, strict=True):
            found.blobs[name] = given.get(name, shape or hint)
    return found


def _layer(layer: Layer, inputs: list[Shape], problems: list[tuple[Layer, str]]) -> list[Shape]:
    spec = layer.spec
    if spec.type == "Input":
        sizes = tuple(layer.params[k] for k in "cdhw")
        shape = tuple(n for n in sizes if n)
        return [shape if all(n > 0 for n in shape) else ()] * len(layer.outputs)
    if spec.type == "Split":
        return inputs[:1] * len(layer.outputs)
    unknown: list[Shape] = [()] * len(layer.outputs)
    if all(inputs):
        completed = dict(spec.completed(inputs, layer.params))
        if (kept := _in_files_only(layer, completed, inputs, problems)) is not None:
            return kept
        layer.params = completed
    least, most = spec.arity
    if not least <= len(inputs) <= most:
        problems.append((layer, f"it has {len(inputs)} inputs, and takes {', '.join(spec.inputs) or 'none'}"))
        return unknown
    if not all(inputs):
        return unknown
    try:
        if implicit := broadcast(layer, inputs):
            inputs = list(implicit)
        shapes = _asked(spec, inputs, layer)
        bad = [s for s in shapes if any(n < 1 for n in s)]
        if bad:
            raise BuildError("the result is empty", got=[list(s) for s in bad])
        return shapes
    except BuildError as error:
        problems.append((layer, str(error)))
    except SURPRISES as error:
        problems.append((layer, f"its parameters do not fit its inputs: {error}"))
    return unknown


def _in_files_only(
    layer: Layer, completed: Params, inputs: list[Shape], problems: list[tuple[Layer, str]]
) -> list[Shape] | None:
    """Shapes of a layer in a form that only files have, which is kept word for word from here on; None: it is none.

    completed: its parameters with those that its inputs say; what is kept are those of its line.
    """
    unknown: list[Shape] = [()] * len(layer.outputs)
    spec, count = layer.spec, len(layer.outputs)
    try:
        if isinstance(spec, Foreign):
            found = None if spec.base is None else spec.base.as_read(inputs, spec.given, spec.extra, count)
            return spec.shapes if found is None else found
        found = spec.as_read(inputs, completed, {}, count)
    except BuildError as error:
        problems.append((layer, str(error)))
        return unknown
    except SURPRISES as error:
        problems.append((layer, f"its parameters do not fit its inputs: {error}"))
        return unknown
    if found is not None and layer.line is not None:
        keep_words(layer, unknown)
    return found


def broadcast(layer: Layer, inputs: Sequence[Shape]) -> tuple[Shape, Shape] | None:
    """The shapes that ncnn's BinaryOp gives inputs of different ranks before it broadcasts; None for equal ranks.

    A vector goes along the outermost axis if it is as long, else along the innermost; anything else gets its axes from
    the outermost on (binaryop.cpp, "expand inner axes"). numpy gives it the innermost ones.
    """
    if layer.spec.type != "BinaryOp" or len(inputs) != 2 or len(inputs[0]) == len(inputs[1]):
        return None
    low, high = sorted(inputs, key=len)
    rank = len(high)
    ones = (1,) * (rank - len(low))
    wide = ones + low if len(low) == 1 and low[0] != high[0] else low + ones
    return (wide, high) if len(inputs[0]) < len(inputs[1]) else (high, wide)


def _asked(spec: OpSpec, inputs: Sequence[Shape], layer: Layer) -> list[Shape]:
    """The shape rule's answer. A file's weights are flat: they take the shapes that the rule compares them with."""
    sizes = layer.weight_sizes()  # of weights that nobody has read, too
    said = spec.weight_shapes(layer.params)
    probes = {name: _Probe(n, said.get(name)) for name, n in sizes.items()}
    try:
        shapes = spec.infer(inputs, layer.params, cast("Mapping[str, Array]", probes))
    except BuildError:
        raise
    except SURPRISES:  # a rule that looks at numbers, too
        return spec.infer(inputs, layer.params, layer.weights)
    asked = {name: probe.found for name, probe in probes.items() if probe.found is not None}
    for name, shape in {**asked, **said}.items():
        if name in layer.weights:
            layer.weights[name] = layer.weights[name].reshape(shape)
    return shapes


class _Asked(tuple[int, ...]):
    """A shape that is equal to any other of as many elements, and remembers it."""

    found: Shape | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, tuple) or not all(isinstance(n, int) for n in other):
            return False
        if math.prod(self) != math.prod(other):
            return False
        self.found = tuple(other)
        return True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


class _Probe:
    """Stands for a weight in a shape rule. Once it has been compared, it has the shape that it was compared with."""

    def __init__(self, size: int, shape: Shape | None = None) -> None:
        self.size = size
        self._asked = _Asked((size,))
        self._asked.found = shape

    @property
    def found(self) -> Shape | None:
        return self._asked.found

    @property
    def shape(self) -> Shape:
        return self._asked.found or self._asked
