"""MobileStyleGAN (Belousov 2021, arXiv 2104.04767): StyleGAN2, distilled into separable convolutions and wavelets.

Each convolution goes channel by channel first, with 3 x 3, and mixes channels with 1 x 1; the weight of the latter is
modulated, which is the same as scaling the input of the former. Pictures are made twice as large by the inverse Haar
transform of four bands of channels. The names of parameters are those of the files.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .ir import IRError, Layer, read

STYLE = 512
CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)
"""At 4 x 4, 8 x 8, ... 512 x 512; the picture is made of bands of that size."""
_HAAR = 0.5  # 1 / sqrt(2) along each axis


class Mapping(nn.Module):
    """z [N, 512] -> style [N, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(STYLE, STYLE) for _ in range(8))

    def forward(self, z: Tensor) -> Tensor:
        z = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            z = F.leaky_relu(layer(z), 0.2) * 2**0.5
        return z


class Convolution(nn.Module):
    """Modulated, with noise, bias and leaky ReLU."""

    def __init__(self, ins: int, outs: int, side: int, separable: bool = True) -> None:
        super().__init__()
        self.separable = separable
        self.modulation = nn.Linear(STYLE, ins)
        if separable:
            self.each = nn.Parameter(torch.empty(ins, 1, 3, 3))
        self.weight = nn.Parameter(torch.empty(outs, ins, *((1, 1) if separable else (3, 3))))
        self.noise, self.bias = nn.Parameter(torch.empty(1, side, side)), nn.Parameter(torch.empty(outs))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weight * self.modulation(style)[:, :, None, None]  # a batch of one
        if self.separable:
            x = F.conv2d(F.conv2d(x, self.each, padding=1, groups=len(self.each)), weight)
        else:
            x = F.conv2d(x, weight, padding=1)
        return F.leaky_relu(x + self.noise + self.bias[:, None, None], 0.2)


def haar(x: Tensor) -> Tensor:
    """The inverse Haar transform of four bands of channels, one behind the other: what each pixel becomes, upper left,
    upper right, lower left, lower right, likewise. Its factor of a half is in the weights before it."""
    low, down, right, both = x.chunk(4, dim=-3)
    upper, lower, upper_right, lower_right = low + down, low - down, right + both, right - both
    return torch.cat([upper + upper_right, upper - upper_right, lower + lower_right, lower - lower_right], dim=-3)


def larger(x: Tensor) -> Tensor:
    """Four pixels for one: [N, 4 C, H, W], as of haar(), -> [N, C, 2 H, 2 W]."""
    n, c, h, w = x.shape
    return x.view(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, 2 * h, 2 * w)


class Block(nn.Module):
    """Twice as large, and two convolutions."""

    def __init__(self, ins: int, outs: int, side: int) -> None:
        super().__init__()
        self.up = nn.Linear(STYLE, ins)
        self.conv1 = Convolution(ins // 4, outs, side)
        self.conv2 = Convolution(outs, outs, side)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = larger(haar(x * self.up(style)[:, :, None, None]))
        return self.conv2(self.conv1(x, style), style)


class Synthesis(nn.Module):
    """style [1, 512] -> picture [1, 3, 1024, 1024], -1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.empty(1, CHANNELS[0], 4, 4))
        self.first = Convolution(CHANNELS[0], CHANNELS[0], 4, separable=False)
        self.blocks = nn.ModuleList(Block(ins, outs, 8 << i) for i, (ins, outs) in enumerate(pairwise(CHANNELS)))
        self.modulation = nn.Linear(STYLE, CHANNELS[-1])
        self.picture = nn.Conv2d(CHANNELS[-1], 12, 1)

    def forward(self, style: Tensor) -> Tensor:
        x = self.first(self.input, style)
        for block in self.blocks:
            x = block(x, style)
        weight = self.picture.weight * self.modulation(style)[:, :, None, None]
        return larger(F.conv2d(x, weight) + self.picture.bias[:, None, None])


def load(folder: Path) -> tuple[Mapping, Synthesis]:
    """The networks of MappingNetwork.xml and SynthesisNetwork.xml. Raises IRError where they are not these."""
    return _mapping(read(folder / "MappingNetwork.xml")), _synthesis(read(folder / "SynthesisNetwork.xml"))


def _mapping(layers: list[Layer]) -> Mapping:
    products = [m for m in layers if m.type == "MatMul"]
    state = {}
    for i, (product, total) in enumerate(zip(products, _added_to(layers, products), strict=True)):
        state |= {f"layers.{i}.weight": product.inputs[1].value, f"layers.{i}.bias": total}
    return _filled(Mapping(), state)


def _synthesis(layers: list[Layer]) -> Synthesis:
    net = Synthesis()
    held = {f"{x.name}".removeprefix("m."): x.value for x in layers if x.value is not None}
    # What the exporter named by number, in the order in which it is used.
    mixes = [x.inputs[1].value for x in layers if x.type == "Convolution"]
    noises = [x.inputs[1].value for x in layers if x.type == "Add" and x.inputs[0].type == "Convolution"]
    places = ["first", *(f"blocks.{i}.conv{k}" for i in range(len(net.blocks)) for k in (1, 2)), "picture"]
    if not len(mixes) == len(noises) == len(places):
        raise IRError(
            f"expected {len(places)} convolutions that something is added to, got {len(mixes)}, {len(noises)}"
        )
    state = {"input": held.get("input.input")}
    for place, mix, noise in zip(places, mixes, noises, strict=True):
        state[f"{place}.weight"] = mix
        if place == "picture":
            state["picture.bias"] = noise
            break
        theirs = place.replace("first", "conv1").replace("blocks", "layers")
        state |= {f"{place}.noise": noise, f"{place}.bias": held.get(f"{theirs}.bias")}
        if place != "first":
            state[f"{place}.each"] = held.get(f"{theirs}.conv.weight_dw")
        state |= _modulation(f"{place}.modulation", held, f"{theirs}.conv.modulation")
    for i in range(len(net.blocks)):
        state |= _modulation(f"blocks.{i}.up", held, f"layers.{i}.up.modulation")
    last = len(net.blocks) - 1
    state |= _modulation("modulation", held, f"layers.{last}.to_img.conv.modulation")
    net = _filled(net, state)
    _arrange(net)
    return net


def _added_to(layers: list[Layer], products: list[Layer]) -> list[np.ndarray | None]:
    """The constant that is added to each product; a Reshape of either to its own size may lie between."""

    def behind(x: Layer) -> Layer:
        return x.inputs[0] if x.type == "Reshape" else x

    sums = [(behind(x.inputs[0]), behind(x.inputs[1])) for x in layers if x.type == "Add"]
    found = [next((b.value if a is p else a.value for a, b in sums if p in (a, b)), None) for p in products]
    return found


def _modulation(ours: str, held: dict[str, np.ndarray], theirs: str) -> dict[str, np.ndarray | None]:
    return {f"{ours}.weight": held.get(f"{theirs}.weight"), f"{ours}.bias": held.get(f"{theirs}.bias")}


def _filled(net: nn.Module, state: dict[str, np.ndarray | None]) -> Any:
    """The network with these numbers, each of as many as it has. Raises IRError."""
    for name, own in net.state_dict().items():
        value = state.pop(name, None)
        got = "nothing" if value is None else list(value.shape)
        if value is None or value.size != own.numel():
            raise IRError(f"{name}: expected {list(own.shape)}, got {got}: the files hold another network")
        own.copy_(torch.from_numpy(value.astype(np.float32)).reshape(own.shape))
    if state:
        raise IRError(f"{next(iter(state))} has no place: the files hold another network")
    return net.eval().requires_grad_(False)


def _arrange(net: Synthesis) -> None:
    """Bands one behind the other, where the files have the three of details side by side for each channel; and the
    factors of modulated convolutions, 1 / sqrt(inputs * 3 * 3), and of the Haar transform in what makes the scales."""
    for scaled in (net.first, *(c for block in net.blocks for c in (block.conv1, block.conv2))):
        _scale(scaled.modulation, (scaled.weight.shape[1] * 9) ** -0.5)
    _scale(net.modulation, net.picture.in_channels**-0.5)
    before = [net.first, *(block.conv2 for block in net.blocks[:-1])]
    for convolution, block in zip(before, net.blocks, strict=True):
        order = _bands(len(convolution.bias))
        for p in (convolution.weight, convolution.bias, block.up.weight, block.up.bias):
            p.copy_(p[order])
        _scale(block.up, _HAAR)
    order = _bands(net.picture.out_channels)  # nothing is between the last transform and the picture's convolution
    for p in (net.picture.weight, net.picture.bias):
        p.copy_(haar(p[order].view(-1, 1, p[0].numel()) * _HAAR).view_as(p))


def _scale(layer: nn.Linear, factor: float) -> None:
    layer.weight.mul_(factor)
    layer.bias.mul_(factor)


def _bands(channels: int) -> list[int]:
    """Where the channels of each band are in the files: the first quarter, and every third of the rest."""
    n = channels // 4
    return [*range(n), *(n + 3 * i + band for band in range(3) for i in range(n))]
