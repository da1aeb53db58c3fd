"""The pictures of every step, in an order that depends on the seed and the number of pictures so far alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stylegan._torch import Tensor, torch
from stylegan.training import distributed


class Pictures(Protocol):
    """A data set: item i is (uint8 [C, H, W], label float32 [c_dim]). stylegan.dataset.PictureDataset is one."""

    resolution: int
    channels: int
    c_dim: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]: ...

    def label(self, index: int) -> npt.NDArray[np.float32]:
        """That of item `index`, without its picture."""
        ...


class Order:
    """Every picture once in each round, each round in another order: `order[i]` is the index of picture number i."""

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self._of_round = lru_cache(maxsize=2)(lambda n: np.random.default_rng([seed, n]).permutation(length))

    def __getitem__(self, number: int) -> int:
        n, within = divmod(number, self.length)
        return int(self._of_round(n)[within])


class _Batches(torch.utils.data.Sampler[list[int]]):
    """This process' part of every step from picture number `seen` on, without end."""

    def __init__(self, order: Order, seen: int, batch: int) -> None:
        self.order, self.seen, self.batch = order, seen, batch

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch // distributed.size()
        first = self.seen + distributed.rank() * share
        while True:
            yield [self.order[first + i] for i in range(share)]
            first += self.batch


def batches(
    data: Pictures, seed: int, seen: int, batch: int, workers: int = 0
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """(uint8 [N, C, H, W], labels [N, c_dim] or None), N = batch / processes, from picture number `seen` on."""
    loader: Any = torch.utils.data.DataLoader(
        data,  # type: ignore[arg-type]
        batch_sampler=_Batches(Order(len(data), seed), seen, batch),
        num_workers=workers,
        generator=torch.Generator(),  # the global one belongs to the steps
        worker_init_fn=_heed_no_signals,
    )
    for pictures, labels in loader:
        yield pictures, labels if data.c_dim else None


def _heed_no_signals(_: int) -> None:
    """In a process that reads pictures: it ends with the training's, which is to save first.

    Terminals, systemd, Slurm and timeout send SIGINT and SIGTERM to all processes of a group at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
