"""The one place that imports torch: other modules take it from here, so its absence is said in one way."""

from __future__ import annotations

from stylegan.errors import TorchMissing, needs

try:
    import torch as torch
except ModuleNotFoundError as error:
    if error.name != "torch":  # torch is there, but one of its own dependencies is not: let that be seen
        raise
    raise TorchMissing(needs("torch")) from None

import torch.nn.functional as functional
from torch import Tensor as Tensor
from torch import nn as nn

__all__ = ["Tensor", "functional", "nn", "torch"]
