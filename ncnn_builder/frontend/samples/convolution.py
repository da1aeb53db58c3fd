from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .sample import Sample, samples, seeded


class _Middle(nn.Module):
    """A batch that goes to the middle, into a dimension, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3), nn.Conv2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.a(x)
        z = self.b(torch.relu(y.permute(1, 0, 2, 3)))
        return y, z, y.permute(2, 0, 1, 3) + 1, y.reshape(4, 3, -1), z.flatten(2).transpose(1, 2)


class _Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(4, 4, (5, 6)), nn.Conv2d(4, 4, 1), nn.Conv2d(1, 4, 1)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.b(x * torch.sigmoid(self.a(x)))
        z = y * self.c.bias[:, None, None] + torch.arange(3.0)[:, None, None, None]
        return z, self.c(y[:, 1].unsqueeze(1)) + y


class _Inside(nn.Module):
    """Frames as a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x.view(3, 2, 5, 7)).view(1, 3, 4, 3, 5).permute(0, 2, 1, 3, 4) * 2


_PICTURE = ((1, 4, 7, 8),)

SAMPLES: list[Sample] = [
    *samples("conv2d", seeded(nn.Conv2d(4, 6, 3, padding=1)), _PICTURE, ((4, 7, 8),)),
    *samples("conv2d-batch", seeded(nn.Conv2d(4, 6, 3, padding=1)), ((3, 4, 7, 8),)),
    Sample("batch-in-the-middle", seeded(_Middle()), ((3, 2, 5, 6),)),
    Sample("batch-of-a-gate", seeded(_Gate()), ((3, 4, 5, 6),)),
    Sample("batch-made-inside", seeded(_Inside()), ((1, 6, 5, 7),)),
    *samples("conv2d-strided", seeded(nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), dilation=(1, 2))), _PICTURE),
    *samples("conv2d-groups", seeded(nn.Conv2d(4, 6, 3, groups=2, bias=False)), _PICTURE),
    *samples("conv2d-depthwise", seeded(nn.Conv2d(4, 4, 3, groups=4, padding="same")), _PICTURE),
]
