"""Networks in the predecessor's style, with one import changed: functions on lists, names taken by index."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import ncnn_builder as ncnn_utils

GAIN = {"linear": 1.0, "lrelu": float(np.sqrt(2))}


# -- the mapping network ----------------------------------------------------------------------------------------------


def act_torch(x: torch.Tensor, b: torch.Tensor | None, act: str, gain: float | None = None, clamp: float | None = None):
    if b is not None:
        x = x + b.reshape([1, -1] + [1] * (x.ndim - 2))
    x = F.leaky_relu(x, 0.2) if act == "lrelu" else x
    x = x * (GAIN[act] if gain is None else gain)
    return x if clamp is None else x.clamp(-clamp, clamp)


def bias_act2ncnn(ncnn_data, bottom_names, act="linear", alpha=None, gain=None, clamp=None):
    return ncnn_utils.BiasAct(ncnn_data, bottom_names, act_type=act, alpha=alpha, gain=gain, clamp=clamp)


def normalize_2nd_moment(x: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def normalize_2nd_moment2ncnn(ncnn_data, x, dim=1, eps=1e-8):
    moment = ncnn_utils.square(ncnn_data, x)
    moment = ncnn_utils.reduction(ncnn_data, moment, op="ReduceMean", input_dims=2, dims=(dim,), keepdim=True)
    factor = ncnn_utils.rsqrt(ncnn_data, moment, eps=eps)
    return ncnn_utils.binaryOp(ncnn_data, [x[0], factor[0]], op="Mul")


class Dense(nn.Module):
    def __init__(self, n_in: int, n_out: int, act: str = "linear", bias_init: float = 0.0, lr: float = 1.0) -> None:
        super().__init__()
        self.act = act
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / lr)
        self.bias = nn.Parameter(torch.full([n_out], bias_init) + torch.randn(n_out))
        self.weight_gain = lr / np.sqrt(n_in)
        self.bias_gain = lr

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w, b = self.weight * self.weight_gain, self.bias * self.bias_gain
        if self.act == "linear":
            return torch.addmm(b.unsqueeze(0), x, w.t())
        return act_torch(x.matmul(w.t()), b, self.act)

    def export_ncnn(self, ncnn_data, bottom_names):
        w, b = self.weight * self.weight_gain, self.bias * self.bias_gain
        held = ncnn_utils.shell(ncnn_data, bottom_names, w.unsqueeze(2).unsqueeze(3), b)
        if self.act == "linear":
            return ncnn_utils.Fmatmul(ncnn_data, [bottom_names[0], held[0], held[1]], w.shape)
        y = ncnn_utils.Fmatmul(ncnn_data, [bottom_names[0], held[0]], w.shape)
        return bias_act2ncnn(ncnn_data, [y[0], held[1]], act=self.act)


class Mapping(nn.Module):
    def __init__(self, z_dim: int = 8, w_dim: int = 6, layers: int = 3) -> None:
        super().__init__()
        sizes = [z_dim] + [w_dim] * layers
        self.layers = layers
        for i in range(layers):
            setattr(self, f"fc{i}", Dense(sizes[i], sizes[i + 1], "lrelu", lr=0.01))
        self.register_buffer("w_avg", torch.randn(w_dim))

    def forward(self, z: torch.Tensor, coeff: torch.Tensor) -> torch.Tensor:
        x = normalize_2nd_moment(z)
        for i in range(self.layers):
            x = getattr(self, f"fc{i}")(x)
        return self.w_avg.lerp(x, coeff)

    def export_ncnn(self, ncnn_data, bottom_names):
        z, coeff = bottom_names
        x = normalize_2nd_moment2ncnn(ncnn_data, [z])
        mean = self.w_avg.unsqueeze(0).unsqueeze(0).unsqueeze(0)
        mean_names = ncnn_utils.shell(ncnn_data, x, mean, None, ncnn_weight_dims=1)
        for i in range(self.layers):
            x = getattr(self, f"fc{i}").export_ncnn(ncnn_data, x)
        return ncnn_utils.lerp(ncnn_data, mean_names + x + [coeff])


# -- the modulated convolution ---------------------------------------------------------------------------------------


def filter_2d() -> torch.Tensor:
    f = torch.tensor([1.0, 3.0, 3.0, 1.0])
    f = f.ger(f)
    return f / f.sum()


def modulated_torch(x, weight, styles, noise, up, padding, f, demodulate, flip_weight):
    """Zeros inserted, filtered, convolved: the definition, for one picture."""
    w = weight * styles.reshape(1, -1, 1, 1)
    if demodulate:
        w = w * (w.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).rsqrt()
    if up > 1:
        _, c, h, width = x.shape
        wide = x.new_zeros(1, c, h * up, width * up)
        wide[:, :, ::up, ::up] = x
        n, p = f.shape[0], padding
        first, last = p + (n + up - 1) // 2, p + (n - up) // 2
        wide = F.pad(wide, [first, last, first, last])
        x = F.conv2d(wide, (f.flip(0, 1) * up**2).expand(c, 1, n, n), groups=c)
        padding = 0
    x = F.conv2d(x, w if flip_weight else w.flip(2, 3), padding=padding)
    return x if noise is None else x + noise


def upfirdn2d2ncnn(ncnn_data, bottom_names, f, channels, up=1, padding=(0, 0, 0, 0), gain=1.0):
    left, right, top, bottom = padding
    x = bottom_names
    if up == 2:
        x = ncnn_utils.up2(ncnn_data, x)
    x = ncnn_utils.pad(ncnn_data, x, top=top, bottom=bottom, left=left, right=right)
    kernel = (f * gain).flip(0, 1)[None, None].repeat(channels, 1, 1, 1)
    held = ncnn_utils.shell(ncnn_data, x, kernel, None)
    return ncnn_utils.Fconv2d_depthwise(ncnn_data, [x[0], held[0]], groups=channels)


def modulated_conv2d2ncnn(
    ncnn_data,
    bottom_names,
    use_fp16,
    up=1,
    padding=0,
    resample_filter_tensor=None,
    demodulate=True,
    flip_weight=True,
    fused_modconv=True,
    weight_shape=None,
):
    assert fused_modconv
    x, w, styles = bottom_names[:3]
    noise = bottom_names[3] if len(bottom_names) == 4 else None
    out_channels, in_channels, kh, kw = weight_shape
    w = ncnn_utils.F4DOp1D(ncnn_data, [w, styles], dim=1, op="Mul")
    if demodulate:
        norm = ncnn_utils.square(ncnn_data, w)
        # In the predecessor's terms a 4-D weight has five dimensions with the batch.
        norm = ncnn_utils.reduction(ncnn_data, norm, op="ReduceSum", input_dims=5, dims=(2, 3, 4), keepdim=False)
        norm = ncnn_utils.rsqrt(ncnn_data, norm, eps=1e-8)
        w = ncnn_utils.F4DOp1D(ncnn_data, [w[0], norm[0]], dim=0, op="Mul")
    if up == 1:
        assert flip_weight
        x = ncnn_utils.Fconv2d(ncnn_data, [x, w[0]], stride=1, padding=padding)
    else:
        w = ncnn_utils.really_permute(ncnn_data, w, perm=(1, 0, 2, 3))
        shape = (in_channels, out_channels, kh, kw)
        x = ncnn_utils.Fconv_transpose2d(ncnn_data, [x, w[0]], weight_shape=shape, stride=up, padding=0)
        taps = resample_filter_tensor.shape[0]
        first = padding + (taps + up - 1) // 2 - (kw - 1)
        last = padding + (taps - up) // 2 - (kw - up)
        border = (first, last, first, last)
        x = upfirdn2d2ncnn(ncnn_data, x, resample_filter_tensor, out_channels, padding=border, gain=up**2)
    if noise is not None:
        x = ncnn_utils.AddNoise(ncnn_data, [x[0], noise])
    return x


class Layer(nn.Module):
    """SynthesisLayer and, with rgb=True, ToRGBLayer."""

    def __init__(
        self, n_in: int, n_out: int, w_dim: int, size: int, k: int = 3, up: int = 1, rgb: bool = False
    ) -> None:
        super().__init__()
        self.up, self.padding, self.rgb = up, k // 2, rgb
        self.affine = Dense(w_dim, n_in, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(n_out, n_in, k, k))
        self.bias = nn.Parameter(torch.randn(n_out))
        self.register_buffer("resample_filter", filter_2d())
        self.register_buffer("noise_const", torch.randn(size, size))
        self.noise_strength = nn.Parameter(torch.tensor(0.3))
        self.weight_gain = 1 / np.sqrt(n_in * k**2)
        self.clamp = 1.5

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        styles = self.affine(w) * (self.weight_gain if self.rgb else 1.0)
        noise = None if self.rgb else self.noise_const * self.noise_strength
        x = modulated_torch(
            x, self.weight, styles, noise, self.up, self.padding, self.resample_filter, not self.rgb, self.up == 1
        )
        return act_torch(x, self.bias, "linear" if self.rgb else "lrelu", clamp=self.clamp)

    def export_ncnn(self, ncnn_data, bottom_names, use_fp16, ws_i):
        x, ws0, ws1, mixing = bottom_names
        w = ncnn_utils.StyleMixingSwitcher(ncnn_data, [ws0, ws1, mixing], ws_i=ws_i)[0]
        styles = self.affine.export_ncnn(ncnn_data, [w])
        inputs = [x]
        if self.rgb:
            styles = ncnn_utils.MulConstant(ncnn_data, styles, scale=self.weight_gain)
            held = ncnn_utils.shell(ncnn_data, w, self.weight, self.bias)
            inputs += [held[0], styles[0]]
        else:
            noise = self.noise_const * self.noise_strength
            noise_names = ncnn_utils.shell(ncnn_data, w, noise.unsqueeze(0).unsqueeze(0), None)
            held = ncnn_utils.shell(ncnn_data, w, self.weight, self.bias)
            inputs += [held[0], styles[0], noise_names[0]]
        x = modulated_conv2d2ncnn(
            ncnn_data,
            inputs,
            use_fp16,
            up=self.up,
            padding=self.padding,
            resample_filter_tensor=self.resample_filter,
            demodulate=not self.rgb,
            flip_weight=self.up == 1,
            weight_shape=self.weight.shape,
        )
        return bias_act2ncnn(ncnn_data, [x[0], held[1]], act="linear" if self.rgb else "lrelu", clamp=self.clamp)


class Synthesis(nn.Module):
    """A 4x4 block and an 8x8 block, the skip architecture; the last step makes a picture."""

    def __init__(self, w_dim: int = 6) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.randn(5, 4, 4))
        self.conv1 = Layer(5, 5, w_dim, 4)
        self.torgb = Layer(5, 3, w_dim, 4, k=1, rgb=True)
        self.up0 = Layer(5, 4, w_dim, 8, up=2)
        self.up1 = Layer(4, 4, w_dim, 8)
        self.last = Layer(4, 3, w_dim, 8, k=1, rgb=True)
        self.register_buffer("resample_filter", filter_2d())

    def forward(self, ws: torch.Tensor) -> dict[str, torch.Tensor]:
        w = ws.unbind(dim=1)
        x = self.conv1(self.const[None], w[0])
        img = self.torgb(x, w[1])
        x = self.up1(self.up0(x, w[1]), w[2])
        wide = img.new_zeros(1, 3, 8, 8)
        wide[:, :, ::2, ::2] = img
        wide = F.pad(wide, [2, 1, 2, 1])
        img = F.conv2d(wide, (self.resample_filter.flip(0, 1) * 4).expand(3, 1, 4, 4), groups=3)
        img = img + self.last(x, w[3])
        return {"image": (img * 127.5 + 128).clamp(0, 255), "x": x}

    def export_ncnn(self, ncnn_data, bottom_names):
        ws0, ws1, mixing = bottom_names
        const = ncnn_utils.shell(ncnn_data, [ws0], self.const.unsqueeze(1), None, ncnn_weight_dims=3)
        x = self.conv1.export_ncnn(ncnn_data, [const[0], ws0, ws1, mixing], False, 0)
        img = self.torgb.export_ncnn(ncnn_data, [x[0], ws0, ws1, mixing], False, 1)
        x = self.up0.export_ncnn(ncnn_data, [x[0], ws0, ws1, mixing], False, 1)
        x = self.up1.export_ncnn(ncnn_data, [x[0], ws0, ws1, mixing], False, 2)
        img = upfirdn2d2ncnn(ncnn_data, img, self.resample_filter, 3, up=2, padding=(2, 1, 2, 1), gain=4)
        y = self.last.export_ncnn(ncnn_data, [x[0], ws0, ws1, mixing], False, 3)
        img = ncnn_utils.binaryOp(ncnn_data, [img[0], y[0]], op="Add")
        return ncnn_utils.StyleganPost(ncnn_data, img), x
