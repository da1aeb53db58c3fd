"""Targets: what the composite ops are made of. A target is a table of lowerings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import BuildError
from ..ir import Graph, Node, Value
from ..passes.rebuild import rebuild
from ..verify import verify
from . import fused, reference

Lowering = Callable[[Graph, Node, list[Value]], list[Value]]
"""(graph to build into, composite node, its inputs there) -> its outputs there."""

TARGETS: dict[str, Mapping[str, Lowering]] = {
    "fused": fused.LOWERINGS,
    "reference": reference.LOWERINGS,
}


def lower(graph: Graph, target: str) -> Graph:
    """Replace every composite op. Raises BuildError for an unknown target or an op that it cannot lower."""
    if target not in TARGETS:
        raise BuildError("unknown target", argument="target", expected=sorted(TARGETS), got=target)
    table = TARGETS[target]

    def rewrite(new: Graph, node: Node, inputs: list[Value]) -> list[Value] | None:
        if not node.spec.composite:
            return None
        if node.spec.type not in table:
            raise BuildError(
                f"target {target} has no lowering for this op",
                op=node.spec.type,
                node=node.name,
                source=node.source,
            )
        return table[node.spec.type](new, node, inputs)

    lowered = rebuild(graph, rewrite, f"target {target}")
    verify(lowered, stage=f"after lowering to {target}", lowered=True)
    return lowered
