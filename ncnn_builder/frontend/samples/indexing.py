from __future__ import annotations

import torch

from .sample import Sample, samples

_SHUFFLED = torch.randperm(40, generator=torch.Generator().manual_seed(0))


def _upper(x: torch.Tensor) -> torch.Tensor:
    rows, columns = torch.triu_indices(5, 5, 1)
    return x[:, rows, columns]


def _put(x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[:, torch.tensor([4, 0])] = 3
    x[:, torch.tensor([1, 1, 2]), torch.tensor([0, 1, 3])] = x[:, 3:4, 0].clone()
    return x


_TABLE = torch.arange(24.0).view(6, 2, 2)
_PLACES = torch.tensor([[3, -6, 5, -1]])

SAMPLES: list[Sample] = [
    Sample("table-at-computed", lambda i: _TABLE[i], (_PLACES,)),
    Sample("row-at-computed", lambda i: _TABLE[:, 0, 1][i.flip(-1)], (_PLACES,)),
    Sample("last-token", lambda x, i: x[torch.arange(1), i.argmax(-1)], ((1, 4, 6), _PLACES)),
    Sample("rows-at-computed", lambda x, i: x[:, i], ((1, 6, 3, 2), _PLACES)),
    Sample("gather-of-one-number", lambda i: torch.ones(1, 6).gather(1, i.abs() % 6) + i, (_PLACES,)),
    Sample("gather-of-a-row", lambda i: torch.arange(6.0)[None].gather(1, i.abs() % 6), (_PLACES,)),
    Sample("greatest-replaced", lambda x: x.scatter(1, x.argmax(1, keepdim=True), 3.0), ((6, 5),)),
    Sample("codes", lambda x: torch.zeros(6, 5).scatter(1, x.argmax(1, keepdim=True), 1.0), ((6, 5),)),
    Sample(
        "codes-of-columns", lambda x: torch.full((6, 5), 2.0).scatter_(0, x.argmin(0, keepdim=True), 0.5), ((6, 5),)
    ),
    Sample("index-select", lambda x: x.index_select(1, torch.tensor([0, 1, 2, 5, 3, 1])), ((1, 6, 4),)),
    Sample("index-many", lambda x: x[:, _SHUFFLED] + 1, ((1, 40, 4),)),
    Sample("index-many-last", lambda x: x[..., _SHUFFLED], ((1, 3, 2, 40),)),
    Sample("index-negative", lambda x: x[:, torch.tensor([-1, 0, -2])], ((1, 6, 4),)),
    Sample("index-back", lambda x: x[:, torch.arange(5, -1, -2)], ((1, 6, 4),)),
    Sample("index-matrix", lambda x: x[:, torch.tensor([[0, 1], [4, 2]])], ((1, 6, 4),)),
    Sample("index-two", lambda x: x[:, torch.tensor([0, 1, 3]), torch.tensor([2, 2, 0])], ((1, 4, 3, 5),)),
    Sample("index-two-apart", lambda x: x[:, torch.tensor([0, 1, 3]), :, torch.tensor([2, 2, 0])], ((2, 4, 3, 5),)),
    Sample("index-triangle", _upper, ((1, 5, 5),)),
    Sample("gather", lambda x: x.gather(1, torch.tensor([[[2, 2], [0, 1]]])), ((1, 3, 2),)),
    Sample("gather-line", lambda x: x.gather(1, torch.tensor([3, 0])[None, :, None].expand(1, 2, 5)), ((1, 4, 5),)),
    *samples("index-put", _put, ((1, 6, 4),), ((2, 6, 5),)),
    Sample(
        "index-put-values",
        lambda x, y: x.index_put((torch.tensor([1, 0]), torch.tensor([0, 3])), y),
        ((3, 5, 4), (2, 4)),
    ),
    Sample("index-add", lambda x, y: x.index_add(1, torch.tensor([0, 2, 0]), y), ((1, 4, 5), (1, 3, 5))),
    Sample("index-copy", lambda x, y: x.index_copy(1, torch.tensor([3, 1]), y), ((1, 4, 5), (1, 2, 5))),
    Sample("index-fill", lambda x: x.index_fill(-1, torch.tensor([3, 1]), 2.0), ((1, 4, 5),)),
    Sample("scatter", lambda x, y: x.scatter(1, torch.tensor([[[2, 0], [0, 1]]]), y), ((1, 3, 2), (1, 2, 2))),
    Sample("scatter-line", lambda x: x.scatter(1, torch.tensor([[[2]]]).expand(1, 1, 4), 5.0), ((1, 3, 4),)),
    Sample("scatter-add", lambda x, y: x.scatter_add(0, torch.tensor([[1, 2, 1], [1, 0, 0]]), y), ((3, 4), (2, 3))),
]
