"""The projection: the style, and StyleGAN2's noise, whose picture is nearest to a given one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stylegan._torch import Tensor, torch
from stylegan.errors import ProjectionError
from stylegan.projector import saved
from stylegan.projector.distance import Distance, PixelDistance
from stylegan.projector.schedule import NOISE_WEIGHT, Settings, jitter, learning_rate, noise_regularisation, normalise

DRAWN_BATCH = 16
"""Pictures at a time of those that the nearest is chosen from."""
SAMPLES, SAMPLES_SEED, BATCH = 10_000, 123, 1000
"""Latents that the mean style is estimated from, and their seed: the official numbers."""

NOISE = "noise_const"


@dataclass(frozen=True)
class Projection:
    """What was found, on the CPU.

    w [num_ws, w_dim]; noises: by the name of the buffer in G.synthesis, [H, W], none for StyleGAN3; trajectory
    [steps, 1 or num_ws, w_dim]: w after every step; distances: of the picture of every step, whose style is jittered.
    """

    w: Tensor
    noises: Mapping[str, Tensor]
    trajectory: Tensor
    distances: list[float]


def project(
    G: Any,
    target: Any,
    distance: Distance | None = None,
    settings: Settings | None = None,
    label: Tensor | None = None,
    on_step: Callable[[Projector], bool] | None = None,
) -> Projection:
    """Find the style of a picture, as Projector does, in one call.

    G: v2ada.Generator or v3.Generator, which is left as it is. target: array or tensor [C, R, R] of G's size, 0..255.
    distance: PixelDistance by default; distance.choose() gives others. label: [c_dim], for a network with labels.
    on_step: called after each step; True ends the work early. Raises ProjectionError.
    """
    projector = Projector(G, target, distance or PixelDistance(), settings or Settings(), label)
    while not projector.done:
        projector.advance()
        if on_step is not None and on_step(projector):
            break
    return projector.result()


class Projector:
    """A projection that can be carried on step by step, saved and continued.

    Arguments as of project(). state: what state() of a projector with the same arguments gave: on the CPU the
    continued work gives the same numbers as uninterrupted work. It is computed where G is.
    Raises ProjectionError for a target, label or state that does not fit.
    """

    def __init__(
        self,
        G: Any,
        target: Any,
        distance: Distance,
        settings: Settings,
        label: Tensor | None = None,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.settings, self._distance, self._synthesis = settings, distance, G.synthesis
        self.num_ws, self.w_dim = G.num_ws, G.w_dim
        self.device: torch.device = next(G.parameters()).device
        # Detached, they take no gradient; and so G itself need not be changed.
        self._weights = {name: weight.detach() for name, weight in G.synthesis.named_parameters()}
        planes = {name: plane for name, plane in G.synthesis.named_buffers() if name.endswith(NOISE)}
        self._random = torch.Generator().manual_seed(settings.seed)  # of the CPU: the same numbers on every device
        rows = G.num_ws if settings.w_plus else 1
        shape = [1, G.img_channels, G.img_resolution, G.img_resolution]
        target = torch.as_tensor(target).to(self.device, torch.float32)[None]
        if list(target.shape) != shape or not target.isfinite().all():
            raise ProjectionError(f"target: expected finite numbers {shape[1:]}, got {list(target.shape)[1:]}")
        distance.to(self.device)
        # With a gradient, as all later ones: a network that gives none is refused now.
        self._wanted = distance.features(target.requires_grad_()).detach()
        self.target = target.detach()
        if state is None:
            w_avg, self.w_std = mapping_statistics(G, label)
            start = self._nearest(G, label, w_avg) if settings.nearest else w_avg
            w = start.expand(1, rows, -1)
            noises = {name: self._normal(plane.shape) for name, plane in planes.items()}
            self.trajectory: list[Tensor] = []
            self.distances: list[float] = []
        else:
            optimised = {"w": (1, rows, G.w_dim), **{f"noise/{name}": plane.shape for name, plane in planes.items()}}
            saved.check(state, optimised, settings.steps)
            self.w_std = float(state["w_std"])
            w = state["w"]
            noises = {name: state[f"noise/{name}"] for name in planes}
            self.trajectory = list(state["trajectory"])
            self.distances = state["distances"].tolist()
            self._random.set_state(state["random"])
        self.w = w.to(self.device, copy=True).requires_grad_()  # [1, rows, w_dim]
        self.noises = {name: plane.to(self.device, copy=True).requires_grad_() for name, plane in noises.items()}
        self._optimiser = torch.optim.Adam(list(self._optimised().values()), betas=(0.9, 0.999), lr=settings.lr)
        for name, tensor in self._optimised().items():
            moments = {
                key: torch.zeros_like(tensor)
                if state is None
                else state[f"adam/{name}/{key}"].to(self.device, copy=True)
                for key in saved.MOMENTS
            }
            self._optimiser.state[tensor] = {"step": torch.tensor(float(len(self.distances))), **moments}

    def _nearest(self, G: Any, label: Tensor | None, w_avg: Tensor) -> Tensor:
        """[w_dim], of settings.nearest styles and the mean one: that whose picture is nearest to the target."""
        best, least = w_avg, float(self._distances(w_avg[None])[0])
        for drawn in drawn_styles(G, label, self.settings.nearest, DRAWN_BATCH):
            found = self._distances(drawn)
            if float(found.min()) < least:
                best, least = drawn[int(found.argmin())], float(found.min())
        return best

    def _distances(self, w: Tensor) -> Tensor:
        """Of the pictures of styles [N, w_dim]: [N]."""
        with torch.no_grad():
            image = self._synthesis(w[:, None].to(self.device).expand(-1, self.num_ws, -1), noise_mode="const")
            pictures = ((image + 1) * 127.5).split(1)
            return torch.stack([self.distance_of(picture) for picture in pictures])

    @property
    def done(self) -> bool:
        return len(self.distances) == self.settings.steps

    def _optimised(self) -> dict[str, Tensor]:
        return {"w": self.w, **{f"noise/{name}": plane for name, plane in self.noises.items()}}

    def _normal(self, shape: Any) -> Tensor:
        return torch.randn(list(shape), generator=self._random).to(self.device)

    def picture(self, w: Tensor, noises: Mapping[str, Tensor] | None = None) -> Tensor:
        """Of a style [1, 1 or num_ws, w_dim], in 0..255: [1, C, R, R]. noises: None for the network's own."""
        ws = w.to(self.device).expand(1, self.num_ws, -1)
        replaced = {**self._weights, **(noises or {})}
        image: Tensor = torch.func.functional_call(self._synthesis, replaced, (ws,), {"noise_mode": "const"})
        return (image + 1) * 127.5

    def distance_of(self, picture: Tensor) -> Tensor:
        """Of a picture [1, C, R, R] of 0..255 from the target, a scalar."""
        return (self._distance.features(picture) - self._wanted).square().sum()

    def advance(self) -> float:
        """One step. Returns the distance of the picture that it started from."""
        step = len(self.distances)
        self._optimiser.param_groups[0]["lr"] = learning_rate(step, self.settings)
        noise = self._normal(self.w.shape) * jitter(step, self.settings, self.w_std)
        distance = self.distance_of(self.picture(self.w + noise, self.noises))
        loss = distance + NOISE_WEIGHT * noise_regularisation(self.noises.values())
        if self.settings.together:  # relative to how far styles of different pictures lie apart
            apart = (self.w - self.w.mean(dim=1, keepdim=True)).square().sum(dim=2).mean() / self.w_std**2
            loss = loss + self.settings.together * apart
        if not loss.isfinite():
            raise ProjectionError(f"step {step}: the distance is no longer finite: choose a smaller learning rate")
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            for plane in self.noises.values():
                normalise(plane)
        self.trajectory.append(self.w.detach()[0].cpu().clone())
        self.distances.append(float(distance.detach()))
        return self.distances[-1]

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on, on the CPU: what safetensors can hold."""
        tensors = {name: tensor.detach() for name, tensor in self._optimised().items()}
        for name, tensor in self._optimised().items():
            tensors |= {f"adam/{name}/{key}": self._optimiser.state[tensor][key] for key in saved.MOMENTS}
        tensors["random"] = self._random.get_state()
        tensors["w_std"] = torch.tensor(self.w_std, dtype=torch.float64)
        tensors["distances"] = torch.tensor(self.distances, dtype=torch.float64)
        tensors["trajectory"] = self._trajectory()
        return {name: tensor.cpu().clone() for name, tensor in tensors.items()}

    def _trajectory(self) -> Tensor:
        return torch.stack(self.trajectory) if self.trajectory else self.w.detach().cpu()[:0]

    def result(self) -> Projection:
        w = self.w.detach().cpu().expand(1, self.num_ws, -1)[0].clone()
        noises = {name: plane.detach().cpu().clone() for name, plane in self.noises.items()}
        return Projection(w, noises, self._trajectory(), list(self.distances))


def mapping_statistics(G: Any, label: Tensor | None) -> tuple[Tensor, float]:
    """The mean style [w_dim] and the root mean square distance from it, of SAMPLES latents.

    label: [c_dim], the same for all; None for a network without labels. Raises ProjectionError where it does not fit.
    """
    if (label is None) != (G.c_dim == 0) or (label is not None and list(label.shape) != [G.c_dim]):
        got = "none" if label is None else list(label.shape)
        raise ProjectionError(f"label: expected {f'[{G.c_dim}]' if G.c_dim else 'none'} for this network, got {got}")
    w = torch.cat(list(drawn_styles(G, label, SAMPLES, BATCH))).double()  # [SAMPLES, w_dim]
    w_avg = w.mean(dim=0)
    w_std = float((w - w_avg).square().sum(dim=1).mean().sqrt())
    return w_avg.float(), w_std


def drawn_styles(G: Any, label: Tensor | None, count: int, batch: int) -> Iterator[Tensor]:
    """`count` styles in parts [batch, w_dim], on the CPU: the same at every call."""
    device = next(G.parameters()).device
    random = np.random.RandomState(SAMPLES_SEED)
    for first in range(0, count, batch):
        z = torch.from_numpy(random.randn(min(batch, count - first), G.z_dim)).float()
        c = None if label is None else label.to(device, torch.float32).expand(len(z), -1)
        with torch.no_grad():
            ws = G.mapping.styles(z.to(device), c, 1, None, False)  # w_avg stays as it is
        yield ws[:, 0].cpu()
