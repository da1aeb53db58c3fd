from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .sample import Sample, samples, seeded

_KINDS: tuple[tuple[str, Any, int], ...] = (("lstm", nn.LSTM, 2), ("gru", nn.GRU, 1), ("rnn", nn.RNN, 1))
_CELLS: tuple[tuple[str, Any, int], ...] = (
    ("lstm-cell", nn.LSTMCell, 2),
    ("gru-cell", nn.GRUCell, 1),
    ("rnn-cell", nn.RNNCell, 1),
)


class _Rows(nn.Module):
    """Without the last states."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> Any:
        return self.module(x)[0]


class _Given(nn.Module):
    """With first states as inputs, and the last ones as outputs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = seeded(module)

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> Any:
        return self.module(x, states[0] if len(states) == 1 else states)


class _Chained(nn.Module):
    """The last states of one layer are the first of another."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = seeded(nn.LSTM(5, 4, batch_first=True)), seeded(nn.LSTM(4, 4, batch_first=True), 1)

    def forward(self, x: torch.Tensor) -> Any:
        y, state = self.a(x)
        return self.b(y, state)


class _Last(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.module = seeded(nn.GRU(5, 4, 2, bidirectional=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.module(x)[1]
        return hidden.transpose(0, 1).flatten(1)


class _Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = seeded(nn.LSTMCell(5, 4))

    def forward(self, x: torch.Tensor) -> Any:
        state = self.cell(x[:, 0])
        return self.cell(x[:, 1], state)[0]


class _First(nn.Module):
    """First states that are learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.module, self.first = seeded(nn.RNN(5, 4, batch_first=True)), torch.linspace(-1, 1, 4).view(1, 1, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.module(x, self.first.expand(-1, x.shape[0], -1))[0]


def _states(count: int, layers: int, n: int, size: int) -> tuple[tuple[int, ...], ...]:
    return ((layers, n, size),) * count


SAMPLES: list[Sample] = [
    *(
        s
        for name, kind, count in _KINDS
        for s in (
            *samples(name, _Rows(seeded(kind(5, 4))), ((6, 1, 5),), ((6, 3, 5),)),
            *samples(f"{name}-batch-first", _Rows(seeded(kind(5, 4, batch_first=True))), ((1, 6, 5),), ((3, 6, 5),)),
            Sample(f"{name}-layers", _Rows(seeded(kind(5, 4, 2, batch_first=True, bias=False))), ((1, 6, 5),)),
            Sample(
                f"{name}-both-ways", _Rows(seeded(kind(5, 4, 2, batch_first=True, bidirectional=True))), ((1, 6, 5),)
            ),
            Sample(f"{name}-unbatched", seeded(kind(5, 4)), ((6, 5),)),
            Sample(f"{name}-states", _Given(kind(5, 4, batch_first=True)), ((1, 6, 5), *_states(count, 1, 1, 4))),
            Sample(
                f"{name}-states-of-layers",
                _Given(kind(5, 4, 2, bidirectional=True)),
                ((6, 1, 5), *_states(count, 4, 1, 4)),
            ),
            Sample(f"{name}-states-of-a-batch", _Given(kind(5, 4, 2)), ((6, 3, 5), *_states(count, 2, 3, 4))),
        )
    ),
    *samples(
        "lstm-projected", seeded(nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True, proj_size=3)), ((1, 6, 5),)
    ),
    Sample(
        "lstm-projected-states",
        _Given(nn.LSTM(5, 6, batch_first=True, proj_size=3)),
        ((1, 6, 5), (1, 1, 3), (1, 1, 6)),
    ),
    Sample("chained", _Chained(), ((1, 6, 5),)),
    Sample("last-states", _Last(), ((6, 1, 5),)),
    Sample("first-states", _First(), ((2, 6, 5),)),
    *(s for name, kind, _ in _CELLS for s in samples(name, seeded(kind(5, 4)), ((1, 5),), ((3, 5),), ((5,),))),
    *(Sample(f"{name}-states", _Given(kind(5, 4)), ((2, 5), *((2, 4),) * count)) for name, kind, count in _CELLS),
    Sample("rnn-cell-relu", seeded(nn.RNNCell(5, 4, nonlinearity="relu")), ((2, 5),)),
    Sample("cell-steps", _Steps(), ((1, 2, 5),)),
]
