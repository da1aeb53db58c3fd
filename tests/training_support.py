"""Small networks and pictures to train with, for the tests of the loop and for the processes that these start."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from stylegan.training.settings import TrainSettings
from stylegan.training.trainer import Trainer

CHANNELS = dict(channel_base=64, channel_max=8)
KWARGS: dict[str, dict[str, Any]] = {
    "v2ada": dict(
        **dict(z_dim=8, c_dim=0, w_dim=8, img_resolution=16, img_channels=3),
        mapping_kwargs=dict(num_layers=2),
        synthesis_kwargs=dict(**CHANNELS, conv_clamp=256),
    ),
    "v3": dict(
        **dict(z_dim=8, c_dim=0, w_dim=8, img_resolution=16, img_channels=3),
        **CHANNELS,
        num_layers=3,
        num_critical=1,
    ),
}


class Pictures:
    """Pictures of noise: brighter ones have label 1."""

    def __init__(self, length: int = 20, c_dim: int = 0) -> None:
        random = np.random.RandomState(0)
        self.resolution, self.channels, self.c_dim = 16, 3, c_dim
        self.pixels = random.randint(0, 256, size=(length, 3, 16, 16)).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        return self.pixels[index], self.label(index)

    def label(self, index: int) -> npt.NDArray[np.float32]:
        found = np.zeros(self.c_dim, np.float32)
        if self.c_dim:
            found[int(self.pixels[index].mean() * self.c_dim / 256)] = 1
        return found


def small_settings(**changes: Any) -> TrainSettings:
    base: dict[str, Any] = dict(batch=4, batch_gpu=4, gamma=1, g_lr=0.002, d_lr=0.002, ema_kimg=0.1)
    return TrainSettings(**{**base, "pl_weight": 2, "style_mixing_prob": 0.5, "aug": "none", **changes})


def small_trainer(family: str = "v2ada", c_dim: int = 0, **changes: Any) -> Trainer:
    torch.set_num_threads(1)
    return Trainer(family, {**KWARGS[family], "c_dim": c_dim}, small_settings(**changes))
