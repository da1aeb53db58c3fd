"""The manifest of a converted net, NAME.json: what its blobs are to torch, what made it, and how exact it was."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..emit import EmittedModel
from ..emit.stated import SCHEMA, bounds_of, digests, texts_of
from ..ir import Shape
from ..sizes import names_of
from ..version import __version__
from .capture import Port


def manifest(
    model: EmittedModel,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    *,
    target: str,
    tolerance: float,
    errors: Mapping[str, float] | None,
) -> dict[str, Any]:
    """What is written. errors: per output, the tolerance that it would have needed; None where nothing was run."""
    names = names_of(*(n for p in inputs for n in p.shape))
    return {
        "schema": SCHEMA,
        "inputs": [_port(p, model.inputs[p.name]) for p in inputs],
        "outputs": [_port(p, model.outputs[p.name]) for p in outputs],
        **({"sizes": bounds_of(names)} if names else {}),
        "target": target,
        "weights": model.weights.storage,
        "layers": model.layers,
        "sha256": digests(model.param, model.bin),
        "error": {"tolerance": tolerance, "outputs": dict(errors)} if errors is not None else None,
        "versions": {"ncnn_builder": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def as_text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _port(port: Port, blob: Shape) -> dict[str, Any]:
    """shape: torch's; blob: what ncnn is given."""
    dtype = str(port.dtype).removeprefix("torch.")
    return {
        "name": port.name,
        "shape": texts_of(port.shape),
        "blob": texts_of(blob),
        "dtype": dtype,
        "batch_axis": port.batch_axis,
    }
