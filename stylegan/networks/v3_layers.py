"""StyleGAN3's layers: the Fourier-feature input, and the modulated convolution with its filtered activation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import ncnn_builder as nb
from stylegan._torch import Tensor, nn, torch
from stylegan.networks.filters import design_lowpass_filter
from stylegan.networks.functional import filtered_lrelu, modulated_conv2d
from stylegan.networks.layers import (
    FullyConnectedLayer,
    check_sizes,
    expect_shape,
    normalize_2nd_moment,
    normalize_2nd_moment_ncnn,
)
from stylegan.networks.precision import compute_dtype


def rotation_and_translation(t: Tensor) -> Tensor:
    """(cosine, sine, x, y) [N, 4] -> the upper two rows of R @ T [N, 2, 3]: translation by (-x, -y), then rotation."""
    c, s, x, y = t.unbind(dim=1)
    return torch.stack([c, -s, s * y - c * x, s, c, -s * x - c * y], dim=1).reshape(-1, 2, 3)


class SynthesisInput(nn.Module):
    """Fourier features, rotated and translated by the style and then by the user's `transform`, through a 1x1 layer.

    w [N, w_dim] -> [N, channels, size, size]. size: (width, height) in pixels or one number; sampling_rate: pixels
    per unit of length; bandwidth: the largest frequency, in cycles per unit. The buffer `transform` [3, 3] maps
    homogeneous coordinates of the picture; the identity changes nothing.
    Source: Karras et al. 2021, section 3.2 and appendix F.
    """

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(
        self, w_dim: int, channels: int, size: int | Sequence[int], sampling_rate: float, bandwidth: float
    ) -> None:
        super().__init__()
        self.w_dim, self.channels = w_dim, channels
        self.size = _pair(size)
        self.sampling_rate, self.bandwidth = float(sampling_rate), float(bandwidth)
        # Frequencies uniform in the disc: radii of a 2-D normal distribution mapped to their own quantile's root.
        freqs = torch.randn(channels, 2)
        radii = freqs.square().sum(dim=1, keepdim=True).sqrt()
        freqs = freqs / (radii * radii.square().exp().pow(0.25)) * bandwidth
        phases = torch.rand(channels) - 0.5  # in cycles
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnectedLayer(w_dim, 4, weight_init=0, bias_init=[1, 0, 0, 0])
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", freqs)
        self.register_buffer("phases", phases)

    def grid(self) -> Tensor:
        """The coordinates of the pixels' centres, [height, width, 3] with a 1 behind x and y, 0 in the middle."""
        width, height = self.size
        x, y = ((torch.arange(n, device=self.freqs.device) + 0.5 - n / 2) / self.sampling_rate for n in self.size)
        return torch.stack([x.expand(height, width), y[:, None].expand(height, width), x.new_ones(height, width)], -1)

    def forward(self, w: Tensor) -> Tensor:
        expect_shape("synthesis.input: w", w, None, self.w_dim)
        expect_shape("synthesis.input: transform", self.transform, 3, 3)
        t: Tensor = self.affine(w)  # [N, 4]: r_c, r_s, t_x, t_y
        matrix = rotation_and_translation(t / t[:, :2].norm(dim=1, keepdim=True))  # [N, 2, 3]
        freqs = self.freqs @ (matrix @ self.transform)  # [N, channels, 3]: f_x, f_y and a phase
        amplitude = 1 - (freqs[:, :, :2].norm(dim=2) - self.bandwidth) / (self.sampling_rate / 2 - self.bandwidth)
        angles = self.grid() @ freqs[:, None].transpose(2, 3) + self.phases  # [N, height, width, channels], in cycles
        features = torch.sin(angles * (2 * math.pi)) * amplitude.clamp(0, 1)[:, None, None]
        y: Tensor = features @ (self.weight / math.sqrt(self.channels)).t()
        return y.permute(0, 3, 1, 2)

    def export_ncnn(self, g: nb.Graph, bottom_names: nb.ValueLike, transform: nb.Value | None = None) -> nb.Values:
        """Inputs [ws0, ws1, mixing]; style 0. transform: a graph input [3, 3] instead of the buffer."""
        w = nb.StyleMixingSwitcher(g, bottom_names, ws_i=0)
        t = nb.child(g, self, "affine", w)
        return nb.synthesis_input(
            g,
            t,
            self.freqs,
            self.phases,
            self.weight / math.sqrt(self.channels),
            size=(self.size[1], self.size[0]),
            sampling_rate=self.sampling_rate,
            bandwidth=self.bandwidth,
            transform=self.transform if transform is None else transform,
        )


class SynthesisLayer(nn.Module):
    """Modulated convolution, then bias and leaky ReLU at a higher sampling rate between two low-pass filters.

    x [N, in_channels, in_size, in_size], w [N, w_dim] -> [N, out_channels, out_size, out_size]. Sizes are
    (width, height) in pixels or one number; rates, cutoffs and half_widths in pixels or cycles per unit of length.
    `is_torgb`: no demodulation, no activation, no filter. use_fp16: half precision in training on GPUs
    (precision.py). Source: Karras et al. 2021, section 3 and appendix C.
    """

    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(
        self,
        w_dim: int,
        is_torgb: bool,
        is_critically_sampled: bool,
        use_fp16: bool,
        in_channels: int,
        out_channels: int,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        in_sampling_rate: float,
        out_sampling_rate: float,
        in_cutoff: float,
        out_cutoff: float,
        in_half_width: float,
        out_half_width: float,
        conv_kernel: int = 3,
        filter_size: int = 6,
        lrelu_upsampling: int = 2,
        use_radial_filters: bool = False,
        conv_clamp: float | None = 256,
        magnitude_ema_beta: float = 0.999,
    ) -> None:
        check_sizes(
            *(("in_channels", in_channels, 1), ("out_channels", out_channels, 1), ("conv_kernel", conv_kernel, 1)),
            *(("filter_size", filter_size, 1), ("lrelu_upsampling", lrelu_upsampling, 1)),
        )
        super().__init__()
        self.w_dim, self.is_torgb, self.use_fp16 = w_dim, is_torgb, use_fp16
        self.in_channels, self.out_channels = in_channels, out_channels
        self.in_size, self.out_size = _pair(in_size), _pair(out_size)
        self.conv_kernel = 1 if is_torgb else conv_kernel
        self.conv_clamp = conv_clamp
        self.magnitude_ema_beta = magnitude_ema_beta
        self.weight_gain = 1 / math.sqrt(in_channels * self.conv_kernel**2)  # of the styles of a ToRGB layer

        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, self.conv_kernel, self.conv_kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("magnitude_ema", torch.ones([]))

        rate = max(in_sampling_rate, out_sampling_rate) * (1 if is_torgb else lrelu_upsampling)  # of the activation
        self.up_factor = _factor("in_sampling_rate", rate, in_sampling_rate)
        self.down_factor = _factor("out_sampling_rate", rate, out_sampling_rate)
        up_taps, down_taps = (
            filter_size * factor if factor > 1 and not is_torgb else 1 for factor in (self.up_factor, self.down_factor)
        )
        radial = use_radial_filters and not is_critically_sampled
        up_filter = design_lowpass_filter(up_taps, in_cutoff, in_half_width * 2, rate)
        down_filter = design_lowpass_filter(down_taps, out_cutoff, out_half_width * 2, rate, radial)
        self.register_buffer("up_filter", up_filter)
        self.register_buffer("down_filter", down_filter)

        self.padding: list[int] = []  # (x0, x1, y0, y1) at the activation's rate; negative numbers crop
        for size, wanted in zip(self.in_size, self.out_size, strict=True):
            need = (wanted - 1) * self.down_factor + 1 + (up_taps - 1) + (down_taps - 1)
            total = need - (size + self.conv_kernel - 1) * self.up_factor
            low = (total + self.up_factor) // 2
            self.padding += [low, total - low]

    @property
    def activation(self) -> dict[str, Any]:
        """Slope, gain and clamp of the leaky ReLU; a ToRGB layer is linear."""
        slope, gain = (1.0, 1.0) if self.is_torgb else (0.2, math.sqrt(2))
        return dict(slope=slope, gain=gain, clamp=self.conv_clamp)

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        noise_mode: str = "const",
        force_fp32: bool = False,
        update_emas: bool = False,
    ) -> Tensor:
        """noise_mode is an official keyword and changes nothing: there is no noise."""
        width, height = self.in_size
        expect_shape("synthesis layer: x", x, None, self.in_channels, height, width)
        expect_shape("synthesis layer: w", w, len(x), self.w_dim)
        if update_emas:
            self.magnitude_ema.copy_(
                x.detach().float().square().mean().lerp(self.magnitude_ema, self.magnitude_ema_beta)
            )
        styles: Tensor = self.affine(w)  # [N, in_channels]
        weight: Tensor = self.weight
        if self.is_torgb:
            styles = styles * self.weight_gain
        else:
            styles, weight = normalize_2nd_moment(styles, None, 0), normalize_2nd_moment(weight, (1, 2, 3), 0)
        x = modulated_conv2d(
            x.to(compute_dtype(self.use_fp16 and not force_fp32, self, x)),
            weight,
            styles,
            padding=self.conv_kernel - 1,
            demodulate=not self.is_torgb,
            gain=self.magnitude_ema.rsqrt(),
        )
        return filtered_lrelu(
            x,
            self.up_filter,
            self.down_filter,
            self.bias,
            up=self.up_factor,
            down=self.down_factor,
            padding=self.padding,
            **self.activation,
        )

    def export_ncnn(self, g: nb.Graph, bottom_names: nb.ValueLike, ws_i: int) -> nb.Values:
        """Inputs [x, ws0, ws1, mixing]; style number ws_i."""
        x, *ws = nb.check_bottom_names(bottom_names)
        styles = nb.child(g, self, "affine", nb.StyleMixingSwitcher(g, ws, ws_i=ws_i))
        weight: Tensor = self.weight
        if self.is_torgb:
            styles = nb.MulConstant(g, styles, scale=self.weight_gain)
        else:
            weight = normalize_2nd_moment(weight, (1, 2, 3), 0)
            styles = normalize_2nd_moment_ncnn(g, styles, eps=0)
        y = nb.modulated_conv2d(
            g,
            [x, *styles],
            weight,
            padding=self.conv_kernel - 1,
            demodulate=not self.is_torgb,
            gain=self.magnitude_ema.rsqrt(),
        )
        x0, x1, y0, y1 = self.padding
        return nb.filtered_lrelu(
            g,
            y,
            self.up_filter,
            self.down_filter,
            self.bias,
            up=self.up_factor,
            down=self.down_factor,
            padding=(y0, y1, x0, x1),
            **self.activation,
        )


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, (int, Integral)) else size
    return int(width), int(height)


def _factor(name: str, high: float, low: float) -> int:
    factor = round(high / low)
    if factor < 1 or factor * low != high:
        raise ValueError(f"{name} must divide the rate of the activation, {high}, got {low}")
    return factor
