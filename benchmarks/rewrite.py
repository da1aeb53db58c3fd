"""The generators rewritten by hand into the form that converters like best: what a determined user would give them.

The official code modulates weights at run time and inserts zeros before it filters; no converter makes that fast, and
some make it wrong. Here every weight is a constant:

    y = d * conv(W, s * x),  d = rsqrt(W2 s^2 + 1e-8),  W2[o, i] = sum of W[o, i]^2 over the taps

and whatever else can be folded is: gains into filters, biases and d; the resampling filters of StyleGAN3 are depthwise
convolutions, transposed to go up and strided to go down. `static_form(G, up)` is the synthesis network alone, batch 1:
ws [1, num_ws, w_dim] -> picture [1, C, R, R], equal to `G.synthesis(ws, noise_mode="const")`.

up: how StyleGAN2 doubles the size. "transposed": a transposed convolution, then a depthwise filter; "polyphase": one
3x3 convolution with four times the channels, and a pixel shuffle.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stylegan import v2ada, v3
from stylegan.networks import v2ada_layers, v3_layers
from stylegan.networks.functional import get_activation
from stylegan.networks.layers import normalize_2nd_moment

UP_FORMS = ("transposed", "polyphase")
# lrelu(x) * g = lrelu(x * g) for these: their gain can move to where it costs nothing.
HOMOGENEOUS = ("linear", "relu", "lrelu")


def static_form(G: v2ada.Generator | v3.Generator, up: str = "transposed") -> nn.Module:
    """The static form of G's synthesis network, in eval mode, without gradients."""
    if up not in UP_FORMS:
        raise ValueError(f"up must be {' or '.join(UP_FORMS)}, got {up!r}")
    with torch.no_grad():
        form = StaticV2(G.synthesis, up) if isinstance(G, v2ada.Generator) else StaticV3(G.synthesis)
    return form.eval().requires_grad_(False)


class Affine(nn.Linear):
    """A FullyConnectedLayer with its gains folded; `scale` multiplies what it gives."""

    def __init__(self, layer: Any, scale: float = 1) -> None:
        super().__init__(layer.in_features, layer.out_features)
        self.weight = nn.Parameter(layer.weight * (layer.weight_gain * scale))
        self.bias = nn.Parameter(layer.bias * (layer.bias_gain * scale))


class Demodulation(nn.Module):
    """s [1, I] -> d [1, O, 1, 1] = gain * rsqrt(W2 s^2 + 1e-8)."""

    def __init__(self, weight: Tensor, gain: float) -> None:
        super().__init__()
        self.energy = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.energy.weight = nn.Parameter(weight.square().sum(dim=[2, 3]))
        self.gain = gain

    def forward(self, s: Tensor) -> Tensor:
        d = torch.rsqrt(self.energy(s * s) + 1e-8) * self.gain
        return d.reshape(1, -1, 1, 1)


def convolution(weight: Tensor, padding: int) -> nn.Conv2d:
    """A convolution without bias that has this weight [O, I, kh, kw]."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], list(weight.shape[2:]), padding=padding, bias=False)
    conv.weight = nn.Parameter(weight.contiguous().clone())
    return conv


def depthwise(f: Tensor, channels: int, stride: tuple[int, int], padding: tuple[int, int], up: bool) -> nn.Module:
    """Each channel filtered by f [h, w]: a strided correlation, or for `up` a transposed convolution."""
    kind = nn.ConvTranspose2d if up else nn.Conv2d
    conv = kind(channels, channels, list(f.shape), stride, padding, groups=channels, bias=False)
    conv.weight = nn.Parameter(f.expand(channels, 1, *f.shape).contiguous().clone())
    return conv


def polyphase_weight(weight: Tensor, f: Tensor) -> Tensor:
    """One 3x3 convolution, before a pixel shuffle, for `weight` [O, I, 3, 3] transposed and then f [4, 4].

    K [6, 6] is the full convolution of both; output pixel 2q + r is the sum over d = 0, 1, 2 of
    K[r + 4 - 2d] x[q + d - 1], along each axis. -> [4 O, I, 3, 3], the phases innermost as PixelShuffle wants them.
    """
    o, i = weight.shape[:2]
    taps = f.flip([0, 1])[None, None]  # conv2d correlates
    full = functional.conv2d(weight.reshape(o * i, 1, 3, 3), taps, padding=3).reshape(o, i, 6, 6)
    at = torch.tensor([[4, 2, 0], [5, 3, 1]])  # [r, d]
    phases = full[:, :, at][..., at]  # [O, I, ry, dy, rx, dx]
    return phases.permute(0, 2, 4, 1, 3, 5).reshape(4 * o, i, 3, 3)


class Upsample2d(nn.Module):
    """functional.upsample2d by 2: a depthwise transposed convolution."""

    def __init__(self, f: Tensor, channels: int) -> None:
        super().__init__()
        f = torch.outer(f, f) if f.ndim == 1 else f
        pads = [(size + 1) // 2 for size in f.shape]  # of the zero-inserted picture, in front
        self.crop = [size - 1 - pad for size, pad in zip(f.shape, pads, strict=True)]
        self.conv = depthwise(f * 4, channels, (2, 2), (self.crop[0], self.crop[1]), up=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        height, width = 2 * x.shape[2], 2 * x.shape[3]
        return y if y.shape[2:] == (height, width) else y[:, :, :height, :width]


def up_convolution(weight: Tensor, f: Tensor, form: str) -> nn.Module:
    """conv2d_resample(up=2) for a weight [O, I, k, k] that is not modulated."""
    o, i, k, _ = weight.shape
    f = torch.outer(f, f) if f.ndim == 1 else f
    if form == "polyphase" and k == 3 and f.shape == (4, 4):
        return nn.Sequential(convolution(polyphase_weight(weight, f * 4), 1), nn.PixelShuffle(2))
    transposed = nn.ConvTranspose2d(i, o, k, stride=2, bias=False)
    transposed.weight = nn.Parameter(weight.transpose(0, 1).contiguous())
    taps = f.shape[0]
    low = (taps + 1) // 2 + k // 2 - (k - 1)
    high = (taps - 2) // 2 + k // 2 - (k - 2)
    fir = depthwise((f * 4).flip([0, 1]), o, (1, 1), (low, low) if low == high else (0, 0), up=False)
    pad = [] if low == high else [nn.ZeroPad2d((low, high, low, high))]
    return nn.Sequential(transposed, *pad, fir)


class StaticConv(nn.Module):
    """A SynthesisLayer or ToRGBLayer of StyleGAN2; gain is the branch's of architecture resnet."""

    def __init__(self, layer: Any, form: str, gain: float = 1) -> None:
        super().__init__()
        torgb = isinstance(layer, v2ada_layers.ToRGBLayer)
        name = "linear" if torgb else layer.activation
        act_gain = gain * (1 if torgb else layer.act_gain)
        early = act_gain if name in HOMOGENEOUS else 1.0
        self.late = act_gain / early
        self.activation = get_activation(name)
        self.clamp = None if layer.conv_clamp is None else layer.conv_clamp * gain
        self.affine = Affine(layer.affine, layer.weight_gain * early if torgb else 1)
        self.demodulation = None if torgb else Demodulation(layer.weight, early)
        up = 1 if torgb else layer.up
        if up == 1:
            self.conv: nn.Module = convolution(layer.weight, layer.padding)
        else:
            self.conv = up_convolution(layer.weight, layer.resample_filter, form)
        self.bias = nn.Parameter((layer.bias * early).reshape(1, -1, 1, 1))
        noise = None if torgb else layer.noise(1, "const")
        self.noise = None if noise is None else nn.Parameter((noise * early)[None, None])

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.affine(w)
        y = self.conv(x * s.reshape(1, -1, 1, 1))
        if self.demodulation is not None:
            y = y * self.demodulation(s)
        if self.noise is not None:
            y = y + self.noise
        y = self.activation.func(y + self.bias, self.activation.alpha)
        y = y if self.late == 1 else y * self.late
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class StaticV2(nn.Module):
    """StyleGAN2-ADA, architectures orig, skip and resnet."""

    def __init__(self, synthesis: v2ada.SynthesisNetwork, form: str) -> None:
        super().__init__()
        blocks = [getattr(synthesis, f"b{res}") for res in synthesis.block_resolutions]
        self.const = nn.Parameter(blocks[0].const[None].clone())
        self.blocks = nn.ModuleList(StaticBlock(block, form) for block in blocks)

    def forward(self, ws: Tensor) -> Tensor:
        x, img, first = self.const, None, 0
        for block in self.blocks:
            x, img = block(x, img, ws, first)
            first += block.num_conv
        return img


class StaticBlock(nn.Module):
    def __init__(self, block: v2ada.SynthesisBlock, form: str) -> None:
        super().__init__()
        self.num_conv = block.num_conv
        resnet = block.in_channels != 0 and block.architecture == "resnet"
        self.conv0 = StaticConv(block.conv0, form) if block.in_channels else None
        self.conv1 = StaticConv(block.conv1, form, math.sqrt(0.5) if resnet else 1)
        self.torgb = StaticConv(block.torgb, form) if block.has_torgb else None
        self.upsample = Upsample2d(block.resample_filter, block.torgb.out_channels) if block.has_torgb else None
        self.skip: nn.Module | None = None
        if resnet:  # a 1x1 convolution commutes with the filter, and comes first, on a quarter of the pixels
            weight = block.skip.weight * (block.skip.weight_gain * math.sqrt(0.5))
            self.skip = nn.Sequential(convolution(weight, 0), Upsample2d(block.skip.resample_filter, len(weight)))

    def forward(self, x: Tensor, img: Tensor | None, ws: Tensor, first: int) -> tuple[Tensor, Tensor | None]:
        y = x if self.conv0 is None else self.conv0(x, ws[:, first])
        y = self.conv1(y, ws[:, first + self.num_conv - 1])
        if self.skip is not None:
            y = y + self.skip(x)
        if self.torgb is not None:
            rgb = self.torgb(y, ws[:, first + self.num_conv])
            img = rgb if img is None or self.upsample is None else rgb + self.upsample(img)
        return y, img


class StaticInput(nn.Module):
    """SynthesisInput with everything that does not depend on the style computed beforehand."""

    def __init__(self, layer: v3_layers.SynthesisInput) -> None:
        super().__init__()
        self.affine = Affine(layer.affine)
        width, height = layer.size
        self.shape = (1, layer.channels, height, width)
        self.edge = layer.sampling_rate / 2 - layer.bandwidth
        self.bandwidth = layer.bandwidth
        self.register_buffer("transform", layer.transform.clone())
        self.register_buffer("freqs", layer.freqs.clone())
        self.register_buffer("phases", (layer.phases * (2 * math.pi))[:, None])
        self.register_buffer("grid", layer.grid().reshape(-1, 3).t().contiguous() * (2 * math.pi))  # [3, H W]
        self.register_buffer("weight", layer.weight / math.sqrt(layer.channels))

    def forward(self, w: Tensor) -> Tensor:
        t = self.affine(w)
        t = t / torch.sqrt((t[:, :2] * t[:, :2]).sum(dim=1, keepdim=True))
        c, s, x, y = t[:, 0:1], t[:, 1:2], t[:, 2:3], t[:, 3:4]
        rows = torch.cat([c, -s, s * y - c * x, s, c, -s * x - c * y], dim=1).reshape(2, 3)
        freqs = self.freqs @ (rows @ self.transform)  # [channels, 3]
        xy = freqs[:, :2]
        radius = torch.sqrt((xy * xy).sum(dim=1, keepdim=True))
        amplitude = (1 - (radius - self.bandwidth) / self.edge).clamp(0, 1)  # [channels, 1]
        features = torch.sin(freqs @ self.grid + self.phases) * amplitude  # [channels, H W]
        return (self.weight @ features).reshape(self.shape)


class Resample(nn.Sequential):
    """upfirdn2d with either up or down other than 1, by depthwise convolutions, one for each axis where f is 1-D.

    padding: (x0, x1, y0, y1) as upfirdn2d's. gain multiplies the result.
    """

    def __init__(self, f: Tensor, channels: int, up: int, down: int, padding: list[int], gain: float) -> None:
        f = f * gain ** (f.ndim / 2)
        taps = f.shape[0]
        crops = [(0, 0), (0, 0)]
        if up > 1:  # of the transposed convolution's result: (front, back) of x and of y
            crops = [(taps - 1 - padding[i], taps - up - padding[i + 1]) for i in (0, 2)]
            # One pixel more at the back: a zero tap in front makes it symmetric, and the layer crops by itself.
            if all(back == front + 1 for front, back in crops):
                f = functional.pad(f, [1, 0] * f.ndim)
                crops = [(back, back) for _, back in crops]
        elif any(padding):
            raise NotImplementedError("padding before a filter that does not upsample")
        kernels = [f] if f.ndim == 2 else [f[None, :], f[:, None]]
        own = all(front == back >= 0 for front, back in crops)
        factor = up if up > 1 else down
        layers: list[nn.Module] = []
        for kernel in kernels:
            stride = tuple(factor if size > 1 or f.ndim == 2 else 1 for size in kernel.shape)
            inside = tuple(
                crop[0] if own and (size > 1 or f.ndim == 2) else 0
                for size, crop in zip(kernel.shape, crops[::-1], strict=True)
            )
            kernel = kernel if up > 1 else kernel.flip([0, 1])  # a convolution, and conv2d correlates
            layers.append(depthwise(kernel, channels, stride, inside, up > 1))
        if not own:
            layers.append(Crop([-n for crop in crops for n in crop]))
        super().__init__(*layers)


class Crop(nn.Module):
    """Padding with zeros, negative where it crops: (x0, x1, y0, y1)."""

    def __init__(self, padding: list[int]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.padding)


class StaticLayer(nn.Module):
    """A SynthesisLayer of StyleGAN3."""

    def __init__(self, layer: v3_layers.SynthesisLayer) -> None:
        super().__init__()
        weight = layer.weight
        gain = float(layer.magnitude_ema.rsqrt())
        self.normalize = not layer.is_torgb
        if self.normalize:
            weight = normalize_2nd_moment(weight, (1, 2, 3), 0)
        self.affine = Affine(layer.affine, layer.weight_gain * gain if layer.is_torgb else 1)
        self.demodulation = Demodulation(weight, gain) if self.normalize else None
        self.conv = convolution(weight, layer.conv_kernel - 1)
        self.bias = nn.Parameter(layer.bias.reshape(1, -1, 1, 1).clone())
        act = layer.activation
        self.slope, self.clamp = act["slope"], act["clamp"]
        channels, up, down = layer.out_channels, layer.up_factor, layer.down_factor
        self.up = self.down = None
        self.gain = act["gain"] * up**2
        if layer.up_filter is not None and up > 1:  # the activation's gain moves into the filter before it
            self.up = Resample(layer.up_filter, channels, up, 1, layer.padding, self.gain)
            self.gain = 1.0
        elif up > 1 or layer.up_filter is not None:
            raise NotImplementedError("upsampling without a filter, or a filter without upsampling")
        elif any(layer.padding):
            self.up = Crop(layer.padding)
        if layer.down_filter is not None:
            self.down = Resample(layer.down_filter, channels, 1, down, [0] * 4, 1.0)
        elif down > 1:
            raise NotImplementedError("downsampling without a filter")

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.affine(w)
        if self.normalize:
            s = s * torch.rsqrt((s * s).mean(dim=1, keepdim=True))
        y = self.conv(x * s.reshape(1, -1, 1, 1))
        if self.demodulation is not None:
            y = y * self.demodulation(s)
        y = y + self.bias
        if self.up is not None:
            y = self.up(y)
        if self.slope != 1:
            y = functional.leaky_relu(y, self.slope)
        if self.gain != 1:
            y = y * self.gain
        if self.clamp is not None:
            y = y.clamp(-self.clamp, self.clamp)
        return y if self.down is None else self.down(y)


class StaticV3(nn.Module):
    """StyleGAN3, configurations T and R."""

    def __init__(self, synthesis: v3.SynthesisNetwork) -> None:
        super().__init__()
        self.input = StaticInput(synthesis.input)
        self.layers = nn.ModuleList(StaticLayer(getattr(synthesis, name)) for name in synthesis.layer_names)
        self.output_scale = synthesis.output_scale

    def forward(self, ws: Tensor) -> Tensor:
        x = self.input(ws[:, 0])
        for i, layer in enumerate(self.layers):
            x = layer(x, ws[:, i + 1])
        return x * self.output_scale
