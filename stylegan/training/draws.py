"""Where the augmentation's random numbers come from: one object that is asked for each draw by name."""

from __future__ import annotations

from typing import Protocol

from stylegan._torch import Tensor, torch


class Draws(Protocol):
    """`name` says what is drawn, such as "scale"; "scale?" decides which samples are scaled."""

    def uniform(self, name: str, *shape: int) -> Tensor:
        """In [0, 1)."""
        ...

    def normal(self, name: str, *shape: int) -> Tensor:
        """Of mean 0 and standard deviation 1."""
        ...


class RandomDraws:
    """From torch's global generator of the device."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = device

    def uniform(self, name: str, *shape: int) -> Tensor:
        return torch.rand(shape, device=self.device)

    def normal(self, name: str, *shape: int) -> Tensor:
        return torch.randn(shape, device=self.device)
