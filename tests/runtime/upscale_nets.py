"""Small restorers with random weights, and pictures for them."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import ncnn_builder as nb

Array = Any


def write_net(
    path: Path, scale: int = 2, channels: int = 3, outputs: int = 3, size: tuple[int, int] | None = None, down: int = 1
) -> Path:
    """PATH.param and PATH.bin: convolutions and a pixel shuffle beside the enlarged input, which stay between 0 and 1.

    down: a stride, so that sizes are multiples of it.
    """
    for suffix, data in _files(scale, channels, outputs, size, down).items():
        path.with_suffix(suffix).write_bytes(data)
    return path


@cache
def _files(scale: int, channels: int, outputs: int, size: tuple[int, int] | None, down: int) -> dict[str, bytes]:
    """Suffix -> content. To build a net of open sizes takes longer than most of the tests."""
    torch.manual_seed(scale + channels)
    g = nb.Graph()
    x = g.input("data", (channels, *(size or (16, 16))), any_shape=size is None)
    y = nb.relu(g, nb.conv2d(g, x, nn.Conv2d(channels, 8, 2 * down + 1, down, down)))
    y = nb.conv2d(g, y, nn.Conv2d(8, outputs * (scale * down) ** 2, 3, 1, 1))
    y = nb.sigmoid(g, nb.pixel_shuffle(g, y, scale * down))
    if channels == outputs and down == 1:
        y = nb.interpolate(g, x, scale_factor=scale, mode="nearest") * 0.8 + y * 0.2
    g.output("output", y)
    with tempfile.TemporaryDirectory() as folder:
        nb.save(g, Path(folder, "net.param"), Path(folder, "net.bin"), target="stock")
        return {file.suffix: file.read_bytes() for file in Path(folder).iterdir()}


def write_manifest(path: Path, **changes: object) -> None:
    """What a converter writes beside a net of write_net()."""
    about = {
        **{"architecture": "ESRGAN", "purpose": "SR", "tags": [], "scale": 2, "input_channels": 3},
        **{"output_channels": 3, "minimum": 1, "multiple_of": 1, "square": False, "maximum": None, "size": None},
        **{"tiling": "supported"},
    }
    path.with_suffix(".json").write_text(json.dumps({"schema": 1, "restorer": about | changes}))


def photo(height: int, width: int, channels: int = 3, bits: int = 8) -> Array:
    """[height, width, channels] with edges, ramps and noise, or [height, width] for one channel."""
    rng = np.random.default_rng(height + width)
    y, x = np.mgrid[:height, :width]
    ramps = np.stack([(x * (3 + c) + y * (5 - c)) % 97 / 97 for c in range(channels)], 2)
    blocks = rng.random((height // 5 + 1, width // 5 + 1, channels)).repeat(5, 0).repeat(5, 1)[:height, :width]
    pixels = ((0.5 * ramps + 0.5 * blocks) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return pixels[:, :, 0] if channels == 1 else pixels


def save(path: Path, pixels: Array, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def load(path: Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image)


def whole(path: Path, pixels: Array) -> Array:
    """What the net makes of the whole picture [height, width, 3], as numbers."""
    from runtime import Net

    net = Net(path.with_suffix(".param"), path.with_suffix(".bin"), threads=1)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.iinfo(pixels.dtype).max
    return net.run({"data": planes})["output"].transpose(1, 2, 0)
