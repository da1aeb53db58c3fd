"""How the projection goes on: the numbers of each step, and what keeps the noise noise.

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix D; where the official
projectors of StyleGAN2 and StyleGAN2-ADA differ from it, they are followed, so that results compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from stylegan._torch import Tensor, functional, torch
from stylegan.errors import ProjectionError

RAMP_UP, RAMP_DOWN = 0.05, 0.25
JITTER, JITTER_UNTIL = 0.05, 0.75
NOISE_WEIGHT = 1e5
MOST_STEPS, MOST_RATE = 1_000_000, 1e6
MOST_DRAWN = 1_000_000


@dataclass(frozen=True)
class Settings:
    """steps: how many. lr: the largest learning rate. seed: of all random numbers but those of the mean style.

    w_plus: a style of its own for every layer (W+) instead of one for all (W): closer to the picture, further from what
    the network knows to draw. together: the weight of how far these styles are from their mean, which keeps them near
    to what the network knows (Tov et al. 2021, "Designing an Encoder for StyleGAN Image Manipulation"). nearest: so
    many styles are drawn, and the work starts from the one whose picture is nearest; 0: from the mean style, as the
    official projector does. Raises ProjectionError for numbers that mean nothing.
    """

    steps: int = 1000
    lr: float = 0.1
    seed: int = 303
    w_plus: bool = False
    together: float = 0.0
    nearest: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MOST_STEPS:
            raise ProjectionError(f"steps: expected 1 to {MOST_STEPS}, got {self.steps}")
        if not 0 < self.lr <= MOST_RATE:
            raise ProjectionError(f"learning rate: expected above 0 to {MOST_RATE:g}, such as 0.1, got {self.lr}")
        if not 0 <= self.seed < 2**63:
            raise ProjectionError(f"seed: expected 0 to {2**63 - 1}, got {self.seed}")
        if not 0 <= self.together <= MOST_RATE:
            raise ProjectionError(f"weight of styles together: expected 0 to {MOST_RATE:g}, got {self.together}")
        if self.together and not self.w_plus:
            raise ProjectionError("weight of styles together: it is about a style for every layer (--w-plus)")
        if not 0 <= self.nearest <= MOST_DRAWN:
            raise ProjectionError(f"nearest: expected 0 to {MOST_DRAWN} styles, got {self.nearest}")

    def asked(self) -> dict[str, Any]:
        """By name; what came later only where it is not as before, so that work from before goes on."""
        later = {"together": 0.0, "nearest": 0}
        return {key: value for key, value in asdict(self).items() if value != later.get(key, ...)}


def learning_rate(step: int, settings: Settings) -> float:
    """Up linearly during the first RAMP_UP of the steps, down along a cosine during the last RAMP_DOWN."""
    t = step / settings.steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / RAMP_DOWN))
    return settings.lr * down * min(1.0, t / RAMP_UP)


def jitter(step: int, settings: Settings, w_std: float) -> float:
    """The standard deviation of the noise added to the style: first a search, from JITTER_UNTIL on a descent."""
    t = step / settings.steps
    return w_std * JITTER * max(0.0, 1 - t / JITTER_UNTIL) ** 2


def noise_regularisation(planes: Iterable[Tensor]) -> Tensor:
    """How far planes [H, W] are from white noise: the squared correlation with themselves, shifted by one pixel right
    and down, at every size from their own down to 8 x 8; summed.

    Without it they would take up the picture. Sizes are halved by averaging; the paper doubles the means as well, the
    official code does not.
    """
    total = torch.zeros([])
    for plane in planes:
        x = plane[None, None]
        while True:
            shifted = ((x * x.roll(1, dims=axis)).mean().square() for axis in (3, 2))
            total = total.to(x.device) + sum(shifted)
            if x.shape[2] <= 8:
                break
            x = functional.avg_pool2d(x, 2)
    return total


def normalise(plane: Tensor) -> None:
    """Mean 0 and mean square 1, in place."""
    plane -= plane.mean()
    plane *= plane.square().mean().rsqrt()
