from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples, seeded

_IDS = torch.tensor([[3, 0, 9, 9, 1]])
_TWO = torch.tensor([[3, 0, 9], [5, 2, 2]])

SAMPLES: list[Sample] = [
    *samples("embedding", seeded(nn.Embedding(10, 6)), (_IDS,), (_IDS[0],), (_TWO,)),
    *samples("embedding-of-a-table", seeded(nn.Embedding(10, 6)), (_TWO[None],), (_TWO[:, :, None, None],)),
    Sample("embedding-of-views", lambda i: F.embedding(i.view(3, 2), torch.arange(60.0).view(10, 6)), (_TWO,)),
    Sample("truth-of-whole", lambda i, x: x.masked_fill(i.bool()[:, None], -1.0), (_IDS, (1, 3, 5))),
    Sample("embedding-int32", seeded(nn.Embedding(10, 6)), (_IDS.int(),)),
    Sample("padding", seeded(nn.Embedding(10, 6, padding_idx=0)), (_IDS,)),
    Sample("positions", lambda i: F.embedding(i, torch.arange(60.0).view(10, 6)) + torch.arange(6.0), (_IDS,)),
    Sample("twice", lambda i: (F.embedding(i, torch.arange(60.0).view(10, 6)), F.embedding(i, torch.eye(10))), (_IDS,)),
    Sample("and-arithmetic", lambda i: F.embedding(i, torch.eye(10)) * (i > 1)[..., None] + i.sum(), (_IDS,)),
    Sample("one-hot", lambda i: F.one_hot(i, 10).float(), (_IDS,)),
    Sample(
        "as-number", lambda t, x: torch.sin(t[:, None].float() * torch.arange(4.0)) + x, (torch.tensor([7]), (1, 4))
    ),
    Sample("whole-arithmetic", lambda t: t * 2 + 1, (_IDS,)),
    Sample("whole-mask", lambda t, x: x.masked_fill((t == 9)[:, None], -1.0), (_IDS, (1, 3, 5))),
]
