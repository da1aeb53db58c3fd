from __future__ import annotations

import torch

from .sample import Sample


def _filled(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, 0] = 2
    y[:, 1, 1:].fill_(0.5)
    y[:, 2] = x[:, 0]
    y[:, :, 0].zero_()
    return y


SAMPLES: list[Sample] = [
    Sample("in-place", _filled, ((1, 3, 4),)),
    Sample(
        "like",
        lambda x: torch.cat([torch.zeros_like(x), x, torch.ones_like(x), torch.full_like(x, 3)], 1),
        ((1, 3, 4),),
    ),
    Sample("new", lambda x: x.new_zeros(2, 3) + x + x.new_ones(2, 3) * x.new_full((3,), 2.0), ((2, 3),)),
    Sample("empty", lambda x: x.new_empty(2, 3).fill_(1.0) + torch.empty_like(x).zero_() + x, ((2, 3),)),
    Sample("constant-as-output", lambda x: (x, torch.arange(6.0).view(2, 3)), ((2, 3),)),
]
