"""Numbers at the places of a mask, taken and put back: a choice between two tensors, where no size is unknown.

    y[mask] = 0                     y = where(mask, 0, y)
    y[mask] = (a / b)[mask] + 4     y = where(mask, a / b + 4, y)

How many places a mask has is known only when the net runs, and a net has no such size. But what is computed number by
number can be computed everywhere, and chosen where the mask says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_TAKEN = ("aten.index.Tensor",)
_PUT = ("aten.index_put.default", "aten._unsafe_index_put.default")
_CHECKS = ("aten._assert_scalar", "aten.sym_constrain_range")
"""What torch states of the number of places."""
_stated: Any = torch._check


class Places(TorchFunctionMode):
    """While torch.export runs: a mask has several places. Torch would ask, as one number alone is put everywhere."""

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        by_mask = func is torch.Tensor.__getitem__ and getattr(args[1], "dtype", None) is torch.bool
        if by_mask and made.dim() and isinstance(made.shape[0], torch.SymInt):
            _stated(made.shape[0] >= 2)
        return made


def without_masks(graph: torch.fx.Graph) -> None:
    """Choose instead of putting by a mask. What is no such stays, and is refused later."""
    for node in list(graph.nodes):
        if str(node.target) in _PUT and (mask := _mask(node)) is not None and not (node.args[3:] and node.args[3]):
            with graph.inserting_before(node):
                _choose(graph, node, mask)
    _clean(graph)


def _choose(graph: torch.fx.Graph, node: torch.fx.Node, mask: torch.fx.Node) -> None:
    into, values = node.args[0], node.args[2]
    if not isinstance(into, torch.fx.Node) or not isinstance(values, torch.fx.Node):
        return
    val, put = into.meta["val"], values.meta["val"]
    whole = values if put.numel() == 1 and put.dim() == 0 else _everywhere(graph, values, mask, {})
    if whole is None or (whole is not values and mask.meta["val"].dim() != val.dim()):
        return
    for _ in range(val.dim() - mask.meta["val"].dim()):
        mask = _called(graph, torch.ops.aten.unsqueeze.default, (mask, -1), node)
    node.replace_all_uses_with(made := _called(graph, torch.ops.aten.where.self, (mask, whole, into), node))
    made.meta["val"] = node.meta["val"]
    graph.erase_node(node)


def _mask(node: torch.fx.Node) -> torch.fx.Node | None:
    """The mask by which a node takes or puts, if it is one alone."""
    indices = node.args[1]
    if not isinstance(indices, (list, tuple)) or len(indices) != 1 or not isinstance(indices[0], torch.fx.Node):
        return None
    return indices[0] if indices[0].meta["val"].dtype is torch.bool else None


def _everywhere(graph: torch.fx.Graph, node: Any, mask: torch.fx.Node, made: dict[Any, Any]) -> Any:
    """What gives these numbers at the places of the mask, and others elsewhere; None for what is not made so."""
    if node in made:
        return made[node]
    found = None
    if str(node.target) in _TAKEN:
        taken = _mask(node)
        if taken is not None and _same(taken, mask) and node.args[0].meta["val"].dim() == mask.meta["val"].dim():
            found = node.args[0]
    elif torch.Tag.pointwise in getattr(node.target, "tags", ()):
        tensors = [a for a in node.all_input_nodes if isinstance(a.meta.get("val"), torch.Tensor)]
        parts = {a: a if a.meta["val"].dim() == 0 else _everywhere(graph, a, mask, made) for a in tensors}
        if all(part is not None for part in parts.values()):
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda a: parts.get(a, a))
            found = _called(graph, node.target, args, node, kwargs)
    made[node] = found
    return found


def _same(a: Any, b: Any) -> bool:
    """Whether two values are one, or computed alike: nothing writes in place here."""
    if a is b:
        return True
    if not isinstance(a, torch.fx.Node) or not isinstance(b, torch.fx.Node):
        if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
            return all(map(_same, a, b))
        return type(a) is type(b) and not isinstance(a, (list, tuple, torch.fx.Node)) and bool(a == b)
    if a.op != "call_function" or a.target is not b.target or a.kwargs != b.kwargs:
        return False
    if torch.Tag.nondeterministic_seeded in getattr(a.target, "tags", ()):
        return False
    return _same(a.args, b.args)


def _called(graph: torch.fx.Graph, target: Any, args: Any, at: torch.fx.Node, kwargs: Any = None) -> torch.fx.Node:
    """A call in the place of `at`, of the author's same line."""
    made = graph.call_function(target, tuple(args), dict(kwargs or {}))
    made.meta = {key: value for key, value in at.meta.items() if key != "val"}
    args, kwargs = tree_map(lambda a: a.meta["val"] if isinstance(a, torch.fx.Node) else a, (made.args, made.kwargs))
    tensors = [a for a in made.all_input_nodes if isinstance(a.meta["val"], torch.Tensor)]
    with tensors[0].meta["val"].fake_mode, torch.no_grad():
        made.meta["val"] = target(*args, **kwargs)
    return made


def _clean(graph: torch.fx.Graph) -> None:
    """Without what takes by a mask, and what is computed of that or stated of its size, where nobody asks for it."""
    numbers: set[torch.fx.Node] = set()
    for node in graph.nodes:
        by_mask = str(node.target) in _TAKEN and _mask(node) is not None
        if by_mask or any(a in numbers for a in node.all_input_nodes):
            numbers.add(node)
    for node in reversed(list(graph.nodes)):
        checks = str(node.target).startswith(_CHECKS)
        if node in numbers and not node.users and (checks or not node.is_impure()):
            graph.erase_node(node)
