"""The few things that several processes (torchrun) have to agree on. With one process all of them do nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from stylegan._torch import Tensor, torch
from stylegan.errors import TrainingError

dist = torch.distributed


def join(device: str | None, measures: bool = False) -> None:
    """With the other processes that torchrun started; `device` is this one's own.

    With `measures` they wait for each other as long as the first one measures a snapshot. Raises TrainingError where
    the environment is not that of torchrun, or the others cannot be reached.
    """
    _check_environment()
    # Read before there is a group: defaults of its functions keep the one that they find. Its threads would then live
    # on after leave(), and one that still let go of a tensor when Python ends would abort the process.
    from torch.distributed.nn import functional  # noqa: F401

    on_gpu = device is not None and device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=2) if measures else None)
    except (ValueError, RuntimeError) as error:
        raise TrainingError(f"the processes of this training cannot be joined: {_first(error)}") from None


def _check_environment() -> None:
    try:
        size, rank, _ = (int(os.environ[name]) for name in ("WORLD_SIZE", "RANK", "MASTER_PORT"))
    except (KeyError, ValueError):
        size, rank = 0, 0
    if not 0 <= rank < size or not os.environ.get("MASTER_ADDR"):
        raise TrainingError(
            "several processes: expected WORLD_SIZE, RANK (below it), MASTER_ADDR and MASTER_PORT as torchrun sets "
            "them: torchrun --nproc-per-node 2 -m stylegan.train ..."
        )


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


def all_reduce(x: Tensor, largest: bool = False) -> None:
    """x becomes the sum (or the largest) of all processes' x. Raises TrainingError where one has ended."""
    try:
        dist.all_reduce(x, dist.ReduceOp.MAX if largest else dist.ReduceOp.SUM)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # of gloo and of NCCL
        raise TrainingError(
            f"another process of this training has ended, or cannot be reached any more ({_first(error)}): what it "
            "said tells why; --resume goes on from the last save"
        ) from None


def _first(error: Exception) -> str:
    """The first sentence, without the place in torch's source."""
    line = str(error).split("\n")[0]
    return (line.partition("cc:")[2].partition("] ")[2] or line).split(". ")[0][:200]


class _Sum(torch.autograd.Function):
    """Over the processes; every one's result depends on every one's x, so that gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        all_reduce(total)
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
    all_reduce(flat)
    flat /= size()
    with torch.no_grad():
        for x, part in zip(tensors, flat.split([x.numel() for x in tensors]), strict=True):
            x.copy_(part.view_as(x))
