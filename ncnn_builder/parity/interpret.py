"""Running a graph in torch, by the references of its ops; and what a torch module returns, path by path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import ParityError
from ..ir import Graph, Value


def interpret(
    graph: Graph, inputs: Mapping[str, Any], *, double: bool = False, forced: Mapping[Value, Any] | None = None
) -> dict[Value, Any]:
    """Every Value of the graph as an array, computed in torch.

    inputs: input name -> array, without batch. double: compute in float64, for an oracle that is better than
    either side. forced: values whose numbers are taken from here, whatever their ops make of them; one of another
    shape than the graph's is not taken. Raises ParityError where an input is missing or a result has not the shape that
    was inferred.
    """
    import torch

    dtype = torch.float64 if double else torch.float32
    missing = {v.name for v in graph.inputs} ^ set(inputs)
    if missing:
        raise ParityError(
            "inputs do not match the graph's", expected=[v.name for v in graph.inputs], got=sorted(inputs)
        )
    values: dict[Value, Any] = {v: torch.as_tensor(np.asarray(inputs[v.name]), dtype=dtype) for v in graph.inputs}
    with torch.no_grad():
        for node in graph.nodes:
            weights = {k: torch.tensor(w, dtype=dtype) for k, w in node.weights.items()}
            results = node.spec.reference([values[v] for v in node.inputs], node.params, weights)
            for value, result in zip(node.outputs, results, strict=True):
                known = slice(1 if node.spec.open_length else 0, None)
                if tuple(result.shape)[known] != value.shape[known] and not any(v.any_shape for v in graph.inputs):
                    raise ParityError(
                        "the reference's result has another shape than was inferred",
                        op=node.spec.type,
                        node=node.name,
                        expected=list(value.shape),
                        got=list(result.shape),
                    )
                given = (forced or {}).get(value)
                fits = given is not None and tuple(given.shape) == tuple(result.shape)
                values[value] = torch.as_tensor(given, dtype=dtype) if fits else result
    return {value: result.numpy() for value, result in values.items()}


def torch_taps(module: Any, call: Callable[[], Any], paths: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """What each submodule returns during `call()`, by tap path, the batch of one dropped.

    module: an nn.Module. paths: tap paths, such as ``b64.conv0`` or ``b64:1`` (the second of several results).
    prefix: what the tap paths have in front of the module's own, such as ``synthesis``.
    Raises ParityError for a path that is no submodule, or that did not run.
    """
    tapped = set(paths)
    wanted = {path.rsplit(":", 1)[0] if path.rsplit(":", 1)[-1].isdigit() else path: None for path in tapped}
    modules = dict(module.named_modules(prefix=prefix))
    unknown = sorted(set(wanted) - set(modules))
    if unknown:
        raise ParityError("tapped paths that are no modules", got=unknown)
    results: dict[str, Any] = {}

    def hook(path: str) -> Callable[[Any, Any, Any], None]:
        def record(module: Any, _inputs: Any, output: Any) -> None:
            for key, tensor, axis in _returned(module, path, output):
                if key in tapped:
                    results[key] = drop_batch(tensor, axis)

        return record

    handles = [modules[path].register_forward_hook(hook(path)) for path in wanted]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    silent = sorted(tapped - set(results))
    if silent:
        raise ParityError("tapped modules that did not return this", got=silent)
    return {path: results[path] for path in paths}


def _returned(module: Any, path: str, output: Any) -> Iterator[tuple[str, Any, int]]:
    """(tap path, tensor, its axis of the batch) of what a module returned; the first of several is `path` as well.

    The axis is 1 in the sequences of recurrent layers and attention unless batch_first says otherwise, and in the
    states of the former whatever it says.
    """
    axis = 0 if getattr(module, "batch_first", True) else 1
    if not isinstance(output, (tuple, list)):
        yield path, output, axis
        return
    yield path, output[0], axis
    flat = [(output[0], axis)]
    for item in output[1:]:
        nested = isinstance(item, (tuple, list))
        states = nested or (hasattr(module, "num_layers") and hasattr(module, "bidirectional"))
        flat += [(tensor, 1 if states else 0) for tensor in (item if nested else [item])]
    for i, (tensor, where) in enumerate(flat):
        if tensor is not None:
            yield f"{path}:{i}", tensor, where


def drop_batch(tensor: Any, axis: int = 0) -> Any:
    """The one place where N = 1 goes. Raises ParityError for another batch."""
    if tensor.shape[axis] != 1:
        raise ParityError("the batch is not one", got=list(tensor.shape))
    return tensor.detach().select(axis, 0).cpu().numpy().copy()  # a module in place may write over it later
