"""nb.convert(): capture, compile, run, compare, and only then write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from ..emit import EmittedModel, compile_graph, write_files
from ..errors import ParityError
from ..ir import Graph
from ..parity.compare import Comparison, compare
from ..parity.installed import on_the_wheel
from .capture import Captured, Port, captured, flat_inputs
from .manifest import as_text, manifest

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""Of each output's largest magnitude, by how the weights are stored."""
DRAWS = 2
"""More inputs than the given ones, with which the files are compared."""


@dataclass(frozen=True)
class Converted:
    """What convert() did. str() is a table.

    path         the three files without suffix
    graph        what was captured
    model        what is in the files
    comparisons  of each output at each draw, ncnn against torch; empty where nothing was run
    """

    path: Path
    graph: Graph
    model: EmittedModel
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    comparisons: tuple[Comparison, ...]

    def __str__(self) -> str:
        rows = [f"{self.path}.param  {self.model.layers} layers, {len(self.model.bin) / 1e6:.1f} MB"]
        rows += [f"  in   {p.name:<12} {list(p.shape)} {str(p.dtype).removeprefix('torch.')}" for p in self.inputs]
        rows += [f"  out  {p.name:<12} {list(p.shape)}" for p in self.outputs]
        rows += [f"  {c}" for c in self.comparisons]
        return "\n".join(rows)


def convert(
    module: torch.nn.Module,
    args: Any,
    path: str | PathLike[str],
    *,
    kwargs: Mapping[str, Any] | None = None,
    target: str = "stock",
    weights: str = "fp32",
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    check: bool = True,
    tolerance: float | None = None,
) -> Converted:
    """Convert any module of torch to PATH.param, PATH.bin and PATH.json, proven equal by running them.

    args: a tensor, or a tuple of what forward() takes, by which its shapes are known; kwargs likewise. The blobs are
    in0, in1, ... and out0, out1, ... unless `inputs` and `outputs` name them. target: "stock" runs on any ncnn.
    weights: "fp32" or "fp16". check=False writes without running. tolerance: of each output's largest magnitude.
    Raises BuildError for what cannot be converted and ParityError for what is not equal; nothing is written then.
    """
    bound = TOLERANCE.get(weights, 1e-4) if tolerance is None else tolerance
    args = args if isinstance(args, (tuple, list)) else (args,)
    named = dict(kwargs or {})
    made = captured(module, args, named, inputs, outputs)
    model = compile_graph(made.graph, target, weights=weights)
    comparisons: list[Comparison] = []
    if check:
        comparisons = compared(module, made, model, args, named, bound)
        first = next((c for c in comparisons if not c.ok), None)
        if first is not None:
            raise ParityError(
                f"{type(module).__name__}: {first.name} differs from torch",
                expected=f"within {first.tolerance:.0e} of the largest magnitude",
                got=first.problem or f"{first.required:.2e}",
            )
    errors = {p.name: max(c.required for c in comparisons if c.name.startswith(f"{p.name} ")) for p in made.outputs}
    content = manifest(
        model, made.inputs, made.outputs, target=target, tolerance=bound, errors=errors if check else None
    )
    place = Path(path)
    files = {place.with_name(place.name + suffix): [data] for suffix, data in _files(model, content)}
    write_files(files)
    return Converted(place, made.graph, model, tuple(made.inputs), tuple(made.outputs), tuple(comparisons))


def _files(model: EmittedModel, content: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    return [(".param", model.param.encode()), (".bin", model.bin), (".json", as_text(content))]


def compared(
    module: torch.nn.Module,
    made: Captured,
    model: EmittedModel,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tolerance: float,
) -> list[Comparison]:
    """Each output at the given inputs and at some drawn ones, ncnn against torch."""
    leaves, structure = tree_flatten((tuple(args), dict(kwargs)))
    draws = [tree_unflatten(d, structure) for d in (leaves, *(_drawn(leaves, i) for i in range(DRAWS)))]
    results = on_the_wheel(model, [feeds_of(made, a, k) for a, k in draws], [p.name for p in made.outputs])
    comparisons = []
    for i, ((a, k), result) in enumerate(zip(draws, results, strict=True)):
        for port, got, want in against_torch(made, module, a, result, k):
            if i == 0 or np.isfinite(want).all():  # a draw may leave what forward() is defined for
                name = f"{port.name} {'given' if i == 0 else f'draw {i}'}"
                comparisons.append(compare(name, got, want, tolerance))
    return comparisons


def feeds_of(made: Captured, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What ncnn is given, by the name of the blob."""
    return {p.name: _feed(p, t) for p, t in zip(made.inputs, flat_inputs(args, dict(kwargs or {})), strict=True)}


def against_torch(
    made: Captured,
    module: torch.nn.Module,
    args: Sequence[Any],
    results: Mapping[str, Any],
    kwargs: Mapping[str, Any] | None = None,
) -> list[tuple[Port, Any, Any]]:
    """(output, what ncnn gave in torch's shape, what torch gives) of each output."""
    a, k = tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, (tuple(args), dict(kwargs or {})))
    with torch.no_grad():
        returned = [t for t in tree_flatten(module(*a, **k))[0] if isinstance(t, torch.Tensor)]
    triples = []
    for port, t in zip(made.outputs, returned, strict=True):
        want, got = t.detach().to(torch.float32).numpy(), results[port.name]
        triples.append((port, got.reshape(want.shape) if got.size == want.size else got, want))
    return triples


def _feed(port: Port, t: torch.Tensor) -> Any:
    array = t.detach().numpy()
    array = array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    dims = [n for i, n in enumerate(port.shape) if i != port.batch_axis] or [1]
    n = 1 if port.batch_axis is None else port.shape[port.batch_axis]
    return np.ascontiguousarray(array).reshape([n, *dims] if n > 1 else dims)


def _drawn(leaves: Sequence[Any], seed: int) -> list[Any]:
    """Other inputs of the same kind: numbers between the least and the greatest of the given ones."""
    g = torch.Generator().manual_seed(seed + 1)

    def draw(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        low, high = x.min().item(), x.max().item()
        if x.dtype.is_floating_point:
            return low + (high - low) * torch.rand(x.shape, generator=g, dtype=x.dtype)
        return torch.randint(int(low), int(high) + 1, x.shape, generator=g, dtype=x.dtype)

    return [draw(x) for x in leaves]
