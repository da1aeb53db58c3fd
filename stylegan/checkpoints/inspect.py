"""What is in a checkpoint."""

from __future__ import annotations

from typing import Any

from stylegan.checkpoints import checkpoint


def inspect(source: str, which: str = "G_ema", sha256: str | None = None) -> dict[str, Any]:
    """What a checkpoint, file or URL, holds, as what JSON can hold.

    source, sha256, family, init_kwargs, inferred (whether init_kwargs are, from shapes), notes (what was converted,
    assumed or left out), num_ws, labels (c_dim),
    parameters and buffers (how many numbers), bytes (of both, in float32), w_avg (mean, std, min, max; None without
    truncation), tensors (name -> shape), in the network's order. Raises CheckpointError, PackageMissing.
    """
    found = checkpoint.load(source, which, sha256)
    network = checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
    state = network.state_dict()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    total = sum(value.numel() for value in state.values())
    w_avg = state.get("mapping.w_avg")
    return {
        "source": found.source,
        "sha256": found.sha256,
        "family": found.family,
        "init_kwargs": dict(found.init_kwargs),
        "inferred": found.inferred,
        "notes": list(found.notes),
        "num_ws": network.num_ws,
        "labels": network.c_dim,
        "parameters": parameters,
        "buffers": total - parameters,
        "bytes": 4 * total,
        "w_avg": None
        if w_avg is None
        else {
            "mean": float(w_avg.mean()),
            "std": float(w_avg.std(correction=0)),
            "min": float(w_avg.min()),
            "max": float(w_avg.max()),
        },
        "tensors": {key: list(value.shape) for key, value in state.items()},
    }
