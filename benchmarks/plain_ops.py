"""The networks' functions as the papers' authors wrote them down for machines without their CUDA kernels.

What they do, in their order, with torch's own gradients: zeros are put between pixels, pictures are padded and filtered
each on its own; biases, activations, gains and clamps are one operation each; while training, styles scale the input
and the demodulation, worked out from modulated weights, scales the output.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from torch import Tensor
from torch.nn import functional

from stylegan.networks.functional import get_activation


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    n, c, h, w = x.shape
    x0, x1, y0, y1 = (padding,) * 4 if isinstance(padding, int) else padding
    f = x.new_ones(1, 1) if f is None else f
    x = x.reshape(n, c, h, 1, w, 1)
    x = functional.pad(x, [0, up - 1, 0, 0, 0, up - 1]).reshape(n, c, h * up, w * up)
    x = functional.pad(x, [max(p, 0) for p in (x0, x1, y0, y1)])
    x = x[:, :, max(-y0, 0) : x.shape[2] - max(-y1, 0), max(-x0, 0) : x.shape[3] - max(-x1, 0)]
    f = f * gain ** (f.ndim / 2)
    f = f if flip_filter else f.flip(list(range(f.ndim)))
    if f.ndim == 2:
        x = functional.conv2d(x, f.repeat(c, 1, 1, 1), groups=c)
    else:
        x = functional.conv2d(x, f.repeat(c, 1, 1, 1), groups=c)
        x = functional.conv2d(x, f[:, None].repeat(c, 1, 1, 1), groups=c)
    return x[:, :, ::down, ::down]


def _around(f: Tensor, up: int = 1, down: int = 1, more: int = 0) -> list[int]:
    """(x0, x1, y0, y1) that keep the picture in its place."""
    size = f.shape[-1]
    if up > 1:
        return [(size + up - 1) // 2 + more, (size - up) // 2 + more] * 2
    return [(size - down + 1) // 2 + more, (size - down) // 2 + more] * 2


def upsample2d(x: Tensor, f: Tensor, up: int = 2) -> Tensor:
    return upfirdn2d(x, f, up=up, padding=_around(f, up=up), gain=up**2)


def downsample2d(x: Tensor, f: Tensor, down: int = 2) -> Tensor:
    return upfirdn2d(x, f, down=down, padding=_around(f, down=down))


def conv2d_resample(
    x: Tensor, w: Tensor, f: Tensor | None = None, up: int = 1, padding: int = 0, groups: int = 1, down: int = 1
) -> Tensor:
    if up > 1:
        assert f is not None and groups == 1
        x = functional.conv_transpose2d(x, w.transpose(0, 1), stride=up)
        over = [-(w.shape[3] - 1), -(w.shape[3] - up)] * 2
        return upfirdn2d(
            x, f, padding=[a + b for a, b in zip(_around(f, up=up, more=padding), over, strict=True)], gain=up**2
        )
    if down > 1:
        assert f is not None
        if w.shape[2:] == (1, 1):
            return functional.conv2d(upfirdn2d(x, f, down=down, padding=_around(f, down=down)), w, groups=groups)
        x = upfirdn2d(x, f, padding=_around(f, down=down, more=padding))
        return functional.conv2d(x, w, stride=down, groups=groups)
    return functional.conv2d(x, w, padding=padding, groups=groups)


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    dim: int = 1,
) -> Tensor:
    known = get_activation(act)
    if b is not None:
        x = x + b.reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    x = known.func(x, known.alpha if alpha is None else alpha)
    gain = known.gain if gain is None else gain
    if gain != 1:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


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
    scales = None
    if demodulate:
        w = weight[None] * styles[:, None, :, None, None]  # [N, O, I, kh, kw]
        scales = (w.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt()[:, :, None, None]
    x = conv2d_resample(x * styles[:, :, None, None], weight, resample_filter, up=up, padding=padding)
    if scales is not None and noise is not None:
        x = noise.addcmul(x, scales) if noise.shape == x.shape else noise + x * scales
    elif scales is not None:
        x = x * scales
    elif noise is not None:
        x = x + noise
    return x if isinstance(gain, (int, float)) and gain == 1 else x * gain


def split_gain(act: str, gain: float) -> tuple[float, float]:
    """The gain comes after the activation."""
    return 1.0, gain


_USERS = ("networks.v2ada", "networks.v2ada_layers", "networks.layers", "training.loss", "training.discriminator")


@contextmanager
def plain_ops() -> Iterator[None]:
    """While it is open, StyleGAN2-ADA's networks and its loss call the functions above."""
    own: dict[str, Any] = {
        f.__name__: f
        for f in (upfirdn2d, upsample2d, downsample2d, conv2d_resample, bias_act, modulated_conv2d, split_gain)
    }
    with ExitStack() as stack:
        for user in _USERS:
            module = importlib.import_module(f"stylegan.{user}")
            for name in own.keys() & vars(module).keys():
                stack.enter_context(mock.patch.object(module, name, own[name]))
        yield
