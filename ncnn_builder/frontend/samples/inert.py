from __future__ import annotations

import torch
from torch.nn import functional as F

from .sample import Sample

_ONES = torch.ones(1, 3, 4)

SAMPLES: list[Sample] = [
    Sample("copies", lambda x: x.clone().detach().contiguous() + x, ((1, 3, 4),)),
    Sample("dropout", lambda x: F.dropout(x, 0.5, False) + 1, ((1, 3, 4),)),
    Sample("dropout-of-constants", lambda x: x * F.dropout(torch.arange(4.0), 0.5, False), ((1, 3, 4),)),
    Sample("attention-of-constants", lambda x: x * F.scaled_dot_product_attention(_ONES, _ONES, _ONES), ((1, 3, 4),)),
    Sample("alpha-dropout", lambda x: F.alpha_dropout(x, 0.5, False) + 1, ((1, 3, 4),)),
    Sample("feature-dropout", lambda x: F.dropout2d(x, 0.5, False) + 1, ((1, 3, 4, 4),)),
    Sample("feature-alpha-dropout", lambda x: F.feature_alpha_dropout(x, 0.5, False) + 1, ((1, 3, 4, 4),)),
    Sample("to", lambda x: x.to(torch.float32).float().type_as(x) * 2, ((1, 3, 4),)),
    Sample("constant-as-type", lambda x: x - torch.arange(4).type_as(x), ((1, 3, 4),)),
    Sample("constant-and-computed", lambda x: torch.clamp(torch.arange(4.0), x, x + 1), ((2, 4),)),
    Sample("input-as-it-is", lambda x: (x, x + 1), ((1, 3, 4),)),
]
