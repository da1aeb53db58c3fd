"""A stage like PP-YOLOE's: cross-stage partial blocks with channel attention, and a head that sees its coordinates.

`python examples/ppyoloe_block.py` writes ppyoloe_block.param and .bin for any ncnn, and proves them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ncnn_builder as nb


class ConvBN(nn.Module):
    """Convolution, BatchNorm, swish."""

    def __init__(self, channels: int, out: int, kernel: int = 3, stride: int = 1, act: str | None = "swish") -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False)
        self.bn, self.act = nn.BatchNorm2d(out), act

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        return nn.functional.silu(y) if self.act else y

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Values:
        return nb.activation(g, nb.fuse_conv_bn(g, inputs, self.conv, self.bn), self.act)  # one layer on any target


class RepBlock(nn.Module):
    """x + swish(3x3 + 1x1) behind a 3x3, as it is trained."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBN(channels, channels)
        self.wide = ConvBN(channels, channels, act=None)
        self.narrow = ConvBN(channels, channels, 1, act=None)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return x + nn.functional.silu(self.wide(y) + self.narrow(y))

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Value:
        x = nb.check_bottom_names(inputs)
        y = nb.child(g, self, "first", x)
        wide, narrow = nb.child(g, self, "wide", y), nb.child(g, self, "narrow", y)
        return x + nb.activation(g, wide + narrow, "swish")  # operators are the DSL's functions


class CSPStage(nn.Module):
    """Half of the channels through blocks, half past them, then attention over all: [N, C, H, W] -> [N, out, H, W]."""

    def __init__(self, channels: int, out: int, blocks: int) -> None:
        super().__init__()
        half = out // 2
        self.left, self.right = ConvBN(channels, half, 1), ConvBN(channels, half, 1)
        self.blocks = nn.Sequential(*(RepBlock(half) for _ in range(blocks)))
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(out, out, 1), nn.Hardsigmoid())
        self.last = ConvBN(out, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.left(x), self.blocks(self.right(x))], 1)
        return self.last(y * self.attention(y))

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Values:
        left = nb.child(g, self, "left", inputs)
        right = nb.child(g, self, "blocks", nb.child(g, self, "right", inputs))
        y = nb.concat(g, [left, right], dim=1)
        weight = nb.child(g, self, "attention", y)
        return nb.child(g, self, "last", y * weight)


class Detector(nn.Module):
    """x [N, 3, H, W] -> scores and boxes [N, classes + 4, H / 4, W / 4], by a convolution that sees where it is."""

    def __init__(self, classes: int = 80, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, width, stride=2), ConvBN(width, width, stride=2))
        self.stage = CSPStage(width, 2 * width, blocks=2)
        self.head = nn.Conv2d(2 * width + 2, classes + 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stage(self.stem(x))
        h, w = y.shape[2:]
        xs, ys = torch.linspace(-1, 1, w).expand(1, 1, h, w), torch.linspace(-1, 1, h)[:, None].expand(1, 1, h, w)
        return self.head(torch.cat([y, xs, ys], 1))

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Values:
        y = nb.child(g, self, "stage", nb.child(g, self, "stem", inputs))
        return nb.child(g, self, "head", nb.coordconcat(g, y))


def example(width: int = 32) -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(0)
    return Detector(width=width).eval(), {"picture": torch.randn(1, 3, 128, 96)}


if __name__ == "__main__":
    from proof import main

    main(*example(), "ppyoloe_block")
