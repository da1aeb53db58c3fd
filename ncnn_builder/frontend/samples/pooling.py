from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples

_ROWS, _PICTURE, _VOLUME = ((1, 5, 11),), ((1, 5, 9, 12),), ((1, 3, 7, 6, 8),)
_OF = {1: _ROWS, 2: _PICTURE, 3: _VOLUME}


def _of_all(name: str, kind: str, *args: object, **kw: object) -> list[Sample]:
    return [Sample(f"{name}-{n}d", getattr(nn, f"{kind}{n}d")(*args, **kw), _OF[n]) for n in (1, 2, 3)]


SAMPLES: list[Sample] = [
    *_of_all("max", "MaxPool", 2),
    *_of_all("max-padded", "MaxPool", 3, 2, 1),
    *_of_all("max-ceil", "MaxPool", 2, 2, ceil_mode=True),
    *_of_all("max-ceil-dropped", "MaxPool", 2, 3, 1, ceil_mode=True),
    *_of_all("avg", "AvgPool", 2),
    *_of_all("avg-padded", "AvgPool", 3, 2, 1),
    *_of_all("avg-border-left-out", "AvgPool", 3, 2, 1, count_include_pad=False),
    *_of_all("avg-ceil", "AvgPool", 2, 2, ceil_mode=True),
    *_of_all("avg-ceil-padded", "AvgPool", 4, 3, 1, ceil_mode=True),
    *_of_all("avg-ceil-border-left-out", "AvgPool", 4, 3, 2, ceil_mode=True, count_include_pad=False),
    *samples("unbatched", nn.MaxPool2d(3, 1, 1), ((5, 9, 12),)),
    Sample("max-ceil-one-way", nn.MaxPool2d((2, 3), (2, 3), ceil_mode=True), _PICTURE),
    Sample("avg-divisor", nn.AvgPool2d((2, 3), divisor_override=5), _PICTURE),
    Sample("avg-divisor-ceil", nn.AvgPool3d(3, 2, 1, ceil_mode=True, divisor_override=7), _VOLUME),
    Sample("avg-sides", nn.AvgPool2d((2, 5), (1, 3), (1, 2)), _PICTURE),
    *(
        Sample(f"max-indices-unused-{n}d", lambda x, n=n: getattr(F, f"max_pool{n}d_with_indices")(x, 2)[0], _OF[n])
        for n in (1, 2, 3)
    ),
    *(
        s
        for kind in ("Avg", "Max")
        for size in (1, 2, 5)
        for s in _of_all(f"{kind}-into-{size}", f"Adaptive{kind}Pool", size)
    ),
    *samples("into-one", nn.AdaptiveAvgPool2d(1), ((2, 5, 4, 3),), ((2, 1, 4, 3),), ((1, 1, 4, 3),)),
    Sample("into-one-flat", lambda x: F.adaptive_max_pool2d(x, 1).flatten(1), ((2, 5, 4, 3),)),
    Sample("into-sides", nn.AdaptiveAvgPool2d((3, None)), _PICTURE),
    Sample("into-more", nn.AdaptiveMaxPool2d((12, 5)), _PICTURE),
    *(
        Sample(f"avg-inner-{n}d", lambda x, op=op, n=n: op(x, [2] * n), _OF[n])
        for n, op in ((2, torch.ops.aten._adaptive_avg_pool2d), (3, torch.ops.aten._adaptive_avg_pool3d))
    ),
    *(
        Sample(
            f"fitted-{average}-{n}d",
            lambda x, n=n, average=average: getattr(torch.ops.ncnn_builder, f"fitted_pool{n}d")(x, [3] * n, average),
            _OF[n],
        )
        for n in (1, 2, 3)
        for average in (False, True)
    ),
    Sample("area", lambda x: F.interpolate(x, size=(4, 5), mode="area"), _PICTURE),
    *(Sample(f"lp-{n}d", getattr(nn, f"LPPool{n}d")(2, 2), _OF[n]) for n in (1, 2)),
]
