from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples, seeded

_C = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
_V = torch.randn(6, generator=torch.Generator().manual_seed(3))

SAMPLES: list[Sample] = [
    *samples(
        "matmul",
        torch.matmul,
        *(((6,), (6,)), ((6,), (6, 3)), ((6,), (4, 6, 3)), ((6,), (2, 4, 6, 3)), ((5, 6), (6,)), ((4, 3, 6), (6,))),
        *(((2, 4, 3, 6), (6,)), ((4, 6), (6, 3)), ((4, 6), (3, 6, 5)), ((4, 6), (2, 3, 6, 5)), ((3, 4, 6), (6, 5))),
        *(((2, 3, 4, 6), (6, 5)), ((3, 4, 6), (3, 6, 5)), ((3, 4, 6), (2, 1, 6, 5)), ((1, 3, 4, 6), (5, 1, 6, 2))),
        *(((2, 3, 4, 6), (2, 3, 6, 5)), ((1, 4, 6), (1, 6, 5)), ((2, 1, 2, 4, 6), (3, 1, 6, 5)), ((1, 1), (1, 1))),
    ),
    *samples(
        "transposed",
        lambda a, b: a @ b.mT,
        *(((4, 6), (5, 6)), ((3, 4, 6), (3, 5, 6)), ((3, 4, 6), (5, 6)), ((2, 3, 4, 6), (2, 3, 5, 6))),
    ),
    Sample("left-transposed", lambda a, b: a.mT @ b, ((3, 6, 4), (3, 6, 5))),
    Sample(
        "heads", lambda a: a.view(1, 5, 2, 4).transpose(1, 2) @ a.view(1, 5, 2, 4).permute(0, 2, 3, 1), ((1, 5, 8),)
    ),
    *samples("by-constant", lambda a: a @ _C, ((5, 4),), ((1, 3, 4),), ((2, 3, 5, 4),), ((4,),)),
    *samples("by-constant-vector", lambda a: a @ _V, ((5, 6),), ((1, 3, 6),), ((6,),)),
    *samples("constant-by", lambda a: _C @ a, ((6, 5),), ((6,),), ((1, 6, 5),), ((2, 3, 6, 5),)),
    Sample("constant-by-transposed", lambda a: _C @ a.T, ((5, 6),)),
    Sample("constant-batch", lambda a: a @ _C.expand(3, 4, 6), ((3, 5, 4),)),
    Sample("mm", torch.mm, ((4, 6), (6, 5))),
    Sample("bmm", torch.bmm, ((3, 4, 6), (3, 6, 5))),
    Sample("mv", torch.mv, ((4, 6), (6,))),
    Sample("dot", torch.dot, ((6,), (6,))),
    Sample("inner", torch.inner, ((4, 6), (5, 6))),
    Sample("outer", lambda a, b: torch.outer(a, b) + torch.ger(b, a).T, ((4,), (6,))),
    Sample("outer-constant", lambda a: torch.outer(_V, a), ((4,),)),
    Sample("chain", lambda a, b, c: torch.linalg.multi_dot([a, b, c]), ((4, 6), (6, 2), (2, 5))),
    *samples("addmm", torch.addmm, ((5,), (4, 6), (6, 5)), ((4, 5), (4, 6), (6, 5)), ((4, 1), (4, 6), (6, 5))),
    Sample("addmm-factors", lambda c, a, b: torch.addmm(c, a, b, beta=1.4, alpha=0.7), ((4, 5), (4, 6), (6, 5))),
    Sample("addmm-constant", lambda a: torch.addmm(_V, a, _C, beta=2, alpha=0.5), ((3, 4),)),
    Sample("addmm-constant-matrix", lambda a, b: torch.addmm(_C, a, b), ((4, 3), (3, 6))),
    Sample("addmm-no-product", lambda c, a, b: torch.addmm(c, a, b, alpha=0), ((4, 5), (4, 6), (6, 5))),
    Sample("addmv", lambda c, a, b: torch.addmv(c, a, b, beta=0.5), ((4,), (4, 6), (6,))),
    Sample("baddbmm", lambda c, a, b: torch.baddbmm(c, a, b, beta=0.5, alpha=2), ((3, 1, 5), (3, 4, 6), (3, 6, 5))),
    Sample("addbmm", torch.addbmm, ((4, 5), (3, 4, 6), (3, 6, 5))),
    *samples("bilinear", seeded(nn.Bilinear(5, 6, 3)), ((1, 5), (1, 6)), ((4, 5), (4, 6)), ((2, 4, 5), (2, 4, 6))),
    Sample("bilinear-no-bias", lambda a, b: F.bilinear(a, b, torch.ones(2, 5, 6)), ((4, 5), (4, 6))),
    *(
        Sample(f"einsum-{equation}", lambda *v, e=equation: torch.einsum(e, *v), shapes)
        for equation, shapes in (
            ("ij->ji", ((4, 6),)),
            ("...ij->...ji", ((2, 3, 4, 5),)),
            ("ii", ((4, 4),)),
            ("ii->i", ((4, 4),)),
            ("ij->", ((4, 6),)),
            ("ijkl->jl", ((2, 3, 4, 5),)),
            ("ij,j->i", ((4, 6), (6,))),
            ("i,j->ij", ((4,), (6,))),
            ("bij,bjk->bik", ((3, 4, 6), (3, 6, 5))),
            ("bhqd,bhkd->bhqk", ((1, 2, 4, 6), (1, 2, 5, 6))),
            ("bn,anm,bm->ba", ((2, 5), (3, 5, 4), (2, 4))),
            ("pqrs,tqvr->pstv", ((2, 3, 5, 7), (4, 3, 2, 5))),
            ("a,b,c,d->abcd", ((5,), (4,), (5,), (4,))),
            ("nchw,ncwo->ncho", ((2, 3, 5, 7), (2, 3, 7, 4))),
            ("i,jki->jk", ((4,), (3, 5, 4))),
        )
    ),
]
