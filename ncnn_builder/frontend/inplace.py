"""Writes in place that are only another spelling: y = relu_(x), where nothing else looks at the memory of x.

torch's own functionalisation takes every write out, but traces the whole program again for it; most programs write
nowhere but into fresh results of convolutions and sums.
"""

from __future__ import annotations

from typing import Any

import torch


def without_writes(graph: torch.fx.Graph) -> bool:
    """Take plain operators instead of those that write. False, and nothing done, where that may mean something else."""
    written: dict[torch.fx.Node, Any] = {}
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        plain = _plain(node.target)
        first = node.args[0] if node.args else None
        if plain is None or not isinstance(first, torch.fx.Node) or not _alone(first):
            return False
        written[node] = plain
    for node, plain in written.items():
        first = node.args[0]
        node.target = plain
        seen = False
        for later in list(graph.nodes):  # what comes behind it reads what was written
            if seen:
                later.replace_input_with(first, node)
            seen = seen or later is node
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
    if schema.is_mutable:
        return _plain(node.target) is not None and isinstance(node.args[0], torch.fx.Node) and _fresh(node.args[0])
    return all(r.alias_info is None for r in schema.returns)
