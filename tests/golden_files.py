"""Numbers of the official networks, in tests/goldens: what is in them, and the rule that their weights follow."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stylegan import v2ada, v3

TOLERANCE = 1e-4  # of each tensor's largest magnitude
FOLDER = Path(__file__).resolve().parent / "goldens"
WIDE = 16  # of taps that are wider a golden holds every 4th row and column
BUILT = ("_filter", "transform")  # what the constructor puts there


@dataclass(frozen=True)
class Golden:
    """One golden: what its json says, and its arrays as tensors.

    A generator's are `state/KEY`, by the rule of seeded_state(); z and c of two seeds, ws_..., img_...; and
    `tap/MODULE`, of the first seed, as thinned() leaves it.
    """

    meta: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors under `prefix`, named without it."""
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


@cache
def load_golden(name: str) -> Golden:
    meta = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    if "init_kwargs" in meta:
        make = {"v2ada": v2ada.Generator, "v3": v3.Generator}[name.partition("_")[0]]
        state = seeded_state(make(**meta["init_kwargs"]).state_dict())
        tensors |= {f"state/{key}": value for key, value in state.items()}
        # The official block adds its conv1 into the result of its skip, in place, so that this tap holds the sum.
        for tap in [key for key in tensors if key.endswith(".skip")]:
            tensors[tap] = tensors[tap] - tensors[tap.removesuffix("skip") + "conv1"]
    return Golden(meta, tensors)


def seeded_state(built: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights that the goldens were made with, of the shapes of a state_dict: drawn by each key's own name.

    So they need no file, and whoever has the official code can make the goldens again.
    """
    return {key: value if key.endswith(BUILT) else _seeded(key, value.shape) for key, value in built.items()}


def _seeded(key: str, shape: torch.Size) -> torch.Tensor:
    n = np.asarray(np.random.RandomState(zlib.crc32(key.encode())).randn(*shape), np.float32)
    if key.endswith("weight"):
        n = n * np.float32(100) if key.startswith("mapping.fc") else n
    elif key.endswith("bias"):
        n = n / np.float32(10) + np.float32(".affine." in key)
    elif key.endswith(("noise_strength", "w_avg")):
        n = n / np.float32(10)
    elif key.endswith("magnitude_ema"):
        n = np.exp(n / np.float32(10))
    return torch.from_numpy(np.asarray(n, np.float32))


def thinned(tap: Any) -> Any:
    """What a golden holds of a tap, a tensor or an array."""
    return tap[..., ::4, ::4] if tap.ndim >= 3 and tap.shape[-1] > WIDE else tap


@cache
def official_states() -> dict[str, tuple[dict[str, Any], dict[str, torch.Size], dict[str, torch.Tensor]]]:
    """Name -> (init_kwargs, key -> shape in the official order, filters) of official generators' state_dicts."""
    said = json.loads((FOLDER / "official_states.json").read_text())
    with np.load(FOLDER / "official_filters.npz") as arrays:
        filters = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return {
        name: (
            state["init_kwargs"],
            {key: torch.Size(shape) for key, shape in state["shapes"].items()},
            {key.partition("/")[2]: value for key, value in filters.items() if key.partition("/")[0] == name},
        )
        for name, state in said.items()
    }


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest difference as a part of `want`'s largest magnitude; infinite for another shape or NaN."""
    if got.shape != want.shape or not got.isfinite().all():
        return float("inf")
    return float((got - want).abs().max() / want.abs().max())
