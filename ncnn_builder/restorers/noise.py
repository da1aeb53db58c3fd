"""What a network draws when it runs: numbers that are drawn once and held, or inputs.

    forward():  x + weight * x.new_empty(1, 1, h, w).normal_()
    Steady:     x + weight * noise0

A net has no random numbers. The functions of torch that draw are caught while forward() runs, so that no network has to
know of it: torch.export sees a buffer, or an input, in their place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_MADE = (torch.randn, torch.rand, torch.randn_like, torch.rand_like, torch.normal)
_WRITTEN = (torch.Tensor.normal_, torch.Tensor.uniform_)
_DROPS = (torch.nn.functional.dropout,)
"""Some networks leave numbers out when they are used, too: dropout(x, training=True)."""
_OWN = "randomize_noise"
"""The argument of forward() that is False where StyleGAN's restorers take the noise that lies in their checkpoint."""


class _Draws(TorchFunctionMode):
    """Hands every draw to a function, and takes its result instead."""

    def __init__(self, instead: Callable[[Callable[[], torch.Tensor]], torch.Tensor]) -> None:
        super().__init__()
        self.instead = instead

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _MADE:
            return self.instead(lambda: func(*args, **kwargs))
        if func in _DROPS and (len(args) < 3 or args[2]) and kwargs.get("training", True):
            x, *rest = args
            return x * self.instead(lambda: func(torch.ones_like(x), *rest, **{**kwargs, "inplace": False}))
        if func in _WRITTEN:
            return args[0].copy_(self.instead(lambda: func(args[0].clone(), *args[1:], **kwargs)))
        return func(*args, **kwargs)


class Steady(torch.nn.Module):
    """A network of pictures whose draws are its buffers noise0, noise1, ..., or with as_inputs its last inputs.

    drawn    an example of each
    """

    def __init__(self, network: torch.nn.Module, pictures: Sequence[torch.Tensor], *, as_inputs: bool) -> None:
        super().__init__()
        self.network, self.as_inputs = network, as_inputs
        if not as_inputs:
            for part in network.modules():
                if _OWN in inspect.signature(part.forward).parameters:
                    part.register_forward_pre_hook(_take_own, with_kwargs=True)
        self.drawn: list[torch.Tensor] = []

        def noted(draw: Callable[[], torch.Tensor]) -> torch.Tensor:
            self.drawn.append(draw())
            return self.drawn[-1].clone()

        with torch.no_grad(), torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            with _Draws(noted):
                network(*(p.clone() for p in pictures))
        if not as_inputs:
            for i, t in enumerate(self.drawn):
                self.register_buffer(f"noise{i}", t)

    def forward(self, data: torch.Tensor, *noise: torch.Tensor) -> Any:
        return self.steady((data,), noise)

    def steady(self, pictures: Sequence[torch.Tensor], noise: Sequence[torch.Tensor]) -> Any:
        order = iter(noise if self.as_inputs else [getattr(self, f"noise{i}") for i in range(len(self.drawn))])
        with _Draws(lambda draw: next(order)):
            return self.network(*(p.clone() for p in pictures))  # some write into what they are given


class SteadyPainter(Steady):
    """The same of a network that takes a mask too."""

    def forward(self, data: torch.Tensor, mask: torch.Tensor, *noise: torch.Tensor) -> Any:  # type: ignore[override]
        return self.steady((data, mask), noise)


def _take_own(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**kwargs, _OWN: False}
