"""The one place that imports torch, and safetensors for it: so their absence is said in one way."""

from __future__ import annotations

from typing import Any

from stylegan.errors import PackageMissing, TorchMissing, needs

try:
    import torch as torch
except ModuleNotFoundError as error:
    if error.name != "torch":  # torch is there, but one of its own dependencies is not: let that be seen
        raise
    raise TorchMissing(needs("torch")) from None

import torch.nn.functional as functional
from torch import Tensor as Tensor
from torch import nn as nn

__all__ = ["Tensor", "functional", "nn", "safetensors_torch", "torch"]


def safetensors_torch() -> Any:
    """The module safetensors.torch. Raises PackageMissing."""
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise PackageMissing(needs(error.name)) from None
    return safetensors.torch
