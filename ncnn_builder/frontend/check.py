"""The emitted files against torch: run by ncnn, outputs at several inputs, and module by module."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from ..emit import EmittedModel
from ..errors import BuildError
from ..open_shapes import shape_at
from ..parity.compare import Comparison, compare
from ..parity.installed import Run, ncnn_run
from .capture import Captured, Port, copied, flat_inputs
from .layout import Tensor
from .marks import watched

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
    *,
    modules_too: bool = True,
) -> Checked:
    """Each output at the given inputs and at some drawn ones, each module at the given ones, ncnn against torch.

    modules_too: False for the outputs alone.
    """
    draws, now = draws_of(args, kwargs), made.sizes_of(args, kwargs)
    titles = ["given", *(f"draw {i + 1}" for i in range(DRAWS))]
    leaves, structure = tree_flatten((tuple(args), dict(kwargs)))
    for at in made.program.sizes.tried(now) if made.program is not None and now else ():
        titles.append(", ".join(f"{name}={n}" for name, n in at.items()))
        draws.append(tree_unflatten(_resized(made, leaves, at), structure))
    feeds = [feeds_of(made, a, k) for a, k in draws]
    names = [p.name for p in made.outputs]
    parts = _parts(made, model, now) if modules_too else []
    runs: list[Run] = [(each, names) for each in feeds]
    runs += [(feeds[0], list(dict.fromkeys(model.taps[path] for path in part))) for part in parts]
    outputs: list[Comparison] = []
    modules: list[Comparison] = []
    with ncnn_run(model, runs) as got:
        source = {path: result for part, result in zip(parts, got[len(draws) :], strict=True) for path in part}

        def see(path: str, expected: Any) -> None:
            if path in source and expected.size and np.isfinite(expected).all():
                array = in_torch_order(made.taps[path], source[path][model.taps[path]], now)
                modules.append(compare(path, array, expected, max(tolerance, MODULES)))

        for i, (a, k) in enumerate(draws):
            a, k = copied(a, k)
            if i == 0:
                returned = watched(module, a, k, see, forward_only=made.forward_only or bool(now))
            else:
                returned = _run(module, a, k) if not now else _run_at(titles[i], module, a, k)
            for port, array, want in _outputs(made, returned, got[i]):
                if i == 0 or np.isfinite(want).all():  # a draw may leave what forward() is defined for
                    outputs.append(compare(f"{port.name} {titles[i]}", array, want, tolerance))
    return Checked(tuple(outputs), tuple(modules))


def draws_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """(args, kwargs) that a net is compared at: those given, and drawn ones of the same kind."""
    leaves, structure = tree_flatten((tuple(args), dict(kwargs)))
    return [tree_unflatten(d, structure) for d in (leaves, *(_drawn(leaves, i) for i in range(DRAWS)))]


def _parts(made: Captured, model: EmittedModel, now: Mapping[str, int]) -> list[list[str]]:
    """Paths of the modules whose results are blobs of the emitted net, in as many runs as memory asks for."""
    parts: list[list[str]] = []
    size = _AT_ONCE
    for path, t in made.taps.items():
        if isinstance(t, Tensor) and path in model.taps:
            count = math.prod(shape_at(t.shape, now))
            size += count
            if size > _AT_ONCE:
                parts.append([])
                size = count
            parts[-1].append(path)
    return parts


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


def _run_at(sizes: str, module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        return _run(module, args, kwargs)
    except Exception as error:  # whatever forward() may raise
        said = str(error).splitlines()[0] if str(error) else ""
        raise BuildError(
            f"forward() does not take all sizes: at {sizes} it raises {type(error).__name__}: {said}",
            argument="dynamic",
            fix='Give the sizes bounds within which it does, as in "h=64..512", or multiples, as in "8*h"',
        ) from error


def _outputs(made: Captured, returned: Any, results: Mapping[str, Any]) -> list[tuple[Port, Any, Any]]:
    tensors = [t for t in tree_flatten(returned)[0] if isinstance(t, torch.Tensor)]
    triples = []
    for port, t in zip(made.outputs, tensors, strict=True):
        want, got = t.detach().to(torch.float32).numpy(), results[port.name]
        triples.append((port, got.reshape(want.shape) if got.size == want.size else got, want))
    return triples


def in_torch_order(t: Tensor, array: Any, at: Mapping[str, int] | None = None) -> Any:
    """The numbers of a tensor's blob as torch has them. at: the open sizes."""
    base, shape = shape_at(t.base, at or {}), shape_at(t.shape, at or {})
    if array.size != math.prod(base):
        return array
    return array.reshape(base).transpose(t.order).reshape(shape)


def _feed(port: Port, t: torch.Tensor) -> Any:
    array = t.detach().numpy()
    array = array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    dims = [n for i, n in enumerate(array.shape) if i != port.batch_axis] or [1]
    n = 1 if port.batch_axis is None else array.shape[port.batch_axis]
    return np.ascontiguousarray(array).reshape([n, *dims] if n > 1 else dims)


def _resized(made: Captured, leaves: Sequence[Any], at: Mapping[str, int]) -> list[Any]:
    """Other inputs of the same kind, of these sizes."""
    shapes = iter(p.shape for p in made.inputs)
    return _drawn(leaves, DRAWS, [shape_at(next(shapes), at) if isinstance(x, torch.Tensor) else () for x in leaves])


def _drawn(leaves: Sequence[Any], seed: int, shapes: Sequence[Sequence[int]] | None = None) -> list[Any]:
    """Other inputs of the same kind: numbers between the least and the greatest of the given ones, about the one number
    that there is otherwise. shapes: theirs, where these are others."""
    g = torch.Generator().manual_seed(seed + 1)

    def draw(x: Any, shape: Sequence[int]) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        low, high = x.min().item(), x.max().item()
        if x.dtype.is_floating_point:
            if low == high:
                low, high = low - max(abs(low), 1) / 2, high + max(abs(high), 1) / 2
            return low + (high - low) * torch.rand(list(shape), generator=g, dtype=x.dtype)
        return torch.randint(int(low), int(high) + 1, list(shape), generator=g, dtype=x.dtype)

    kept = [x.shape if isinstance(x, torch.Tensor) else () for x in leaves]
    return [draw(x, shape) for x, shape in zip(leaves, shapes or kept, strict=True)]
