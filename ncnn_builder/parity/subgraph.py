"""Parts of a graph as graphs of their own, to run a node or a module alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import ParityError
from ..ir import Array, Graph, Node, Value
from ..rebuild import copy_node


def node_graph(node: Node) -> tuple[Graph, dict[str, Value]]:
    """One node: a graph with its inputs as inputs, and input name -> the Value of the old graph."""
    return _extract([node], node.outputs, node.name)


def module_graph(graph: Graph, path: str) -> tuple[Graph, dict[str, Value]]:
    """The nodes built inside the module `path`, from the values they take from outside to the module's taps.

    The new graph has the module's taps. Raises ParityError for a path that has no nodes or no tap.
    """
    nodes = [n for n in graph.nodes if n.scope == path or n.scope.startswith(f"{path}.")]
    made = {v for n in nodes for v in n.outputs}
    taps = {p: v for p, v in graph.taps.items() if module_of(p) == path and v in made}
    if not nodes or not taps:
        raise ParityError("no nodes or no tap in this module", scope=path)
    return _extract(nodes, list(dict.fromkeys(taps.values())), path, taps)


def module_of(tap: str) -> str:
    """The module of a tap path: ``b64`` of ``b64:1``, the second of its results."""
    path, _, number = tap.rpartition(":")
    return path if path and number.isdigit() else tap


def module_paths(graph: Graph) -> dict[str, list[str]]:
    """Module path -> its tap paths, in the order of computation: a module comes behind those inside it."""
    paths: dict[str, list[str]] = {}
    for tap in graph.taps:
        paths.setdefault(module_of(tap), []).append(tap)
    return paths


def duplicate(graph: Graph) -> Graph:
    """A copy with weights of its own, so that nothing that writes into them reaches the original, nor torch's.

    Weights that share their memory in the original share it in the copy.
    """
    new = Graph(graph.name)
    mapping = {v: new.input(v.name, v.shape or None, any_shape=v.any_shape) for v in graph.inputs}
    arrays: dict[tuple[object, ...], Array] = {}

    def own(data: Array) -> Array:
        return arrays.setdefault((data.__array_interface__["data"][0], data.shape, data.strides), data.copy())

    for node in graph.nodes:
        with new.scope(node.scope):
            outputs = copy_node(new, node, [mapping[v] for v in node.inputs])
        made = new.nodes[-1]
        made.params = dict(node.params)
        made.weights = {name: own(data) for name, data in node.weights.items()}
        for value in outputs:
            if value.data is not None:
                value.data = own(value.data)
        mapping.update(zip(node.outputs, outputs, strict=True))
    new.outputs = {name: mapping[value] for name, value in graph.outputs.items()}
    new.taps = {path: mapping[value] for path, value in graph.taps.items()}
    return new


def _extract(
    nodes: Sequence[Node], outputs: Iterable[Value], name: str, taps: Mapping[str, Value] | None = None
) -> tuple[Graph, dict[str, Value]]:
    new = Graph(name)
    mapping: dict[Value, Value] = {}
    sources: dict[str, Value] = {}
    made = {v for n in nodes for v in n.outputs}
    taken = {name for n in nodes for name in (n.name, *(v.name for v in n.outputs))}

    def free(name: str) -> str:
        """This name, unless a node of a net that was read has it."""
        while name in taken:
            name += "_"
        return name

    for node in nodes:
        for value in node.inputs:
            if value not in made and value not in mapping:
                name = free(f"in{len(sources)}")
                mapping[value] = new.input(name, value.shape, any_shape=value.any_shape)
                sources[name] = value
    for node in nodes:
        with new.scope(node.scope):
            mapping.update(zip(node.outputs, copy_node(new, node, [mapping[v] for v in node.inputs]), strict=True))
    for i, value in enumerate(outputs):
        new.output(free(f"out{i}"), mapping[value])
    new.taps = {path: mapping[value] for path, value in (taps or {}).items()}
    return new, sources
