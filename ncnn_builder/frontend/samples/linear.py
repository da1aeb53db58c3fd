from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples, seeded

SAMPLES: list[Sample] = [
    *samples("linear", seeded(nn.Linear(5, 3)), ((5,),), ((1, 5),), ((1, 4, 5),), ((2, 4, 5),), ((1, 2, 3, 4, 5),)),
    Sample("linear-no-bias", seeded(nn.Linear(5, 3, bias=False)), ((1, 4, 5),)),
    Sample("linear-computed", lambda x, w, b: F.linear(x, w, b), ((1, 4, 5), (3, 5), (3,))),
    Sample("linear-of-constant", lambda w: F.linear(torch.arange(10.0).view(2, 5), w), ((3, 5),)),
]
