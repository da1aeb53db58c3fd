"""What the ops that filter pictures share, composite ones and layers: limits, sizes, parameters, the definition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsFloat

from ...builder import array, integer, number, padding4, pair
from ...ir import Array, Params, Shape
from ..common import functional, need

# custom_layers/fir.h has the same limits; a test compares them.
MOST_FACTOR = 64
MOST_PADDING = 1 << 20
MOST_TAPS = 256
PADDINGS = ("pad_top", "pad_bottom", "pad_left", "pad_right")


def taps(name: str, f: Array | None) -> tuple[int, int]:
    """Rows and columns of a filter [h, w], [n] (along both axes) or None. Raises BuildError for any other."""
    need(
        f is None or (f.ndim in (1, 2) and min(f.shape) >= 1 and max(f.shape) <= MOST_TAPS),
        "bad filter",
        argument=name,
        expected=f"[fh, fw] or [n] of 1 to {MOST_TAPS} taps, or None",
        got=None if f is None else list(f.shape),
    )
    return (1, 1) if f is None else (f.shape[0], f.shape[-1])


def fir_macs(out: Shape, f: Shape | None, up: tuple[int, int]) -> int:
    """Products for a result of (C, H, W): for each number the taps that do not meet an inserted zero.

    f: [h, w], or [n] along both axes one after the other, each counted for every number of the result; None: no filter.
    """
    if f is None:
        return 0
    rows, columns = -(-f[0] // up[0]), -(-f[-1] // up[1])
    return math.prod(out) * (rows * columns if len(f) == 2 else rows + columns)


def out_shape(x: Shape, up: Shape, down: Shape, params: Params, fu: tuple[int, int], fd: tuple[int, int]) -> Shape:
    """The shape of x (C, H, W) upsampled by zeros, padded, filtered with fu and fd taps, and downsampled.

    Raises BuildError where a factor or a padding is out of range, or nothing is left.
    """
    pad = [params[name] for name in PADDINGS]
    need(
        min(*up, *down) >= 1 and max(*up, *down) <= MOST_FACTOR,
        "bad factor",
        argument="up, down",
        expected=f"1 to {MOST_FACTOR}",
        got=[*up, *down],
    )
    need(max(map(abs, pad)) <= MOST_PADDING, "too much padding", argument="padding", got=pad)
    out = []
    for i in (0, 1):
        before, after = pad[2 * i : 2 * i + 2]
        n = x[1 + i] * up[i]
        room = n + before + after - (fu[i] - 1) - fd[i] if n + min(before, 0) + min(after, 0) > 0 else -1
        need(
            room >= 0,
            "nothing is left",
            argument="x",
            expected="a larger picture, more padding or smaller filters",
            got=list(x),
        )
        out.append(room // down[i] + 1)
    return (x[0], *out)


def paddings(params: Params) -> tuple[int, int, int, int]:
    """top, bottom, left, right of an op or layer that has them under these names."""
    return params["pad_top"], params["pad_bottom"], params["pad_left"], params["pad_right"]


def upsampling_border(taps: int, up: int) -> tuple[int, int]:
    """Zeros before and after a picture that StyleGAN2 upsamples with a filter, so that it grows `up` times."""
    return (taps + up - 1) // 2, (taps - up) // 2


def border_behind(padding: int, up: int, taps: int, kernel: int) -> tuple[int, int]:
    """Border of the filter behind a transposed convolution that takes the place of upsampling and a convolution.

    StyleGAN2 pads the upsampled picture by upsampling_border() and the convolution's padding; the transposed
    convolution has put kernel - 1 zeros before and kernel - up after it already.
    """
    before, after = upsampling_border(taps, up)
    return padding + before - (kernel - 1), padding + after - (kernel - up)


def flag(value: Any, argument: str) -> int:
    """1 or 0 for a truth value. Raises BuildError for anything else."""
    need(value in (True, False), "not a truth value", argument=argument, expected="True or False", got=value)
    return int(value)


def upfirdn2d_params(up: Any, down: Any, padding: Any, flip_filter: Any, gain: SupportsFloat) -> dict[str, Any]:
    """The parameters that the composite op and the layer have in common."""
    (up_y, up_x), (down_y, down_x) = pair(up, "up"), pair(down, "down")
    return {
        **{"up_y": up_y, "up_x": up_x, "down_y": down_y, "down_x": down_x},
        **dict(zip(PADDINGS, padding4(padding), strict=True)),
        "flip_filter": flag(flip_filter, "flip_filter"),
        "gain": number(gain, "gain"),
    }


def filtered_lrelu_params(
    up: SupportsFloat,
    down: SupportsFloat,
    padding: Any,
    gain: SupportsFloat | None,
    slope: SupportsFloat,
    clamp: SupportsFloat | None,
    flip_filter: Any,
) -> dict[str, Any]:
    """The parameters that the composite op and the layer have in common; gain None is sqrt(2), clamp None none."""
    return {
        "up": integer(up, "up"),
        "down": integer(down, "down"),
        **dict(zip(PADDINGS, padding4(padding), strict=True)),
        "gain": math.sqrt(2) if gain is None else number(gain, "gain"),
        "slope": number(slope, "slope"),
        "clamp": -1.0 if clamp is None else number(clamp, "clamp"),
        "flip_filter": flag(flip_filter, "flip_filter"),
    }


def filtered_lrelu_weights(fu: Any, fd: Any, b: Any) -> dict[str, Array | None]:
    """Filters and bias as arrays, or None."""
    return {
        "fu": None if fu is None else array(fu, "fu"),
        "fd": None if fd is None else array(fd, "fd"),
        "b": None if b is None else array(b, "b", 1),
    }


def upfirdn2d_reference(
    x: Any,
    f: Any,
    up: tuple[int, int],
    down: tuple[int, int],
    padding: Sequence[int],
    gain: float,
    flip: bool,
) -> Any:
    """The definition of upfirdn2d, step by step, on torch tensors without batch."""
    F = functional()
    c, h, w = x.shape
    y = x.new_zeros(c, h * up[0], w * up[1])
    y[:, :: up[0], :: up[1]] = x
    top, bottom, left, right = padding
    y = F.pad(y, (left, right, top, bottom))
    if f is None:
        return y[:, :: down[0], :: down[1]] * gain
    f = f.to(x.dtype)
    f = f if flip else f.flip(*range(f.ndim))
    y = y[:, None]
    if f.ndim == 2:
        y = F.conv2d(y, f[None, None], stride=down)
    else:  # along both axes
        y = F.conv2d(y, f[None, None, :, None], stride=(down[0], 1))
        y = F.conv2d(y, f[None, None, None], stride=(1, down[1]))
    return y[:, 0] * gain


def filtered_lrelu_reference(x: Any, fu: Any, fd: Any, b: Any, params: Any) -> Any:
    """The definition of filtered_lrelu, step by step, on torch tensors without batch."""
    p, up, down, flip = params, (params["up"],) * 2, (params["down"],) * 2, bool(params["flip_filter"])
    x = x if b is None else x + b[:, None, None]
    x = upfirdn2d_reference(x, fu, up, (1, 1), [p[name] for name in PADDINGS], p["up"] ** 2, flip)
    x = functional().leaky_relu(x, p["slope"]) * p["gain"]
    x = x if p["clamp"] < 0 else x.clamp(-p["clamp"], p["clamp"])
    return upfirdn2d_reference(x, fd, (1, 1), down, (0, 0, 0, 0), 1.0, flip)
