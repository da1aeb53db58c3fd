"""Legalising: from values to layers with named blobs, each blob having exactly one consumer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import EmitError
from ..ir import Array, Graph, Value
from ..opspec import OpSpec, spec_of


@dataclass
class Layer:
    """A line of a .param file and its weights: what the reader gives back as well.

    halves: names of the weights that the .bin file holds as float16.
    """

    spec: OpSpec
    name: str
    inputs: list[str]
    outputs: list[str]
    params: dict[str, Any]
    weights: dict[str, Array] = field(default_factory=dict)
    halves: set[str] = field(default_factory=set)


def legalise(graph: Graph) -> tuple[list[Layer], dict[str, str]]:
    """Layers in order, and tap path -> blob.

    In ncnn a blob has exactly one consumer, so a Value that is used several times, or used and an output of
    the net, goes through a Split right behind its producer. Blobs get the names of the Values; an output of
    the net gets its own name.
    """
    layers: list[Layer] = []
    reads: dict[tuple[int, int], str] = {}  # (id of node, position) -> blob
    blob_of: dict[Value, str] = {}
    taken = {v.name for v in graph.values()} | {node.name for node in graph.nodes}
    outputs: dict[Value, list[str]] = {}
    for name, value in graph.outputs.items():
        if name in taken:
            raise EmitError("the name of an output is taken by another value", got=name)
        outputs.setdefault(value, []).append(name)
    taken |= set(graph.outputs)

    def fresh(name: str) -> str:
        """This name, or a numbered one where it is taken or longer than ncnn reads."""
        number = 0
        while name in taken or len(name.encode()) > 255:
            name, number = f"split_{number}", number + 1
        taken.add(name)
        return name

    def publish(value: Value) -> str:
        """The blob in which the producer puts the value; a Split, if more than one wants it, comes after."""
        names = outputs.get(value, [])
        # An input of the net keeps its name, so as an output as well it needs a copy.
        direct = len(names) == 1 and not value.uses and value.producer is not None
        blob_of[value] = names[0] if direct else value.name
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
        layers.append(Layer(spec_of("Split"), fresh(f"{blob}/split"), [blob], [*copies, *names], {}))

    for value in graph.inputs:
        dims = {} if value.any_shape else _dims(value.shape)
        layers.append(
            Layer(spec_of("Input"), value.name, [], [publish(value)], {"w": 0, "h": 0, "c": 0, "d": 0} | dims)
        )
        fan_out(value)
    for node in graph.nodes:
        blobs = [publish(v) for v in node.outputs]
        inputs = [reads[id(node), i] for i in range(len(node.inputs))]
        layers.append(Layer(node.spec, node.name, inputs, blobs, node.params, node.weights))
        for value in node.outputs:
            fan_out(value)
    return layers, {path: blob_of[value] for path, value in graph.taps.items()}


def _dims(shape: tuple[int, ...]) -> dict[str, int]:
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(shape)]
    return dict(zip(names, shape, strict=True))
