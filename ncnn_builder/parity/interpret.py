"""Running a graph in torch, by the references of its ops."""

from __future__ import annotations

from collections.abc import Mapping
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
