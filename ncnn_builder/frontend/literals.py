"""Tensors of literals in forward(): what their numbers decide is decided for every run.

    std = torch.as_tensor([0.229, 0.224, 0.225])
    if (std == 0).any(): raise ValueError(...)      torchvision's normalize()

torch.export knows the numbers of constants of one element alone, and takes the others for data. Here it knows them all,
until something writes into one; and those of buffers of whole numbers, of which borders are computed:

    self.stride = nn.Buffer(torch.tensor(2), persistent=False)
    F.pad(x, (0, int(torch.ceil(x.shape[-1] / self.stride)) * 2 - x.shape[-1]))      EnCodec's convolutions
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._subclasses import fake_tensor
from torch.export import _trace

_NAME = "_fakify_params_buffers"
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
    own: Callable[..., dict[str, Any]] | None = getattr(_trace, _NAME, None)

    def known(mode: Any, module: nn.Module) -> dict[str, Any]:
        assert own is not None
        made = own(mode, module)
        for name, buffer in module.named_buffers(remove_duplicate=False):
            if buffer.dtype in (torch.int64, torch.int32) and buffer.numel() <= MOST and name in made:
                made[name].constant = buffer.detach().clone()
                mode.fake_tensor_converter.add_constant_storage_mapping(made[name])
        return made

    if own is not None:
        setattr(_trace, _NAME, known)
    try:
        yield
    finally:
        fake_tensor.CONSTANT_NUMEL_LIMIT = before
        if own is not None:
            setattr(_trace, _NAME, own)
