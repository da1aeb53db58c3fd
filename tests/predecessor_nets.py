"""The calls that the predecessor's own networks make, argument by argument, for networks of ours with the same weights.

miemie2013/miemieGAN (StyleGAN2-ADA, StyleGAN3) and miemie2013/ncnn (PP-YOLOE, its tests) call `ncnn_utils` in the forms
below and no others: positional or named, numbers as numpy has them, names in lists or bare, texts for permutations,
crops and sizes. What is compared with is forward() of our networks, which have nothing to do with these calls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

import ncnn_builder as ncnn_utils

ACTS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")
GAINS = {"relu": np.sqrt(2), "lrelu": np.sqrt(2), "swish": np.sqrt(2)}


def bias_act(g: Any, names: Any, act: str = "linear", alpha: Any = None, gain: Any = None, clamp: Any = None) -> Any:
    alpha = float((0.2 if act == "lrelu" else 0.0) if alpha is None else alpha)
    gain = float(GAINS.get(act, 1.0) if gain is None else gain)
    return ncnn_utils.BiasAct(g, names, ACTS.index(act), alpha, gain, float(-1 if clamp is None else clamp))


def dense(g: Any, fc: Any, names: Any) -> Any:
    """fc: a FullyConnectedLayer."""
    w, b = fc.weight.to(torch.float32) * fc.weight_gain, fc.bias * fc.bias_gain
    held = ncnn_utils.shell(g, names, w.unsqueeze(2).unsqueeze(3), b)
    if fc.activation == "linear":
        return ncnn_utils.Fmatmul(g, [names[0], held[0], held[1]], w.shape)
    names = ncnn_utils.Fmatmul(g, [names[0], held[0]], w.shape)
    return bias_act(g, [names[0], held[1]], act=fc.activation)


def mapping(g: Any, net: Any, names: Any) -> Any:
    z, coeff = names
    x = [z]
    moment = ncnn_utils.square(g, x)
    moment = ncnn_utils.reduction(g, moment, op="ReduceMean", input_dims=2, dims=(1,), keepdim=True)
    moment = ncnn_utils.rsqrt(g, moment, eps=1e-8)
    x = ncnn_utils.binaryOp(g, [x[0], moment[0]], op="Mul")
    mean = net.w_avg.unsqueeze(0).unsqueeze(0).unsqueeze(0)
    w_avg = ncnn_utils.shell(g, x, mean, None, ncnn_weight_dims=1)
    for i in range(net.num_layers):
        x = dense(g, getattr(net, f"fc{i}"), x)
    return ncnn_utils.lerp(g, w_avg + x + [coeff])


# -- filters ----------------------------------------------------------------------------------------------------------


def resample(g: Any, x: Any, f: Any, channels: int, up: int = 1, down: int = 1, padding: Any = 0, gain: Any = 1) -> Any:
    """padding: left, right, top, bottom."""
    f = torch.ones([1, 1]) if f is None else f
    left, right, top, bottom = [padding] * 4 if isinstance(padding, int) else padding
    if up > 1:
        x = ncnn_utils.up2(g, x) if up == 2 else ncnn_utils.up4(g, x)
    if left > 0 and right > 0 and top > 0 and bottom > 0:
        x = ncnn_utils.pad(g, x, top=top, bottom=bottom, left=left, right=right)
    elif left < 0 and right < 0 and top < 0 and bottom < 0:
        starts, ends = f"2,{-top},{-left}", f"2,{bottom},{right}"
        x = ncnn_utils.crop(g, x, starts=starts, ends=ends, axes="2,1,2")
    else:
        assert not any((left, right, top, bottom))
    f = f * (gain ** (f.ndim / 2))
    f = f.flip(list(range(f.ndim)))
    f = f[np.newaxis, np.newaxis].repeat([channels, 1] + [1] * f.ndim)
    for kernel in [f] if f.ndim == 4 else [f.unsqueeze(2), f.unsqueeze(3)]:
        held = ncnn_utils.shell(g, x, kernel, None)
        x = ncnn_utils.Fconv2d_depthwise(g, [x[0], held[0]], groups=channels)
    return x if down == 1 else ncnn_utils.down2(g, x)


# -- StyleGAN2 --------------------------------------------------------------------------------------------------------


def modulated_v2(
    g: Any, names: Any, shape: Any, use_fp16: bool, up: int, padding: int, f: Any, demodulate: bool
) -> Any:
    x, weight, styles = names[:3]
    out, n, kh, kw = shape
    if use_fp16 and demodulate:
        largest = ncnn_utils.abs(g, [weight])
        largest = ncnn_utils.really_reduction(g, largest, op="ReduceMax", dims=(1, 2, 3), keepdim=True)
        weight = ncnn_utils.MulConstant(g, [weight], scale=1.0 / np.sqrt(n * kh * kw))
        weight = ncnn_utils.F4DOp1D(g, [weight[0], largest[0]], dim=0, op="Div")[0]
        largest = ncnn_utils.abs(g, [styles])
        largest = ncnn_utils.really_reduction(g, largest, op="ReduceMax", dims=(1,), keepdim=True)
        styles = ncnn_utils.binaryOp(g, [styles, largest[0]], op="Div")[0]
    w = ncnn_utils.F4DOp1D(g, [weight, styles], dim=1, op="Mul")
    if demodulate:
        d = ncnn_utils.square(g, w)
        d = ncnn_utils.really_reduction(g, d, op="ReduceMean", dims=(1, 2, 3), keepdim=True)
        d = ncnn_utils.rsqrt(g, d, eps=1e-8, scale=float(n * kh * kw))
        d = ncnn_utils.really_reshape(g, d, shape=(1, 1, 1, -1))
        w = ncnn_utils.F4DOp1D(g, [w[0], d[0]], dim=0, op="Mul")
    if up == 1:
        x = ncnn_utils.Fconv2d(g, [x, w[0]], stride=1, padding=[padding, padding], dilation=1, groups=1)
    else:
        w = ncnn_utils.really_permute(g, w[0], perm=(1, 0, 2, 3))
        w = ncnn_utils.really_permute(g, w[0], perm=(1, 0, 2, 3))
        taps = f.shape[-1]
        first, last = padding + (taps + up - 1) // 2 - (kw - 1), padding + (taps - up) // 2 - (kw - up)
        x = ncnn_utils.Fconv_transpose2d(
            g, [x, w[0]], (out, n, kh, kw), stride=up, padding=[0, 0], dilation=1, groups=1
        )
        x = resample(g, x, f, out, padding=[first, last, first, last], gain=up**2)
    return x if len(names) == 3 else ncnn_utils.AddNoise(g, [x[0], names[3]])


def layer_v2(g: Any, layer: Any, names: Any, use_fp16: bool, ws_i: int) -> Any:
    x, ws0, ws1, mixing = names
    w = ncnn_utils.StyleMixingSwitcher(g, [ws0, ws1, mixing], ws_i=ws_i)[0]
    styles = dense(g, layer.affine, [w])
    noise = layer.noise_const * layer.noise_strength
    noise = ncnn_utils.shell(g, w, noise.unsqueeze(0).unsqueeze(0), None)
    held = ncnn_utils.shell(g, w, layer.weight, layer.bias)
    names = [x, held[0], styles[0], noise[0]]
    f = layer.resample_filter
    x = modulated_v2(g, names, layer.weight.shape, use_fp16, layer.up, layer.padding, f, True)
    return bias_act(g, [x[0], held[1]], act=layer.activation, gain=layer.act_gain, clamp=layer.conv_clamp)


def torgb_v2(g: Any, layer: Any, names: Any, use_fp16: bool, ws_i: int) -> Any:
    x, ws0, ws1, mixing = names
    w = ncnn_utils.StyleMixingSwitcher(g, [ws0, ws1, mixing], ws_i=ws_i)[0]
    styles = ncnn_utils.MulConstant(g, dense(g, layer.affine, [w]), scale=layer.weight_gain)
    held = ncnn_utils.shell(g, w, layer.weight, layer.bias)
    x = modulated_v2(g, [x, held[0], styles[0]], layer.weight.shape, use_fp16, 1, 0, None, False)
    return bias_act(g, [x[0], held[1]], clamp=layer.conv_clamp)


def synthesis_v2(g: Any, net: Any, names: Any, use_fp16: bool) -> Any:
    ws0, ws1, mixing = names
    x = img = None
    i = 0
    for resolution in net.block_resolutions:
        block = getattr(net, f"b{resolution}")
        if x is None:
            x = ncnn_utils.shell(g, [ws0], block.const.unsqueeze(1), None, ncnn_weight_dims=3)[0]
        else:
            x = layer_v2(g, block.conv0, [x, ws0, ws1, mixing], use_fp16, i)[0]
            i += 1
        x = layer_v2(g, block.conv1, [x, ws0, ws1, mixing], use_fp16, i)
        i += 1
        if img is not None:
            f = block.resample_filter
            img = resample(g, [img], f, net.img_channels, up=2, padding=[2, 1, 2, 1], gain=4)[0]
        y = torgb_v2(g, block.torgb, [x[0], ws0, ws1, mixing], use_fp16, i)
        img = y[0] if img is None else ncnn_utils.binaryOp(g, [img, y[0]], op="Add")[0]
        x = x[0]
    return ncnn_utils.StyleganPost(g, img)


# -- StyleGAN3 --------------------------------------------------------------------------------------------------------


def input_v3(g: Any, net: Any, names: Any, ws_i: int) -> Any:
    ws0, ws1, mixing = names
    w = ncnn_utils.StyleMixingSwitcher(g, [ws0, ws1, mixing], ws_i=ws_i)[0]
    freqs = ncnn_utils.shell(g, [ws0], net.freqs.unsqueeze(0).unsqueeze(0), None, ncnn_weight_dims=2)
    row = net.phases.unsqueeze(0).unsqueeze(0).unsqueeze(0)
    held_phases = ncnn_utils.shell(g, [ws0], row, None, ncnn_weight_dims=1)
    t = dense(g, net.affine, [w])
    length = ncnn_utils.crop(g, t, starts="1,0", ends="1,2", axes="1,0")
    length = ncnn_utils.reduction(g, length, op="ReduceSumSquare", input_dims=1, dims=(0,), keepdim=True)
    length = ncnn_utils.rsqrt(g, length, eps=0.0)
    t = ncnn_utils.binaryOp(g, [t[0], length[0]], op="Mul")
    matrix = ncnn_utils.Transforms(g, t)
    moved = ncnn_utils.crop(g, matrix, starts="1,2", ends="1,3", axes="1,1")
    moved = ncnn_utils.really_permute(g, moved, perm=(1, 0))
    phases = ncnn_utils.Fmatmul(g, [freqs[0], moved[0]], (1, 2))
    phases = ncnn_utils.really_reshape(g, phases, (net.channels,))
    phases = ncnn_utils.binaryOp(g, [phases[0], held_phases[0]], op="Add")
    turned = ncnn_utils.crop(g, matrix, starts="1,0", ends="1,2", axes="1,1")
    turned = ncnn_utils.really_permute(g, turned, perm=(1, 0))
    freqs = ncnn_utils.Fmatmul(g, [freqs[0], turned[0]], (2, 2))
    sizes = ncnn_utils.reduction(g, freqs, op="ReduceSumSquare", input_dims=2, dims=(2,), keepdim=False)
    sizes = ncnn_utils.sqrt(g, sizes)
    band = net.sampling_rate / 2 - net.bandwidth
    sizes = ncnn_utils.MulConstant(g, sizes, scale=-1.0 / band, bias=1.0 + net.bandwidth / band)
    sizes = ncnn_utils.clamp(g, sizes, min_v=0.0, max_v=1.0)
    theta = torch.eye(2, 3)
    theta[0, 0], theta[1, 1] = (0.5 * n / net.sampling_rate for n in net.size)
    grid = nn.functional.affine_grid(theta[None], [1, 1, net.size[1], net.size[0]], align_corners=False)
    d0, d1, d2, d3 = grid.shape
    held = ncnn_utils.shell(g, [ws0], grid.reshape((1, 1, d0 * d1 * d2, d3)), None, ncnn_weight_dims=2)
    x = ncnn_utils.Fmatmul(g, [held[0], freqs[0]], (net.channels, 2))
    x = ncnn_utils.really_reshape(g, x, (d0, d1, d2, net.channels))
    x = ncnn_utils.F4DOp1D(g, [x[0], phases[0]], dim=3, op="Add")
    x = ncnn_utils.sin(g, x, scale=2.0)
    x = ncnn_utils.F4DOp1D(g, [x[0], sizes[0]], dim=3, op="Mul")
    weight = net.weight / np.sqrt(net.channels)
    held = ncnn_utils.shell(g, [ws0], weight.unsqueeze(0).unsqueeze(0), None, ncnn_weight_dims=2)
    x = ncnn_utils.really_reshape(g, x, (d0 * d1 * d2, net.channels))
    x = ncnn_utils.Fmatmul(g, [x[0], held[0]], (net.channels, net.channels))
    x = ncnn_utils.really_reshape(g, x, (d1, d2, net.channels))
    return ncnn_utils.really_permute(g, x, perm=[2, 0, 1])


def modulated_v3(g: Any, names: Any, shape: Any, padding: int, demodulate: bool, input_gain: torch.Tensor) -> Any:
    x, w, s = ([name] for name in names)
    _, n, kh, kw = shape
    if demodulate:
        d = ncnn_utils.square(g, w)
        d = ncnn_utils.really_reduction(g, d, op="ReduceMean", dims=(1, 2, 3), keepdim=True)
        d = ncnn_utils.rsqrt(g, d, eps=0.0, scale=None)
        d = ncnn_utils.really_reshape(g, d, shape=(1, 1, 1, -1))
        w = ncnn_utils.F4DOp1D(g, [w[0], d[0]], dim=0, op="Mul")
        d = ncnn_utils.square(g, s)
        d = ncnn_utils.really_reduction(g, d, op="ReduceMean", dims=(0,), keepdim=True)
        d = ncnn_utils.rsqrt(g, d, eps=0.0, scale=None)
        s = ncnn_utils.binaryOp(g, [s[0], d[0]], op="Mul")
    w = ncnn_utils.F4DOp1D(g, [w[0], s[0]], dim=1, op="Mul")
    if demodulate:
        d = ncnn_utils.square(g, w)
        d = ncnn_utils.really_reduction(g, d, op="ReduceMean", dims=(1, 2, 3), keepdim=True)
        d = ncnn_utils.rsqrt(g, d, eps=1e-8, scale=float(n * kh * kw))
        d = ncnn_utils.really_reshape(g, d, shape=(1, 1, 1, -1))
        w = ncnn_utils.F4DOp1D(g, [w[0], d[0]], dim=0, op="Mul")
    w = ncnn_utils.MulConstant(g, w, scale=input_gain.cpu().detach().numpy(), bias=0.0)
    return ncnn_utils.Fconv2d(g, [x[0], w[0]], padding=padding, dilation=1, groups=1)


def layer_v3(g: Any, layer: Any, names: Any, ws_i: int) -> Any:
    x, ws0, ws1, mixing = names
    w = ncnn_utils.StyleMixingSwitcher(g, [ws0, ws1, mixing], ws_i=ws_i)[0]
    styles = dense(g, layer.affine, [w])
    if layer.is_torgb:
        gain = 1 / np.sqrt(layer.in_channels * (layer.conv_kernel**2))
        styles = ncnn_utils.MulConstant(g, styles, scale=gain)
    held = ncnn_utils.shell(g, w, layer.weight, layer.bias)
    names = [x, held[0], styles[0]]
    demodulate, padding = not layer.is_torgb, layer.conv_kernel - 1
    x = modulated_v3(g, names, layer.weight.shape, padding, demodulate, layer.magnitude_ema.rsqrt())
    x = bias_act(g, [x[0], held[1]])
    up, down = layer.up_factor, layer.down_factor
    left, right, top, bottom = layer.padding
    x = resample(g, x, layer.up_filter, layer.out_channels, up, 1, [left, right, top, bottom], up**2)
    gain, slope = (1, 1) if layer.is_torgb else (np.sqrt(2), 0.2)
    x = bias_act(g, x, act="lrelu", alpha=slope, gain=gain, clamp=layer.conv_clamp)
    return resample(g, x, layer.down_filter, layer.out_channels, down=down)


def synthesis_v3(g: Any, net: Any, names: Any) -> Any:
    ws0, ws1, mixing = names
    x = input_v3(g, net.input, [ws0, ws1, mixing], 0)
    for i, name in enumerate(net.layer_names):
        x = layer_v3(g, getattr(net, name), [x[0], ws0, ws1, mixing], i + 1)
    if net.output_scale != 1:
        x = ncnn_utils.MulConstant(g, x, scale=net.output_scale)
    return ncnn_utils.StyleganPost(g, x)


# -- PP-YOLOE ---------------------------------------------------------------------------------------------------------


class ConvBN(nn.Module):
    def __init__(self, n: int, out: int, k: int = 3, stride: int = 1, act: str | None = "swish") -> None:
        super().__init__()
        self.conv = nn.Conv2d(n, out, k, stride, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.act = act
        with torch.no_grad():
            for values in (self.bn.weight, self.bn.running_var):
                values.uniform_(0.5, 1.5)
            for values in (self.bn.bias, self.bn.running_mean):
                values.normal_(0, 0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.conv(x))
        return nn.functional.silu(x) if self.act == "swish" else x

    def export_ncnn(self, g: Any, names: Any) -> Any:
        names = ncnn_utils.fuse_conv_bn(g, names, self.conv, self.bn)
        return ncnn_utils.activation(g, names, self.act)


class Detector(nn.Module):
    """A stage with attention, pooling and a neck, and a head: what PP-YOLOE consists of."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left, self.right = ConvBN(3, 8, 3, 2), ConvBN(8, 6, 1), ConvBN(8, 6, 1)
        self.branch = ConvBN(6, 6, 1, act=None)
        self.attention, self.down = nn.Conv2d(12, 12, 1), ConvBN(12, 8, 3, 2)
        self.pools = nn.ModuleList([nn.MaxPool2d(kernel_size=k, stride=1, padding=k // 2) for k in (5, 9)])
        self.spp, self.lateral = ConvBN(24, 12, 1), ConvBN(12, 12, 1)
        self.gate, self.after = nn.Conv2d(12, 12, 1), ConvBN(12, 12, 1)
        self.scores, self.boxes = nn.Conv2d(12, 5, 3, padding=1), nn.Conv2d(12, 4 * 7, 3, padding=1)
        self.project = nn.Conv2d(7, 1, 1, bias=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        F = nn.functional
        x = self.stem(x)
        right = self.right(x)
        wide = torch.cat([self.left(x), right + F.silu(right + self.branch(right))], 1)
        wide = wide * F.hardsigmoid(self.attention(wide.mean((2, 3), keepdim=True)))
        x = self.down(wide)
        x = self.spp(torch.cat([x, *(pool(x) for pool in self.pools)], 1))
        scores, boxes = [], []
        for feat in (x, wide + F.interpolate(self.lateral(x), scale_factor=2.0)):
            mean = F.adaptive_avg_pool2d(feat, (1, 1))
            y = self.after(feat * torch.sigmoid(self.gate(mean))) + feat
            box = self.boxes(y).reshape([1, 4, 7, -1]).permute((0, 2, 1, 3)).softmax(1)
            scores.append(torch.sigmoid(self.scores(y)).reshape([1, 5, -1]))
            boxes.append(self.project(box).reshape([1, 4, -1]))
        return torch.cat(scores, 2).permute((0, 2, 1)), torch.cat(boxes, 2).permute((0, 2, 1))

    def export_ncnn(self, g: Any, names: Any) -> Any:
        x = self.stem.export_ncnn(g, names)
        left, right = self.left.export_ncnn(g, x), self.right.export_ncnn(g, x)
        y = ncnn_utils.binaryOp(g, [right[0], self.branch.export_ncnn(g, right)[0]], op="Add")
        y = ncnn_utils.binaryOp(g, [right[0], ncnn_utils.activation(g, y, "swish")[0]], op="Add")
        wide = ncnn_utils.concat(g, left + [y[0]], dim=1)  # noqa: RUF005 as its own code joins them
        se = ncnn_utils.reduction(g, wide, op="ReduceMean", input_dims=4, dims=(2, 3), keepdim=True)
        se = ncnn_utils.conv2d(g, se, self.attention)
        se = ncnn_utils.activation(g, se, act_name="hardsigmoid")
        wide = ncnn_utils.binaryOp(g, [wide[0], se[0]], op="Mul")
        x = self.down.export_ncnn(g, wide)
        pooled = [x[0]]
        for pool in self.pools:
            pooled.append(ncnn_utils.pooling(g, x, op="MaxPool", pool=pool)[0])
        x = self.spp.export_ncnn(g, ncnn_utils.concat(g, pooled, dim=1))
        route = ncnn_utils.interpolate(g, self.lateral.export_ncnn(g, x), scale_factor=2.0)
        scores, boxes = [], []
        for feat in (x[0], ncnn_utils.binaryOp(g, [wide[0], route[0]], op="Add")[0]):
            mean = ncnn_utils.adaptive_avg_pool2d(g, [feat], output_size="(1, 1)")
            gate = ncnn_utils.activation(g, ncnn_utils.conv2d(g, [mean[0]], self.gate), "sigmoid")
            y = ncnn_utils.binaryOp(g, [feat, gate[0]], op="Mul")
            y = self.after.export_ncnn(g, y)
            y = ncnn_utils.binaryOp(g, y + [feat], op="Add")  # noqa: RUF005
            box = ncnn_utils.reshape(g, ncnn_utils.conv2d(g, y, self.boxes), (1, 4, 7, -1))
            box = ncnn_utils.permute(g, box, "(0, 2, 1, 3)")
            box = ncnn_utils.softmax(g, box, dim=1)
            box = ncnn_utils.conv2d(g, box, self.project)
            score = ncnn_utils.activation(g, ncnn_utils.conv2d(g, y, self.scores), act_name="sigmoid")
            scores.append(ncnn_utils.reshape(g, score, (1, 5, -1))[0])
            boxes.append(ncnn_utils.reshape(g, box, (1, 4, -1))[0])
        scores = ncnn_utils.permute(g, ncnn_utils.concat(g, scores, dim=2), "(0, 2, 1)")
        boxes = ncnn_utils.permute(g, ncnn_utils.concat(g, boxes, dim=2), "(0, 2, 1)")
        return [scores[0], boxes[0]]
