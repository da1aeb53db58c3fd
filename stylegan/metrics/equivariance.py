"""Moved and turned pictures: what an equivariant generator makes when its input is moved and turned.

Source: Karras et al. 2021, "Alias-Free Generative Adversarial Networks", section 3.2 and appendix E, with the constants
of the official code, which gives the same figures. Pictures are [N, C, S, S]; each function gives what is to be
compared, and a mask of where, both of the pictures' shape.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from stylegan._torch import Tensor, functional, torch

MOST_MOVED = 0.125
"""Of the picture's size, in each direction; angles are any."""
LOBES = 3  # of the Lanczos windows
UP = 4  # samples that stand for a pixel while a picture is turned
GRID = 64  # pixels around a filter's middle over which it is computed
Matrix = npt.NDArray[np.float64]
Pair = tuple[Tensor, Tensor]


def _span(size: int, low: int, high: int) -> slice:
    return slice(max(low, 0), max(min(size + high, size), 0))


def moved_by_pixels(x: Tensor, dx: int, dy: int) -> Pair:
    """Right by dx and down by dy."""
    size = x.shape[-1]
    y, mask = functional.pad(x, [dx, -dx, dy, -dy]), torch.zeros_like(x)
    mask[:, :, _span(size, dy, dy), _span(size, dx, dx)] = 1
    return y, mask


def moved(x: Tensor, dx: float, dy: float) -> Pair:
    """The same by parts of pixels: Lanczos filters of 6 taps. The mask is where all taps lie inside."""
    size, mask = x.shape[-1], torch.zeros_like(x)
    spans = []
    for axis, distance in ((3, dx), (2, dy)):
        whole = math.floor(distance)
        offsets = np.arange(1 - LOBES, LOBES + 1) - (distance - whole)
        taps = np.sinc(offsets) * np.sinc(offsets / LOBES)
        weight = torch.from_numpy(taps[::-1] / taps.sum()).to(x)
        around = [whole + LOBES, LOBES - 1 - whole]
        x = functional.pad(x, around if axis == 3 else [0, 0, *around])
        x = _filtered(x, weight[None, :] if axis == 3 else weight[:, None])
        spans.append(_span(size, whole + LOBES, whole + 1 - LOBES))
    mask[:, :, spans[1], spans[0]] = 1
    return x, mask


def turned(x: Tensor, angle: float) -> Pair:
    """Turned about the middle by the angle, in radians, with what neither grid of pixels can hold left out."""
    n, _, _, size = x.shape
    matrix = rotation(angle)
    taps = torch.from_numpy(_band_limits(matrix, UP)).to(x)
    reach = taps.shape[0] // 2
    # Pixel i becomes sample UP * i + first, all others are zero; a picture is then surrounded by the filter's reach.
    first = reach + UP // 2
    y = x.new_zeros([*x.shape[:2], UP * size + 2 * reach, UP * size + 2 * reach])
    y[:, :, first : first + UP * size : UP, first : first + UP * size : UP] = x
    y = _filtered(functional.pad(y, [reach] * 4), taps * UP**2)
    centres = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    target = torch.stack([centres.expand(size, size), centres[:, None].expand(size, size)], dim=-1)
    source = target @ torch.from_numpy(np.linalg.inv(matrix).T.copy())
    samples = (source + (size - 1) / 2) * UP + first
    grid = ((2 * samples + 1) / y.shape[-1] - 1).to(x).expand(n, size, size, 2)
    inside = torch.zeros_like(y)
    border = 2 * reach + 1
    inside[:, :, border:-border, border:-border] = 1
    found, mask = (
        functional.grid_sample(of, grid, mode=mode, padding_mode="zeros", align_corners=False)
        for of, mode in ((y, "bilinear"), (inside, "nearest"))
    )
    return found, mask


def as_if_turned(x: Tensor, angle: float) -> Pair:
    """What turning to this angle leaves of a picture that was made so: it stays where it is."""
    taps = torch.from_numpy(_band_limits(rotation(-angle), 1)).to(x)
    reach, mask = taps.shape[0] // 2, torch.zeros_like(x)
    mask[:, :, reach:-reach, reach:-reach] = 1
    return _filtered(functional.pad(x, [reach] * 4), taps), mask


def rotation(angle: float) -> Matrix:
    """[2, 2]. y points down: a positive angle turns counterclockwise."""
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def transform(angle: float = 0.0, x: float = 0.0, y: float = 0.0) -> npt.NDArray[np.float32]:
    """[3, 3], the transform of a generator whose picture is to be turned by the angle or moved by (x, y) of its size:
    where each point is looked up."""
    found = np.eye(3)
    found[:2, :2] = rotation(-angle)
    found[:2, 2] = -x, -y
    return found.astype(np.float32)


def _filtered(x: Tensor, taps: Tensor) -> Tensor:
    """x [N, C, H, W] where all taps [h, w] lie inside."""
    channels = x.shape[1]
    return functional.conv2d(x, taps.expand(channels, 1, *taps.shape), groups=channels)


@cache
def _places(up: int) -> tuple[Matrix, Matrix]:
    """x and y in pixels, up to GRID from the middle, which lies first: as a Fourier transform has it."""
    count = GRID * up - 1
    line = np.fft.ifftshift(np.arange(-count, count + 1)) / up
    return line[None, :] + 0 * line[:, None], line[:, None] + 0 * line[None, :]


def _band_limits(matrix: Matrix, up: int) -> Matrix:
    """A filter that keeps what both the pixels of a picture and those of the turned one can hold, `up` taps a pixel.

    Each grid of pixels has a sinc of its axes, and a Lanczos window; both are convolved with those of the other. Taps
    that meet pixels together add up to 1 / up^2.
    """
    x, y = _places(up)
    turned_x, turned_y = (matrix[i, 0] * x + matrix[i, 1] * y for i in range(2))

    def convolved(a: Matrix, b: Matrix) -> Matrix:
        return np.fft.irfft2(np.fft.rfft2(a) * np.fft.rfft2(b), a.shape)

    def window(offset: Matrix) -> Matrix:
        return np.where(np.abs(offset) < LOBES, np.sinc(offset / LOBES), 0)

    ideal = convolved(np.sinc(x) * np.sinc(y), np.sinc(turned_x) * np.sinc(turned_y))
    soft = convolved(window(x) * window(y), window(turned_x) * window(turned_y))
    reach = 2 * LOBES * up - 1
    middle = ideal.shape[0] // 2
    cut = slice(middle - reach, middle + reach + 1)
    taps = np.fft.fftshift(ideal * soft)[cut, cut]
    size = 2 * LOBES * 2
    phases = np.pad(taps, [(0, 1), (0, 1)]).reshape(size, up, size, up)
    phases = phases / phases.sum(axis=(0, 2), keepdims=True) / up**2
    found: Matrix = phases.reshape(size * up, size * up)[:-1, :-1]
    return found
