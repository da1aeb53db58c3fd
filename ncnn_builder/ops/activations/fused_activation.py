"""The activation that convolutions and matrix products apply themselves. ncnn: fused_activation.h."""

from __future__ import annotations

from typing import Any

from ...ir import Params
from ..common import functional

ACTIVATION_DOCS = {
    "activation_type": "0 none, 1 ReLU, 2 ReLU with a slope, 3 clip, 4 sigmoid, 5 mish, 6 hard swish",
    "activation_params": "2: slope; 3: least, greatest; 6: alpha, beta",
}


def fused_activation_reference(y: Any, params: Params) -> Any:
    """The activation of a layer, on torch tensors: hard swish is y * clip(alpha * y + beta, 0, 1)."""
    F, a = functional(), params["activation_params"]
    table = {
        0: lambda: y,
        1: lambda: F.relu(y),
        2: lambda: F.leaky_relu(y, a[0]),
        3: lambda: y.clamp(a[0], a[1]),
        4: lambda: y.sigmoid(),
        5: lambda: F.mish(y),
        6: lambda: y * (y * a[0] + a[1]).clamp(0, 1),
    }
    return table[params["activation_type"]]()
