"""Which node is it: every node alone, fed with the reference's numbers, so that no error of another reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..emit import EmittedModel, compile_graph
from ..ir import Graph, Node
from .compare import Comparison, compare
from .interpret import interpret
from .subgraph import node_graph

Runner = Callable[[EmittedModel, Mapping[str, Any], list[str]], dict[str, Any]]
"""(model, inputs, output names) -> outputs: how the caller runs an emitted model."""


@dataclass(frozen=True)
class Finding:
    """A node, the comparison of its result, and a graph of this node alone."""

    node: Node
    comparison: Comparison
    graph: Graph

    def __str__(self) -> str:
        return f"{self.node.name} ({self.node.spec.type}, {self.node.source}): {self.comparison}"


def isolated_nodes(
    graph: Graph, inputs: Mapping[str, Any], run: Runner, target: str = "reference"
) -> Iterator[Finding]:
    """Each node of the graph, compiled and run alone on the reference's inputs, in order."""
    values = interpret(graph, inputs)
    for node in graph.nodes:
        alone, sources = node_graph(node)
        model = compile_graph(alone, target)
        given = {name: values[v] for name, v in sources.items()}
        if node.spec.integer_input:
            given = {name: numbers.astype("int32") for name, numbers in given.items()}
        got = run(model, given, list(alone.outputs))
        for (name, result), value in zip(got.items(), node.outputs, strict=True):
            comparison = compare(f"{node.name} {name}", result, values[value], node.spec.tolerance.fp32)
            yield Finding(node, comparison, alone)


def smallest_failure(graph: Graph, inputs: Mapping[str, Any], run: Runner, target: str = "reference") -> Finding | None:
    """The first node that is wrong by itself, as a graph of one node; None where every node alone is right."""
    return next((f for f in isolated_nodes(graph, inputs, run, target) if not f.comparison.ok), None)
