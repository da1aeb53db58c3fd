"""A classifier like ResNet-18: torch's modules export themselves, so what is left to write is the order of things.

`python examples/resnet.py` writes resnet.param and resnet.bin for any ncnn, and proves them.
On the targets `stock` and `fused` each convolution, its BatchNorm and its ReLU become one layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ncnn_builder as nb


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: x [N, C, H, W] -> [N, out, H / stride, W / stride]."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + self.shortcut(x))

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Values:
        y = inputs
        for name in ("conv1", "bn1", "relu", "conv2", "bn2"):
            y = nb.child(g, self, name, y)
        shortcut = nb.child(g, self, "shortcut", inputs)
        return nb.activation(g, nb.binaryOp(g, [y, shortcut], "Add"), "relu")  # a layer of its own, as torch.relu() is


class ResNet(nn.Module):
    """Pictures [N, 3, H, W] -> logits [N, classes]; 18 layers where depth is 2."""

    def __init__(self, classes: int = 1000, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, padding=1),
        )
        blocks, channels = [], width
        for stage in range(4):
            for i in range(depth):
                out = width * 2**stage
                blocks.append(Block(channels, out, 2 if stage and not i else 1))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(channels, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Values:
        y = inputs
        for name in ("stem", "blocks", "head"):  # a Sequential is walked, and a Block in it asked
            y = nb.child(g, self, name, y)
        return y


def example(width: int = 64) -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(0)
    return ResNet(width=width).eval(), {"picture": torch.randn(1, 3, 224, 224)}


if __name__ == "__main__":
    from proof import main

    main(*example(), "resnet")
