"""Parts of a graph as graphs of their own, to run a node or a module alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import ParityError
from ..ir import Graph, Node, Value
from ..passes.rebuild import copy_node


def node_graph(node: Node) -> tuple[Graph, dict[str, Value]]:
    """One node: a graph with its inputs as inputs, and input name -> the Value of the old graph."""
    return _extract([node], node.outputs, node.name)


def module_graph(graph: Graph, path: str) -> tuple[Graph, dict[str, Value]]:
    """The nodes built inside the module `path`, from the values they take from outside to the module's taps.

    Raises ParityError for a path that has no nodes or no tap.
    """
    nodes = [n for n in graph.nodes if n.scope == path or n.scope.startswith(f"{path}.")]
    taps = [v for p, v in graph.taps.items() if p == path or p.startswith(f"{path}:")]
    made = {v for n in nodes for v in n.outputs}
    taps = [v for v in dict.fromkeys(taps) if v in made]
    if not nodes or not taps:
        raise ParityError("no nodes or no tap in this module", scope=path)
    return _extract(nodes, taps, path)


def _extract(nodes: Sequence[Node], outputs: Iterable[Value], name: str) -> tuple[Graph, dict[str, Value]]:
    new = Graph(name)
    mapping: dict[Value, Value] = {}
    sources: dict[str, Value] = {}
    made = {v for n in nodes for v in n.outputs}
    for node in nodes:
        for value in node.inputs:
            if value not in made and value not in mapping:
                mapping[value] = new.input(f"in{len(sources)}", value.shape, any_shape=value.any_shape)
                sources[f"in{len(sources)}"] = value
    for node in nodes:
        with new.scope(node.scope):
            mapping.update(zip(node.outputs, copy_node(new, node, [mapping[v] for v in node.inputs]), strict=True))
    for i, value in enumerate(outputs):
        new.output(f"out{i}", mapping[value])
    return new, sources
