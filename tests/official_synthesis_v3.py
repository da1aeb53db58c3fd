"""StyleGAN3's synthesis network in the order of the official one, as official_synthesis.py is of StyleGAN2-ADA's.

Sizes, borders and filters are those that stylegan.v3's constructor works out; nothing of its forward() is used.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from official_synthesis import FullyConnected, bias_act, upfirdn2d
from torch import Tensor, nn
from torch.nn import functional as F


def modulated_conv2d(x: Tensor, w: Tensor, s: Tensor, demodulate: bool, padding: int, input_gain: Tensor) -> Tensor:
    n, (_, inner, kh, kw) = x.shape[0], w.shape
    if demodulate:
        w = w * w.square().mean([1, 2, 3], keepdim=True).rsqrt()
        s = s * s.square().mean().rsqrt()
    w = w.unsqueeze(0)
    w = w * s.unsqueeze(1).unsqueeze(3).unsqueeze(4)
    if demodulate:
        dcoefs = (w.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt()
        w = w * dcoefs.unsqueeze(2).unsqueeze(3).unsqueeze(4)
    input_gain = input_gain.expand(n, inner)
    w = w * input_gain.unsqueeze(1).unsqueeze(3).unsqueeze(4)
    x = x.reshape(1, -1, *x.shape[2:])
    w = w.reshape(-1, inner, kh, kw)
    x = F.conv2d(x, w.to(x.dtype), padding=padding, groups=n)
    return x.reshape(n, -1, *x.shape[2:])


class Input(nn.Module):
    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.size, self.sampling_rate, self.bandwidth = np.asarray(ours.size), ours.sampling_rate, ours.bandwidth
        self.weight = nn.Parameter(torch.empty(ours.channels, ours.channels))
        self.affine = FullyConnected(ours.w_dim, 4)
        for name in ("transform", "freqs", "phases"):
            self.register_buffer(name, torch.empty_like(getattr(ours, name)))

    def forward(self, w: Tensor) -> Tensor:
        transforms, freqs, phases = self.transform.unsqueeze(0), self.freqs.unsqueeze(0), self.phases.unsqueeze(0)
        t = self.affine(w)
        t = t / t[:, :2].norm(dim=1, keepdim=True)
        m_r = torch.eye(3).unsqueeze(0).repeat([w.shape[0], 1, 1])
        m_r[:, 0, 0] = t[:, 0]
        m_r[:, 0, 1] = -t[:, 1]
        m_r[:, 1, 0] = t[:, 1]
        m_r[:, 1, 1] = t[:, 0]
        m_t = torch.eye(3).unsqueeze(0).repeat([w.shape[0], 1, 1])
        m_t[:, 0, 2] = -t[:, 2]
        m_t[:, 1, 2] = -t[:, 3]
        transforms = m_r @ m_t @ transforms
        phases = phases + (freqs @ transforms[:, :2, 2:]).squeeze(2)
        freqs = freqs @ transforms[:, :2, :2]
        amplitudes = (1 - (freqs.norm(dim=2) - self.bandwidth) / (self.sampling_rate / 2 - self.bandwidth)).clamp(0, 1)
        theta = torch.eye(2, 3)
        theta[0, 0] = 0.5 * self.size[0] / self.sampling_rate
        theta[1, 1] = 0.5 * self.size[1] / self.sampling_rate
        grids = F.affine_grid(theta.unsqueeze(0), [1, 1, int(self.size[1]), int(self.size[0])], align_corners=False)
        x = (grids.unsqueeze(3) @ freqs.permute(0, 2, 1).unsqueeze(1).unsqueeze(2)).squeeze(3)
        x = x + phases.unsqueeze(1).unsqueeze(2)
        x = torch.sin(x * (np.pi * 2))
        x = x * amplitudes.unsqueeze(1).unsqueeze(2)
        x = x @ (self.weight / np.sqrt(len(self.weight))).t()
        return x.permute(0, 3, 1, 2)


class Layer(nn.Module):
    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.is_torgb, self.padding, self.clamp = ours.is_torgb, ours.padding, ours.conv_clamp
        self.up, self.down = ours.up_factor, ours.down_factor
        self.affine = FullyConnected(ours.w_dim, ours.in_channels)
        self.weight = nn.Parameter(torch.empty_like(ours.weight))
        self.bias = nn.Parameter(torch.empty_like(ours.bias))
        for name in ("magnitude_ema", "up_filter", "down_filter"):
            held = getattr(ours, name)
            self.register_buffer(name, None if held is None else torch.empty_like(held))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        kernel = self.weight.shape[-1]
        styles = self.affine(w)
        if self.is_torgb:
            styles = styles * (1 / math.sqrt(self.weight.shape[1] * kernel**2))
        gain = self.magnitude_ema.rsqrt()
        x = modulated_conv2d(x, self.weight, styles, not self.is_torgb, kernel - 1, gain)
        left, right, top, bottom = self.padding
        x = bias_act(x, self.bias.to(x.dtype))
        x = upfirdn2d(x, self.up_filter, self.up, 1, (left, right, top, bottom), gain=self.up**2)
        act, slope_gain = ("linear", 1.0) if self.is_torgb else ("lrelu", math.sqrt(2))
        x = bias_act(x, None, act, slope_gain, self.clamp)
        return upfirdn2d(x, self.down_filter, down=self.down)


class Synthesis(nn.Module):
    """ws [N, num_ws, w_dim] -> picture; ours: a SynthesisNetwork of stylegan.v3, whose state_dict it takes."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.output_scale, self.layer_names = ours.output_scale, list(ours.layer_names)
        self.input = Input(ours.input)
        for name in self.layer_names:
            setattr(self, name, Layer(getattr(ours, name)))
        self.load_state_dict(ours.state_dict())

    def forward(self, ws: Tensor) -> Tensor:
        ws = ws.to(torch.float32).unbind(dim=1)
        x = self.input(ws[0])
        for name, w in zip(self.layer_names, ws[1:], strict=True):
            x = getattr(self, name)(x, w)
        if self.output_scale != 1:
            x = x * self.output_scale
        return x.to(torch.float32)
