"""StyleGAN's operations as plain torch functions, as the papers and the official networks define them.

They are what `forward()` of our networks calls and what ncnn's results are compared with. All of them take
and return [N, C, H, W] tensors, keep the dtype and the device of x, and are differentiable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import NamedTuple

from stylegan._torch import Tensor, functional, torch


class Activation(NamedTuple):
    """func(x, alpha); `alpha` and `gain` are the defaults."""

    func: Callable[[Tensor, float], Tensor]
    alpha: float
    gain: float


ACTIVATIONS = {
    "linear": Activation(lambda x, _: x, 0.0, 1.0),
    "relu": Activation(lambda x, _: functional.relu(x), 0.0, math.sqrt(2)),
    "lrelu": Activation(lambda x, alpha: functional.leaky_relu(x, alpha), 0.2, math.sqrt(2)),
    "tanh": Activation(lambda x, _: torch.tanh(x), 0.0, 1.0),
    "sigmoid": Activation(lambda x, _: torch.sigmoid(x), 0.0, 1.0),
    "elu": Activation(lambda x, _: functional.elu(x), 0.0, 1.0),
    "selu": Activation(lambda x, _: functional.selu(x), 0.0, 1.0),
    "softplus": Activation(lambda x, _: functional.softplus(x), 0.0, 1.0),
    "swish": Activation(lambda x, _: functional.silu(x), 0.0, math.sqrt(2)),
}


def get_activation(name: str) -> Activation:
    """The entry of ACTIVATIONS. Raises ValueError for an unknown name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is unknown: expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    dim: int = 1,
) -> Tensor:
    """clip(act(x + b) * gain, -clamp, clamp), with b [x.shape[dim]] added along `dim`.

    `alpha` and `gain` default to the activation's own (ACTIVATIONS); clamp None does not clip.
    """
    func, default_alpha, default_gain = get_activation(act)
    if b is not None:
        x = x + b.reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    x = func(x, default_alpha if alpha is None else alpha)
    gain = default_gain if gain is None else gain
    if gain != 1:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def setup_filter(
    f: Sequence[float] | Tensor | None,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1.0,
    separable: bool | None = None,
) -> Tensor:
    """A FIR filter for upfirdn2d: float32, [taps] to be applied along both axes, or [height, width].

    f is a list of taps, a tensor of one or two dimensions, or None for the identity. A one-dimensional f
    stays so if `separable` is true (default: from 8 taps on, where two passes pay); otherwise it becomes its
    outer product with itself. `normalize` makes the taps sum to 1; `gain` multiplies the two-dimensional
    response.
    """
    taps = torch.as_tensor(1.0 if f is None else f, dtype=torch.float32)
    if taps.ndim > 2 or taps.numel() == 0:
        raise ValueError(f"setup_filter: f must be 1-D or 2-D and have taps, got shape {list(taps.shape)}")
    if taps.ndim == 0:
        taps = taps[None]
    if separable is None:
        separable = taps.ndim == 1 and taps.numel() >= 8
    if taps.ndim == 1 and not separable:
        taps = torch.outer(taps, taps)
    if taps.ndim == 2 and separable:
        raise ValueError(f"setup_filter: separable needs 1-D taps, got shape {list(taps.shape)}")
    if normalize:
        taps = taps / taps.sum()
    if flip_filter:
        taps = taps.flip(list(range(taps.ndim)))
    return taps * float(gain ** (taps.ndim / 2))


def _pair(value: int | Sequence[int], what: str) -> tuple[int, int]:
    """(x, y) from one number or two."""
    x, y = (value, value) if isinstance(value, (int, Integral)) else value
    if x < 1 or y < 1:
        raise ValueError(f"upfirdn2d: {what} must be 1 or more, got {value}")
    return x, y


def _padding(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """(x0, x1, y0, y1) from one number, (x, y), or all four."""
    p = (padding,) * 4 if isinstance(padding, (int, Integral)) else tuple(padding)
    if len(p) == 2:
        p = (p[0], p[0], p[1], p[1])
    if len(p) != 4:
        raise ValueError(f"upfirdn2d: padding takes 1, 2 or 4 numbers (x0, x1, y0, y1), got {padding}")
    return p


def _filter_size(f: Tensor | None) -> tuple[int, int]:
    """(width, height) of a filter made by setup_filter."""
    return (1, 1) if f is None else (int(f.shape[-1]), int(f.shape[0]))


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Upsample by zero insertion, pad, filter, keep every `down`-th pixel.

    x [N, C, H, W] -> [N, C, OH, OW] with OH = (H * upy + y0 + y1 - filter height) // downy + 1, OW likewise.

    Every pixel is followed by up - 1 zeros; `padding` counts pixels of that larger picture and a negative
    number crops. f comes from setup_filter (None: no filter) and is convolved; flip_filter=True correlates
    instead. `gain` multiplies the result: up**2 keeps the brightness when upsampling. Pairs are (x, y),
    padding is (x0, x1, y0, y1). Raises ValueError if nothing would be left.
    """
    n, c, h, w = x.shape
    (upx, upy), (downx, downy) = _pair(up, "up"), _pair(down, "down")
    x0, x1, y0, y1 = _padding(padding)
    fw, fh = _filter_size(f)
    if h * upy + y0 + y1 < fh or w * upx + x0 + x1 < fw:
        raise ValueError(
            f"upfirdn2d: nothing left: input {h}x{w} upsampled {upy}x{upx} with padding {[x0, x1, y0, y1]} "
            f"is smaller than the filter {fh}x{fw}"
        )
    if upx > 1 or upy > 1:
        x = x.reshape(n, c, h, 1, w, 1)
        x = functional.pad(x, [0, upx - 1, 0, 0, 0, upy - 1])  # [N, C, H, upy, W, upx]
        x = x.reshape(n, c, h * upy, w * upx)
    if (x0, x1, y0, y1) != (0, 0, 0, 0):
        x = functional.pad(x, [x0, x1, y0, y1])
    if f is None:
        return x[:, :, ::downy, ::downx] * gain
    f = (f * float(abs(gain) ** (f.ndim / 2))).to(x.dtype)
    x = -x if gain < 0 else x
    if not flip_filter:
        f = f.flip(list(range(f.ndim)))  # conv2d correlates
    if f.ndim == 2:
        return functional.conv2d(x, f.expand(c, 1, fh, fw), stride=(downy, downx), groups=c)
    x = functional.conv2d(x, f.expand(c, 1, 1, fw), stride=(1, downx), groups=c)
    return functional.conv2d(x, f[:, None].expand(c, 1, fw, 1), stride=(downy, 1), groups=c)


def upsample2d(x: Tensor, f: Tensor | None, up: int = 2) -> Tensor:
    """x [N, C, H, W] -> [N, C, H * up, W * up], filtered by f so that brightness and position stay."""
    fw, fh = _filter_size(f)
    padding = [(fw + up - 1) // 2, (fw - up) // 2, (fh + up - 1) // 2, (fh - up) // 2]
    return upfirdn2d(x, f, up=up, padding=padding, gain=up**2)


def downsample2d(x: Tensor, f: Tensor | None, down: int = 2) -> Tensor:
    """x [N, C, H, W] -> [N, C, H / down, W / down], filtered by f so that brightness and position stay."""
    fw, fh = _filter_size(f)
    padding = [(fw - down + 1) // 2, (fw - down) // 2, (fh - down + 1) // 2, (fh - down) // 2]
    return upfirdn2d(x, f, down=down, padding=padding)


def conv2d_resample(
    x: Tensor,
    w: Tensor,
    f: Tensor | None = None,
    up: int = 1,
    padding: int = 0,
    groups: int = 1,
    down: int = 1,
) -> Tensor:
    """Convolution with upsampling before it or downsampling after it: [N, C, H, W] -> [N, O, H * up, W * up].

    w is [O, C / groups, kh, kw], `padding` counts pixels of the result as in conv2d. up 1 correlates with w
    as conv2d does. up > 1 inserts zeros, filters with f (gain up**2) and convolves with w, not flipped: a
    transposed convolution followed by the filter, and that is how it is computed. down > 1 filters with f and keeps
    every down-th pixel of the correlation: [N, O, H / down, W / down] where `padding` keeps the size.
    Raises ValueError if both up and down are more than 1.
    """
    if up > 1 and down > 1:
        raise ValueError(f"conv2d_resample: expected up or down to be 1, got up {up} and down {down}")
    if down > 1:
        fw, fh = _filter_size(f)
        before = [(fw - down + 1) // 2, (fw - down) // 2, (fh - down + 1) // 2, (fh - down) // 2]
        before = [padding + n for n in before]
        if w.shape[2:] == (1, 1):  # nothing to look at beside the pixels that are kept
            return functional.conv2d(upfirdn2d(x, f, down=down, padding=before), w, groups=groups)
        return functional.conv2d(upfirdn2d(x, f, padding=before), w, stride=down, groups=groups)
    if up == 1:
        return functional.conv2d(x, w, padding=padding, groups=groups)
    o, i, kh, kw = w.shape  # torch's transposed convolution wants [I, O / groups, kh, kw]
    w = w.reshape(groups, o // groups, i, kh, kw).transpose(1, 2).reshape(groups * i, o // groups, kh, kw)
    # [N, O, (H - 1) * up + kh, (W - 1) * up + kw]
    x = functional.conv_transpose2d(x, w, stride=up, groups=groups)
    # The padding of upsample2d plus the convolution's own, less what the transposed convolution added.
    fw, fh = _filter_size(f)
    x0, x1 = (fw + up - 1) // 2 + padding - (kw - 1), (fw - up) // 2 + padding - (kw - up)
    y0, y1 = (fh + up - 1) // 2 + padding - (kh - 1), (fh - up) // 2 + padding - (kh - up)
    return upfirdn2d(x, f, padding=[x0, x1, y0, y1], gain=up**2)


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None = None,
    up: int = 1,
    padding: int = 0,
    resample_filter: Tensor | None = None,
    demodulate: bool = True,
    gain: Tensor | float = 1,
) -> Tensor:
    """Convolution whose weights are scaled per sample (StyleGAN2, equations 1 and 3).

    x [N, I, H, W], weight [O, I, kh, kw], styles [N, I] -> [N, O, H', W'], where H' = H * up + 2 padding - kh + 1.

    w'[n, o, i] = weight[o, i] * styles[n, i]; demodulation divides each w'[n, o] by its norm (with 1e-8 under
    the root). `gain` multiplies the weights after that. `noise` is added to the result and must broadcast to it.
    """
    if styles.requires_grad and not weight.requires_grad and torch.is_grad_enabled():
        return _modulated_conv2d_of_fixed_weights(
            x, weight, styles, noise, up, padding, resample_filter, demodulate, gain
        )
    n, _, h, w_in = x.shape
    o, i, kh, kw = weight.shape
    w = weight[None] * styles.reshape(n, 1, i, 1, 1)  # [N, O, I, kh, kw]
    if demodulate:
        w = w * (w.square().sum(dim=[2, 3, 4], keepdim=True) + 1e-8).rsqrt()
    if isinstance(gain, Tensor) or gain != 1:
        w = w * gain
    # The samples become groups of one convolution.
    x = x.reshape(1, n * i, h, w_in)
    x = conv2d_resample(x, w.reshape(n * o, i, kh, kw), resample_filter, up=up, padding=padding, groups=n)
    x = x.reshape(n, o, *x.shape[2:])
    return x if noise is None else x + noise


def _modulated_conv2d_of_fixed_weights(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None,
    up: int,
    padding: int,
    resample_filter: Tensor | None,
    demodulate: bool,
    gain: Tensor | float,
) -> Tensor:
    """The same, where a gradient is wanted for the styles and not for the weights: they stay as they are, so that there
    is none of the modulated weights either, a third of the work.

    Styles scale the input instead, and demodulation the output: sum_ik w'[o, i, k]^2 = sum_i s[i]^2 sum_k w[o, i, k]^2.
    """
    x = conv2d_resample(x * styles[:, :, None, None], weight, resample_filter, up=up, padding=padding)
    if demodulate:
        norms = styles.square() @ weight.square().sum(dim=[2, 3]).t() + 1e-8  # [N, O]
        x = x * norms.rsqrt()[:, :, None, None]
    if isinstance(gain, Tensor) or gain != 1:
        x = x * gain
    return x if noise is None else x + noise


def filtered_lrelu(
    x: Tensor,
    fu: Tensor | None = None,
    fd: Tensor | None = None,
    b: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] = 0,
    gain: float = math.sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
) -> Tensor:
    """Bias, upsampling, leaky ReLU, downsampling (StyleGAN3, section 3.2): the activation without aliasing.

    x [N, C, H, W], b [C] -> [N, C, OH, OW], OH = (H * up + y0 + y1 - (fu height - 1) - (fd height - 1) + down - 1)
    // down. Filters as for upfirdn2d, `padding` (x0, x1, y0, y1) at the upsampled rate. The activation is
    max(x, 0) + slope * min(x, 0), times gain, limited to +-clamp.
    """
    x = bias_act(x, b)
    x = upfirdn2d(x, fu, up=up, padding=padding, flip_filter=flip_filter, gain=up**2)
    x = bias_act(x, act="lrelu", alpha=slope, gain=gain, clamp=clamp)
    return upfirdn2d(x, fd, down=down, flip_filter=flip_filter)
