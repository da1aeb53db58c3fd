from __future__ import annotations

import torch

from .sample import Sample, samples

SAMPLES: list[Sample] = [
    *samples("topk", lambda x: x.topk(3, -1), ((1, 4, 7),), ((9,),), ((2, 3, 5),)),
    Sample("topk-smallest", lambda x: x.topk(2, 1, largest=False), ((1, 4, 3),)),
    Sample("topk-permuted", lambda x: x.permute(0, 2, 1).topk(2, 1), ((1, 4, 3),)),
    Sample("sort", lambda x: x.sort(-1, descending=True), ((2, 5),)),
    Sample("argsort", lambda x: torch.argsort(x, 1), ((2, 5),)),
]
