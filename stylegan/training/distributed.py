"""The few things that several processes (torchrun) have to agree on. With one process all of them do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from stylegan._torch import Tensor, torch

dist = torch.distributed


def join(device: str | None, measures: bool = False) -> None:
    """With the other processes that torchrun started; `device` is this one's own.

    With `measures` they wait for each other as long as the first one measures a snapshot.
    """
    # Read before there is a group: defaults of its functions keep the one that they find. Its threads would then live
    # on after leave(), and one that still let go of a tensor when Python ends would abort the process.
    from torch.distributed.nn import functional  # noqa: F401

    on_gpu = device is not None and device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=2) if measures else None)


def leave() -> None:
    """The group and its threads end."""
    if dist.is_initialized():
        dist.destroy_process_group()


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process; 0 writes the files."""
    return dist.get_rank() if size() > 1 else 0


class _Sum(torch.autograd.Function):
    """Over the processes; every one's result depends on every one's x, so that gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(grads[0])
        return total


def mean(x: Tensor) -> Tensor:
    """The mean of x over the processes, through which gradients flow."""
    if size() == 1:
        return x
    total: Tensor = _Sum.apply(x)
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
