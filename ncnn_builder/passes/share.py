"""Compute once what is the same: layers of one type with the same inputs, parameters and weights, and equal constants.

before:  y = Permute(x, 1); z = Permute(x, 1); a = MemoryData(n); b = MemoryData(n); use(y, a); use(z, b)
after:   y = Permute(x, 1); a = MemoryData(n); use(y, a); use(y, a)

Exact: no layer of ncnn's, and none of ours, draws numbers or remembers any, so the second makes what the first made.
Split, which hands a blob on to several, copies nothing, while MemoryData copies at every run.

Refused: outputs of the graph, which are blobs of their own; a layer that nobody here knows (of a file); Shells, which
hold weights of what multiplies and make no blob that is computed; weights that are stored in different ways.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ..ir import Array, Graph, Node, Value
from ..ops.layers import Shell
from ..rebuild import rebuild
from .match import is_a


def share(graph: Graph) -> Graph:
    twins = _twins(graph)
    if not twins:
        return graph
    mapping: dict[Value, Value] = {}

    def rewrite(new: Graph, node: Node, inputs: list[Value]) -> Sequence[Value] | None:
        first = twins.get(node)
        return None if first is None else [mapping[v] for v in first.outputs]

    return rebuild(graph, rewrite, "pass share", mapping=mapping)


def _twins(graph: Graph) -> dict[Node, Node]:
    """Each node that does what an earlier one does, and this one."""
    outputs = set(graph.outputs.values())
    twins: dict[Node, Node] = {}
    same: dict[Value, Value] = {}  # what a twin makes -> what the first makes
    known: dict[Hashable, list[Node]] = {}
    for node in graph.nodes:
        if node.spec.foreign or is_a(node, Shell) or not len(node.outputs) or outputs & {*node.outputs}:
            continue
        alike = known.setdefault(_key(node, [same.get(v, v) for v in node.inputs]), [])
        first = next((other for other in alike if _equal_weights(node, other)), None)
        if first is None:
            alike.append(node)
        else:
            twins[node] = first
            same.update(zip(node.outputs, first.outputs, strict=True))
    return twins


def _key(node: Node, inputs: Sequence[Value]) -> Hashable:
    params = tuple(sorted((name, _hashable(value)) for name, value in node.params.items()))
    # The numbers themselves are compared only where the first of them are alike.
    weights = tuple((name, data.shape, data.reshape(-1)[:8].tobytes()) for name, data in sorted(node.weights.items()))
    return node.spec.type, tuple(map(id, inputs)), params, weights, node.mask, tuple(sorted(node.stored.items()))


def _hashable(value: Any) -> Hashable:
    return tuple(map(_hashable, value)) if isinstance(value, (list, tuple)) else repr(value)


def _equal_weights(a: Node, b: Node) -> bool:
    """Bit by bit: 0 and -0 are two numbers."""
    return all(np.array_equal(_bits(data), _bits(b.weights[name])) for name, data in a.weights.items())


def _bits(data: Array) -> Any:
    return data.view(f"u{data.itemsize}")
