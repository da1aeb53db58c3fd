"""One run of torch's forward(), with what every module took and gave; and of one module, every tensor it made."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import NcnnBuilderError
from ..ir import Graph
from ..parity import interpret, module_paths
from ..parity.taps import Results, called, module_path, modules_of, result_of, torch_calls
from .case import Case, guarded


@dataclass
class Trace:
    """What torch did.

    outputs  tap path -> array without the batch
    inputs   module path -> the tensors that forward() was given, without the batch where it has one
    missing  tap paths that are no modules of torch, so that nothing is there to compare with
    calls    module path -> which call of the module it is compared with; the number of its name, unless others match
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, list[Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)


def trace(case: Case, graph: Graph, tolerance: float) -> Trace:
    """Run the case in torch and record every module that the graph taps.

    Raises ParityError where a tapped module does not run or returns another batch than one, BuildError where
    forward() raises.
    """
    import torch

    modules = modules_of(case.module, case.prefix)
    paths = {path: taps for path, taps in module_paths(graph).items() if called(path)[0] in modules}
    names = dict.fromkeys(called(path)[0] for path in paths)
    given: dict[int, list[Any]] = {id(modules[name]): [] for name in names}

    def before(module: Any, args: Any, kwargs: Any) -> None:
        tensors = [t for t in _leaves([*args, *kwargs.values()]) if isinstance(t, torch.Tensor)]
        given[id(module)].append([_array(t) for t in tensors])

    watched = {id(modules[name]): modules[name] for name in names}.values()
    handles = [module.register_forward_pre_hook(before, with_kwargs=True) for module in watched]
    try:
        with torch.no_grad():
            done = torch_calls(case.module, lambda: guarded("forward()", case.call), names, case.prefix)
    finally:
        for handle in handles:
            handle.remove()
    numbers = _matched(case, graph, {path: done[called(path)[0]] for path in paths}, modules, tolerance)
    result = Trace(missing=[tap for tap in graph.taps if module_path(tap) not in paths], calls=numbers)
    for path, taps in paths.items():
        name, _ = called(path)
        result.outputs.update({tap: result_of(tap, done[name], numbers[path]) for tap in taps})
        result.inputs[path] = given[id(modules[name])][numbers[path] - 1]
    return result


def _matched(
    case: Case, graph: Graph, done: Mapping[str, list[Results]], modules: Mapping[str, Any], tolerance: float
) -> dict[str, int]:
    """Module path -> which call of the module it stands for.

    That is the number of its name. But export_ncnn() may call one module in another order than forward(), and is right:
    where what the graph computes is what another call returned, it is that one.
    """
    numbers = {path: called(path)[1] for path in done}
    repeated = [path for path, calls in done.items() if len(calls) > 1]
    if not repeated:
        return numbers
    with suppress(NcnnBuilderError, RuntimeError):  # what cannot be computed is said later
        values = interpret(graph, case.inputs)
        taps = module_paths(graph)

        def equal(path: str, number: int) -> bool:
            arrays = {tap: done[path][number - 1].get(tap.removeprefix(path)) for tap in taps[path]}
            return all(close(values[graph.taps[tap]], array, tolerance) for tap, array in arrays.items())

        free = {path: [n for n in range(1, len(done[path]) + 1) if equal(path, n)] for path in repeated}
        for path in repeated:
            twins = [other for other in repeated if modules[called(other)[0]] is modules[called(path)[0]]]
            held = {numbers[other] for other in twins if other != path and numbers[other] in free[other]}
            if numbers[path] not in free[path]:
                numbers[path] = next((n for n in free[path] if n not in held), numbers[path])
    return numbers


def close(array: Any, tensor: Any, tolerance: float) -> bool:
    """Whether both are one array but for this part of its largest magnitude."""
    if not isinstance(tensor, np.ndarray) or array.shape != tensor.shape or tensor.dtype.kind not in "fiu":
        return False
    return bool(np.abs(array - tensor).max() <= tolerance * max(float(np.abs(tensor).max()), 1e-30))


def _leaves(items: Iterable[Any]) -> Iterable[Any]:
    for item in items:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def _array(tensor: Any) -> Any:
    tensor = tensor.detach()
    return (tensor[0] if tensor.ndim > 1 and tensor.shape[0] == 1 else tensor).cpu().numpy().copy()


@dataclass(frozen=True)
class Made:
    """A tensor that a module made or holds: its numbers, the operation or parameter, and the line of forward()."""

    array: Any
    op: str
    source: str | None = None


_TORCH = os.sep + "torch" + os.sep
_LARGEST = 1 << 22
"""Tensors of more numbers are not recorded: every operation of a module keeps its result."""


def everything_of(case: Case, path: str, number: int) -> list[Made]:
    """Every tensor that the module makes in this call of forward(), and its parameters and buffers before them."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    made: list[Made] = []
    module = modules_of(case.module, case.prefix)[called(path)[0]]
    held = [*module.named_parameters(), *module.named_buffers()]
    memory = {tensor.untyped_storage().data_ptr() for _, tensor in held}
    for name, tensor in held:
        if tensor.numel() <= _LARGEST:
            made.append(Made(tensor.detach().cpu().float().numpy().copy(), name))

    Mode: Any = TorchDispatchMode

    class Recorder(Mode):  # type: ignore[misc, unused-ignore]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            for tensor in _leaves([result]):
                if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point() or tensor.numel() > _LARGEST:
                    continue
                # Not the transposed weight that linear() looks at: that is the fault of many an export.
                if tensor.untyped_storage().data_ptr() not in memory:
                    name = func.__name__.partition(".")[0]
                    made.append(Made(tensor.detach().cpu().float().numpy().copy(), name, _line()))
            return result

    recorder: Any = Recorder()
    begun, ended = itertools.count(1), itertools.count(1)

    def before(*_: Any) -> None:
        if next(begun) == number:
            recorder.__enter__()

    def after(*_: Any) -> None:
        if next(ended) == number:
            recorder.__exit__(None, None, None)

    handles = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        with torch.no_grad(), suppress(RuntimeError):  # what was recorded until then is of use all the same
            case.call()
    finally:
        for handle in handles:
            handle.remove()
    return [m for m in made if m.array.size and np.isfinite(m.array).all()]


def _line() -> str | None:
    """``file.py:line`` of the nearest caller that is neither torch nor this file."""
    frame: Any = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename == __file__ or _TORCH in frame.f_code.co_filename):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else None
