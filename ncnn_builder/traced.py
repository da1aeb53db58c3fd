"""A graph that notes which functions of the DSL make its nodes: what the documentation says of them."""

from __future__ import annotations

from typing import Any

from .ir import Graph, Node, Values
from .opspec import calling


class Traced(Graph):
    """made: (functions, the author's call first, node) of each node; () where no function made it."""

    def __init__(self, name: str = "graph") -> None:
        super().__init__(name)
        self.made: list[tuple[tuple[str, ...], Node]] = []

    def add(self, node: Node, shapes: Any) -> Values:
        outputs = super().add(node, shapes)
        self.made.append((calling.get(), node))
        return outputs
