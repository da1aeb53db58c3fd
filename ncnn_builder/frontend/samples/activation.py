from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples, seeded

_ANY = (((1, 3, 5),), ((7,),), ((2, 3, 1, 2, 4),))
_WIDE = torch.linspace(-120, 120, 49).view(1, 7, 7)

SAMPLES: list[Sample] = [
    *samples("prelu", nn.PReLU(), *_ANY),
    *samples("prelu-of-channels", seeded(nn.PReLU(4)), ((1, 4),), ((1, 4, 5),), ((1, 4, 5, 6),), ((1, 4, 2, 3, 5),)),
    *samples("prelu-of-channels-batch", seeded(nn.PReLU(4)), ((3, 4),), ((3, 4, 5, 6),)),
    Sample("prelu-permuted", lambda x: F.prelu(x.permute(0, 2, 1), torch.linspace(-1, 1, 4)), ((1, 5, 4),)),
    Sample("prelu-inner", lambda x: torch.ops.aten._prelu_kernel(x, torch.full((1, 1, 1), 0.3)), ((1, 4, 5),)),
    *samples("rrelu", nn.RReLU(0.1, 0.4), *_ANY),
    *samples("softplus", F.softplus, *_ANY, (_WIDE,)),
    *samples("softplus-beta", nn.Softplus(2, 30), ((1, 3, 5),), (_WIDE,)),
    *samples("softplus-low-threshold", nn.Softplus(0.5, 2), ((1, 3, 5),), (_WIDE,)),
    *samples("logsigmoid", F.logsigmoid, *_ANY, (_WIDE,)),
    *samples("threshold", nn.Threshold(0.1, -2.0), *_ANY),
    Sample("threshold-zero", nn.Threshold(0.1, 0.0), ((1, 3, 5),)),
    Sample("threshold-relu", nn.Threshold(0.0, 0.0), ((1, 3, 5),)),
    *(
        Sample(f"glu-{dim}-{'x'.join(map(str, shape))}", nn.GLU(dim), (shape,))
        for dim, shape in (
            (0, (6,)),
            (1, (1, 6)),
            (1, (1, 4, 5)),
            (-1, (1, 4, 6)),
            (1, (1, 4, 5, 6)),
            (-2, (1, 4, 6, 5)),
        )
    ),
    *samples("glu-batch", nn.GLU(1), ((3, 4, 5),), ((3, 4, 5, 6),)),
    *samples("softsign", F.softsign, *_ANY),
    *samples("tanhshrink", F.tanhshrink, *_ANY),
    Sample("softmin", nn.Softmin(1), ((1, 3, 5),)),
]
