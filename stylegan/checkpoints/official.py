"""Official networks from pickled modules: their init_kwargs in our generators' spelling, and their state_dict."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from stylegan.checkpoints.pickle_values import Stray, kind, quoted
from stylegan.checkpoints.torch_files import Array, Module, TensorInfo
from stylegan.errors import CheckpointError

SIGNATURE = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "mapping_kwargs", "synthesis_kwargs")
"""The order of a generator's positional arguments; the StyleGAN3 code base has all but the last one."""

MAX_DEPTH = 16
MAX_VALUES = 10_000
MAX_MEMBERS = 2000
MAX_NAME, MAX_TEXT = 100, 4096
"""Far above what official networks have: shared parts make a small file describe a network of any size."""

_HUMAN = (*SIGNATURE[:3], "square", *SIGNATURE[3:])
"""StyleGAN-Human's order."""

_BY_V3 = "fused_modconv_default"
"""A keyword that only the StyleGAN3 code base gives to StyleGAN2; it chooses between ways to compute the same."""


def as_module(thing: Any) -> Module | None:
    """The module that a thing of a file is, without what spreads it over devices; None for everything else.

    A module that was pickled without torch_utils.persistence is an object of an unknown class with a module's state.
    """
    for _ in range(MAX_DEPTH):
        if isinstance(thing, Stray):
            state = thing.state
            good = isinstance(state, dict) and isinstance(state.get("_modules"), dict) and "_parameters" in state
            thing = Module(thing.name.rpartition(".")[2], state) if good else None
        if not isinstance(thing, Module):
            return None
        inside = thing.state.get("_modules")
        if not isinstance(inside, dict) or list(inside) != ["module"]:  # torch's DataParallel and kin
            return thing
        thing = inside["module"]
    return None


def tensors(module: Module) -> dict[str, TensorInfo]:
    """The state_dict: parameters and persistent buffers by path. Raises CheckpointError."""
    found: dict[str, TensorInfo] = {}
    seen: set[int] = set()
    pending = [("", module, 0)]
    while pending:
        path, module, depth = pending.pop()
        if id(module.state) in seen or depth > MAX_DEPTH or len(seen) == MAX_MEMBERS or len(found) > MAX_VALUES:
            raise CheckpointError(
                f"module {quoted(path)} occurs twice, too deep or among too many: no network has that"
            )
        seen.add(id(module.state))
        hidden = module.state.get("_non_persistent_buffers_set", ())
        for group in ("_parameters", "_buffers"):
            for name, value in _members(module, group, path):
                if value is None or (group == "_buffers" and isinstance(hidden, set) and name in hidden):
                    continue
                if not isinstance(value, TensorInfo):
                    raise CheckpointError(f"{quoted(path + name)} is {kind(value)}, expected a tensor")
                found[path + name] = value
        for name, value in _members(module, "_modules", path):
            inner = as_module(value)
            if inner is not None:
                pending.append((f"{path}{name}.", inner, depth + 1))
            elif value is not None:
                raise CheckpointError(f"{quoted(path + name)} is {kind(value)}, expected a module")
    return found


def is_name(value: Any) -> bool:
    """Whether it may be the name of a tensor: it is shown in messages."""
    return type(value) is str and 0 < len(value) <= MAX_NAME and value.isascii() and value.isprintable()


def _members(module: Module, group: str, path: str) -> list[tuple[str, Any]]:
    members = module.state.get(group, {})
    good = isinstance(members, dict) and len(members) <= MAX_MEMBERS
    if not good or not all(map(is_name, members)):
        raise CheckpointError(f"{group} of module {quoted(path) or 'G'} is {kind(members)}, expected names to values")
    return list(members.items())


def init_kwargs(module: Module, family: str) -> dict[str, Any] | None:
    """Keyword arguments of our Generator of that family; None where the module does not say its own.

    The StyleGAN3 code base gives the synthesis keywords of both generations directly, and its StyleGAN2 has other
    defaults than StyleGAN2-ADA's: what the layers say of themselves is taken. Raises CheckpointError.
    """
    if "_init_kwargs" not in module.state:
        return None
    args, kwargs = module.state.get("_init_args", ()), module.state["_init_kwargs"]
    if isinstance(kwargs, Stray) and kwargs.items:  # a kind of dict
        kwargs = kwargs.items
    if type(args) is not tuple or len(args) > len(SIGNATURE) or not isinstance(kwargs, dict):
        raise CheckpointError(f"_init_args and _init_kwargs are {kind(args)} and {kind(kwargs)}, expected tuple, dict")
    if inside(module, ("mapping", "embed_proj")) is not None:  # StyleGAN-XL, which says of the last head alone
        return None
    names = _HUMAN if len(args) > 3 and type(args[3]) is bool else SIGNATURE
    merged = plain({**dict(zip(names, args, strict=False)), **kwargs}, "_init_kwargs")
    nested = {name: merged.pop(name, None) or {} for name in ("mapping_kwargs", "synthesis_kwargs")}
    for name, value in nested.items():
        if not isinstance(value, dict):
            raise CheckpointError(f"_init_kwargs: {name} is {kind(value)}, expected dict")
    top = {name: merged.pop(name) for name in SIGNATURE[:5] if name in merged}
    mapping, synthesis = nested["mapping_kwargs"], {**nested["synthesis_kwargs"], **merged}
    by_v3 = _BY_V3 in synthesis
    synthesis.pop(_BY_V3, None)
    if family == "v3":
        return {**top, "mapping_kwargs": mapping, **synthesis}
    for keywords, key, path in (
        (synthesis, "conv_clamp", ("synthesis", "b4", "conv1")),
        (mapping, "w_avg_beta", ("mapping",)),
    ):
        value = _attribute(module, path, key)
        if value is None or type(value) in (int, float):
            keywords.setdefault(key, value)
    if by_v3:
        synthesis.setdefault("conv_clamp", 256)
    return {**top, "mapping_kwargs": mapping, "synthesis_kwargs": synthesis}


def _attribute(module: Module, path: tuple[str, ...], name: str) -> Any:
    """An attribute of a module inside; Ellipsis where it is missing."""
    inner = inside(module, path)
    return ... if inner is None else inner.state.get(name, ...)


def inside(module: Module, path: Iterable[str]) -> Module | None:
    """The module inside by the names on the way; None where it is missing."""
    inner: Module | None = module
    for part in path:
        if inner is not None:
            inner = as_module(dict(_members(inner, "_modules", part)).get(part))
    return inner


def plain(value: Any, where: str) -> dict[str, Any]:
    """A dict of what JSON can hold, copied. Raises CheckpointError for anything else, too deep or too much of it."""
    left = MAX_VALUES

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            raise CheckpointError(f"{where}: expected a few values, got {MAX_VALUES} or deeper than {MAX_DEPTH}")
        if isinstance(value, Array) and value.value.size <= 64:
            return value.value.tolist()
        if isinstance(value, Stray) and value.items:  # a kind of dict
            value = value.items
        if isinstance(value, dict) and len(value) <= MAX_VALUES and all(map(is_name, value)):
            return {key: copied(item, depth + 1) for key, item in value.items()}
        if type(value) in (list, tuple) and len(value) <= 64:
            return [copied(item, depth + 1) for item in value]
        if value is None or type(value) is bool or (type(value) is str and len(value) <= MAX_TEXT):
            return value
        if (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) < 2**63):
            return value
        raise CheckpointError(f"{where}: expected texts, finite numbers, lists and dicts, got {kind(value)}")

    result = copied(value, 0)
    if not isinstance(result, dict):
        raise CheckpointError(f"{where}: expected a dict, got {kind(value)}")
    return result
