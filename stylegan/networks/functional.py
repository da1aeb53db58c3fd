"""StyleGAN's operations as plain torch functions, as the papers and the official networks define them.

They are what `forward()` of our networks calls and what ncnn's results are compared with. All of them take
and return [N, C, H, W] tensors, keep the dtype and the device of x, and are differentiable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

from stylegan._torch import Tensor, functional, torch


class Activation(NamedTuple):
    """func(x, alpha); `alpha` and `gain` are the defaults. homogeneous: func(k * x) = k * func(x) for k > 0."""

    func: Callable[[Tensor, float], Tensor]
    alpha: float
    gain: float
    homogeneous: bool = False


ACTIVATIONS = {
    "linear": Activation(lambda x, _: x, 0.0, 1.0, True),
    "relu": Activation(lambda x, _: functional.relu(x), 0.0, math.sqrt(2), True),
    "lrelu": Activation(lambda x, alpha: functional.leaky_relu(x, alpha), 0.2, math.sqrt(2), True),
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


def split_gain(act: str, gain: float) -> tuple[float, float]:
    """(before, after): gain as a factor of what the activation gets, and one of what it gives.

    Before it where that is the same: weights and biases are smaller than pictures, so that it costs nothing there.
    """
    return (gain, 1.0) if gain > 0 and get_activation(act).homogeneous else (1.0, gain)


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
    func, default_alpha, default_gain, _ = get_activation(act)
    if b is not None:
        x = x + b.to(x.dtype).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    x = func(x, default_alpha if alpha is None else alpha)
    gain = default_gain if gain is None else gain
    if gain != 1:
        x = x * gain
    # hardtanh is clamp with a gradient in one pass instead of four.
    return x if clamp is None else functional.hardtanh(x, -clamp, clamp)


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
    h, w = x.shape[2:]
    (upx, upy), (downx, downy) = _pair(up, "up"), _pair(down, "down")
    x0, x1, y0, y1 = _padding(padding)
    fw, fh = _filter_size(f)
    if h * upy + y0 + y1 < fh or w * upx + x0 + x1 < fw:
        raise ValueError(
            f"upfirdn2d: nothing left: input {h}x{w} upsampled {upy}x{upx} with padding {[x0, x1, y0, y1]} "
            f"is smaller than the filter {fh}x{fw}"
        )
    asked = _Upfirdn2dParams((upx, upy), (downx, downy), (x0, x1, y0, y1), flip_filter, gain)
    if f is None or f.requires_grad or not (x.requires_grad and torch.is_grad_enabled()):
        return _upfirdn2d(x, f, asked)
    y: Tensor = _Upfirdn2d.apply(x, f, asked)
    return y


class _Upfirdn2dParams(NamedTuple):
    """Checked arguments of upfirdn2d: pairs (x, y), padding (x0, x1, y0, y1)."""

    up: tuple[int, int]
    down: tuple[int, int]
    padding: tuple[int, int, int, int]
    flip_filter: bool
    gain: float


def _upfirdn2d(x: Tensor, f: Tensor | None, asked: _Upfirdn2dParams) -> Tensor:
    (upx, upy), (downx, downy), (x0, x1, y0, y1), flip_filter, gain = asked
    if f is not None and f.ndim == 1:  # along x first, where there are no zeros between the rows yet
        half = math.sqrt(abs(gain))
        rows = _Upfirdn2dParams((upx, 1), (downx, 1), (x0, x1, 0, 0), flip_filter, math.copysign(half, gain))
        columns = _Upfirdn2dParams((1, upy), (1, downy), (0, 0, y0, y1), flip_filter, half)
        return _upfirdn2d(_upfirdn2d(x, f[None], rows), f[:, None], columns)
    n, c, h, w = x.shape
    fw, fh = _filter_size(f)
    if upx > 1 or upy > 1:
        x, small = x.new_zeros(n, h * upy, w * upx, c).permute(0, 3, 1, 2), x  # channels last: faster to filter
        x[:, :, ::upy, ::upx] = small
    # The convolution adds what both sides have in common without a copy of the picture.
    common_x, common_y = (max(0, min(pair)) if f is not None else 0 for pair in ((x0, x1), (y0, y1)))
    rest = [x0 - common_x, x1 - common_x, y0 - common_y, y1 - common_y]
    if any(rest):
        x = functional.pad(x, rest)
    if f is None:
        return x[:, :, ::downy, ::downx] * gain
    f = (f * gain).to(x.dtype)
    if not flip_filter:
        f = f.flip([0, 1])  # conv2d correlates
    stride, padding = (downy, downx), (common_y, common_x)
    return functional.conv2d(x, f.expand(c, 1, fh, fw), stride=stride, padding=padding, groups=c)


class _Upfirdn2d(torch.autograd.Function):
    """upfirdn2d with a gradient that is upfirdn2d again: up and down exchanged, the filter turned.

    torch's own gradient of a gradient of a convolution with groups goes through the groups one by one, and works out
    what the filter would need too.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Tensor, asked: _Upfirdn2dParams) -> Tensor:
        y = _upfirdn2d(x, f, asked)
        ctx.save_for_backward(f)
        ctx.asked, ctx.x_shape, ctx.y_shape = asked, x.shape, y.shape
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        (f,) = ctx.saved_tensors
        up, down, padding, flip_filter, gain = ctx.asked
        turned: list[int] = []
        for axis, size in enumerate(_filter_size(f)):  # x, y
            before = padding[2 * axis]
            after = ctx.x_shape[3 - axis] * up[axis] - ctx.y_shape[3 - axis] * down[axis] + before - up[axis] + 1
            turned += [size - 1 - before, after]
        x0, x1, y0, y1 = turned
        return _Upfirdn2d.apply(dy, f, _Upfirdn2dParams(down, up, (x0, x1, y0, y1), not flip_filter, gain)), None, None


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
    x may be float16, the others stay float32.
    """
    if (
        len(x) > 1
        or x.dtype == torch.float16
        or (torch.is_grad_enabled() and (styles.requires_grad or weight.requires_grad))
    ):
        return _conv2d_of_modulated_input(x, weight, styles, noise, up, padding, resample_filter, demodulate, gain)
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


def _conv2d_of_modulated_input(
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
    """The same with one weight for all samples: faster for several of them, and where gradients are wanted.

    Styles scale the input instead, and demodulation the output: sum_ik w'[o, i, k]^2 = sum_i s[i]^2 sum_k w[o, i, k]^2.
    """
    if demodulate and x.dtype == torch.float16:  # which ends at 65504; demodulation takes these factors out again
        weight = weight / (weight.abs().amax(dim=[1, 2, 3], keepdim=True) * math.sqrt(weight[0].numel()))
        styles = styles / styles.abs().amax(dim=1, keepdim=True)
    x = x * styles.to(x.dtype)[:, :, None, None]
    x = conv2d_resample(x, weight.to(x.dtype), resample_filter, up=up, padding=padding)
    if demodulate:
        norms = styles.square() @ weight.square().sum(dim=[2, 3]).t() + 1e-8  # [N, O]
        factors = (norms.rsqrt() * gain).to(x.dtype)[:, :, None, None]
        return x * factors if noise is None else torch.addcmul(noise.to(x.dtype), x, factors)
    if isinstance(gain, Tensor) or gain != 1:
        x = x * (gain.to(x.dtype) if isinstance(gain, Tensor) else gain)
    return x if noise is None else x + noise.to(x.dtype)


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
