"""Writes in place that are only another spelling: y = relu_(x), where nothing else looks at the memory of x.

    mask[:, a:b] = 3        mask = slice_scatter(mask, full_of(3), 1, a, b)

torch's own functionalisation takes every write out, but traces the whole program again for it; most programs write
nowhere but into fresh results of convolutions and sums, and into parts of fresh tensors of which no other part is held.
"""

from __future__ import annotations

from typing import Any

import torch

from .marks import TAP


def without_writes(graph: torch.fx.Graph) -> bool:
    """Take plain operators instead of those that write. False, and nothing done, where that may mean something else."""
    written: dict[torch.fx.Node, tuple[Any, list[torch.fx.Node]]] = {}
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        plain = _plain(node.target)
        first = node.args[0] if node.args else None
        if plain is None or not isinstance(first, torch.fx.Node):
            return False
        parts = [] if _alone(first) else _parts(first)
        if parts is None or (parts and node.users):
            return False
        if not _unseen(_root(parts[-1].args[0] if parts else first), order, node):
            return False
        written[node] = plain, parts
    for node, (_, parts) in written.items():
        if not parts:
            node.replace_all_uses_with(_first(node))  # one name for the tensor, which the write gives back
    for node, (plain, parts) in written.items():
        node.target = plain
        made, whole = node, _first(node)
        if parts:
            node.meta = dict(whole.meta)
        for part in parts:
            whole = _first(part)
            with graph.inserting_after(made):
                made = graph.call_function(_SCATTERS[str(part.target)], (whole, made, *part.args[1:]), part.kwargs)
            made.meta = dict(whole.meta)
        nodes = list(graph.nodes)
        for later in nodes[nodes.index(made) + 1 :]:  # what is behind it reads what was written
            later.replace_input_with(whole, made)
    return True


_SCATTERS: dict[str, Any] = {
    "aten.slice.Tensor": torch.ops.aten.slice_scatter.default,
    "aten.select.int": torch.ops.aten.select_scatter.default,
}


def _parts(node: torch.fx.Node) -> list[torch.fx.Node] | None:
    """The parts of a fresh tensor that a write goes into, inmost first: x[a, b:c] is two, x itself none. None for what
    is no such."""
    parts = []
    while str(node.target) in _SCATTERS:
        parts.append(node)
        node = _first(node)
    return parts if node.op == "call_function" and _fresh(node) else None


def _first(node: torch.fx.Node) -> torch.fx.Node:
    """The tensor that an operator takes."""
    first = node.args[0]
    assert isinstance(first, torch.fx.Node)
    return first


def _root(node: Any) -> torch.fx.Node:
    """The tensor that writes into the whole of it give back."""
    while _writes(node):
        node = node.args[0]
    found: torch.fx.Node = node
    return found


def _writes(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _unseen(base: torch.fx.Node, order: dict[torch.fx.Node, int], write: torch.fx.Node) -> bool:
    """Whether nobody behind a write reads memory of this tensor by a view that was taken in front of it."""
    front = [base]
    while front:
        for user in front.pop().users:
            if _fresh(user) and not _writes(user):
                continue
            view = _root(user) is not base
            if view and order[user] < order[write] and any(order[u] > order[write] for u in user.users):
                return False
            front.append(user)
    return True


def _plain(target: Any) -> Any:
    """``aten.relu.default`` of ``aten.relu_.default``, if it takes the same arguments and the first one is written."""
    schema = target._schema
    name = schema.name.removeprefix("aten::")
    arguments = schema.arguments
    writes = [i for i, a in enumerate(arguments) if a.alias_info is not None and a.alias_info.is_write]
    if not schema.name.startswith("aten::") or not name.endswith("_") or name.startswith("_") or writes != [0]:
        return None
    packet = getattr(torch.ops.aten, name[:-1], None)
    found = getattr(packet, schema.overload_name or "default", None)
    if found is None or found._schema.is_mutable:
        return None
    same = [a.name for a in found._schema.arguments] == [a.name for a in arguments]
    return found if same else None


def _alone(node: torch.fx.Node) -> bool:
    """Whether nobody else sees the memory of this result: it is fresh, and no view of it is taken."""
    if node.op != "call_function" or not _fresh(node):
        return False
    return all(_writes_into(user, node) or _fresh(user) or user.op == "output" for user in node.users)


def _writes_into(user: torch.fx.Node, node: torch.fx.Node) -> bool:
    """relu_(x) gives back x, and is replaced: that it is the same memory matters no more."""
    schema = getattr(user.target, "_schema", None)
    return schema is not None and schema.is_mutable and user.args[0] is node and _plain(user.target) is not None


def _fresh(node: torch.fx.Node) -> bool:
    """Whether an operator gives back memory of its own, so says its schema. (A write gives back what was fresh.)"""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return False
    if str(node.target) == TAP:  # the tensor that it is given
        first = node.args[0]
        return isinstance(first, torch.fx.Node) and _fresh(first) and len(first.users) == 1
    if schema.is_mutable:
        return _plain(node.target) is not None and isinstance(node.args[0], torch.fx.Node) and _fresh(node.args[0])
    return all(r.alias_info is None for r in schema.returns)
