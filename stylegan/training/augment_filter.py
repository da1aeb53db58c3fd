"""Image-space filtering and corruption: bands of frequencies, cut-out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylegan._torch import Tensor, functional, torch


def filter_bank(taps: Sequence[float], bands: int) -> Tensor:
    """[bands, odd number of taps]: filters that split a signal into octaves, lowest first; together the identity.

    taps: an orthogonal low-pass filter that sums to sqrt(2), such as a symlet. Its autocorrelation over 2 and that of
    its high-pass mirror are zero-phase and add up to 1; the lower half is split again, at twice the spacing.
    """
    low = np.asarray(taps, np.float64)
    high = low * (-1.0) ** np.arange(len(low))
    low2, high2 = np.convolve(low, low[::-1]) / 2, np.convolve(high, high[::-1]) / 2
    bank = np.ones((1, 1))
    for _ in range(bands - 1):
        # z -> z^2 moves what is there to half the frequencies, and repeats it above: low2 takes that away.
        spread = np.zeros((len(bank), bank.shape[1] * 2 - 1))
        spread[:, ::2] = bank
        lower = np.stack([np.convolve(row, low2) for row in spread])
        upper = np.zeros(lower.shape[1])
        middle = (len(upper) - len(high2)) // 2
        upper[middle : middle + len(high2)] = high2
        bank = np.vstack([lower, upper])
    return torch.from_numpy(bank.astype(np.float32))


def amplify(images: Tensor, gains: Tensor, bank: Tensor) -> Tensor:
    """images [N, C, H, W], gains [N, bands], bank [bands, taps] -> the same shape, filtered along both axes."""
    n, c, h, w = images.shape
    f = (gains @ bank).repeat_interleave(c, dim=0)[:, None]  # [N * C, 1, taps]
    pad = bank.shape[1] // 2
    x = _reflect(images, pad).reshape(1, n * c, h + 2 * pad, w + 2 * pad)
    x = functional.conv2d(x, f[:, :, None], groups=n * c)
    x = functional.conv2d(x, f[:, :, :, None], groups=n * c)
    return x.reshape(n, c, h, w)


def _reflect(images: Tensor, pad: int) -> Tensor:
    """Mirror images around the pictures, in several steps where `pad` is more than they hold."""
    while pad > 0:
        most = min(pad, images.shape[2] - 1, images.shape[3] - 1)
        if most < 1:
            raise ValueError(f"augmentation: pictures of {images.shape[2]}x{images.shape[3]} are too small to filter")
        images = functional.pad(images, [most] * 4, mode="reflect")
        pad -= most
    return images


def cut_out(images: Tensor, size: Tensor, centre: Tensor) -> Tensor:
    """images [N, C, H, W] with a black (0) rectangle of size [N], around centre [N, 2] (x, y); parts of the picture."""
    h, w = images.shape[2:]
    x, y = ((torch.arange(n, device=images.device) + 0.5) / n for n in (w, h))
    outside_x = (x[None] - centre[:, :1]).abs() >= size[:, None] / 2  # [N, W]
    outside_y = (y[None] - centre[:, 1:]).abs() >= size[:, None] / 2  # [N, H]
    keep = outside_x[:, None, None, :] | outside_y[:, None, :, None]
    return images * keep.to(images.dtype)
