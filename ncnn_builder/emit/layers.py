"""Legalising: from values to layers with named blobs, each blob having exactly one consumer."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import BuildError, EmitError
from ..features import mask_of
from ..ir import Array, Graph, Params, Shape, Value
from ..opspec import OpSpec, spec_of
from ..sizes import is_open
from .syntax import Line

SURPRISES = (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError)
"""What a declaration may meet in a file that somebody else wrote, and that no author's call could bring."""
AS_THEY_ARE = mask_of(["fp16_storage", "bf16"])
"""Of a Split of whole numbers, which ncnn would turn into half floats in front of it, as if they were floats."""


@dataclass
class Layer:
    """A line of a .param file and its weights: what the reader gives back as well.

    stored  weight -> how the .bin file holds it, where it is not plain float32: see blob.py
    mask    ncnn's feature mask, id 31
    hints   shapes of the outputs, where the file says them (id 30); () for one that it does not say
    line    where it was read
    """

    spec: OpSpec
    name: str
    inputs: list[str]
    outputs: list[str]
    params: Params
    weights: dict[str, Array] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    mask: int = 0
    hints: list[Shape] | None = None
    line: Line | None = field(default=None, compare=False, repr=False)

    def weight_sizes(self) -> dict[str, int]:
        """Numbers of each weight, in file order. Raises BuildError for parameters that say none."""
        try:
            return self.spec.weight_sizes(self.params)
        except SURPRISES as error:
            what = f"the parameters say no size of the weights: {error}"
            raise BuildError(what, op=self.spec.in_files, node=self.name) from None


def legalise(graph: Graph) -> tuple[list[Layer], dict[str, str]]:
    """Layers in order, and tap path -> blob.

    In ncnn a blob has exactly one consumer, so a Value that is used several times, or used and an output of
    the net, goes through a Split right behind its producer. Blobs get the names of the Values; an output of
    the net gets its own name.
    """
    layers: list[Layer] = []
    reads: dict[tuple[int, int], str] = {}  # (id of node, position) -> blob
    blob_of: dict[Value, str] = {}
    outputs: dict[Value, list[str]] = {}
    for name, value in graph.outputs.items():
        outputs.setdefault(value, []).append(name)
    # Blobs and layers may share a name.
    others = {v.name for v in graph.values() if graph.outputs.get(v.name) is not v}
    for name in graph.outputs:
        if name in others:
            raise EmitError("the name of an output is taken by another value", got=name)
    taken = {v.name for v in graph.values()} | {node.name for node in graph.nodes} | set(graph.outputs)

    def fresh(name: str) -> str:
        """This name, or a numbered one where it is taken or longer than ncnn reads."""
        number = 0
        while name in taken or len(name.encode()) > 255:
            name, number = f"split_{number}", number + 1
        taken.add(name)
        return name

    def publish(value: Value) -> str:
        """The blob in which the producer puts the value; a Split, if more than one wants it, comes after."""
        if _direct(value, outputs):
            blob_of[value] = outputs[value][0]
        else:  # a net that was read has values of the names of its outputs, and they may have got readers
            blob_of[value] = fresh(f"{value.name}/blob") if value.name in graph.outputs else value.name
        return blob_of[value]

    def fan_out(value: Value) -> None:
        names, blob = outputs.get(value, []), blob_of[value]
        if blob in names:
            return
        if len(value.uses) + len(names) <= 1 and not names:
            for node, position in value.uses:
                reads[id(node), position] = blob
            return
        copies = [fresh(f"{blob}/split_{i}") for i in range(len(value.uses))]
        for copy, (node, position) in zip(copies, value.uses, strict=True):
            reads[id(node), position] = copy
        mask = AS_THEY_ARE if any(reader.spec.integer_input for reader, _ in value.uses) else 0
        layers.append(Layer(spec_of("Split"), fresh(f"{blob}/split"), [blob], [*copies, *names], {}, mask=mask))

    for value in graph.inputs:
        dims = {} if value.any_shape or is_open(value.shape) else _dims(value.shape)
        layers.append(
            Layer(spec_of("Input"), value.name, [], [publish(value)], {"w": 0, "h": 0, "c": 0, "d": 0} | dims)
        )
        fan_out(value)
    for node in graph.nodes:
        blobs = [publish(v) for v in node.outputs]
        inputs = [reads[id(node), i] for i in range(len(node.inputs))]
        layers.append(Layer(node.spec, node.name, inputs, blobs, node.params, node.weights, {**node.stored}, node.mask))
        for value in node.outputs:
            fan_out(value)
    return layers, {path: blob_of[value] for path, value in graph.taps.items()}


def module_of(name: str) -> str:
    """The module path that the name of a layer begins with: ``synthesis.b64.conv0`` of .../Convolution_3."""
    return name.partition("/")[0] if "/" in name else ""


def _direct(value: Value, outputs: dict[Value, list[str]]) -> bool:
    """Whether the producer makes an output of the net and nothing else: an input as an output needs a copy."""
    return len(outputs.get(value, ())) == 1 and not value.uses and value.producer is not None


def _dims(shape: tuple[int, ...]) -> dict[str, int]:
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(shape)]
    return dict(zip(names, shape, strict=True))
