from __future__ import annotations

import torch
from torch.nn import functional as F

from .sample import Sample, samples

_ANY = (((1, 3, 4, 5),), ((7,),), ((2, 3, 1, 2, 4),))
"""A picture with a batch of one, a vector, five dimensions."""
_UNIT = torch.rand(1, 3, 5, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05

SAMPLES: list[Sample] = [
    *samples("relu", F.relu, *_ANY),
    *samples("relu-in-place", lambda x: F.relu_(x + 1), *_ANY),
    *samples("permuted", lambda x: torch.sigmoid(x.permute(0, 3, 1, 2)), ((1, 3, 4, 5),)),
    *(
        Sample(name, getattr(F, name), ((1, 3, 5),))
        for name in ("relu6", "leaky_relu", "celu", "selu", "silu", "mish", "hardtanh", "hardsigmoid", "hardswish")
    ),
    *(Sample(name, getattr(F, name), ((1, 3, 5),)) for name in ("hardshrink", "softshrink", "elu", "gelu")),
    Sample("special-erfc", torch.special.erfc, ((1, 3, 5),)),
    Sample("gelu-tanh", lambda x: F.gelu(x, approximate="tanh"), ((1, 3, 5),)),
    *(
        Sample(name, getattr(torch, name), ((1, 3, 5),))
        for name in (
            *("abs", "absolute", "neg", "floor", "ceil", "square", "exp", "sin", "cos", "tan", "atan", "tanh"),
            *("round", "trunc", "sign", "expm1", "sinh", "asinh", "cosh", "erf", "erfc", "sigmoid"),
        )
    ),
    *(
        Sample(name, getattr(torch, name), (_UNIT,))
        for name in ("asin", "acos", "atanh", "sqrt", "rsqrt", "log", "log10", "log1p", "reciprocal")
    ),
    Sample("acosh", torch.acosh, (_UNIT + 1,)),
    Sample("clamp", lambda x: x.clamp(-0.5, 0.4), ((1, 3, 5),)),
    Sample("clamp-min", lambda x: x.clamp(min=0.1), ((1, 3, 5),)),
    Sample("clamp-max", lambda x: x.clamp(max=0.1), ((1, 3, 5),)),
    *samples(
        "add", torch.add, ((1, 3, 4), (1, 3, 4)), ((1, 3, 4), (4,)), ((2, 1, 4), (3, 1)), ((1, 2, 3, 4), (2, 1, 1))
    ),
    Sample(
        "mul-six",
        lambda a, b: a.view(2, 3, 2, 3, 2, 3) * b.view(2, 3, 1, 3, 2, 1),
        ((6, 36), (6, 6)),
    ),
    Sample("add-alpha", lambda a, b: torch.add(a, b, alpha=0.5), ((1, 3, 4), (1, 3, 4))),
    Sample("sub-alpha", lambda a, b: torch.sub(a, b, alpha=2), ((1, 3, 4), (4,))),
    Sample("rsub", lambda a: 1.5 - a, ((1, 3, 4),)),
    Sample("rsub-named", lambda a: torch.rsub(a, 2), ((1, 3, 4),)),
    Sample("div", torch.div, ((1, 3, 4), torch.rand(3, 1) + 1)),
    Sample("divided-number", lambda a: 2 / (a.abs() + 1), ((1, 3, 4),)),
    Sample("constant-left", lambda a: torch.arange(4.0) - a, ((1, 3, 4),)),
    Sample("constant-on-permuted", lambda a: a.permute(0, 2, 1) * torch.arange(3.0), ((1, 3, 4),)),
    Sample("constant-of-five", lambda a: a + torch.arange(5.0)[:, None], ((2, 3, 5, 4),)),
    Sample("max", torch.maximum, ((1, 3, 4), (1, 3, 4))),
    Sample("min", torch.minimum, ((1, 3, 4), (1, 3, 4))),
    Sample("atan2", torch.atan2, ((1, 3, 4), (1, 3, 4))),
    Sample("pow", lambda a: a**3 + a.abs() ** 0.7, ((1, 3, 4),)),
    Sample("pow-of-two", lambda a: 2.0**a, ((1, 3, 4),)),
    Sample("pow-tensors", lambda a, b: a.abs() ** b, ((1, 3, 4), (1, 3, 4))),
]
