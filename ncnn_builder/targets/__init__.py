"""Targets: what ops are made of. A target is a table of lowerings; an op that is not in it stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..errors import BuildError
from ..ir import Graph, Node, Value
from ..passes.rebuild import rebuild
from ..verify import verify
from . import fused, reference, stock

Lowering = Callable[[Graph, Node, list[Value]], "Sequence[Value] | None"]
"""(graph to build into, node, its inputs there) -> its outputs there, or None to keep the node as it is."""

TARGETS: dict[str, Mapping[str, Lowering]] = {
    "fused": fused.LOWERINGS,
    "reference": reference.LOWERINGS,
    "stock": stock.LOWERINGS,
}

ONLY_NCNN = {"stock"}
"""Targets in which no layer of ours may be left."""


def lower(graph: Graph, target: str) -> Graph:
    """Replace every op that the target has a lowering for, among them all composite ones.

    Raises BuildError for an unknown target or an op that it cannot lower.
    """
    if target not in TARGETS:
        raise BuildError("unknown target", argument="target", expected=sorted(TARGETS), got=target)
    table = TARGETS[target]

    def rewrite(new: Graph, node: Node, inputs: list[Value]) -> Sequence[Value] | None:
        outputs = table[node.spec.type](new, node, inputs) if node.spec.type in table else None
        if outputs is None and (node.spec.composite or (node.spec.custom and target in ONLY_NCNN)):
            raise BuildError(
                f"target {target} has no lowering for this op",
                op=node.spec.type,
                node=node.name,
                source=node.source,
            )
        return outputs

    shapes = stock.input_shapes(graph) if target in ONLY_NCNN else {}
    lowered = rebuild(graph, rewrite, f"target {target}", shapes=shapes)
    verify(lowered, stage=f"after lowering to {target}", lowered=True)
    if target in ONLY_NCNN:
        for node in lowered.nodes:
            assert not node.spec.custom, f"a lowering to {target} left {node}"
    return lowered
