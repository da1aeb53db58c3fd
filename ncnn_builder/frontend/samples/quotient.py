from __future__ import annotations

import torch

from .sample import Sample

_WHOLE = torch.arange(-100.0, 100.0).view(1, 200)
_DIVISORS = torch.tensor([3.0, 49.0, -7.0, 10.0, 41.0]).repeat(40)
_FRACTIONS = torch.linspace(-9.7, 9.9, 50).view(1, 50)

SAMPLES: list[Sample] = [
    Sample("floor-divide", lambda x: (x // 3, x // 49.0, x // -7), (_WHOLE,)),
    Sample("remainder", lambda x: (x % 3, x % 49.0, torch.remainder(x, -7)), (_WHOLE,)),
    Sample("fmod", lambda x: (torch.fmod(x, 3), torch.fmod(x, _DIVISORS)), (_WHOLE,)),
    Sample("by-tensor", lambda x, y: (x // y, x % y, torch.fmod(x, y)), (_WHOLE, _DIVISORS)),
    Sample("of-number", lambda x: (100 // x, torch.remainder(100, x)), (_DIVISORS,)),
    Sample("of-fractions", lambda x: (x // 1.5, x % 1.5, x.fmod(2.0)), (_FRACTIONS,)),
    *(
        Sample(
            f"div-{mode}", lambda x, m=mode: (x.div(7, rounding_mode=m), x.div(_DIVISORS, rounding_mode=m)), (_WHOLE,)
        )
        for mode in ("floor", "trunc", None)
    ),
]
