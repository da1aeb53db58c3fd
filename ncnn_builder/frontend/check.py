"""The emitted files against torch: run by ncnn, outputs at several inputs, and module by module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..emit import EmittedModel
from ..parity.compare import Comparison, compare
from ..parity.installed import ncnn_for
from .capture import Captured, Port, copied, flat_inputs
from .layout import Tensor
from .marks import returned_by

DRAWS = 2
"""More inputs than the given ones, with which the files are compared."""
MODULES = 1e-3
"""What a module's result may differ by, of its largest magnitude: errors that the outputs hide grow in between."""
_AT_ONCE = 1 << 26
"""Numbers of module results that one run keeps."""


@dataclass(frozen=True)
class Checked:
    """outputs: at each draw; modules: at the given inputs, in the order of computation, those that are blobs still."""

    outputs: tuple[Comparison, ...]
    modules: tuple[Comparison, ...]

    @property
    def first(self) -> Comparison | None:
        """The first module that differs, else the first output."""
        return next((c for c in (*self.modules, *self.outputs) if not c.ok), None)


def checked(
    module: torch.nn.Module,
    made: Captured,
    model: EmittedModel,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tolerance: float,
) -> Checked:
    """Each output at the given inputs and at some drawn ones, each module at the given ones, ncnn against torch."""
    leaves, structure = tree_flatten((tuple(args), dict(kwargs)))
    outputs, modules = [], []
    names = [p.name for p in made.outputs]
    draws = [tree_unflatten(d, structure) for d in (leaves, *(_drawn(leaves, i) for i in range(DRAWS)))]
    results = ncnn_for(model)(model, [feeds_of(made, a, k) for a, k in draws], names)
    for i, ((a, k), result) in enumerate(zip(draws, results, strict=True)):
        if i == 0:
            returned, taps = returned_by(module, *copied(a, k), forward_only=made.forward_only)
        else:
            returned, taps = _run(module, a, k), {}
        for port, got, want in _outputs(made, returned, result):
            if i == 0 or np.isfinite(want).all():  # a draw may leave what forward() is defined for
                outputs.append(compare(f"{port.name} {'given' if i == 0 else f'draw {i}'}", got, want, tolerance))
        modules += list(_modules(made, model, feeds_of(made, a, k), taps, max(tolerance, MODULES)))
    return Checked(tuple(outputs), tuple(modules))


def against_torch(
    made: Captured, module: torch.nn.Module, args: Sequence[Any], results: Mapping[str, Any]
) -> list[tuple[Port, Any, Any]]:
    """(output, what ncnn gave in torch's shape, what torch gives) of each output."""
    return _outputs(made, _run(module, args, {}), results)


def feeds_of(made: Captured, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What ncnn is given, by the name of the blob."""
    return {p.name: _feed(p, t) for p, t in zip(made.inputs, flat_inputs(args, dict(kwargs or {})), strict=True)}


def _run(module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    a, k = copied(args, kwargs)
    with torch.no_grad():
        return module(*a, **k)


def _outputs(made: Captured, returned: Any, results: Mapping[str, Any]) -> list[tuple[Port, Any, Any]]:
    tensors = [t for t in tree_flatten(returned)[0] if isinstance(t, torch.Tensor)]
    triples = []
    for port, t in zip(made.outputs, tensors, strict=True):
        want, got = t.detach().to(torch.float32).numpy(), results[port.name]
        triples.append((port, got.reshape(want.shape) if got.size == want.size else got, want))
    return triples


def _modules(
    made: Captured, model: EmittedModel, feeds: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float
) -> Iterator[Comparison]:
    """Results of modules that are blobs of the emitted net, in as many runs as memory asks for."""
    paths = [p for p in expected if isinstance(made.taps.get(p), Tensor) and p in model.taps]
    paths = [p for p in paths if expected[p].size and np.isfinite(expected[p]).all()]
    while paths:
        size, count = 0, 0
        while count < len(paths) and (not count or size + expected[paths[count]].size <= _AT_ONCE):
            size, count = size + expected[paths[count]].size, count + 1
        now, paths = paths[:count], paths[count:]
        (got,) = ncnn_for(model)(model, [feeds], list(dict.fromkeys(model.taps[p] for p in now)))
        for path in now:
            yield compare(path, in_torch_order(made.taps[path], got[model.taps[path]]), expected[path], tolerance)


def in_torch_order(t: Tensor, array: Any) -> Any:
    """The numbers of a tensor's blob as torch has them."""
    if array.size != int(np.prod(t.base)):
        return array
    return array.reshape(t.base).transpose(t.order).reshape(t.shape)


def _feed(port: Port, t: torch.Tensor) -> Any:
    array = t.detach().numpy()
    array = array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    dims = [n for i, n in enumerate(port.shape) if i != port.batch_axis] or [1]
    n = 1 if port.batch_axis is None else port.shape[port.batch_axis]
    return np.ascontiguousarray(array).reshape([n, *dims] if n > 1 else dims)


def _drawn(leaves: Sequence[Any], seed: int) -> list[Any]:
    """Other inputs of the same kind: numbers between the least and the greatest of the given ones, about the one number
    that there is otherwise."""
    g = torch.Generator().manual_seed(seed + 1)

    def draw(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        low, high = x.min().item(), x.max().item()
        if x.dtype.is_floating_point:
            if low == high:
                low, high = low - max(abs(low), 1) / 2, high + max(abs(high), 1) / 2
            return low + (high - low) * torch.rand(x.shape, generator=g, dtype=x.dtype)
        return torch.randint(int(low), int(high) + 1, x.shape, generator=g, dtype=x.dtype)

    return [draw(x) for x in leaves]
