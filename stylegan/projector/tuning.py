"""Pivotal tuning: the network is bent a little, so that the style that was found makes the picture itself.

Source: Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images": the style is held, and the weights
of the synthesis network follow the distance of the picture and its squared difference from the target.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan._torch import Tensor, safetensors_torch, torch
from stylegan.errors import ProjectionError

MOST_STEPS, MOST_RATE = 100_000, 1.0
PREFIX = "synthesis."
METADATA = "stylegan-delta"


@dataclass(frozen=True)
class Tuning:
    """steps: 0 for none. lr: the learning rate. pixels: the weight of the squared difference of pixels, of -1 to 1.

    Raises ProjectionError for numbers that mean nothing.
    """

    steps: int = 0
    lr: float = 3e-4
    pixels: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.steps <= MOST_STEPS:
            raise ProjectionError(f"steps of tuning: expected 0 to {MOST_STEPS}, got {self.steps}")
        if not 0 < self.lr <= MOST_RATE:
            raise ProjectionError(f"learning rate of tuning: expected above 0 to {MOST_RATE:g}, got {self.lr}")
        if not 0 <= self.pixels <= 1e6:
            raise ProjectionError(f"weight of the pixels: expected 0 to 1e6, got {self.pixels}")


def tune(
    G: Any,
    w: Tensor,
    target: Tensor,
    distance_of: Callable[[Tensor], Tensor],
    tuning: Tuning,
    on_step: Callable[[float], None] = lambda loss: None,
) -> dict[str, Tensor]:
    """What is to be added to the parameters of G, by their names in its state_dict; G is left as it is.

    w [num_ws, w_dim]. target [1, C, R, R] of 0..255. distance_of: of pictures like it. on_step: gets each step's loss,
    and may raise. The noise is the network's own. Raises ProjectionError where the loss is not finite.
    """
    device = next(G.parameters()).device
    own = {name: weight.detach() for name, weight in G.synthesis.named_parameters()}
    tuned = {name: weight.clone().requires_grad_() for name, weight in own.items()}
    optimiser = torch.optim.Adam(list(tuned.values()), lr=tuning.lr)
    ws, target = w.to(device)[None], target.to(device)
    for step in range(tuning.steps):
        image = torch.func.functional_call(G.synthesis, tuned, (ws,), {"noise_mode": "const"})
        picture = (image + 1) * 127.5
        loss = distance_of(picture) + tuning.pixels * ((picture - target) / 127.5).square().mean()
        if not loss.isfinite():
            raise ProjectionError(f"tuning, step {step}: the loss is no longer finite: choose a smaller --tune-lr")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        on_step(float(loss.detach()))
    return {PREFIX + name: (tuned[name].detach() - own[name]).cpu() for name in own}


def added(state: Mapping[str, Tensor], delta: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state_dict with a delta added. Raises ProjectionError where it does not fit."""
    for name, change in delta.items():
        if name not in state or state[name].shape != change.shape:
            there = "nothing" if name not in state else list(state[name].shape)
            raise ProjectionError(f"delta: expected {there} as {name}, got {list(change.shape)}")
    return {name: value + delta[name].to(value) if name in delta else value for name, value in state.items()}


def digest(state: Mapping[str, Tensor]) -> str:
    """A hash of what a delta is added to."""
    found = hashlib.sha256()
    for name in sorted(state):
        found.update(name.encode() + state[name].detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def delta_bytes(delta: Mapping[str, Tensor], of: Mapping[str, Tensor]) -> bytes:
    """A safetensors file, in half precision: changes are small. of: the state that it belongs to."""
    content: bytes = safetensors_torch().save(
        {name: change.half().contiguous() for name, change in delta.items()}, {METADATA: json.dumps({"of": digest(of)})}
    )
    return content


def read_delta(path: Path, of: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What delta_bytes() wrote, for the state that it belongs to. Raises ProjectionError."""
    load = safetensors_torch().load
    try:
        data = path.read_bytes()
        delta = {name: change.float() for name, change in load(data).items()}
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        belongs = json.loads(header["__metadata__"][METADATA])["of"]
    except Exception as error:  # the reader raises many kinds on a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ProjectionError(f"delta {path}: expected a file that stylegan.project --tune wrote: {reason}") from None
    if belongs != digest(of):
        raise ProjectionError(f"delta {path}: it belongs to another network than the checkpoint's")
    if not all(change.isfinite().all() for change in delta.values()):
        raise ProjectionError(f"delta {path}: it is damaged: numbers that are not finite")
    return delta
