from __future__ import annotations

import torch

from .sample import Sample, samples

_PAIR = ((1, 3, 5), (1, 3, 5))
_SIZES = ((3,), (4,))

SAMPLES: list[Sample] = [
    Sample("log2", lambda x: (x.abs() + 0.1).log2(), ((1, 3, 5),)),
    Sample("exp2", torch.exp2, ((1, 3, 5),)),
    Sample("fmax", lambda a, b: torch.fmax(a, b) - torch.fmin(a, b), _PAIR),
    Sample("hypot", torch.hypot, _PAIR),
    *samples(
        "logaddexp",
        torch.logaddexp,
        _PAIR,
        (torch.tensor([[200.0, -200.0, 5.0]]), torch.tensor([[199.0, -190.0, -5.0]])),
    ),
    Sample("copysign", lambda a, b: torch.copysign(a, b) + torch.copysign(a, torch.tensor(-1.0)), _PAIR),
    Sample("meshgrid", lambda a, b: torch.meshgrid(a, b, indexing="ij"), _SIZES),
    Sample("meshgrid-xy", lambda a, b: torch.meshgrid(a, b, indexing="xy"), _SIZES),
    Sample("gradient", lambda x: torch.gradient(x, dim=1)[0], ((1, 5, 3),)),
]
