"""What the two networks are trained by: the loss of StyleGAN2 and StyleGAN3.

Sources: Goodfellow et al. 2014 (the non-saturating loss), Mescheder et al. 2018 (R1), Karras et al. 2020 (path length,
lazy regularisation, appendix B), Karras et al. 2021 (StyleGAN3: no path length; pictures are blurred at first).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stylegan._torch import Tensor, functional, nn, torch
from stylegan.networks import v2ada, v3
from stylegan.networks.functional import upfirdn2d
from stylegan.training import distributed

PHASES = ("Gmain", "Greg", "Dmain", "Dreg")

Report = Callable[[str, Tensor], object]


@dataclass(frozen=True)
class LossSettings:
    """r1_gamma: weight of R1. style_mixing_prob: share of samples whose last styles are of another latent.

    pl_weight: weight of the path length, 0 leaves it out; pl_batch_shrink: it sees one of so many samples; pl_decay:
    how fast pl_mean follows. blur_init_sigma: width of the discriminator's blur in pixels at the beginning, fading
    out over blur_fade_kimg thousand pictures.
    """

    r1_gamma: float = 10
    style_mixing_prob: float = 0
    pl_weight: float = 0
    pl_batch_shrink: int = 2
    pl_decay: float = 0.01
    blur_init_sigma: float = 0
    blur_fade_kimg: float = 0


def blur(img: Tensor, sigma: float) -> Tensor:
    """img [N, C, H, W] filtered by 2^-(x / sigma)^2, cut off at 3 sigma; unchanged while that is less than a pixel."""
    size = math.floor(sigma * 3)
    if size < 1:
        return img
    f = torch.arange(-size, size + 1, device=img.device).div(sigma).square().neg().exp2()
    return upfirdn2d(img, f / f.sum(), padding=size)


class StyleganLoss:
    """Adds the gradients of one phase to the networks' parameters.

    `pl_mean` [] is the running mean of path lengths, part of the training's state. `augment` takes and returns
    pictures. `report(name, values)` gets every score and loss, one value a sample. `path_noise(img)` draws what the
    path length is measured by, standard normal and of img's shape.
    """

    def __init__(
        self,
        G: v2ada.Generator | v3.Generator,
        D: nn.Module,
        settings: LossSettings,
        augment: Callable[[Tensor], Tensor] | None = None,
        report: Report = lambda name, values: None,
        path_noise: Callable[[Tensor], Tensor] = torch.randn_like,
    ) -> None:
        self.G, self.D = G, D
        self.settings = settings
        self.augment = augment
        self.report = report
        self.path_noise = path_noise
        self.pl_mean = torch.zeros([], device=next(G.parameters()).device)

    def generate(self, z: Tensor, c: Tensor | None, update_emas: bool = False) -> tuple[Tensor, Tensor]:
        """(pictures, ws [N, num_ws, w_dim]). StyleGAN2 updates w_avg always, StyleGAN3 its averages if update_emas."""
        later = isinstance(self.G, v3.Generator)
        first: dict[str, Any] = {"update_emas": update_emas} if later else {}
        ws = self.G.mapping(z, c, **first)
        if self.settings.style_mixing_prob > 0 and float(torch.rand([])) < self.settings.style_mixing_prob:
            second: dict[str, Any] = {} if later else {"skip_w_avg_update": True}
            other = self.G.mapping(torch.randn_like(z), c, **second)
            cutoff = int(torch.randint(1, ws.shape[1], []))
            ws = torch.cat([ws[:, :cutoff], other[:, cutoff:]], dim=1)
        img: Tensor = self.G.synthesis(ws, **first)
        return img, ws

    def judge(self, img: Tensor, c: Tensor | None, seen: int) -> Tensor:
        """Logits [N, 1] of pictures, blurred and augmented; `seen`: real pictures so far."""
        fade, sigma = self.settings.blur_fade_kimg * 1000, self.settings.blur_init_sigma
        img = blur(img, max(1 - seen / fade, 0) * sigma if fade > 0 else 0)
        if self.augment is not None:
            img = self.augment(img)
        logits: Tensor = self.D(img, c)
        return logits

    def accumulate_gradients(
        self,
        phase: str,
        real: Tensor,
        real_c: Tensor | None,
        z: Tensor,
        gen_c: Tensor | None,
        gain: float = 1,
        seen: int = 0,
    ) -> None:
        """One of PHASES. real [N, C, H, W] about -1..1, z [N, z_dim], labels [N, c_dim]; the loss is times `gain`.

        Gradients are the mean over the samples. What they go to has to have requires_grad.
        """
        if phase == "Gmain":
            self._generator(z, gen_c, gain, seen)
        elif phase == "Greg":
            self._path_length(z, gen_c, gain)
        elif phase == "Dmain":
            self._discriminator(real, real_c, z, gen_c, gain, seen)
        elif phase == "Dreg":
            self._r1(real, real_c, gain, seen)
        else:
            raise ValueError(f"phase must be one of {', '.join(PHASES)}, got {phase!r}")

    def _scores(self, kind: str, logits: Tensor) -> None:
        self.report(f"Loss/scores/{kind}", logits.detach())
        self.report(f"Loss/signs/{kind}", logits.detach().sign())

    def _generator(self, z: Tensor, c: Tensor | None, gain: float, seen: int) -> None:
        logits = self.judge(self.generate(z, c)[0], c, seen)
        self._scores("fake", logits)
        loss = functional.softplus(-logits)
        self.report("Loss/G/loss", loss.detach())
        (loss.mean() * gain).backward()

    def _path_length(self, z: Tensor, c: Tensor | None, gain: float) -> None:
        """A step in w should move the picture by a fixed length: |J^T y| is held near its running mean."""
        n = max(1, len(z) // self.settings.pl_batch_shrink)
        img, ws = self.generate(z[:n], None if c is None else c[:n])
        noise = self.path_noise(img) / math.sqrt(img.shape[2] * img.shape[3])
        (slopes,) = torch.autograd.grad((img * noise).sum(), ws, create_graph=True)
        lengths = slopes.square().sum(dim=2).mean(dim=1).sqrt()  # [n]
        # Over all samples of all processes, and with its gradient: each length moves the mean too.
        mean = self.pl_mean.lerp(distributed.mean(lengths.mean()), self.settings.pl_decay)
        self.pl_mean.copy_(mean.detach())
        penalty = (lengths - mean).square()
        self.report("Loss/pl_penalty", penalty.detach())
        loss = penalty * self.settings.pl_weight
        self.report("Loss/G/reg", loss.detach())
        (loss.mean() * gain).backward()

    def _discriminator(
        self, real: Tensor, real_c: Tensor | None, z: Tensor, c: Tensor | None, gain: float, seen: int
    ) -> None:
        with torch.no_grad():
            img = self.generate(z, c, update_emas=True)[0]
        logits = self.judge(img, c, seen)
        self._scores("fake", logits)
        fake_loss = functional.softplus(logits)
        (fake_loss.mean() * gain).backward()

        logits = self.judge(real, real_c, seen)
        self._scores("real", logits)
        real_loss = functional.softplus(-logits)
        self.report("Loss/D/loss", (fake_loss + real_loss).detach())
        (real_loss.mean() * gain).backward()

    def _r1(self, real: Tensor, c: Tensor | None, gain: float, seen: int) -> None:
        """The slope of the logit at real pictures should be small."""
        real = real.detach().requires_grad_(True)
        logits = self.judge(real, c, seen)
        self._scores("real", logits)
        (slopes,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        penalty = slopes.square().sum(dim=[1, 2, 3])
        self.report("Loss/r1_penalty", penalty.detach())
        loss = penalty * (self.settings.r1_gamma / 2)
        self.report("Loss/D/reg", loss.detach())
        (loss.mean() * gain).backward()
