from __future__ import annotations

import torch

from .sample import Sample

_SHUFFLED = torch.randperm(40, generator=torch.Generator().manual_seed(0))


def _upper(x: torch.Tensor) -> torch.Tensor:
    rows, columns = torch.triu_indices(5, 5, 1)
    return x[:, rows, columns]


SAMPLES: list[Sample] = [
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
]
