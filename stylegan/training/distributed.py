"""The few things that several processes (torchrun) have to agree on. With one process all of them do nothing."""

from __future__ import annotations

from collections.abc import Iterable

from stylegan._torch import Tensor, torch

dist = torch.distributed


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process; 0 writes the files."""
    return dist.get_rank() if size() > 1 else 0


def mean(x: Tensor) -> Tensor:
    """The mean of x over the processes, through which gradients flow."""
    if size() == 1:
        return x
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(x)
    return total / size()


def average(tensors: Iterable[Tensor]) -> None:
    """Every tensor becomes its mean over the processes, all in one message."""
    tensors = list(tensors)
    if size() == 1 or not tensors:
        return
    flat = torch.cat([x.detach().flatten() for x in tensors])
    dist.all_reduce(flat)
    flat /= size()
    with torch.no_grad():
        for x, part in zip(tensors, flat.split([x.numel() for x in tensors]), strict=True):
            x.copy_(part.view_as(x))
