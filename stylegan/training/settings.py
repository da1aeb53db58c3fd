"""What a training is asked to do, and what follows from it and a configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stylegan.errors import TrainingError
from stylegan.training.augment import PIPES

AUGMENTATIONS = ("ada", "fixed", "none")


@dataclass(frozen=True)
class TrainSettings:
    """All that decides what comes out of a training, apart from the configuration and the pictures.

    batch: pictures a step, over all processes; batch_gpu: of them at once in one process, for its memory. gamma: weight
    of R1. g_lr, d_lr: learning rates before their correction for lazy regularisation. ema_kimg: half-life of the
    averaged weights in thousand pictures; ema_rampup: at most so much of the pictures so far (None: no limit).
    g_reg_interval, d_reg_interval: every how many steps the two networks are regularised. aug, aug_p, aug_pipe,
    ada_target, ada_kimg: augmentation, adaptive from p = 0, with the fixed p, or none. freeze_d: layers of the
    discriminator that stay as they are. mbstd_group: of its minibatch standard deviation, 0 leaves that out.
    num_fp16_res: so many of the highest resolutions are computed in half precision on GPUs. Other fields: see
    LossSettings.
    """

    batch: int
    batch_gpu: int
    gamma: float
    g_lr: float
    d_lr: float
    ema_kimg: float
    ema_rampup: float | None = 0.05
    g_reg_interval: int = 4
    d_reg_interval: int = 16
    style_mixing_prob: float = 0
    pl_weight: float = 0
    pl_batch_shrink: int = 2
    blur_init_sigma: float = 0
    blur_fade_kimg: float = 0
    aug: str = "ada"
    aug_p: float = 0.2
    aug_pipe: str = "bgc"
    ada_target: float = 0.6
    ada_kimg: float = 500
    freeze_d: int = 0
    mbstd_group: int = 4
    num_fp16_res: int = 4
    seed: int = 0

    def check(self, processes: int) -> None:
        """Raise TrainingError for what cannot be, on so many processes."""
        faults = [
            f"{name}: expected {least} or more, got {value}"
            for name, value, least in (
                *(("batch", self.batch, 1), ("batch_gpu", self.batch_gpu, 1), ("gamma", self.gamma, 0)),
                *(("freeze_d", self.freeze_d, 0), ("aug_p", self.aug_p, 0), ("seed", self.seed, 0)),
            )
            if not value >= least or not math.isfinite(value)
        ]
        if not faults and self.batch % (self.batch_gpu * processes):
            faults.append(
                f"batch: expected a multiple of {self.batch_gpu * processes} ({processes} processes with "
                f"{self.batch_gpu} pictures at once), got {self.batch}"
            )
        group = min(self.mbstd_group, self.batch_gpu)
        if not faults and group and self.batch_gpu % group:
            faults.append(
                f"batch_gpu: expected a multiple of the group {group} of the minibatch standard deviation, "
                f"got {self.batch_gpu}"
            )
        if self.aug not in AUGMENTATIONS or self.aug_pipe not in PIPES:
            faults.append(f"aug: expected one of {', '.join(AUGMENTATIONS)} with a pipe of {', '.join(PIPES)}")
        if self.aug_p > 1:
            faults.append(f"aug_p: expected 0 to 1, got {self.aug_p}")
        if faults:
            raise TrainingError("; ".join(faults))


def default_settings(
    family: str,
    init_kwargs: Mapping[str, Any],
    processes: int = 1,
    continued: bool = False,
    **changes: Any,
) -> TrainSettings:
    """The settings for a generator that the papers' authors recommend, from its resolution; `changes` win.

    continued: the weights come from a trained network, which needs no early blur and can take augmentation sooner.
    """
    resolution = int(init_kwargs["img_resolution"])
    batch = changes.get("batch")
    if batch is None:
        batch = max(min(processes * min(4096 // resolution, 32), 64), processes)
    per_process = max(1, batch // processes)
    v3 = family == "v3"
    rate = 0.002 if resolution >= 1024 else 0.0025
    radial = bool(init_kwargs.get("use_radial_filters"))
    found: dict[str, Any] = dict(
        batch=batch,
        batch_gpu=per_process,
        gamma=0.0002 * resolution**2 / max(1, batch),
        g_lr=0.0025 if v3 else rate,
        d_lr=0.002 if v3 else rate,
        ema_kimg=batch * 10 / 32,
        ema_rampup=None if continued else 0.05,
        style_mixing_prob=0 if v3 else 0.9,
        pl_weight=0 if v3 else 2,
        blur_init_sigma=10 if radial and not continued else 0,
        blur_fade_kimg=batch * 200 / 32 if radial and not continued else 0,
        ada_kimg=100 if continued else 500,
    )
    settings = TrainSettings(**{**found, **{key: value for key, value in changes.items() if value is not None}})
    settings.check(processes)
    return settings


def generator_kwargs(family: str, init_kwargs: Mapping[str, Any], settings: TrainSettings) -> dict[str, Any]:
    """init_kwargs with what the training decides."""
    half = {"num_fp16_res": settings.num_fp16_res}
    if family == "v3":
        return {**init_kwargs, **half}
    return {**init_kwargs, "synthesis_kwargs": {**(init_kwargs.get("synthesis_kwargs") or {}), **half}}


def discriminator_kwargs(family: str, init_kwargs: Mapping[str, Any], settings: TrainSettings) -> dict[str, Any]:
    """Of the Discriminator for a generator: as many channels, but no more than StyleGAN2's."""
    said = init_kwargs if family == "v3" else init_kwargs.get("synthesis_kwargs") or {}
    group = min(settings.mbstd_group, settings.batch_gpu)
    return dict(
        c_dim=init_kwargs["c_dim"],
        img_resolution=init_kwargs["img_resolution"],
        img_channels=init_kwargs["img_channels"],
        channel_base=min(said.get("channel_base", 32768), 32768),
        channel_max=min(said.get("channel_max", 512), 512),
        conv_clamp=256,
        num_fp16_res=settings.num_fp16_res,
        block_kwargs={"freeze_layers": settings.freeze_d},
        epilogue_kwargs={"mbstd_group_size": group} if group else {"mbstd_num_channels": 0},
    )
