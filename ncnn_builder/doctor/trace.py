"""One run of torch's forward(), with what every module took and gave; and of one module, every tensor it made."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir import Graph
from ..parity import module_paths, torch_taps
from .case import Case, guarded


@dataclass
class Trace:
    """What torch did.

    outputs  tap path -> array without the batch
    inputs   module path -> the tensors that forward() was given, without the batch where it has one
    missing  tap paths that are no modules of torch, so that nothing is there to compare with
    """

    outputs: dict[str, Any]
    inputs: dict[str, list[Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def trace(case: Case, graph: Graph) -> Trace:
    """Run the case in torch and record every module that the graph taps.

    Raises ParityError where a tapped module does not run or returns another batch than one, BuildError where
    forward() raises.
    """
    import torch

    modules = dict(case.module.named_modules(prefix=case.prefix))
    paths = module_paths(graph)
    found = [tap for path, taps in paths.items() if path in modules for tap in taps]
    result = Trace({}, missing=[tap for path, taps in paths.items() if path not in modules for tap in taps])

    def recorder(path: str) -> Any:
        def before(_module: Any, args: Any, kwargs: Any) -> None:
            tensors = [t for t in _leaves([*args, *kwargs.values()]) if isinstance(t, torch.Tensor)]
            result.inputs[path] = [_array(t) for t in tensors]

        return before

    handles = [
        modules[path].register_forward_pre_hook(recorder(path), with_kwargs=True) for path in paths if path in modules
    ]
    try:
        with torch.no_grad():
            call = lambda: guarded("forward()", case.call)
            result.outputs = {k: v.copy() for k, v in torch_taps(case.module, call, found, case.prefix).items()}
    finally:
        for handle in handles:
            handle.remove()
    return result


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


def everything_of(case: Case, path: str) -> list[Made]:
    """Every tensor that the module makes in forward(), in order, and its parameters and buffers before them."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    made: list[Made] = []
    module = dict(case.module.named_modules(prefix=case.prefix))[path]
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

    def before(*_: Any) -> None:
        recorder.__enter__()

    def after(*_: Any) -> None:
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
