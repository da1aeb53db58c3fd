"""The manifest of a converted net, NAME.json: what its blobs are to torch, what made it, and how exact it was."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..emit import EmittedModel
from ..sizes import Size, names_of
from ..version import __version__
from .capture import Port

SCHEMA = 1


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
        "inputs": [_port(p) for p in inputs],
        "outputs": [_port(p) for p in outputs],
        **({"sizes": {n.name: {"least": n.least, "most": n.most} for n in names}} if names else {}),
        "target": target,
        "weights": model.weights.storage,
        "layers": model.layers,
        "sha256": {
            "param": hashlib.sha256(model.param.encode()).hexdigest(),
            "bin": hashlib.sha256(model.bin).hexdigest(),
        },
        "error": {"tolerance": tolerance, "outputs": dict(errors)} if errors is not None else None,
        "versions": {"ncnn_builder": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def as_text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _port(port: Port) -> dict[str, Any]:
    dtype = str(port.dtype).removeprefix("torch.")
    shape = [str(n) if isinstance(n, Size) else n for n in port.shape]  # an open one is a sum of names
    return {"name": port.name, "shape": shape, "dtype": dtype, "batch_axis": port.batch_axis}
