"""What torch.export does to a module that it looks at, and the author's module is spared.

forward() may put a tensor into an attribute of its module, as in self.mean = self.mean.type_as(x). In an export that is
a tensor without numbers, and some versions of torch leave it there.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from torch import nn

_LISTS: dict[Any, Callable[[list[tuple[str, nn.Module]]], nn.Module]] = {
    nn.ModuleList: lambda items: nn.ModuleList(module for _, module in items),
    nn.Sequential: lambda items: nn.Sequential(OrderedDict(items)),
}


@contextmanager
def spared(module: nn.Module) -> Iterator[None]:
    """While torch.export runs forward() of this module."""
    with attributes_kept(module), lists_cut(), called_by_place(module):
        yield


_OWN = frozenset(vars(nn.Module()))
"""What torch itself keeps in a module."""


@contextmanager
def attributes_kept(module: nn.Module) -> Iterator[None]:
    """Whatever is assigned inside to attributes of the module and of those in it is undone, and whatever is put into
    their dicts and lists: forward() may keep there what it has computed once, which is no tensor after an export."""
    held = [(part, dict(vars(part))) for part in module.modules()]
    kept = [
        (value, copy(value))
        for _, attributes in held
        for name, value in attributes.items()
        if name not in _OWN and type(value) in (dict, list)
    ]
    try:
        yield
    finally:
        for value, before in kept:
            value.clear()
            value.update(before) if isinstance(value, dict) else value.extend(before)
        for part, before in held:
            now = vars(part)
            for name in now.keys() - before.keys():
                del now[name]
            now.update({name: value for name, value in before.items() if now.get(name, held) is not value})


@contextmanager
def lists_cut() -> Iterator[None]:
    """Lists of modules can be cut inside, as in self.blocks[1:].

    torch 2.4 exports a module behind proxies of a class AttrProxy, whose slices it makes of that class with too few
    arguments.
    """
    own = {kind: kind.__getitem__ for kind in _LISTS}

    def cut(kind: Any) -> Callable[[Any, Any], Any]:
        def getitem(self: Any, index: Any) -> Any:
            proxy = any(base.__name__ == "AttrProxy" for base in type(self).__mro__)
            if isinstance(index, slice) and proxy:
                return _LISTS[kind](list(self._modules.items())[index])
            return own[kind](self, index)

        return getitem

    for kind in _LISTS:
        kind.__getitem__ = cut(kind)
    try:
        yield
    finally:
        for kind, method in own.items():
            kind.__getitem__ = method


def _code(part: nn.Module) -> Any:
    return getattr(getattr(part.forward, "__func__", None), "__code__", None)


@contextmanager
def called_by_place(module: nn.Module) -> Iterator[None]:
    """Arguments called "mod" are given by their place: torch.fx calls modules through a function whose own first
    argument has that name, so that forward(x, mod=styles) would be a TypeError."""
    kinds: set[Any] = {type(part) for part in module.modules() if "mod" in getattr(_code(part), "co_varnames", ())}

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(self.forward).bind(*args, **kwargs)
        return nn.Module.__call__(self, *bound.args, **bound.kwargs)

    own = {kind: vars(kind).get("__call__") for kind in kinds}
    for kind in kinds:
        kind.__call__ = call
    try:
        yield
    finally:
        for kind, method in own.items():
            if method is None:
                del kind.__call__
            else:
                kind.__call__ = method
