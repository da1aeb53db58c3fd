"""Seeds of a bundle of StyleGAN as data for its synthesis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BuildError
from .net_files import Blobs, NetFiles, runtime

SEEDS = 24


def bundle_samples(net: NetFiles, path: Path, count: int = SEEDS) -> list[Blobs]:
    """What the synthesis of a bundle takes for the seeds 0, 1, ..., untruncated, with noise of the same seeds.

    Raises BuildError where `net` is no synthesis of such a bundle.
    """
    missing = {"ws0", "ws1", "mixing"} - set(net.inputs)
    if missing:
        raise BuildError(
            "a bundle has samples for its synthesis", argument="--data", expected="ws0, ws1, mixing", got=net.inputs
        )
    try:
        model = runtime().Model(path)
        manifest = model.manifest
        shapes = manifest.graphs["synthesis"].inputs
        samples = []
        for seed in range(count):
            random = np.random.RandomState(seed)
            label = {"c": np.eye(manifest.c_dim)[seed % manifest.c_dim]} if manifest.c_dim else {}
            w = np.asarray(model.mapping(random.randn(manifest.z_dim), **label))
            samples.append({name: _input(name, tuple(shapes[name]), w, random) for name in net.inputs})
        return samples
    except (runtime().NcnnError, ValueError) as error:
        raise BuildError(f"{path} gives no samples: {error}", argument="--data") from None


def _input(name: str, shape: tuple[int, ...], w: Any, random: Any) -> Any:
    if name in ("ws0", "ws1"):
        return np.broadcast_to(w, shape).astype(np.float32)
    return (np.ones(shape) if name == "mixing" else random.randn(*shape)).astype(np.float32)
