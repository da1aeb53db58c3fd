"""What a training is asked to do, and what follows from it and a configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    g_betas, d_betas: Adam's, before the same correction. g_reg_interval, d_reg_interval: every how many steps the two
    networks are regularised. aug, aug_p, aug_pipe, ada_target, ada_kimg: augmentation, adaptive from p = 0, with the
    fixed p, or none. freeze_d: so many layers of the discriminator, counted from the picture on, stay as they are;
    freeze_d_at, freeze_g_at: modules that do, by path in the discriminator and in the synthesis network, such as b8.
    mbstd_group: of the discriminator's minibatch standard deviation, None is all pictures that are in it at once, and 0
    leaves it out. d_architecture, d_channel_base, d_channel_max: of the discriminator (None: as the generator's).
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
    g_betas: Sequence[float] = (0, 0.99)
    d_betas: Sequence[float] = (0, 0.99)
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
    freeze_d_at: Sequence[str] = ()
    freeze_g_at: Sequence[str] = ()
    mbstd_group: int | None = 4
    d_architecture: str = "resnet"
    d_channel_base: int | None = None
    d_channel_max: int | None = None
    num_fp16_res: int = 4
    seed: int = 0

    @property
    def group(self) -> int:
        """Of the minibatch standard deviation, 0 without it."""
        return self.batch_gpu if self.mbstd_group is None else min(self.mbstd_group, self.batch_gpu)

    def check(self, processes: int) -> None:
        """Raise TrainingError for what cannot be, on so many processes."""
        faults = [
            f"{name}: expected {least} or more, got {value}"
            for name, value, least in (
                *(("batch", self.batch, 1), ("batch_gpu", self.batch_gpu, 1), ("gamma", self.gamma, 0)),
                *(("freeze_d", self.freeze_d, 0), ("aug_p", self.aug_p, 0), ("seed", self.seed, 0)),
                *(("g_lr", self.g_lr, 0), ("d_lr", self.d_lr, 0), ("mbstd_group", self.mbstd_group or 0, 0)),
                *(("ema_kimg", self.ema_kimg, 0), ("ema_rampup", self.ema_rampup or 0, 0)),
            )
            if not value >= least or not math.isfinite(value)
        ]
        if not (math.isfinite(self.ada_kimg) and self.ada_kimg > 0):
            faults.append(f"ada_kimg: expected a number above 0, got {self.ada_kimg}")
        for name, betas in (("g_betas", self.g_betas), ("d_betas", self.d_betas)):
            if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
                faults.append(f"{name}: expected two numbers from 0 to less than 1, got {', '.join(map(str, betas))}")
        if not faults and self.batch % (self.batch_gpu * processes):
            faults.append(
                f"batch: expected a multiple of {self.batch_gpu * processes} ({processes} processes with "
                f"{self.batch_gpu} pictures at once), got {self.batch}"
            )
        if not faults and self.group and self.batch_gpu % self.group:
            faults.append(
                f"batch_gpu: expected a multiple of the group {self.group} of the minibatch standard deviation, "
                f"got {self.batch_gpu}"
            )
        if self.aug not in AUGMENTATIONS or self.aug_pipe not in PIPES:
            faults.append(f"aug: expected one of {', '.join(AUGMENTATIONS)} with a pipe of {', '.join(PIPES)}")
        if self.aug_p > 1:
            faults.append(f"aug_p: expected 0 to 1, got {self.aug_p}")
        if faults:
            raise TrainingError("; ".join(faults))


AT_ONCE_V3 = {  # resolution: pictures at once of configurations t and r
    **{128: (16, 16), 256: (16, 8)},
    **{512: (8, 4), 1024: (4, 4)},
}
"""For the memory of a GPU: the authors' table of StyleGAN3, whose batch is 32 everywhere."""


def default_settings(
    family: str,
    init_kwargs: Mapping[str, Any],
    processes: int = 1,
    continued: bool = False,
    **changes: Any,
) -> TrainSettings:
    """The settings for a generator that the papers' authors recommend, from its resolution; `changes` win.

    StyleGAN2: configuration auto of StyleGAN2-ADA. StyleGAN3: the authors' table, which has batches of 32 and a gamma
    of 0.5, 2, 8 and 32 at 128, 256, 512 and 1024 pixels, for t and r alike; with other batches gamma is in inverse
    proportion, as in their ablations with 64, and at other resolutions it follows the square. continued: the weights
    come from a trained network, which needs no early blur and can take augmentation sooner.
    """
    resolution, v3 = int(init_kwargs["img_resolution"]), family == "v3"
    radial = bool(init_kwargs.get("use_radial_filters"))
    batch = changes.get("batch")
    if batch is None and v3:
        batch = -(-32 // processes) * processes
    elif batch is None:
        batch = max(min(processes * min(4096 // resolution, 32), 64), processes)
    rate = 0.002 if resolution >= 1024 else 0.0025
    found: dict[str, Any] = dict(
        batch=batch,
        batch_gpu=_at_once(resolution, radial, max(1, batch // processes)) if v3 else max(1, batch // processes),
        gamma=(2 * (resolution / 256) ** 2 * 32 if v3 else 0.0002 * resolution**2) / max(1, batch),
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
    settings = TrainSettings(**{**found, **changes})
    settings.check(processes)
    return settings


def _at_once(resolution: int, radial: bool, share: int) -> int:
    """The largest part of a process' share that AT_ONCE_V3 allows."""
    most = next((sizes[radial] for size, sizes in AT_ONCE_V3.items() if resolution <= size), 2)
    return max(n for n in range(1, min(most, share) + 1) if share % n == 0)


def generator_kwargs(family: str, init_kwargs: Mapping[str, Any], settings: TrainSettings) -> dict[str, Any]:
    """init_kwargs with what the training decides."""
    half = {"num_fp16_res": settings.num_fp16_res}
    if family == "v3":
        return {**init_kwargs, **half}
    return {**init_kwargs, "synthesis_kwargs": {**(init_kwargs.get("synthesis_kwargs") or {}), **half}}


def first_block_of(family: str, init_kwargs: Mapping[str, Any]) -> list[int]:
    """[H, W]: a picture has img_resolution / 4 times that."""
    if family == "v3":
        return [4, 4] if init_kwargs.get("square", True) else [4, 2]
    return list((init_kwargs.get("synthesis_kwargs") or {}).get("init_res", (4, 4)))


def discriminator_kwargs(family: str, init_kwargs: Mapping[str, Any], settings: TrainSettings) -> dict[str, Any]:
    """Of the Discriminator for a generator: as many channels; StyleGAN3-R's has twice as many."""
    said = init_kwargs if family == "v3" else init_kwargs.get("synthesis_kwargs") or {}
    share = 2 if family == "v3" and said.get("use_radial_filters") else 1
    own = {
        "channel_base": said.get("channel_base", 32768) // share,
        "channel_max": said.get("channel_max", 512) // share,
    }
    asked = {"channel_base": settings.d_channel_base, "channel_max": settings.d_channel_max}
    block = {"freeze_layers": settings.freeze_d}
    first = first_block_of(family, init_kwargs)
    if "resample_filter" in said:
        block["resample_filter"] = said["resample_filter"]
    return dict(
        c_dim=init_kwargs["c_dim"],
        img_resolution=init_kwargs["img_resolution"],
        img_channels=init_kwargs["img_channels"],
        **{key: own[key] if value is None else value for key, value in asked.items()},
        architecture=settings.d_architecture,
        conv_clamp=256,
        num_fp16_res=settings.num_fp16_res,
        **({} if first == [4, 4] else {"init_res": first}),
        block_kwargs=block,
        epilogue_kwargs={"mbstd_group_size": settings.group} if settings.group else {"mbstd_num_channels": 0},
    )
