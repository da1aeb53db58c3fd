"""Convolutional networks, small: what they are made of is what the published ones are made of."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm(i: int, o: int, k: int = 3, s: int = 1, groups: int = 1, act: Any = None) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(i, o, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*parts, *([] if act is None else [act]))


class Residual(nn.Module):
    """A basic block of ResNet."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.a, self.b = conv_norm(i, o, 3, stride, act=nn.ReLU()), conv_norm(o, o)
        self.down = conv_norm(i, o, 1, stride) if stride > 1 or i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(self.a(x)) + self.down(x))


def resnet() -> nn.Module:
    """ResNet-18's plan."""
    stem = [conv_norm(3, 64, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
    blocks = [Residual(i, o, s) for i, o, s in ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1))]
    blocks += [Residual(i, o, s) for i, o, s in ((128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1))]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.reduce, self.expand = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = F.adaptive_avg_pool2d(x, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(s))))


class Inverted(nn.Module):
    """A block of MobileNetV3."""

    def __init__(self, i: int, hidden: int, o: int, kernel: int, stride: int, squeeze: bool, act: Any) -> None:
        super().__init__()
        self.same = stride == 1 and i == o
        parts = [conv_norm(i, hidden, 1, act=act()), conv_norm(hidden, hidden, kernel, stride, hidden, act())]
        self.body = nn.Sequential(*parts, *([Squeeze(hidden)] if squeeze else []), conv_norm(hidden, o, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.same else self.body(x)


def mobilenet() -> nn.Module:
    """MobileNetV3's plan."""
    hard, relu = nn.Hardswish, nn.ReLU
    plan = [(16, 16, 16, 3, 2, True, relu), (16, 72, 24, 3, 2, False, relu), (24, 88, 24, 3, 1, False, relu)]
    plan += [(24, 96, 40, 5, 2, True, hard), (40, 240, 40, 5, 1, True, hard), (40, 120, 48, 5, 1, True, hard)]
    plan += [(48, 288, 96, 5, 2, True, hard), (96, 576, 96, 5, 1, True, hard)]
    body = [Inverted(*row) for row in plan]
    head = [conv_norm(96, 576, 1, act=hard()), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    last = [nn.Linear(576, 1024), hard(), nn.Dropout(0.2), nn.Linear(1024, 1000)]
    return nn.Sequential(conv_norm(3, 16, 3, 2, act=hard()), *body, *head, *last)


class Shuffle(nn.Module):
    """A block of ShuffleNetV2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        depthwise = conv_norm(half, half, groups=half)
        self.body = nn.Sequential(
            conv_norm(half, half, 1, act=nn.ReLU()), depthwise, conv_norm(half, half, 1, act=nn.ReLU())
        )

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        x = torch.cat([a, self.body(b)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet() -> nn.Module:
    parts: list[nn.Module] = [
        conv_norm(3, 48, 3, 2, act=nn.ReLU()),
        nn.MaxPool2d(3, 2, 1),
        *(Shuffle(48) for _ in range(3)),
    ]
    parts += [conv_norm(48, 96, 3, 2, act=nn.ReLU()), *(Shuffle(96) for _ in range(4))]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(96, 1000))


class DenseLayer(nn.Module):
    """DenseNet's: norm and activation in front of each convolution."""

    def __init__(self, i: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))], 1)


def densenet() -> nn.Module:
    parts: list[nn.Module] = [conv_norm(3, 32, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
    parts += [DenseLayer(32 + 16 * i, 16) for i in range(4)]
    parts += [nn.BatchNorm2d(96), nn.ReLU(), nn.Conv2d(96, 48, 1, bias=False), nn.AvgPool2d(2)]
    parts += [DenseLayer(48 + 16 * i, 16) for i in range(4)]
    return nn.Sequential(
        *parts, nn.BatchNorm2d(112), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(112, 100)
    )


class ChannelNorm(nn.Module):
    """A layer norm of the channels of a picture, written out as ConvNeXt does."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        u = x.mean(1, keepdim=True)
        x = (x - u) / torch.sqrt((x - u).pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class NextBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(dim, dim, 7, padding=3, groups=dim), nn.LayerNorm(dim, 1e-6)
        self.wide, self.narrow = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.narrow(F.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    parts: list[nn.Module] = [nn.Conv2d(3, 48, 4, 4), ChannelNorm(48), NextBlock(48), NextBlock(48)]
    parts += [ChannelNorm(48), nn.Conv2d(48, 96, 2, 2), NextBlock(96), NextBlock(96), NextBlock(96)]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.LayerNorm(96), nn.Linear(96, 1000))


class UNet(nn.Module):
    def __init__(self, width: int = 24, depth: int = 3) -> None:
        super().__init__()
        sizes = [width * 2**i for i in range(depth + 1)]
        self.first, self.last = self.twice(3, width), nn.Conv2d(width, 2, 1)
        self.down = nn.ModuleList(self.twice(i, o) for i, o in itertools.pairwise(sizes))
        self.up = nn.ModuleList(nn.ConvTranspose2d(o, i, 2, 2) for i, o in itertools.pairwise(sizes))
        self.join = nn.ModuleList(self.twice(2 * i, i) for i in sizes[:-1])

    @staticmethod
    def twice(i: int, o: int) -> nn.Sequential:
        return nn.Sequential(conv_norm(i, o, act=nn.ReLU()), conv_norm(o, o, act=nn.ReLU()))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        kept = [x]
        for part in self.down:
            x = part(F.max_pool2d(x, 2))
            kept.append(x)
        x = kept.pop()
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            x = join(torch.cat([kept.pop(), up(x)], 1))
        return torch.sigmoid(self.last(x))


class Upscaler(nn.Module):
    """Residual blocks without norms, and pixel shuffles."""

    def __init__(self, width: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        conv = lambda o: nn.Conv2d(width, o, 3, padding=1)
        self.body = nn.ModuleList(nn.Sequential(conv(width), nn.PReLU(width), conv(width)) for _ in range(blocks))
        self.up = nn.Sequential(conv(4 * width), nn.PixelShuffle(2), nn.LeakyReLU(0.2), conv(12), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        for block in self.body:
            y = y + block(y) * 0.2
        return self.up(y) + F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)


class Bottleneck(nn.Module):
    """YOLO's C3 with its SiLUs."""

    def __init__(self, i: int, o: int, depth: int) -> None:
        super().__init__()
        half = o // 2
        self.a, self.b = conv_norm(i, half, 1, act=nn.SiLU()), conv_norm(i, half, 1, act=nn.SiLU())
        pair = lambda: nn.Sequential(conv_norm(half, half, 1, act=nn.SiLU()), conv_norm(half, half, act=nn.SiLU()))
        self.inner = nn.ModuleList(pair() for _ in range(depth))
        self.out = conv_norm(o, o, 1, act=nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        for block in self.inner:
            y = y + block(y)
        return self.out(torch.cat([y, self.b(x)], 1))


class Focus(nn.Module):
    """Four neighbours as channels, by slices with a step, as YOLOv5 began."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


class Yolo(nn.Module):
    """Two scales, boxes decoded with a grid and anchors; the first convolution has a stride, or a Focus in front."""

    def __init__(self, focus: bool, classes: int = 20, width: int = 24) -> None:
        super().__init__()
        silu, self.numbers = nn.SiLU, classes + 5
        self.stem: nn.Module = conv_norm(3, width, 3, 2, act=silu())
        if focus:
            self.stem = nn.Sequential(Focus(), conv_norm(12, width, act=silu()))
        self.low = nn.Sequential(conv_norm(width, 2 * width, 3, 2, act=silu()), Bottleneck(2 * width, 2 * width, 1))
        self.mid = nn.Sequential(conv_norm(2 * width, 4 * width, 3, 2, act=silu()), Bottleneck(4 * width, 4 * width, 2))
        self.high = nn.Sequential(
            conv_norm(4 * width, 8 * width, 3, 2, act=silu()), Bottleneck(8 * width, 8 * width, 1)
        )
        self.lateral = conv_norm(8 * width, 4 * width, 1, act=silu())
        self.join = Bottleneck(8 * width, 4 * width, 1)
        self.heads = nn.ModuleList(nn.Conv2d(n * width, 3 * self.numbers, 1) for n in (4, 8))
        self.anchors = nn.Buffer(torch.rand(2, 1, 3, 1, 1, 2) * 60 + 8)

    def forward(self, x: Tensor) -> Tensor:
        mid = self.mid(self.low(self.stem(x)))
        high = self.high(mid)
        up = F.interpolate(self.lateral(high), scale_factor=2.0, mode="nearest")
        scales = (self.join(torch.cat([up, mid], 1)), high)
        return torch.cat([self.decoded(self.heads[i](y), self.anchors[i], 8 << i) for i, y in enumerate(scales)], 1)

    def decoded(self, y: Tensor, anchors: Tensor, stride: int) -> Tensor:
        n, _, h, w = y.shape
        y = y.view(n, 3, self.numbers, h, w).permute(0, 1, 3, 4, 2).sigmoid()
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack([columns, rows], -1).view(1, 1, h, w, 2).float()
        center = (y[..., :2] * 2 - 0.5 + grid) * stride
        size = (y[..., 2:4] * 2) ** 2 * anchors
        return torch.cat([center, size, y[..., 4:]], -1).view(n, -1, self.numbers)


class Modulated(nn.Module):
    """Convolutions whose weights follow from a style, as in StyleGAN2: of one picture, given as a batch of one."""

    def __init__(self, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.styles = nn.ModuleList(nn.Linear(64, width) for _ in range(depth))
        self.weights = nn.ParameterList(torch.randn(width, width, 3, 3) for _ in range(depth))
        self.start, self.last = nn.Parameter(torch.randn(1, width, 64, 64)), nn.Conv2d(width, 3, 1)

    def forward(self, w: Tensor) -> Tensor:
        x = self.start
        for style, weight in zip(self.styles, self.weights, strict=True):
            weight = weight[None] * (style(w) + 1)[:, None, :, None, None]
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
            x = F.leaky_relu(F.conv2d(x, weight[0], padding=1), 0.2)
        return self.last(x)
