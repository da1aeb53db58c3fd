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
    graph: Graph,
    inputs: Mapping[str, Any],
    run: Runner,
    target: str = "reference",
    compiled: Callable[[Graph], EmittedModel] | None = None,
) -> Iterator[Finding]:
    """Each node of the graph, compiled and run alone on the reference's inputs, in order.

    compiled: how a graph of one node is compiled, in place of compile_graph() for the target. A result that `run`
    does not give is a mismatch.
    """
    values = interpret(graph, inputs)
    for node in graph.nodes:
        alone, sources = node_graph(node)
        model = compiled(alone) if compiled else compile_graph(alone, target)
        given = {name: values[v] for name, v in sources.items()}
        if node.spec.integer_input:
            given = {name: numbers.astype("int32") for name, numbers in given.items()}
        got = run(model, given, list(alone.outputs))
        for name, value in zip(alone.outputs, node.outputs, strict=True):
            title, tolerance = f"{node.name} {name}", node.spec.tolerance.fp32
            if name in got:
                comparison = compare(title, got[name], values[value], tolerance)
            else:
                comparison = Comparison(title, float("inf"), float("inf"), tolerance, "there is no such result")
            yield Finding(node, comparison, alone)


def smallest_failure(graph: Graph, inputs: Mapping[str, Any], run: Runner, target: str = "reference") -> Finding | None:
    """The first node that is wrong by itself, as a graph of one node; None where every node alone is right."""
    return next((f for f in isolated_nodes(graph, inputs, run, target) if not f.comparison.ok), None)
