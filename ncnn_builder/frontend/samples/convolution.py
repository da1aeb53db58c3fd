from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

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
        self.k = nn.Parameter(torch.ones(4, 1, 1))
        self.a, self.b, self.c = nn.Conv2d(4, 4, (5, 6)), nn.Conv2d(4, 4, 1), nn.Conv2d(1, 4, 1)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.b(x * torch.sigmoid(self.a(x)))
        z = y * self.k + torch.arange(3.0)[:, None, None, None]
        return z, self.c(y[:, 1].unsqueeze(1)) + y


class _Inside(nn.Module):
    """Frames as a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.a(x.view(3, 2, 5, 7)).view(1, 3, 4, 3, 5).permute(0, 2, 1, 3, 4) * 2


class _Kernel(nn.Module):
    """A kernel for each channel, that a layer computes of the channels' means."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = seeded(nn.Linear(4, 36))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.kernel(F.adaptive_avg_pool2d(x, 1).flatten(1)).view(4, 1, 3, 3), padding=1, groups=4)


_ROWS, _PICTURE, _VOLUME = ((1, 4, 11),), ((1, 4, 7, 8),), ((1, 2, 5, 4, 6),)


def _transposed(dims: int, c: int, *sizes: int, **more: Any) -> Sample:
    module = seeded(getattr(nn, f"ConvTranspose{dims}d")(c, *sizes, **more))
    name = "-".join(map(str, (dims, *sizes, *more.values())))
    return Sample(f"transposed-{name}", module, ((1, c, *(4, 5, 6)[:dims]),))


SAMPLES: list[Sample] = [
    *samples("conv2d", seeded(nn.Conv2d(4, 6, 3, padding=1)), _PICTURE, ((4, 7, 8),)),
    *samples("conv2d-batch", seeded(nn.Conv2d(4, 6, 3, padding=1)), ((3, 4, 7, 8),)),
    Sample("batch-in-the-middle", seeded(_Middle()), ((3, 2, 5, 6),)),
    Sample("batch-of-a-gate", seeded(_Gate()), ((3, 4, 5, 6),)),
    Sample("batch-made-inside", seeded(_Inside()), ((1, 6, 5, 7),)),
    *samples("conv2d-strided", seeded(nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), dilation=(1, 2))), _PICTURE),
    *samples("conv2d-groups", seeded(nn.Conv2d(4, 6, 3, groups=2, bias=False)), _PICTURE),
    *samples("conv2d-depthwise", seeded(nn.Conv2d(4, 4, 3, groups=4, padding="same")), _PICTURE),
    Sample("conv2d-even-same", seeded(nn.Conv2d(4, 6, (2, 4), padding="same", dilation=(1, 3))), _PICTURE),
    *samples("conv1d", seeded(nn.Conv1d(4, 6, 3, 2, 1)), _ROWS, ((4, 11),), ((3, 4, 11),)),
    Sample("conv1d-groups", seeded(nn.Conv1d(4, 6, 2, padding="same", groups=2, bias=False)), _ROWS),
    *samples("conv3d", seeded(nn.Conv3d(2, 4, (3, 2, 1), (2, 1, 1), (1, 0, 2))), _VOLUME),
    Sample("conv3d-groups", seeded(nn.Conv3d(2, 4, 3, padding="same", dilation=2, groups=2)), _VOLUME),
    *(_transposed(n, 4, 6, 3, 2, 1, 1) for n in (1, 2, 3)),
    *(_transposed(n, 4, 6, 4, 3, 1, dilation=2, bias=False) for n in (1, 2, 3)),
    *(_transposed(n, 4, 4, 3, 2, groups=groups) for n in (1, 2, 3) for groups in (2, 4)),
    Sample("transposed-sides", seeded(nn.ConvTranspose2d(4, 3, (3, 2), (1, 3), (1, 0), (0, 2))), _PICTURE),
    Sample("computed-1d", lambda x, w: F.conv1d(x, w, padding=1, stride=2), (_ROWS[0], (6, 4, 3))),
    Sample("computed-1d-bias", lambda x, w, b: F.conv1d(x, w, b, groups=2), (_ROWS[0], (6, 2, 3), (6,))),
    Sample("computed-2d", lambda x, w: F.conv2d(x, w * 2, padding="same", dilation=2), (_PICTURE[0], (6, 4, 2, 3))),
    Sample(
        "computed-2d-bias",
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), groups=4),
        (_PICTURE[0], (4, 1, 3, 3), (4,)),
    ),
    Sample(
        "computed-bias", lambda x, b: F.conv2d(x, torch.linspace(-1, 1, 48).view(4, 4, 1, 3), b), (_PICTURE[0], (4,))
    ),
    Sample("computed-transposed-1d", lambda x, w: F.conv_transpose1d(x, w, stride=2, padding=1), (_ROWS[0], (4, 6, 3))),
    Sample(
        "computed-transposed-2d",
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, groups=2),
        (_PICTURE[0], (4, 3, 3, 3), (6,)),
    ),
    Sample("computed-for-a-batch", F.conv2d, ((3, 4, 7, 8), (6, 4, 3, 3), (6,))),
    Sample("computed-transposed-for-a-batch", F.conv_transpose2d, ((3, 4, 7, 8), (4, 6, 3, 3))),
    Sample("computed-by-the-net", _Kernel(), _PICTURE),
]
