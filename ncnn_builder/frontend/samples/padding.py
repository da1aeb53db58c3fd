from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples, seeded

_MODES: tuple[Any, ...] = ("reflect", "replicate", "circular")


def _pads(mode: str, *sides: int, value: float | None = None) -> Any:
    return lambda x: F.pad(x, sides, mode, value)


_ROWS, _PICTURE, _VOLUME = ((1, 4, 11),), ((1, 3, 7, 8),), ((1, 2, 5, 4, 6),)

SAMPLES: list[Sample] = [
    *samples("zeros-1d", _pads("constant", 2, 3), ((7,),), ((3, 7),), _ROWS, ((3, 4, 11),)),
    *samples("value-2d", _pads("constant", 1, 2, 3, 0, value=1.3), ((5, 6),), _PICTURE, ((2, 3, 7, 8),)),
    *samples("channels", _pads("constant", 0, 0, 1, 0, 2, 1, value=-0.5), _PICTURE),
    *samples("volume", _pads("constant", 1, 2, 3, 0, 2, 1, value=-0.5), _VOLUME),
    Sample("channels-of-a-volume", _pads("constant", 0, 1, 0, 0, 0, 0, 2, 1, value=2.0), _VOLUME),
    Sample("below-all", lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 0), value=-math.inf), 3, 2), _PICTURE),
    Sample("batch", _pads("constant", 0, 1, 0, 0, 0, 0, 1, 2), _PICTURE),
    Sample("cropped", _pads("constant", -1, 2, 1, -3), _PICTURE),
    *(
        s
        for mode in _MODES
        for s in (
            *samples(f"{mode}-1d", _pads(mode, 3, 2), _ROWS, ((2, 4, 11),)),
            *samples(f"{mode}-2d", _pads(mode, 1, 2, 3, 0), _PICTURE),
            *samples(f"{mode}-3d", _pads(mode, 1, 2, 3, 0, 2, 1), _VOLUME),
            Sample(f"{mode}-cropped", _pads(mode, -1, 2, 1, -3), _PICTURE),
            Sample(f"{mode}-of-a-convolution", seeded(nn.Conv2d(3, 4, 3, padding=(2, 1), padding_mode=mode)), _PICTURE),
        )
    ),
    *(
        Sample(f"reflection-{n}d", getattr(nn, f"ReflectionPad{n}d")(2), (x,))
        for n, (x,) in enumerate((_ROWS, _PICTURE, _VOLUME), 1)
    ),
    Sample("permuted", lambda x: F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, 3, 0, 2)), _PICTURE),
    Sample("inner-constant", lambda x: torch.ops.aten.constant_pad_nd(x, [1, 2], 0.5), _ROWS),
    *(
        Sample(
            f"inner-{kind}-{n}d", lambda x, op=f"{kind}_pad{n}d", n=n: getattr(torch.ops.aten, op)(x, [1, 2] * n), (x,)
        )
        for kind in ("reflection", "replication")
        for n, (x,) in enumerate((_ROWS, _PICTURE, _VOLUME), 1)
    ),
]
