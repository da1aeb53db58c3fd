"""An operator that has no converter as smaller operators: one step of torch's own table."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..errors import BuildError
from ..sizes import Size
from .layout import Tensor
from .symbols import Symbols


def taken_apart(
    target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], sizes: Symbols
) -> tuple[torch.fx.Graph, dict[str, Any]]:
    """The operators that this one is made of, and what is given to their graph's placeholders.

    Raises BuildError where torch knows none.
    """
    rule, composite = _rule(target)
    # Before dispatch is where composite operators are themselves, so those are seen behind it.
    graph, given = traced(rule, args, kwargs, sizes, pre_dispatch=not composite)
    if [n.target for n in graph.nodes if n.op == "call_function"] == [target]:
        raise _unknown()
    return graph, given


def traced(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], sizes: Symbols, *, pre_dispatch: bool = True
) -> tuple[torch.fx.Graph, dict[str, Any]]:
    """The operators that a function calls with such Tensors and constants, and what its placeholders stand for."""
    leaves, structure = tree_flatten((args, kwargs))
    given = [(i, leaf) for i, leaf in enumerate(leaves) if isinstance(leaf, (Tensor, torch.Tensor))]

    def call(*tensors: torch.Tensor) -> Any:
        filled = list(leaves)
        for (i, _), t in zip(given, tensors, strict=True):
            filled[i] = t
        a, k = tree_unflatten(filled, structure)
        return function(*a, **k)

    opened = any(isinstance(n, Size) for _, leaf in given for n in leaf.shape)
    leaves = [sizes.symint(leaf) for leaf in leaves]
    with torch.no_grad(), sizes.fakes if opened else nullcontext():
        examples = [
            torch.empty([sizes.symint(n) for n in leaf.shape], dtype=leaf.dtype, device="cpu") for _, leaf in given
        ]
        mode: Any = "symbolic" if opened else "fake"
        made = make_fx(call, tracing_mode=mode, pre_dispatch=pre_dispatch)(*examples)
    made.graph.eliminate_dead_code()
    names = [n.name for n in made.graph.nodes if n.op == "placeholder"]
    return made.graph, dict(zip(names, (leaf for _, leaf in given), strict=True))


def _rule(target: Any) -> tuple[Any, bool]:
    """A function that says the operator by others, and whether it is the operator's own."""
    from torch._decomp import decomposition_table

    if target in decomposition_table:
        return decomposition_table[target], False
    if isinstance(target, torch._ops.OpOverload) and target.has_kernel_for_dispatch_key(
        torch._C.DispatchKey.CompositeImplicitAutograd
    ):
        return target.decompose, True
    raise _unknown()


def _unknown() -> BuildError:
    return BuildError("ncnn has no layer for this operator, and no other operators say it")
