"""What a checkpoint of one network becomes: its row of the table."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.restorers.networks import NETWORKS
from benchmarks.trials import said
from ncnn_builder import NcnnBuilderError
from ncnn_builder.restorers import convert_restorer
from ncnn_builder.restorers.network import recognised

UP_TO = "..96"
"""Where the net asks for a bound."""
LARGE = 64


def trial(name: str, folder: Path) -> dict[str, Any]:
    """Whether it converts for all sizes, else for those up to a bound, else for one; the largest error; why not."""
    network = NETWORKS[name]
    began = time.process_time()
    try:
        state = network.state(name)
        restorer = recognised(state)
    except Exception as error:
        return {"failed": f"not built: {type(error).__name__}: {_said(error)}"}
    row: dict[str, Any] = {"architecture": restorer.architecture, "purpose": restorer.purpose, "scale": restorer.scale}
    step = restorer.multiple_of
    one = network.size or str(-(-max(LARGE, restorer.minimum) // step) * step)
    if network.size:
        row["not_open"] = "the architecture is for one size"
    for size in (one,) if network.size else (None, UP_TO, one):
        if size == UP_TO and "no largest" not in row["not_open"]:
            continue
        try:
            done = convert_restorer(dict(state), folder / "net", size=size, check="outputs")
        except Exception as error:  # of ours, or a fault of ours
            kind = "" if isinstance(error, NcnnBuilderError) else f"fault: {type(error).__name__}: "
            row["failed" if size == one else "not_open"] = kind + _said(error)
            continue
        told = done.manifest["restorer"]
        row["sizes"] = "one" if told["size"] else "up to" if told["maximum"] else "any"
        row |= {"error": max(done.manifest["error"]["outputs"].values()), "layers": done.model.layers}
        break
    return row | {"seconds": round(time.process_time() - began, 1)}


def _said(error: BaseException) -> str:
    fix = getattr(error, "fix", None)
    if getattr(error, "argument", None) == "size" and isinstance(error.__cause__, NcnnBuilderError):
        error, fix = error.__cause__, error.__cause__.fix  # of all sizes: why
    return said(error, fix)
