"""What a module and its arguments have to be before torch.export sees them, and a program behind it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols
from torch.utils._pytree import tree_flatten, tree_map

from ..errors import BuildError
from .where import author_line, forward_line, scope_of

_ROUNDED = (torch.float16, torch.bfloat16)


def need_module(module: Any) -> None:
    """Raises BuildError for what is no module, or has no forward()."""
    if not isinstance(module, torch.nn.Module):
        raise BuildError("not a module", expected="a torch.nn.Module", got=type(module).__name__)
    if isinstance(module, torch.jit.ScriptModule):
        fix = "Give the module that it was traced or scripted from"
        raise BuildError("a module of torch.jit, which torch.export does not take", got=type(module).__name__, fix=fix)
    if getattr(module.forward, "__func__", None) is torch.nn.Module.forward:
        fix = "Write its forward(), or convert the modules inside"
        raise BuildError("the module has no forward()", op=type(module).__name__, fix=fix)


def need_arguments(module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raises BuildError for arguments that forward() does not take, or too few of them."""
    signature = inspect.signature(module.forward)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise BuildError(
            f"the inputs do not fit forward(): {error}",
            op=type(module).__name__,
            source=forward_line(module),
            expected=f"forward{signature}",
            got=f"{len(args)} and {', '.join(kwargs) or 'none by name'}",
        ) from None


_PLAIN = (torch.Tensor, int, float, bool, str, type(None), torch.dtype, torch.device)


def need_plain(module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raises BuildError for weights and inputs that have no numbers here, or that torch computes with in half
    precision, which a net of float32 cannot be compared with."""
    for leaf in tree_flatten((tuple(args), dict(kwargs)))[0]:
        if not isinstance(leaf, _PLAIN):
            fix = "Make a tensor of it, as by torch.from_numpy(x)" if hasattr(leaf, "__array__") else None
            expected, got = "tensors, numbers, text, and lists of them", type(leaf).__name__
            raise BuildError(
                "an input that is no tensor", op=type(module).__name__, expected=expected, got=got, fix=fix
            )
    named = [*module.named_parameters(), *module.named_buffers()]
    inputs = [t for t in tree_flatten((tuple(args), dict(kwargs)))[0] if isinstance(t, torch.Tensor)]
    for name, t in [*named, *((f"input {i}", t) for i, t in enumerate(inputs))]:
        where: dict[str, Any] = {"op": type(module).__name__, "argument": name}
        if t.device.type == "meta":
            fix = "Load its weights: .to_empty(device='cpu') and load_state_dict(), or build it without the device meta"
            raise BuildError("it has no numbers", expected="device cpu", got="device meta", fix=fix, **where)
        if t.device.type != "cpu":
            fix = "Call .cpu() on the network and its inputs first"
            raise BuildError("it is on another device", expected="device cpu", got=t.device, fix=fix, **where)
        if t.dtype in _ROUNDED:
            fix = "Call .float() on the network and its inputs first; weights='fp16' makes files of half the size"
            raise BuildError("half precision", expected="float32", got=t.dtype, fix=fix, **where)


def apart(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments, of which no two are one tensor: torch.export would take both for the last of them."""
    seen: set[int] = set()

    def own(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        twice = id(x) in seen
        seen.add(id(x))
        return x.clone() if twice else x

    given: tuple[tuple[Any, ...], dict[str, Any]] = tree_map(own, (tuple(args), dict(kwargs)))
    return given


_NUMBERS = (torch.SymInt, torch.SymFloat, torch.SymBool)


def need_known_sizes(graph: torch.fx.Graph, inputs: Collection[str]) -> None:
    """Raises BuildError for an operator whose result is a number of Python, or has a size, that is known only when the
    net runs. inputs: names of the placeholders that are inputs; what is computed of others is known."""
    known: set[torch.fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" and node.name not in inputs:
            known.add(node)
        if node.all_input_nodes and known.issuperset(node.all_input_nodes):
            known.add(node)
            continue
        made = tree_flatten(node.meta.get("val"))[0]
        if not any(free_unbacked_symbols(x) for x in made if isinstance(x, (torch.Tensor, *_NUMBERS))):
            continue
        where: dict[str, Any] = {
            "op": getattr(node.target, "name", lambda n=node: str(n.target))().replace("::", "."),
            "scope": scope_of(node) or None,
            "source": author_line(node),
        }
        if any(isinstance(x, _NUMBERS) for x in made):
            fix = "Leave out .item(), float() and int(): compute with the tensor itself"
            raise BuildError("a number that is known only when the net runs", fix=fix, **where)
        raise BuildError(
            "the size of the result is known only when the net runs",
            expected="a size that follows from those of the inputs",
            fix="Make its input an output of forward(), and go on from there outside of the net",
            **where,
        )
