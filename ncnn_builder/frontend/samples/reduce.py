from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from .sample import Sample, samples

_FOUR = ((1, 3, 4, 5),)
_TWO = ((2, 3, 4, 5),)
_POSITIVE = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(4)) + 0.5
_TIES = torch.tensor([[1.0, 3.0, 3.0, -1.0], [2.0, 2.0, 2.0, 2.0], [-5.0, -7.0, -5.0, -9.0]])

SAMPLES: list[Sample] = [
    *samples("sum", lambda x: x.sum((2, 3)), _FOUR, _TWO),
    *samples("sum-all", lambda x: x.sum(), _FOUR, ((4,),)),
    Sample("sum-batch", lambda x: x.sum(0), _TWO),
    Sample("sum-of-one", lambda x: x.sum(0) + x.sum(0, keepdim=True), _FOUR),
    Sample("sum-alternating", lambda x: x.view(2, 3, 2, 2, 5).sum((0, 2, 4)), _TWO),
    Sample("sum-six", lambda x: x.view(2, 3, 2, 2, 2, 3).sum((1, 3, 5), keepdim=True), ((6, 4, 6),)),
    Sample("sum-no-axis", lambda x: x.sum(()), _FOUR),
    *samples("mean", lambda x: x.mean((2, 3), keepdim=True), _FOUR, _TWO),
    Sample("mean-all", lambda x: x.mean(), _FOUR),
    Sample("mean-permuted", lambda x: x.permute(0, 2, 3, 1).mean(-1), _FOUR),
    Sample("mean-gate", lambda x: x * x.mean((2, 3), keepdim=True), _FOUR),
    Sample("amax", lambda x: x.amax(1) + x.amin(1), _FOUR),
    Sample("amax-all", lambda x: x.amax() - x.max() + x.min(), _FOUR),
    *samples("max-dim", lambda x: torch.max(x, 1), _FOUR, (_TIES,), ((5, 7),)),
    *samples("min-dim", lambda x: torch.min(x, -1, keepdim=True), _FOUR, (_TIES,)),
    *samples("argmax", lambda x: x.argmax(1), _FOUR, (_TIES,)),
    Sample("argmax-all", lambda x: x.argmax() + x.argmax(keepdim=True), ((3, 5),)),
    *samples("argmin", lambda x: x.argmin(-1, keepdim=True), _FOUR, (_TIES,)),
    Sample("prod", lambda x: x.prod(1), (_POSITIVE,)),
    Sample("prod-all", lambda x: x.prod(), ((2, 3),)),
    *samples("logsumexp", lambda x: x.logsumexp((1, 2)), _FOUR, (torch.tensor([[[90.0, 95.0], [100.0, 99.0]]]),)),
    *(
        Sample(f"norm-{p}", lambda x, p=p: torch.norm(x, p=p, dim=(1, 2)), _TWO)
        for p in (1, 2, 3, 0.5, math.inf, -math.inf)
    ),
    Sample("norm-all", lambda x: torch.norm(x) + x.norm(1), _FOUR),
    Sample("vector-norm", lambda x: torch.linalg.vector_norm(x, 2, -1, keepdim=True), _FOUR),
    Sample("normalised", lambda x: x / x.norm(dim=1, keepdim=True), _FOUR),
    *samples("var", lambda x: x.var((2, 3)), _FOUR, _TWO),
    Sample("var-far", lambda x: (x + 1000).var(-1, unbiased=False), _FOUR, tolerance=1e-3),
    Sample("std", lambda x: x.std(1, correction=0, keepdim=True), _FOUR),
    Sample("var-mean", lambda x: torch.var_mean(x, 1) + torch.std_mean(x, -1), _FOUR),
    Sample("std-all", lambda x: x.std(), _FOUR),
    *(Sample(f"softmax-{d}", lambda x, d=d: x.softmax(d), _TWO) for d in range(4)),
    Sample("softmax-vector", lambda x: x.softmax(0), ((5,),)),
    Sample("softmax-permuted", lambda x: x.permute(0, 2, 3, 1).softmax(-1), _FOUR),
    Sample("softmax-six", lambda x: x.view(2, 3, 2, 2, 2, 3).softmax(3) + 1, ((6, 4, 6),)),
    Sample("softmin", lambda x: F.softmin(x, 1), _FOUR),
    *samples("log-softmax", lambda x: x.log_softmax(1), _FOUR, (torch.tensor([[[100.0], [-100.0], [0.0]]]),)),
    *(Sample(f"cumsum-{d}", lambda x, d=d: x.cumsum(d), _TWO) for d in range(4)),
    Sample("cumsum-vector", lambda x: x.cumsum(0), ((5,),)),
    Sample("cosine-similarity", lambda x, y: F.cosine_similarity(x, y, 1), ((1, 3, 4), (1, 3, 4))),
    Sample("pairwise-distance", F.pairwise_distance, ((4, 5), (4, 5))),
]
