"""Batches of homogeneous matrices. An argument is a number or a tensor [N]; results are [N, 3, 3] or [N, 4, 4]."""

from __future__ import annotations

from collections.abc import Sequence

from stylegan._torch import Tensor, torch

Number = Tensor | float


def matrix(rows: Sequence[Sequence[Number]], like: Tensor) -> Tensor:
    """[N, len(rows), len(rows[0])], N of `like` [N], which gives dtype and device too."""
    numbers = [torch.as_tensor(x, dtype=like.dtype, device=like.device).expand(len(like)) for row in rows for x in row]
    return torch.stack(numbers, dim=-1).reshape(len(like), len(rows), -1)


def translate2d(x: Number, y: Number, like: Tensor) -> Tensor:
    return matrix([[1, 0, x], [0, 1, y], [0, 0, 1]], like)


def scale2d(x: Number, y: Number, like: Tensor) -> Tensor:
    return matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], like)


def rotate2d(angle: Tensor) -> Tensor:
    """By `angle` [N] in radians, from the x axis towards the y axis."""
    c, s = angle.cos(), angle.sin()
    return matrix([[c, -s, 0], [s, c, 0], [0, 0, 1]], angle)


def translate3d(x: Tensor) -> Tensor:
    """By x [N] along all three axes."""
    return matrix([[1, 0, 0, x], [0, 1, 0, x], [0, 0, 1, x], [0, 0, 0, 1]], x)


def scale3d(x: Tensor) -> Tensor:
    """By x [N] along all three axes."""
    return matrix([[x, 0, 0, 0], [0, x, 0, 0], [0, 0, x, 0], [0, 0, 0, 1]], x)


def rotate3d_around_grey(angle: Tensor) -> Tensor:
    """By `angle` [N] around (1, 1, 1): a rotation about that axis is a circulant matrix."""
    c, s = angle.cos(), angle.sin()
    a = c + (1 - c) / 3
    b = (1 - c) / 3 - s / 3**0.5
    d = (1 - c) / 3 + s / 3**0.5
    return matrix([[a, b, d, 0], [d, a, b, 0], [b, d, a, 0], [0, 0, 0, 1]], angle)
