"""Slices with a step while a module is traced: pnnx loses where they begin and end, and how far they step."""

from __future__ import annotations

from typing import Any

from ..ops.common import elements
from ..ops.shapes.strides import groups


def without_steps() -> Any:
    """A context in which tensor[..., ::2] is recorded as reshapes and slices without a step, of the same numbers."""
    from torch import Tensor
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function is Tensor.__getitem__ and len(args) == 2:
                return _part(*args)
            return function(*args, **(kwargs or {}))

    return Mode()


def _part(x: Any, key: Any) -> Any:
    """x[key]."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if all(isinstance(k, slice) or k is Ellipsis for k in keys):
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys[at : at + 1] = [slice(None)] * (x.ndim - len(keys) + 1)
        for axis, k in enumerate(keys):
            first, end, step = k.indices(x.shape[axis])
            if step > 1 and end - first > step:
                x = _strided(x, axis, first, end, step)
                keys[axis] = slice(None)
        key = tuple(keys)
    return x[key]


def _strided(x: Any, axis: int, first: int, end: int, step: int) -> Any:
    """As ops.strides has it, of a tensor with a batch of one in front."""
    from torch.nn import functional

    cut, shape = groups(int(x.shape[axis]), first, end, step), [int(n) for n in x.shape]
    if (cut.begin, cut.end) != (0, cut.n):
        key = [slice(None)] * axis + [slice(cut.begin, cut.end)]
        x = x[tuple(key)]
    if cut.missing:
        x = functional.pad(x, (*(0, 0) * (x.ndim - 1 - axis), 0, cut.missing))
    outer, inner = elements(tuple(shape[1:axis])), elements(tuple(shape[axis + 1 :]))
    x = x.reshape(1, outer * cut.count, step, inner)[:, :, cut.at : cut.at + 1]
    return x.reshape(*shape[:axis], cut.count, *shape[axis + 1 :])
