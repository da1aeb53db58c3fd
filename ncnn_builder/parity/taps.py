"""What the modules of torch return while they run, call by call.

A tap path is a module's path, a number behind ``#`` where the module had been called before, and a number behind ``:``
where it returns several results: ``b64.conv0``, ``enc#2`` (what enc returned when it was called for the second time),
``b64:1``. Inside of ``enc#2`` the second call of enc.0 is ``enc#2.0#2``. child() makes these paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..errors import ParityError


def called(path: str) -> tuple[str, int]:
    """The module of a path, and which of its calls: ("enc.0", 2) of ``enc#2.0#2``."""
    number = re.search(r"#(\d+)$", path)
    return re.sub(r"#\d+(?=\.|$)", "", path), int(number[1]) if number else 1


def modules_of(module: Any, prefix: str = "") -> dict[str, Any]:
    """Path -> submodule; one that has two names stands under both."""
    return dict(module.named_modules(prefix=prefix, remove_duplicate=False))


Results = dict[str, Any]
"""What one call returned, the batch of one dropped: "" the first result, ":0", ":1" ... each of several.

A ParityError stands where the batch is not one."""


def torch_calls(
    module: Any, call: Callable[[], Any], names: Iterable[str], prefix: str = ""
) -> dict[str, list[Results]]:
    """What each of these submodules returns during `call()`, at each of its calls, by its path."""
    modules = modules_of(module, prefix)
    names = list(names)
    calls: dict[int, list[Results]] = {id(modules[name]): [] for name in names}

    def record(module: Any, _inputs: Any, output: Any) -> None:
        results: Results = {}
        for suffix, tensor, axis in _returned(module, output):
            try:
                results[suffix] = drop_batch(tensor, axis)
            except ParityError as error:
                results[suffix] = error
        calls[id(module)].append(results)

    handles = [m.register_forward_hook(record) for m in {id(m): m for m in modules.values()}.values() if id(m) in calls]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    return {name: calls[id(modules[name])] for name in names}


def torch_taps(module: Any, call: Callable[[], Any], paths: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """What each submodule returns during `call()`, by tap path, the batch of one dropped.

    module: an nn.Module. paths: tap paths, such as ``b64.conv0``, ``b64:1`` (the second of several results) or
    ``enc#2`` (of the second call). prefix: what the tap paths have in front of the module's own, such as ``synthesis``.
    Raises ParityError for a path that is no submodule, or that did not run, or not so often.
    """
    tapped = {tap: called(module_path(tap)) for tap in paths}
    names = dict.fromkeys(name for name, _ in tapped.values())
    known = modules_of(module, prefix)
    unknown = sorted(module_path(tap) for tap, (name, _) in tapped.items() if name not in known)
    if unknown:
        raise ParityError("tapped paths that are no modules", got=unknown)
    calls = torch_calls(module, call, names, prefix)
    return {tap: result_of(tap, calls[name], number) for tap, (name, number) in tapped.items()}


def result_of(tap: str, calls: list[Results], number: int) -> Any:
    """What this call returned for a tap path. Raises ParityError where it did not, or the batch is not one."""
    suffix = tap.removeprefix(module_path(tap))
    if number > len(calls) or suffix not in calls[number - 1]:
        expected = f"one of {len(calls)} calls" if number > len(calls) else sorted(calls[number - 1])
        raise ParityError("tapped modules that did not return this", expected=expected, got=tap)
    result = calls[number - 1][suffix]
    if isinstance(result, ParityError):
        raise result
    return result


def module_path(tap: str) -> str:
    """The path of a tap without the number of a result."""
    path, _, number = tap.rpartition(":")
    return path if number.isdigit() and ":" in tap else tap


def _returned(module: Any, output: Any) -> Iterator[tuple[str, Any, int]]:
    """(suffix of the tap path, tensor, its axis of the batch) of what a module returned; "" is the first of several.

    The axis is 1 in the sequences of recurrent layers and attention unless batch_first says otherwise, and in the
    states of the former whatever it says.
    """
    axis = 0 if getattr(module, "batch_first", True) else 1
    if not isinstance(output, (tuple, list)):
        yield "", output, axis
        return
    yield "", output[0], axis
    flat = [(output[0], axis)]
    for item in output[1:]:
        nested = isinstance(item, (tuple, list))
        states = nested or (hasattr(module, "num_layers") and hasattr(module, "bidirectional"))
        flat += [(tensor, 1 if states else 0) for tensor in (item if nested else [item])]
    for i, (tensor, where) in enumerate(flat):
        if tensor is not None:
            yield f":{i}", tensor, where


def drop_batch(tensor: Any, axis: int = 0) -> Any:
    """The one place where N = 1 goes. Raises ParityError for another batch."""
    if tensor.shape[axis] != 1:
        raise ParityError("the batch is not one", got=list(tensor.shape))
    return tensor.detach().select(axis, 0).cpu().numpy().copy()  # a module in place may write over it later
