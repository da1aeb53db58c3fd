"""What a bundle's manifest knows of its nets and their files do not say: the shapes of inputs that are left open."""

from __future__ import annotations

import json
from pathlib import Path

from ..ir import Shape
from ..strangers import read_regular

FORMAT = "ncnn-builder-bundle"
MOST_BYTES = 1 << 24  # of a manifest, as runtime/manifest.py has it


def bundle_shapes(path: Path) -> dict[str, Shape]:
    """Input -> shape of NAME_mapping.param or NAME_synthesis.param, from NAME.json beside it; none without it.

    A style is [w_dim] or [num_ws, w_dim], which the file so leaves open; the manifest has the usual one.
    """
    name, _, part = path.stem.rpartition("_")
    try:
        manifest = json.loads(read_regular(path.parent / f"{name}.json", MOST_BYTES))
        graph = manifest["graphs"][part]
        if manifest["format"] != FORMAT or graph["param"] != path.name:
            return {}
        return {blob: tuple(int(n) for n in shape) for blob, shape in graph["inputs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # no manifest of ours
        return {}
