"""Which line of export_ncnn() it is: the first value on the way to a wrong result that forward() never has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Graph, Node, Value
from ..parity import module_paths
from .trace import Made


@dataclass(frozen=True)
class Suspect:
    """A node of export_ncnn(), and one sentence about it and forward()."""

    node: Node
    what: str


def suspect(graph: Graph, path: str, values: Mapping[Value, Any], made: Sequence[Made], tolerance: float) -> Suspect:
    """The node of module `path` that says something else than forward().

    values: the graph's, computed from torch's results of all other modules. made: what forward() of this one computed.
    """
    inside = [n for n in graph.nodes if n.scope == path or n.scope.startswith(f"{path}.")]
    results = [graph.taps[tap] for tap in module_paths(graph)[path]]
    mine = {v for n in inside for v in n.outputs} - {v for v in graph.taps.values() if v not in results}
    twins: dict[Value, Made | None] = {}

    def twin(value: Value) -> Made | None:
        if value not in twins:
            array = np.asarray(values[value])
            # The latest, which the message shall name: views come before the results that are made of them.
            twins[value] = next((m for m in reversed(made) if _same(array, m.array, tolerance)), None)
        return twins[value]

    def known(value: Value) -> bool:
        return value not in mine or twin(value) is not None

    early = [v for v in results if known(v) and v.producer is not None]
    cone = _behind([v for v in results if not known(v)], known)
    frontier = [node for node in inside if node in cone and all(known(v) for v in node.inputs)]
    if not frontier:
        value = next(iter(early), results[0])
        node, same = value.producer or inside[-1], twin(value)
        at = f" at {same.source}" if same and same.source else ""
        text = f"its result is what forward() has{at} ({same.op}), and not what forward() returns" if same else ""
        return Suspect(node, text or "its result is not what forward() returns")
    for node in frontier:
        explained = _explained(np.asarray(values[node.outputs[0]]), made, tolerance)
        for name, weight in node.weights.items():
            if explained is None and not any(_same(weight, m.array, tolerance) for m in made):
                about = _explained(weight, made, tolerance)
                explained = about and f"{name}: {about}"
        if explained:
            return Suspect(node, explained)
    # A constant may be folded by the author, and then forward() has it nowhere; a result that it has not tells more.
    node = next((n for n in frontier if n.inputs), frontier[0])
    inputs = [twin(v) for v in node.inputs if v.producer is not None]
    last = next((m for m in reversed(inputs) if m is not None and m.source), None)
    after = f"; forward() goes on otherwise from {last.source} ({last.op})" if last else ""
    return Suspect(node, f"the first value that forward() never has{after}")


def _behind(values: list[Value], known: Any) -> set[Node]:
    """The nodes that make these values, and the unknown values that those are made of."""
    nodes: set[Node] = set()
    stack = list(values)
    while stack:
        node = stack.pop().producer
        if node is not None and node not in nodes:
            nodes.add(node)
            stack += [v for v in node.inputs if not known(v)]
    return nodes


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _same(a: Any, b: Any, tolerance: float) -> bool:
    """Equal but for dimensions of 1; that many numbers at least, that it is no accident."""
    if a.size != b.size or _plain(a.shape) != _plain(b.shape):
        return False
    difference = np.abs(a.reshape(-1) - b.reshape(-1)).max()
    return bool(difference <= tolerance * np.abs(b).max())


def _explained(got: Any, made: Sequence[Made], tolerance: float) -> str | None:
    """What the wrong value is, in terms of a tensor of forward()."""
    for m in reversed(made):
        if got.size != m.array.size or got.size < 2 or not np.abs(m.array).max():
            continue
        where = f"{m.op} at {m.source}" if m.source else m.op
        a, b = got.reshape(-1).astype(np.float64), m.array.reshape(-1).astype(np.float64)
        scale = tolerance * np.abs(b).max()
        if _plain(got.shape) == _plain(m.array.shape):
            factor = float(a @ b / (b @ b))
            if abs(factor) > 1e-6 and np.abs(a - factor * b).max() <= scale * abs(factor):
                return f"it is {factor:.6g} times what forward() has: {where}"
        if np.ptp(b) and np.abs(np.sort(a) - np.sort(b)).max() <= scale:
            return f"it has the numbers of {where} in another order"
    return None
