"""StyleGAN2-ADA's layers: the parts of a SynthesisBlock.

Inputs x may be float16, parameters and styles are float32. `channels_last` is accepted because official keywords have
it, and changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import ncnn_builder as nb
from stylegan._torch import Tensor, nn, torch
from stylegan.networks.functional import (
    bias_act,
    conv2d_resample,
    get_activation,
    modulated_conv2d,
    setup_filter,
    split_gain,
)
from stylegan.networks.graphs import noise_input_name
from stylegan.networks.layers import FullyConnectedLayer

NOISE_MODES = ("random", "const", "none")
NOISE_INPUTS = ("random", "input")
"""The noise modes of an export that leave the planes open: they become graph inputs."""
FIR = (1, 3, 3, 1)


def upsample2d_ncnn(g: nb.Graph, x: nb.ValueLike, f: Tensor, up: int = 2) -> nb.Values:
    """functional.upsample2d in the DSL."""
    fh, fw = f.shape[0], f.shape[-1]
    padding = ((fh + up - 1) // 2, (fh - up) // 2, (fw + up - 1) // 2, (fw - up) // 2)
    return nb.upfirdn2d(g, x, f, up=up, padding=padding, gain=up**2)


class Conv2dLayer(nn.Module):
    """Convolution with an equalised learning rate, after upsampling where up is 2, with downsampling where down is 2.

    x [N, in_channels, H, W] -> [N, out_channels, H * up / down, W * up / down]; one of up and down is 1.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        activation: str = "linear",
        up: int = 1,
        resample_filter: Sequence[float] = FIR,
        conv_clamp: float | None = None,
        channels_last: bool = False,
        down: int = 1,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.act_gain = get_activation(activation).gain
        self.up, self.down = up, down
        self.padding = kernel_size // 2
        self.conv_clamp = conv_clamp
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("resample_filter", setup_filter(resample_filter))

    def forward(self, x: Tensor, gain: float = 1) -> Tensor:
        before, after = split_gain(self.activation, self.act_gain * gain)
        w = self.weight * (self.weight_gain * before)  # [O, I, kh, kw]
        x = conv2d_resample(x, w.to(x.dtype), self.resample_filter, up=self.up, padding=self.padding, down=self.down)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return bias_act(x, None if self.bias is None else self.bias * before, self.activation, gain=after, clamp=clamp)

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike, gain: float = 1) -> nb.Values:
        """x [in_channels, H, W] -> [out_channels, H * up, W * up].

        Where up is 2 the picture is upsampled by a composite op; a 1x1 convolution commutes with that, and comes
        first, on a quarter of the pixels.
        """
        if self.down != 1:
            raise ValueError("a convolution that halves the picture is a discriminator's: it is not exported")
        w = self.weight * self.weight_gain
        if self.up == 1:
            y = nb.Fconv2d(g, [*nb.check_bottom_names(x), *nb.shell(g, x, w)], padding=self.padding)
        elif w.shape[2:] == (1, 1):
            y = nb.Fconv2d(g, [*nb.check_bottom_names(x), *nb.shell(g, x, w)])
            y = upsample2d_ncnn(g, y, self.resample_filter)
        else:  # as stored, a convolution: ncnn's correlates
            y = upsample2d_ncnn(g, x, self.resample_filter)
            y = nb.Fconv2d(g, [*y, *nb.shell(g, y, w.flip(2, 3))], padding=self.padding)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return nb.bias_act(g, y, self.bias, self.activation, gain=self.act_gain * gain, clamp=clamp)


class SynthesisLayer(nn.Module):
    """Modulated convolution, noise, bias, activation.

    x [N, in_channels, H / up, W / up], w [N, w_dim] -> [N, out_channels, H, W]. H = W = resolution, but where init_res,
    the size of the network's first block, is not [4, 4]: H = resolution * init_res[0] / 4, W likewise.
    """

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        kernel_size: int = 3,
        up: int = 1,
        use_noise: bool = True,
        activation: str = "lrelu",
        resample_filter: Sequence[float] = FIR,
        conv_clamp: float | None = None,
        channels_last: bool = False,
        init_res: Sequence[int] = (4, 4),
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.size = (resolution * init_res[0] // 4, resolution * init_res[1] // 4)
        self.up = up
        self.use_noise = use_noise
        self.activation = activation
        self.act_gain = get_activation(activation).gain
        self.conv_clamp = conv_clamp
        self.padding = kernel_size // 2
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.register_buffer("resample_filter", setup_filter(resample_filter))
        if use_noise:
            self.register_buffer("noise_const", torch.randn(self.size))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def noise(self, n: int, noise_mode: str) -> Tensor | None:
        """What is added before the bias, one plane for all channels: [N, 1, H, W], [H, W] or None."""
        if noise_mode not in NOISE_MODES:
            raise ValueError(f"noise_mode must be one of {', '.join(NOISE_MODES)}, got {noise_mode!r}")
        if not self.use_noise or noise_mode == "none":
            return None
        if noise_mode == "const":
            return self.noise_const * self.noise_strength
        plane = torch.randn(n, 1, *self.size, device=self.weight.device)
        return plane * self.noise_strength

    def forward(self, x: Tensor, w: Tensor, noise_mode: str = "random", gain: float = 1) -> Tensor:
        before, after = split_gain(self.activation, self.act_gain * gain)
        styles = self.affine(w)  # [N, in_channels]
        noise = self.noise(len(x), noise_mode)
        noise = None if noise is None else noise * before
        x = modulated_conv2d(x, self.weight, styles, noise, self.up, self.padding, self.resample_filter, gain=before)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return bias_act(x, self.bias * before, self.activation, gain=after, clamp=clamp)

    def noise_ncnn(self, g: nb.Graph, noise_mode: str) -> Tensor | nb.Value | None:
        """`noise` in the DSL: a constant [H, W], an input of standard normal numbers times noise_strength, or None."""
        if not self.use_noise or not self.noise_strength:
            return None
        if noise_mode not in NOISE_INPUTS:
            plane = self.noise(1, noise_mode)
            return plane if plane is not None and plane.any() else None
        name = noise_input_name(g.current_scope.removeprefix("synthesis."))
        value = g.input(name, self.size)
        return nb.MulConstant(g, value, scale=self.noise_strength)[0]

    def export_ncnn(
        self, g: nb.Graph, bottom_names: nb.ValueLike, ws_i: int, noise_mode: str = "const", gain: float = 1
    ) -> nb.Values:
        """Inputs [x, ws0, ws1, mixing]; style number ws_i. noise_mode: const, none, random or input."""
        x, ws0, ws1, mixing = nb.check_bottom_names(bottom_names)
        w = nb.StyleMixingSwitcher(g, [ws0, ws1, mixing], ws_i=ws_i)
        styles = nb.child(g, self, "affine", w)
        y = nb.modulated_conv2d(
            g,
            [x, *styles],
            self.weight,
            self.noise_ncnn(g, noise_mode),
            up=self.up,
            padding=self.padding,
            resample_filter=self.resample_filter if self.up > 1 else None,
            flip_weight=self.up == 1,
        )
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return nb.bias_act(g, y, self.bias, self.activation, gain=self.act_gain * gain, clamp=clamp)


class ToRGBLayer(nn.Module):
    """Modulated convolution without demodulation, plus bias.

    x [N, in_channels, H, W], w [N, w_dim] -> [N, out_channels, H, W].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        kernel_size: int = 1,
        conv_clamp: float | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.padding = kernel_size // 2
        self.conv_clamp = conv_clamp
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain  # [N, in_channels]
        x = modulated_conv2d(x, self.weight, styles, padding=self.padding, demodulate=False)
        return bias_act(x, self.bias, clamp=self.conv_clamp)

    def export_ncnn(self, g: nb.Graph, bottom_names: nb.ValueLike, ws_i: int) -> nb.Values:
        """Inputs [x, ws0, ws1, mixing]; style number ws_i."""
        x, ws0, ws1, mixing = nb.check_bottom_names(bottom_names)
        w = nb.StyleMixingSwitcher(g, [ws0, ws1, mixing], ws_i=ws_i)
        styles = nb.MulConstant(g, nb.child(g, self, "affine", w), scale=self.weight_gain)
        y = nb.modulated_conv2d(g, [x, *styles], self.weight, padding=self.padding, demodulate=False)
        return nb.bias_act(g, y, self.bias, clamp=self.conv_clamp)
