"""Half precision where the official networks train with it: on GPUs, in the layers of the highest resolutions.

Trained networks are computed in float32 everywhere, because that is what ncnn's results are compared with.
Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix A.
"""

from __future__ import annotations

from stylegan._torch import Tensor, nn, torch


def first_half_resolution(img_resolution: int, num_fp16_res: int) -> int:
    """The lowest resolution of those that use_fp16 is set for: the num_fp16_res highest ones, but none below 8."""
    return max(img_resolution * 2 >> num_fp16_res, 8)


def in_half(use_fp16: bool, network: nn.Module, x: Tensor) -> bool:
    return use_fp16 and network.training and x.is_cuda


def compute_dtype(use_fp16: bool, network: nn.Module, x: Tensor) -> torch.dtype:
    """What x is to be cast to before a part of the network computes with it."""
    return torch.float16 if in_half(use_fp16, network, x) else torch.float32
