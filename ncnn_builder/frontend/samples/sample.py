"""What a sample is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sample:
    """A forward() to try.

    id         unique in its family
    forward    a function of tensors, or a module
    inputs     torch's shape of each input, drawn from a normal distribution; or a tensor, to give numbers of one's own
    tolerance  of each result's largest magnitude
    """

    id: str
    forward: Callable[..., Any]
    inputs: tuple[Any, ...]
    tolerance: float = 2e-5

    def module(self) -> torch.nn.Module:
        return self.forward.eval() if isinstance(self.forward, torch.nn.Module) else _Of(self.forward)

    def tensors(self, seed: int = 0) -> tuple[torch.Tensor, ...]:
        g = torch.Generator().manual_seed(seed)
        return tuple(x if isinstance(x, torch.Tensor) else torch.randn(x, generator=g) for x in self.inputs)


class _Of(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def samples(name: str, forward: Callable[..., Any], *inputs: tuple[Any, ...], **more: Any) -> Iterable[Sample]:
    """One sample for each tuple of inputs: ``samples("relu", F.relu, ((1, 3, 4),), ((5,),))``."""
    for each in inputs:
        shapes = "-".join("x".join(map(str, x.shape if isinstance(x, torch.Tensor) else x)) or "0d" for x in each)
        yield Sample(f"{name}-{shapes}", forward, each, **more)


def seeded(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """A module in eval mode, whose weights and statistics are drawn, none of them zero or one everywhere."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, t in [*module.named_parameters(), *module.named_buffers()]:
            if t.is_floating_point():
                drawn = torch.rand(t.shape, generator=g)
                t.copy_(drawn + 0.5 if "var" in name else drawn - 0.5)
    return module.eval()
