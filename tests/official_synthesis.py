"""StyleGAN2-ADA's synthesis network computed step by step in the order of the official one, without a line of the DSL.

An oracle for the front end: what somebody brings who has the official forward() and nothing else. Weights are modulated
and demodulated per sample, samples are groups of one convolution, upsampling is a transposed convolution and a filter,
zeros are inserted by padding axes of one, noise is added in place. Keys of the state_dict are the official ones.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def filter_taps(taps: tuple[float, ...] = (1, 3, 3, 1)) -> Tensor:
    f = torch.outer(*(torch.tensor(taps, dtype=torch.float32),) * 2)
    return f / f.sum()


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    flip_filter: bool = False,
    gain: float = 1,
) -> Tensor:
    """Zeros, border or crop, filter, every `down`-th pixel. padding: left, right, top, bottom."""
    f = torch.ones([1, 1]) if f is None else f
    n, c, h, w = x.shape
    x = x.reshape([n, c, h, 1, w, 1])
    x = F.pad(x, [0, up - 1, 0, 0, 0, up - 1])
    x = x.reshape([n, c, h * up, w * up])
    left, right, top, bottom = padding
    x = F.pad(x, [max(side, 0) for side in padding])
    x = x[:, :, max(-top, 0) : x.shape[2] - max(-bottom, 0), max(-left, 0) : x.shape[3] - max(-right, 0)]
    f = f * (gain ** (f.ndim / 2))
    f = f.to(x.dtype)
    if not flip_filter:
        f = f.flip(list(range(f.ndim)))
    f = f[None, None].repeat([c, 1] + [1] * f.ndim)
    if f.ndim == 4:
        x = F.conv2d(x, f, groups=c)
    else:
        x = F.conv2d(x, f.unsqueeze(2), groups=c)
        x = F.conv2d(x, f.unsqueeze(3), groups=c)
    return x[:, :, ::down, ::down]


def upsample2d(x: Tensor, f: Tensor, up: int = 2) -> Tensor:
    n = f.shape[-1]
    before, behind = (n + up - 1) // 2, (n - up) // 2
    return upfirdn2d(x, f, up=up, padding=(before, behind, before, behind), gain=up * up)


def conv2d_resample(x: Tensor, w: Tensor, f: Tensor | None, up: int, padding: int, groups: int, flip: bool) -> Tensor:
    """flip: whether `w` is correlated with, as torch does."""
    out, inner, kh, kw = w.shape
    if up == 1:
        return F.conv2d(x, w if flip else w.flip([2, 3]), padding=padding, groups=groups)
    assert f is not None
    n = f.shape[-1]
    before, behind = padding + (n + up - 1) // 2, padding + (n - up) // 2
    if kh == kw == 1:
        x = F.conv2d(x, w if flip else w.flip([2, 3]), groups=groups)
        return upfirdn2d(x, f, up=up, padding=(before, behind, before, behind), gain=up**2)
    if groups == 1:
        w = w.transpose(0, 1)
    else:
        w = w.reshape(groups, out // groups, inner, kh, kw)
        w = w.transpose(1, 2)
        w = w.reshape(groups * inner, out // groups, kh, kw)
    before, behind = before - (kw - 1), behind - (kw - up)
    cut = max(min(-before, -behind), 0)
    x = F.conv_transpose2d(x, w.flip([2, 3]) if flip else w, stride=up, padding=[cut, cut], groups=groups)
    before, behind = before + cut, behind + cut
    return upfirdn2d(x, f, padding=(before, behind, before, behind), gain=up**2)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None = None,
    up: int = 1,
    padding: int = 0,
    f: Tensor | None = None,
    demodulate: bool = True,
    fused: bool = True,
) -> Tensor:
    """fused: modulate the weights, each sample in a group of its own; else the picture in front of and behind them."""
    n, (_, inner, kh, kw) = x.shape[0], weight.shape
    w = dcoefs = None
    if demodulate or fused:
        w = weight.unsqueeze(0)
        w = w * styles.reshape(n, 1, -1, 1, 1)
    if demodulate:
        assert w is not None
        dcoefs = (w.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt()
    if not fused:
        x = x * styles.reshape(n, -1, 1, 1)
        x = conv2d_resample(x, weight, f, up, padding, 1, up == 1)
        if dcoefs is not None:
            x = x * dcoefs.reshape(n, -1, 1, 1)
        return x if noise is None else x.add_(noise)
    assert w is not None
    if dcoefs is not None:
        w = w * dcoefs.reshape(n, -1, 1, 1, 1)
    x = x.reshape(1, -1, *x.shape[2:])
    w = w.reshape(-1, inner, kh, kw)
    x = conv2d_resample(x, w, f, up, padding, n, up == 1)
    x = x.reshape(n, -1, *x.shape[2:])
    return x if noise is None else x.add_(noise)


def bias_act(
    x: Tensor, b: Tensor | None, act: str = "linear", gain: float | None = None, clamp: float | None = None
) -> Tensor:
    if b is not None:
        x = x + b.reshape([-1 if i == 1 else 1 for i in range(x.ndim)])
    if act == "lrelu":
        x = F.leaky_relu(x, 0.2)
    gain = (math.sqrt(2) if act == "lrelu" else 1) if gain is None else gain
    if gain != 1:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


class FullyConnected(nn.Module):
    def __init__(self, inner: int, out: int, act: str = "linear", lr: float = 1) -> None:
        super().__init__()
        self.act = act
        self.weight = nn.Parameter(torch.randn(out, inner) / lr)
        self.bias = nn.Parameter(torch.zeros(out))
        self.weight_gain, self.bias_gain = lr / math.sqrt(inner), lr

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight.to(x.dtype) * self.weight_gain
        b = self.bias.to(x.dtype)
        if self.bias_gain != 1:
            b = b * self.bias_gain
        if self.act == "linear":
            return torch.addmm(b.unsqueeze(0), x, w.t())
        return bias_act(x.matmul(w.t()), b, self.act)


class Layer(nn.Module):
    resample_filter: Tensor
    noise_const: Tensor

    def __init__(self, inner: int, out: int, w_dim: int, size: int, up: int, clamp: float | None, fused: bool) -> None:
        super().__init__()
        self.up, self.clamp, self.fused = up, clamp, fused
        self.register_buffer("resample_filter", filter_taps())
        self.affine = FullyConnected(w_dim, inner)
        self.weight = nn.Parameter(torch.randn(out, inner, 3, 3))
        self.register_buffer("noise_const", torch.randn(size, size))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor, w: Tensor, gain: float = 1) -> Tensor:
        styles = self.affine(w)
        noise = self.noise_const * self.noise_strength
        x = modulated_conv2d(x, self.weight, styles, noise, self.up, 1, self.resample_filter, fused=self.fused)
        clamp = None if self.clamp is None else self.clamp * gain
        return bias_act(x, self.bias.to(x.dtype), "lrelu", math.sqrt(2) * gain, clamp)


class ToRGB(nn.Module):
    def __init__(self, inner: int, out: int, w_dim: int, clamp: float | None, fused: bool) -> None:
        super().__init__()
        self.clamp, self.fused = clamp, fused
        self.affine = FullyConnected(w_dim, inner)
        self.weight = nn.Parameter(torch.randn(out, inner, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out))
        self.weight_gain = 1 / math.sqrt(inner)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain
        x = modulated_conv2d(x, self.weight, styles, demodulate=False, fused=self.fused)
        return bias_act(x, self.bias.to(x.dtype), clamp=self.clamp)


class Skip(nn.Module):
    """The 1x1 convolution around a block of the architecture resnet."""

    resample_filter: Tensor

    def __init__(self, inner: int, out: int) -> None:
        super().__init__()
        self.register_buffer("resample_filter", filter_taps())
        self.weight = nn.Parameter(torch.randn(out, inner, 1, 1))
        self.weight_gain = 1 / math.sqrt(inner)

    def forward(self, x: Tensor, gain: float = 1) -> Tensor:
        x = conv2d_resample(x, self.weight * self.weight_gain, self.resample_filter, 2, 0, 1, False)
        return bias_act(x, None, gain=gain)


class Block(nn.Module):
    resample_filter: Tensor

    def __init__(self, inner: int, out: int, w_dim: int, size: int, colours: int, last: bool, **kw: Any) -> None:
        super().__init__()
        self.architecture = kw["architecture"]
        clamp, fused = kw["clamp"], kw["fused"]
        self.register_buffer("resample_filter", filter_taps())
        if inner == 0:
            self.const = nn.Parameter(torch.randn(out, size, size))
        else:
            self.conv0 = Layer(inner, out, w_dim, size, 2, clamp, fused)
        self.conv1 = Layer(out, out, w_dim, size, 1, clamp, fused)
        self.num_conv = 1 if inner == 0 else 2
        self.has_torgb = last or self.architecture == "skip"
        if self.has_torgb:
            self.torgb = ToRGB(out, colours, w_dim, clamp, fused)
        if inner and self.architecture == "resnet":
            self.skip = Skip(inner, out)

    def forward(self, x: Tensor | None, img: Tensor | None, ws: Tensor) -> tuple[Tensor, Tensor | None]:
        w = iter(ws.unbind(dim=1))
        if x is None:
            x = self.const.to(ws.dtype)
            x = x.unsqueeze(0).repeat([ws.shape[0], 1, 1, 1])
            x = self.conv1(x, next(w))
        elif self.architecture == "resnet":
            y = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv0(x, next(w))
            x = self.conv1(x, next(w), gain=math.sqrt(0.5))
            x = y.add_(x)
        else:
            x = self.conv0(x, next(w))
            x = self.conv1(x, next(w))
        if img is not None:
            img = upsample2d(img, self.resample_filter)
        if self.has_torgb:
            y = self.torgb(x, next(w))
            y = y.to(dtype=torch.float32, memory_format=torch.contiguous_format)
            img = img.add_(y) if img is not None else y
        return x, img


class Synthesis(nn.Module):
    """ws [N, num_ws, w_dim] -> picture [N, img_channels, R, R]; keyword arguments are the official ones but `fused`."""

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
        architecture: str = "skip",
        num_fp16_res: int = 0,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.resolutions = [2**i for i in range(2, img_resolution.bit_length())]
        inner = 0
        for size in self.resolutions:
            out = min(channel_base // size, channel_max)
            options = dict(architecture=architecture, clamp=conv_clamp, fused=fused)
            block = Block(inner, out, w_dim, size, img_channels, size == img_resolution, **options)
            setattr(self, f"b{size}", block)
            inner = out

    def forward(self, ws: Tensor) -> Tensor:
        blocks = [getattr(self, f"b{size}") for size in self.resolutions]
        parts, first = [], 0
        ws = ws.to(torch.float32)
        for block in blocks:
            parts.append(ws.narrow(1, first, block.num_conv + int(block.has_torgb)))
            first += block.num_conv
        x = img = None
        for block, part in zip(blocks, parts, strict=True):
            x, img = block(x, img, part)
        assert isinstance(img, Tensor)
        return img
