"""Tensors of literals in forward(): what their numbers decide is decided for every run.

    std = torch.as_tensor([0.229, 0.224, 0.225])
    if (std == 0).any(): raise ValueError(...)      torchvision's normalize()

torch.export knows the numbers of constants of one element alone, and takes the others for data. Here it knows them all,
until something writes into one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch._subclasses import fake_tensor

MOST = 1 << 16
"""Elements: a table that somebody wrote down has less, and what is computed of it is computed at once."""


@contextmanager
def literals() -> Iterator[None]:
    """While torch.export runs."""
    before = getattr(fake_tensor, "CONSTANT_NUMEL_LIMIT", None)  # of torch alone; without it nothing is known
    if before is None:
        yield
        return
    fake_tensor.CONSTANT_NUMEL_LIMIT = MOST
    try:
        yield
    finally:
        fake_tensor.CONSTANT_NUMEL_LIMIT = before
