from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples, seeded

_GENERATOR = torch.Generator().manual_seed(5)
_MASK = torch.rand(5, 6, generator=_GENERATOR) > 0.4
_MASK[:, 0] = True
_FOUR = ((1, 2, 5, 8), (1, 2, 6, 8), (1, 2, 6, 7))
_TWO = ((2, 3, 5, 8), (2, 3, 6, 8), (2, 3, 6, 7))
_GROUPS = ((1, 4, 5, 8), (1, 2, 6, 8), (1, 2, 6, 7))
_GROUPS_TWO = ((2, 4, 5, 8), (2, 2, 6, 8), (2, 2, 6, 7))
attention = F.scaled_dot_product_attention


def _masked(q: Any, k: Any, v: Any, m: Any) -> Any:
    return attention(q, k, v, attn_mask=m)


class _Encoder(nn.Module):
    def __init__(self, **kw: Any) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **kw)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        seeded(self)

    def forward(self, x: Any) -> Any:
        return self.encoder(x)


class _Heads(nn.Module):
    def __init__(self, **kw: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, **kw)
        seeded(self)

    def forward(self, q: Any, k: Any, v: Any) -> Any:
        return self.attention(q, k, v, need_weights=False)[0]


SAMPLES: list[Sample] = [
    *samples("sdpa", attention, _FOUR, _TWO, tuple(s[1:] for s in _FOUR), tuple(s[2:] for s in _FOUR)),
    *samples("sdpa-five", attention, tuple((2, *s) for s in _TWO)),
    Sample("sdpa-shared", attention, ((2, 3, 5, 8), (3, 6, 8), (3, 6, 7))),
    Sample("sdpa-scaled", lambda q, k, v: attention(q, k, v, scale=0.3), _FOUR),
    Sample("sdpa-causal", lambda q, k, v: attention(q, k, v, is_causal=True), _TWO),
    Sample("sdpa-constant-mask", lambda q, k, v: attention(q, k, v, attn_mask=_MASK), _TWO),
    *(
        Sample(f"sdpa-mask-{i}", _masked, (*_TWO, shape))
        for i, shape in enumerate(
            ((5, 6), (1, 1, 5, 6), (1, 3, 5, 6), (2, 1, 5, 6), (2, 3, 5, 6), (2, 1, 1, 6), (1, 6))
        )
    ),
    Sample("sdpa-mask-of-truth", lambda q, k, v, m: attention(q, k, v, attn_mask=m > -1), (*_TWO, (2, 1, 1, 6))),
    Sample("sdpa-groups", lambda q, k, v: attention(q, k, v, enable_gqa=True), _GROUPS),
    Sample("sdpa-groups-two", lambda q, k, v: attention(q, k, v, enable_gqa=True), _GROUPS_TWO),
    Sample("sdpa-groups-mask", lambda q, k, v: attention(q, k, v, _MASK, enable_gqa=True), _GROUPS_TWO),
    *samples("heads", _Heads(batch_first=True), ((1, 5, 8),) * 3, ((2, 5, 8),) * 3, ((1, 5, 8), (1, 6, 8), (1, 6, 8))),
    Sample("heads-rows-first", _Heads(kdim=6, vdim=7, bias=False), ((5, 1, 8), (4, 1, 6), (4, 1, 7))),
    *samples("encoder", _Encoder(), ((1, 5, 8),), ((2, 5, 8),)),
    Sample("encoder-norm-first", _Encoder(norm_first=True, activation="gelu"), ((1, 5, 8),)),
    Sample("decoder", seeded(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)), ((1, 5, 8), (1, 6, 8))),
]
