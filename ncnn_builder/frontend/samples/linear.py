from __future__ import annotations

from torch import nn

from .sample import Sample, samples, seeded

SAMPLES: list[Sample] = [
    *samples("linear", seeded(nn.Linear(5, 3)), ((5,),), ((1, 5),), ((1, 4, 5),), ((2, 4, 5),), ((1, 2, 3, 4, 5),)),
    Sample("linear-no-bias", seeded(nn.Linear(5, 3, bias=False)), ((1, 4, 5),)),
]
