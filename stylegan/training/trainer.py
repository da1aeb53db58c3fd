"""One training: two networks, their optimisers, the averaged generator, and one step of all of them.

Every step takes its random numbers from its own number and the seed, so that a training that is continued needs no
random state, and does what it would have done without the pause.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stylegan._torch import Tensor, nn, torch
from stylegan.networks import v2ada, v3
from stylegan.networks.random_weights import GENERATORS
from stylegan.training import distributed
from stylegan.training.ada import AdaController
from stylegan.training.augment import AugmentPipe, pipe_settings
from stylegan.training.discriminator import Discriminator
from stylegan.training.loss import LossSettings, StyleganLoss
from stylegan.training.report import Means
from stylegan.training.settings import TrainSettings, discriminator_kwargs, generator_kwargs
from stylegan.training.ticks import PhaseClock

State = dict[str, Tensor]
AVERAGES = ("w_avg", "magnitude_ema")
"""The buffers of a generator that follow the training."""


def random_numbers(*key: int) -> int:
    """A seed for torch from several numbers, such as the seed of the training and the number of the step."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) & (2**63 - 1)


def _freeze(setting: str, network: nn.Module, paths: Sequence[str]) -> None:
    """Raises ValueError for a path without parameters, with the ones that there are."""
    for path in paths:
        frozen = [p for name, p in network.named_parameters() if f"{name}.".startswith(f"{path}.")]
        if not frozen:
            there = ", ".join(name for name, _ in network.named_children())
            raise ValueError(f"{setting}: there is no {path!r} with weights, there are {there}")
        for p in frozen:
            p.requires_grad_(False)


class Trainer:
    """`step()` until enough. `number` steps are done, with `seen` real pictures.

    state() holds all that the next steps depend on. The networks have random weights, seeded; starting.load() puts
    others in.
    """

    def __init__(
        self,
        family: str,
        init_kwargs: Mapping[str, Any],
        settings: TrainSettings,
        device: torch.device | str = "cpu",
        path_noise: Callable[[Tensor], Tensor] = torch.randn_like,
    ) -> None:
        settings.check(distributed.size())
        self.family, self.init_kwargs, self.settings = family, dict(init_kwargs), settings
        self.device = torch.device(device)
        self.number = self.seen = 0
        self._phase = ""
        torch.manual_seed(random_numbers(settings.seed))
        self.G: v2ada.Generator | v3.Generator = (
            GENERATORS[family](**generator_kwargs(family, init_kwargs, settings)).to(self.device).train()
        )
        self.D = Discriminator(**discriminator_kwargs(family, init_kwargs, settings)).to(self.device).train()
        _freeze("freeze_g_at", self.G.synthesis, settings.freeze_g_at)
        _freeze("freeze_d_at", self.D, settings.freeze_d_at)
        for module in self.G.modules():  # a half-life of 20 thousand pictures
            if hasattr(module, "magnitude_ema_beta"):
                module.magnitude_ema_beta = 0.5 ** (settings.batch / 20e3)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        for network in (self.G, self.D):  # torch's convolutions are up to four times as fast in that order
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.trained: dict[str, dict[str, nn.Parameter]] = {
            "G": {name: p for name, p in self.G.named_parameters() if p.requires_grad},
            "D": {name: p for name, p in self.D.named_parameters() if p.requires_grad},
        }
        self.intervals = {
            "Greg": settings.g_reg_interval if settings.pl_weight > 0 else 0,
            "Dreg": settings.d_reg_interval if settings.gamma > 0 else 0,
        }
        self.optimisers = {
            "G": self._adam("G", settings.g_lr, settings.g_betas),
            "D": self._adam("D", settings.d_lr, settings.d_betas),
        }
        self.augment = None if settings.aug == "none" else AugmentPipe(pipe_settings(settings.aug_pipe)).to(self.device)
        self.ada: AdaController | None = None
        if self.augment is not None:
            self.augment.p.fill_(settings.aug_p if settings.aug == "fixed" else 0)
            if settings.aug == "ada":
                self.ada = AdaController(self.augment.p, settings.ada_target, kimg=settings.ada_kimg)
        self.means, self.clock = Means(), PhaseClock(self.device)
        wanted = LossSettings.__dataclass_fields__.keys() & vars(settings).keys()
        loss_settings = LossSettings(**{key: getattr(settings, key) for key in wanted}, r1_gamma=settings.gamma)
        self.loss = StyleganLoss(self.G, self.D, loss_settings, self.augment, self._report, path_noise)

    def _adam(self, network: str, lr: float, betas: Sequence[float]) -> torch.optim.Adam:
        """Regularising in place of every k-th step would be k + 1 steps where there were k: rates and betas follow."""
        interval = self.intervals[f"{network}reg"]
        ratio = interval / (interval + 1) if interval else 1.0
        first, second = (beta**ratio for beta in betas)
        parameters = list(self.trained[network].values())
        return torch.optim.Adam(parameters, lr=lr * ratio, betas=(first, second), eps=1e-8)

    def _report(self, name: str, values: Tensor) -> None:
        self.means.add(name, values)
        # Dreg judges the same pictures again: they count once.
        if self.ada is not None and name == "Loss/signs/real" and self._phase == "Dmain":
            self.ada.observe(values)

    def step(
        self, real: Tensor, real_c: Tensor | None, label: Callable[[np.random.Generator], Any] | None = None
    ) -> None:
        """real uint8 [batch / processes, C, H, W] and labels: this process' part. label: draws a label [c_dim]."""
        s, part, processes = self.settings, distributed.rank(), distributed.size()
        share = s.batch // processes
        rounds = share // s.batch_gpu
        pictures = real.to(self.device).float() / 127.5 - 1
        labels = None if real_c is None else real_c.to(self.device)
        torch.manual_seed(random_numbers(s.seed, self.number, part))
        draws = np.random.default_rng(random_numbers(s.seed, self.number))  # equal everywhere: each takes its part
        for phase, gain in self._phases():
            self._phase = phase
            z = draws.standard_normal((s.batch, self.G.z_dim), np.float32)[part * share :][:share]
            latents = torch.from_numpy(z).to(self.device).split(s.batch_gpu)
            c: list[Tensor | None] = [None] * rounds
            if labels is not None and label is not None:
                drawn = np.stack([label(draws) for _ in range(s.batch)])[part * share :][:share]
                c = list(torch.from_numpy(drawn).to(self.device).split(s.batch_gpu))
            network = phase[0]
            for name, parameters in self.trained.items():
                for p in parameters.values():
                    p.requires_grad_(name == network)
                    p.grad = None
            with self.clock.phase(phase):
                for i in range(rounds):
                    own = slice(i * s.batch_gpu, (i + 1) * s.batch_gpu)
                    own_c = None if labels is None else labels[own]
                    self.loss.accumulate_gradients(
                        phase, pictures[own], own_c, latents[i], c[i], gain / rounds, self.seen
                    )
                self._apply(network)
        self._average()
        self.number += 1
        self.seen += s.batch
        if self.ada is not None:
            self.ada.update(self.number, s.batch)

    def _phases(self) -> Iterator[tuple[str, float]]:
        for network in ("G", "D"):
            yield f"{network}main", 1
            interval = self.intervals[f"{network}reg"]
            if interval and self.number % interval == 0:
                yield f"{network}reg", interval

    def _apply(self, network: str) -> None:
        """One step of the optimiser, by the mean gradient of all processes."""
        for p in self.trained[network].values():
            if p.grad is None:  # Adam's averages go on where a phase does not reach, as on every process
                p.grad = torch.zeros_like(p)
        grads = [p.grad for p in self.trained[network].values() if p.grad is not None]
        distributed.average(grads)
        for grad in grads:
            torch.nan_to_num(grad, nan=0, posinf=1e5, neginf=-1e5, out=grad)
        self.optimisers[network].step()

    @torch.no_grad()
    def _average(self) -> None:
        """G_ema follows G: parameters by their moving mean, buffers as they are."""
        distributed.average(b for name, b in self.G.named_buffers() if name.rpartition(".")[2] in AVERAGES)
        half_life = self.settings.ema_kimg * 1000
        if self.settings.ema_rampup is not None:
            half_life = min(half_life, self.seen * self.settings.ema_rampup)
        beta = 0.5 ** (self.settings.batch / max(half_life, 1e-8))
        for mean, p in zip(self.G_ema.parameters(), self.G.parameters(), strict=True):
            mean.copy_(p.lerp(mean, beta))
        for kept, b in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
            kept.copy_(b)

    def state(self) -> State:
        """All tensors that the next step depends on, by name; `number` and `seen` are beside them."""
        found: State = {"pl_mean": self.loss.pl_mean}
        for name, network in (("G", self.G), ("D", self.D), ("G_ema", self.G_ema)):
            found |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            for key, p in self.trained[name].items():
                found |= {f"{name}_adam/{key}/{what}": value for what, value in optimiser.state[p].items()}
        if self.augment is not None:
            found["p"] = self.augment.p
        if self.ada is not None:
            found["ada_seen"] = self.ada.seen
        return {key: value.detach().cpu().contiguous() for key, value in found.items()}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor], number: int, seen: int) -> None:
        """Go on from state(). Raises KeyError or ValueError where it is another training's."""
        for name, optimiser in self.optimisers.items():
            for key, p in self.trained[name].items():
                step, first, second = (state[f"{name}_adam/{key}/{what}"] for what in ("step", "exp_avg", "exp_avg_sq"))
                if first.shape != p.shape or second.shape != p.shape:
                    raise ValueError(f"{name}_adam/{key}: expected {list(p.shape)}, got {list(first.shape)}")
                optimiser.state[p] = {
                    "step": step.clone(),
                    "exp_avg": first.to(self.device, copy=True),
                    "exp_avg_sq": second.to(self.device, copy=True),
                }
        own = {"pl_mean": self.loss.pl_mean}
        for name, network in (("G", self.G), ("D", self.D), ("G_ema", self.G_ema)):
            own |= {f"{name}/{key}": value for key, value in network.state_dict().items()}
        if self.augment is not None:
            own["p"] = self.augment.p
        if self.ada is not None:
            own["ada_seen"] = self.ada.seen
        for key, value in own.items():
            if state[key].shape != value.shape:
                raise ValueError(f"{key}: expected {list(value.shape)}, got {list(state[key].shape)}")
            value.copy_(state[key])
        self.number, self.seen = number, seen
