"""What is tried of a library."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Made = tuple[torch.nn.Module, tuple[Any, ...]]


@dataclass(frozen=True)
class Network:
    """One class of a library, small, with random weights.

    purpose: what it is known for. make: the module and what its forward() is given, of the imported library. kwargs:
    given by name. dynamic: open sizes, tried first.
    """

    library: str
    purpose: str
    make: Callable[[Any], Made]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def made(self) -> Made:
        """Seeded, and none of its weights zero or left unwritten, as a gate of zero would hide what it multiplies."""
        torch.manual_seed(0)
        module, args = self.make(importlib.import_module(self.library))
        g = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for t in module.parameters():
                if t.numel() and not 1e-6 < t.abs().max() < 1e6:
                    t.copy_(torch.randn(t.shape, generator=g) * 0.05)
        return module.eval(), args


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape)


def words(count: int, vocabulary: int) -> torch.Tensor:
    """Whole numbers [1, count]."""
    return torch.randint(0, vocabulary, (1, count))
