"""What one network becomes: its row of the table."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

import ncnn_builder as nb
from benchmarks.networks.generators import GENERATORS
from benchmarks.networks.readers import READERS
from benchmarks.networks.seers import SEERS
from benchmarks.trials import said

NETWORKS = {**GENERATORS, **READERS, **SEERS}


def trial(name: str, folder: Path) -> dict[str, Any]:
    """Whether it converts with its open sizes, else for the example's; the largest error of an output; why not."""
    network = NETWORKS[name]
    began = time.process_time()
    try:
        module, args = network.made()
        with torch.no_grad():
            first = next(t for t in tree_leaves(module(*args, **network.kwargs)) if isinstance(t, torch.Tensor))
        if first.min() == first.max():
            return {"failed": "not built: with these weights it gives the same number everywhere"}
    except Exception as error:
        return {"failed": f"not built: {type(error).__name__}: {said(error)}"}
    row: dict[str, Any] = {"library": network.library, "purpose": network.purpose}
    for dynamic in (network.dynamic, {}) if network.dynamic else ({},):
        try:
            done = nb.convert(
                module, args, folder / "net", kwargs=network.kwargs, dynamic=dynamic or None, check="outputs"
            )
        except Exception as error:  # of ours, or a fault of ours
            kind = "" if isinstance(error, nb.NcnnBuilderError) else f"fault: {type(error).__name__}: "
            row["not_open" if dynamic else "failed"] = kind + said(error)
            continue
        errors = [c.required for c in done.checked.outputs] if done.checked else []
        row |= {"sizes": "any" if dynamic else "one", "error": max(errors), "layers": done.model.layers}
        break
    return row | {"seconds": round(time.process_time() - began, 1)}
