"""Tensors as pictures and histograms, for the page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

LARGEST = 256
"""Pixels of a side; larger ones are thinned out."""
LEAST = 4


def is_picture(array: Any) -> bool:
    """Whether a tensor is like a picture: 1 or 3 channels of at least 4 x 4."""
    return is_map(array) and array.shape[0] in (1, 3)


def is_map(array: Any) -> bool:
    """Whether it has channels that can be shown."""
    return bool(array.ndim == 3 and min(array.shape[1:]) >= LEAST)


def pictures(expected: Any, got: Any) -> tuple[list[str], str]:
    """PNG data URIs of torch's, ncnn's and their difference, and what they show.

    Both are scaled by torch's range, the difference by its own largest magnitude: grey is none. Of a tensor with other
    than 1 or 3 channels the one is taken that differs most. expected, got: finite, [C, H, W].
    """
    title = ""
    if not is_picture(expected):
        worst = int(np.abs(got - expected).max(axis=(1, 2)).argmax())
        expected, got = expected[worst : worst + 1], got[worst : worst + 1]
        title = f"channel {worst}, the worst; "
    low, high = float(expected.min()), float(expected.max())
    span = (high - low) or 1.0
    difference = got - expected
    largest = float(np.abs(difference).max())
    shown = [(expected - low) / span, (got - low) / span, difference / (2 * (largest or 1.0)) + 0.5]
    return [_png(a) for a in shown], f"{title}{low:.3g} to {high:.3g}; difference up to {largest:.2g}"


def _png(array: Any) -> str:
    from PIL import Image

    step = -(-max(array.shape[1:]) // LARGEST)
    pixels = np.uint8(np.clip(array[:, ::step, ::step] * 255, 0, 255).round())
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def histograms(expected: Any, got: Any, bins: int = 48) -> tuple[list[int], list[int], float, float]:
    """Counts of both over the same range, and the range."""
    numbers = np.concatenate([expected.reshape(-1), got.reshape(-1)])
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = [np.histogram(a, bins, (low, high))[0].tolist() for a in (expected, got)]
    return counts[0], counts[1], low, high
