from __future__ import annotations

from torch import nn

from .sample import Sample, samples, seeded

_PICTURE = ((1, 4, 7, 8),)

SAMPLES: list[Sample] = [
    *samples("conv2d", seeded(nn.Conv2d(4, 6, 3, padding=1)), _PICTURE, ((4, 7, 8),)),
    *samples("conv2d-strided", seeded(nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), dilation=(1, 2))), _PICTURE),
    *samples("conv2d-groups", seeded(nn.Conv2d(4, 6, 3, groups=2, bias=False)), _PICTURE),
    *samples("conv2d-depthwise", seeded(nn.Conv2d(4, 4, 3, groups=4, padding="same")), _PICTURE),
]
