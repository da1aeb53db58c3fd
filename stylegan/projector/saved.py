"""A projection on disk between two runs: a safetensors file, nothing of which is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ncnn_builder as nb
from stylegan._torch import Tensor, safetensors_torch, torch
from stylegan.errors import ProjectionError

METADATA = "projection"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What torch's Adam keeps of every tensor, apart from the number of steps."""


@dataclass(frozen=True)
class Saved:
    """state: Projector.state(). asked: what was asked for, plain values by name. seconds: that it has taken so far."""

    state: Mapping[str, Tensor]
    asked: Mapping[str, Any]
    seconds: float


def write(path: Path, saved: Saved) -> None:
    """Whole or not at all. Raises ncnn_builder.EmitError, PackageMissing."""
    save = safetensors_torch().save
    said = json.dumps({"asked": saved.asked, "seconds": saved.seconds}, sort_keys=True)
    nb.write_files({path: [save(dict(saved.state), {METADATA: said})]})


def read(path: Path) -> Saved:
    """Raises ProjectionError for a file that write() did not write, PackageMissing."""
    load = safetensors_torch().load
    try:
        data = path.read_bytes()
        state = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        said = json.loads(header["__metadata__"][METADATA])
        return Saved(state, dict(said["asked"]), float(said["seconds"]))
    except Exception as error:  # the reader raises many kinds on a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ProjectionError(f"saved state {path}: it cannot be read ({reason}): remove it to begin anew") from None


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What was asked for otherwise when the state was saved, each as one phrase."""
    return [
        f"{key} is {there.get(key)} there and {now.get(key)} now"
        for key in {**now, **there}
        if there.get(key) != now.get(key)
    ]


def check(state: Mapping[str, Tensor], optimised: Mapping[str, Sequence[int]], steps: int) -> None:
    """Raise ProjectionError unless it is a state of `steps` or fewer steps of tensors of these names and shapes."""
    done = state["distances"].numel() if "distances" in state else 0
    shapes: dict[str, tuple[int, ...]] = {name: tuple(shape) for name, shape in optimised.items()}
    shapes |= {f"adam/{name}/{key}": tuple(shape) for name, shape in optimised.items() for key in MOMENTS}
    shapes |= {"w_std": (), "distances": (done,), "trajectory": (done, *optimised["w"][1:])}
    shapes["random"] = tuple(torch.Generator().get_state().shape)
    dtypes = {"random": torch.uint8, "w_std": torch.float64, "distances": torch.float64}
    for name, shape in shapes.items():
        got = state.get(name)
        dtype = dtypes.get(name, torch.float32)
        if got is None or tuple(got.shape) != shape or got.dtype != dtype or not got.isfinite().all():
            shown = "nothing" if got is None else f"{got.dtype} of {list(got.shape)}"
            raise ProjectionError(f"saved state: expected finite {dtype} of {list(shape)} as {name}, got {shown}")
    if done > steps or len(state) != len(shapes):
        raise ProjectionError(f"saved state: expected {len(shapes)} tensors of at most {steps} steps, got {done} steps")
