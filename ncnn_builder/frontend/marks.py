"""What torch.export shall not lose: which tensor a module returned, and modules that say themselves what they are.

Both are marked by operators of our own in the exported program. ``ncnn_builder::tap`` returns what it is given and says
which module returned it, at which of its calls. ``ncnn_builder::leaf`` stands for the whole of a module that has
export_ncnn(): its forward() is not looked into.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.fx.experimental import proxy_tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

TAP, LEAF = "ncnn_builder.tap.default", "ncnn_builder.leaf.default"

library: Any = torch.library.Library("ncnn_builder", "DEF")  # type: ignore[no-untyped-call]
library.define("tap(Tensor x, str path) -> Tensor")
library.define("leaf(Tensor[] xs, int number) -> Tensor[]")


@dataclass(frozen=True)
class Leaf:
    """One call of a module that has export_ncnn(): its tap path, and what its forward() returned at the example."""

    module: torch.nn.Module
    path: str
    results: tuple[torch.Tensor, ...]


_leaves: list[Leaf] = []
"""Of the module that is being exported; a walk keeps its own."""


def _same(x: torch.Tensor, path: str) -> torch.Tensor:
    return x.clone()


def _like(x: torch.Tensor, path: str) -> torch.Tensor:
    return torch.empty_like(x)


def _no_numbers(xs: Sequence[torch.Tensor], number: int) -> list[torch.Tensor]:
    made = _leaves[number].results
    return [xs[0].new_empty(t.shape, dtype=t.dtype) if xs else torch.empty(t.shape, dtype=t.dtype) for t in made]


for _name, _real, _fake in (("tap", _same, _like), ("leaf", _no_numbers, _no_numbers)):
    library.impl(_name, _real, "CompositeExplicitAutograd")
    library.impl(_name, _fake, "Meta")


def _noted(path: str, t: torch.Tensor) -> bool:
    """Put the tap into the program without a call of its operator, which would take a fifth of torch.export's time.

    From here on the tap stands for the tensor, as if it had been called. False where that is not known to be the same:
    the tensor is no result of an operator that is being recorded.
    """
    torch_s: Any = proxy_tensor
    mode = torch_s.get_proxy_mode() if hasattr(torch_s, "get_proxy_mode") else None  # torch 2.4 has none
    if mode is None:
        return False
    held = torch_s.get_proxy_slot(t, mode.tracer, default=None)
    if held is None or held.proxy.node.op != "call_function":
        return False
    made: torch.fx.Node = held.proxy.node
    node = made.graph.create_node("call_function", torch.ops.ncnn_builder.tap.default, (made, path), name="tap")
    node.meta = dict(made.meta)
    torch_s.set_proxy_slot(t, mode.tracer, type(held)(mode.tracer.proxy(node), held.constant))
    return True


@dataclass
class _Calls:
    """Where a run of the root's forward() is: the paths of the modules being called, and how often each was."""

    stack: list[str] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)

    def enter(self, key: int, name: str) -> None:
        """Push the tap path of this call: ``enc.0#2``. key: of the module."""
        if not name:  # the root: a new run
            self.stack.clear()
            self.counts.clear()
            return
        count = self.counts[key] = self.counts.get(key, 0) + 1
        outer = self.stack[-1] if self.stack else ""
        plain = re.sub(r"#\d+(?=\.|$)", "", outer)
        path = f"{outer}{name[len(plain) :]}" if plain and name.startswith(f"{plain}.") else name
        self.stack.append(path if count == 1 else f"{path}#{count}")


@contextmanager
def marked(
    root: torch.nn.Module,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    strict: bool = False,
    forward_only: bool = False,
) -> Iterator[list[Leaf]]:
    """While torch.export runs: the modules inside of `root` mark what they return. Gives the leaves, by number.

    strict: nothing is marked, as torch's analysis of Python cannot follow hooks. forward_only: there are no leaves.
    """
    if strict:
        yield []
        return
    leaves = [] if forward_only else leaf_modules(root)
    recorded = _returned(root, leaves, args, kwargs) if leaves else {}
    calls = _Calls()
    _leaves.clear()

    def mark(path: str, t: torch.Tensor) -> torch.Tensor:
        if _noted(path, t):
            return t
        marked: torch.Tensor = torch.ops.ncnn_builder.tap(t, path)
        return marked

    def leaf_forward(module: torch.nn.Module) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            results, number = recorded[id(module)], len(_leaves)
            tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
            flat, structure = tree_flatten(results[(calls.counts.get(id(module), 1) - 1) % len(results)])
            _leaves.append(Leaf(module, calls.stack[-1], tuple(flat)))
            return tree_unflatten(list(torch.ops.ncnn_builder.leaf(tensors, number)), structure)

        return forward

    before = [(m, m.__dict__.get("forward")) for m in leaves]
    try:
        with _hooked(root, calls, mark, leaves):
            for module in leaves:
                module.forward = leaf_forward(module)
            yield _leaves
    finally:
        for module, forward in before:
            if forward is not None:
                module.forward = forward
            else:
                module.__dict__.pop("forward", None)


def watched(
    root: torch.nn.Module,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    see: Callable[[str, Any], None],
    *,
    forward_only: bool = False,
) -> Any:
    """What forward() returns. see: told, while it runs, what each module inside returns, by tap path: an array that is
    forward()'s own, and may be written to later.

    Those inside of leaves are left out; forward_only: there are no leaves.
    """

    def note(path: str, t: torch.Tensor) -> torch.Tensor:
        if not t.is_complex():
            see(path, t.detach().to(torch.float32).numpy())
        return t

    with torch.no_grad(), _hooked(root, _Calls(), note, [] if forward_only else leaf_modules(root)):
        return root(*args, **kwargs)


def leaf_modules(root: torch.nn.Module) -> list[torch.nn.Module]:
    """The modules inside that have export_ncnn(), without those inside of them."""
    own = [m for m in root.modules() if m is not root and hasattr(m, "export_ncnn")]
    inner = {id(part) for m in own for part in m.modules() if part is not m}
    return [m for m in own if id(m) not in inner]


@contextmanager
def _hooked(
    root: torch.nn.Module,
    calls: _Calls,
    see: Callable[[str, torch.Tensor], torch.Tensor],
    leaves: Sequence[torch.nn.Module],
) -> Iterator[None]:
    """Every tensor that a module inside of `root` returns goes through see(tap path, tensor), but those in leaves."""
    hidden = {id(part) for m in leaves for part in m.modules() if part is not m}
    names: dict[int, str] = {}
    handles = []

    def leave(_module: Any, _args: Any, output: Any) -> Any:
        path = calls.stack.pop()
        several = sum(isinstance(t, torch.Tensor) for t in tree_flatten(output)[0]) > 1
        number = itertools.count()

        def seen(t: Any) -> Any:
            return see(f"{path}:{next(number)}" if several else path, t) if isinstance(t, torch.Tensor) else t

        return tree_map(seen, output)

    for name, module in root.named_modules():
        names.setdefault(id(module), name)
    try:
        for module in root.modules():
            if id(module) in hidden:
                continue
            # torch traces copies of the modules: what a hook has to know of its module goes with it.
            begin = partial(_begin, calls, id(module), names[id(module)])
            handles.append(module.register_forward_pre_hook(begin, prepend=True))
            if module is not root:
                handles.append(module.register_forward_hook(leave))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _begin(calls: _Calls, key: int, name: str, _module: Any, _args: Any) -> None:
    calls.enter(key, name)


def _returned(
    root: torch.nn.Module, modules: Sequence[torch.nn.Module], args: Sequence[Any], kwargs: dict[str, Any]
) -> dict[int, list[Any]]:
    """What each of these modules returns, call by call, at the example."""
    results: dict[int, list[Any]] = {id(m): [] for m in modules}
    handles = [m.register_forward_hook(lambda m, _, out: results[id(m)].append(out)) for m in modules]
    try:
        with torch.no_grad():
            a, k = tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, (tuple(args), kwargs))
            root(*a, **k)
    finally:
        for handle in handles:
            handle.remove()
    return results
