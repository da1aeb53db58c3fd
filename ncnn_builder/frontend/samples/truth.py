from __future__ import annotations

import math

import torch

from .sample import Sample, samples

_NUMBERS = torch.tensor([[-2.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 1.0]])
_OTHERS = torch.tensor([[-2.0, 0.5, 0.0, 0.25, 1.5, 2.0, -3.0, 1.0]])
_WHOLE = torch.arange(-100.0, 100.0).view(1, 200)
_INFINITE = torch.tensor([[1.0, math.inf, -math.inf, 0.0, 3e38]])
_MASK = torch.tensor([True, False, True, True, False, True, False, False])
_PAIR = (_NUMBERS, _OTHERS)
_OPS = ("gt", "ge", "lt", "le", "eq", "ne")

SAMPLES: list[Sample] = [
    *(Sample(f"{op}-numbers", lambda x, op=op: getattr(x, op)(1.0), (_NUMBERS,)) for op in _OPS),
    *(Sample(f"{op}-zero", lambda x, op=op: getattr(x, op)(0), (_NUMBERS,)) for op in _OPS),
    *(Sample(f"{op}-tensors", lambda x, y, op=op: getattr(x, op)(y), _PAIR) for op in _OPS),
    Sample("number-left", lambda x: torch.tensor(1.0) > x, (_NUMBERS,)),
    Sample("compared-wide", lambda x, y: (x[:, :, None] <= y[:, None]).float(), ((2, 3), (2, 4))),
    *(
        Sample(f"logical-{op}", lambda x, y, op=op: getattr(torch, f"logical_{op}")(x > 0, y), _PAIR)
        for op in ("and", "or", "xor")
    ),
    Sample("logical-not", lambda x: torch.logical_not(x), (_NUMBERS,)),
    Sample("bits", lambda x, y: ((x > 0) & (y > 0)) | ~(x > 1) ^ (y < 0), _PAIR),
    Sample("any", lambda x: (x > 2.5).any() | (x > 5).all(-1), (_NUMBERS,)),
    Sample("any-axis", lambda x: (x > 0).any(1) | (x > 0).all(1), ((2, 3, 4),)),
    *samples("where", lambda x, y: torch.where(x > y, x, y * 2), _PAIR, ((2, 3, 1), (2, 1, 4))),
    Sample("where-number", lambda x: torch.where(x > 0, x, -1e9) + torch.where(x < 0, 0.0, x), (_NUMBERS,)),
    Sample("where-numbers", lambda x: torch.where(x > 0, 1.0, 3.0), (_NUMBERS,)),
    Sample("where-constant", lambda x, y: torch.where(_MASK, x, y), _PAIR),
    Sample("where-constant-number", lambda x: torch.where(_MASK, x, 7.0) * torch.where(_MASK, 2.0, x), (_NUMBERS,)),
    Sample("where-constant-wide", lambda x: torch.where(_MASK[:, None], x, 0.0), (_NUMBERS,)),
    Sample("where-of-constants", lambda x: torch.where(x > 0, torch.arange(8.0), torch.ones(8)), (_NUMBERS,)),
    Sample("masked-fill", lambda x: x.masked_fill(_MASK, -5.0), (_NUMBERS,)),
    Sample("masked-fill-infinite", lambda x: x.masked_fill(_MASK, -math.inf).softmax(-1), (_NUMBERS,)),
    Sample(
        "masked-fill-least", lambda x: x.masked_fill(_MASK, torch.finfo(torch.float32).min).softmax(-1), (_NUMBERS,)
    ),
    Sample("masked-fill-computed", lambda x, y: x.masked_fill(y > 0, -math.inf).softmax(-1), _PAIR),
    Sample(
        "masked-fill-causal",
        lambda x: x.masked_fill(torch.ones(4, 4).tril() == 0, -math.inf).softmax(-1),
        ((1, 2, 4, 4),),
    ),
    Sample("clamp-tensors", lambda x, y: x.clamp(y, y + 1) + x.clamp(min=y) + x.clamp(max=y), _PAIR),
    Sample("triangles", lambda x: x.tril(-1) + 2 * x.triu(1), ((1, 2, 4, 5),)),
    Sample("infinite", lambda x: (x == math.inf).float() + 2 * (x == -math.inf) + torch.isinf(x), (_INFINITE,)),
    Sample("cast-whole", lambda x: x.long() + x.int().float(), (_WHOLE / 3,)),
    Sample("cast-truth", lambda x: x.bool().float() + (x > 1).int() + (x > 0).to(x.dtype), (_NUMBERS,)),
]
