"""Where the goldens are, and what is in one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

TOLERANCE = 1e-4  # of each tensor's largest magnitude


def goldens_dir() -> Path:
    """NCNN_BUILDER_GOLDENS, or else shared/goldens beside the repository; skips the test without it."""
    repository = Path(__file__).resolve().parents[1]
    path = Path(os.environ.get("NCNN_BUILDER_GOLDENS") or repository.parent / "shared" / "goldens")
    if not path.is_dir():
        pytest.skip(f"no goldens: {path} is not a directory; NCNN_BUILDER_GOLDENS names it")
    return path


@dataclass(frozen=True)
class Golden:
    """One golden: what its json says, and its arrays as tensors."""

    meta: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors under `prefix`, named without it."""
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


def load_golden(name: str) -> Golden:
    directory = goldens_dir()
    meta = json.loads((directory / f"{name}.json").read_text())
    with np.load(directory / f"{name}.npz") as arrays:
        return Golden(meta, {key: torch.from_numpy(arrays[key]) for key in arrays.files})


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest difference as a part of `want`'s largest magnitude; infinite for another shape or NaN."""
    if got.shape != want.shape or not got.isfinite().all():
        return float("inf")
    return float((got - want).abs().max() / want.abs().max())
