"""Pictures of blobs: their channels as a grid, in grey, or a vector as its numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..values import FloatArray

CHANNELS = 64
"""In a grid; the page turns to the next ones."""
WIDEST, TILE = 1536, 512  # pixels of the grid, and of a channel
CURVE = 4096
"""Numbers of a vector that are shown; of a longer one the least and the largest of neighbours."""
WRONG = (255, 0, 255)
"""What is not finite, a colour that no other number has."""


def as_channels(blob: FloatArray) -> FloatArray:
    """[C, H, W] of a blob of 1 to 4 dimensions; depth counts as channels."""
    return blob.reshape((-1, *blob.shape[-2:])) if blob.ndim > 1 else blob.reshape(1, 1, -1)


def figures(blob: FloatArray) -> dict[str, Any]:
    """What the numbers are like; null where there is none that is finite."""
    finite = blob[np.isfinite(blob)]
    known = finite.size > 0
    numbers = finite.astype(np.float64)
    return {
        "shape": list(blob.shape),
        "least": float(finite.min()) if known else None,
        "largest": float(finite.max()) if known else None,
        "mean": float(numbers.mean()) if known else None,
        "deviation": float(numbers.std()) if known else None,
        "zeros": int((finite == 0).sum()),
        "not_finite": int(blob.size - finite.size),
    }


def picture(blob: FloatArray, first: int, each: bool) -> tuple[dict[str, Any], bytes]:
    """The figures with how the pixels lie, and the pixels.

    kind "curve": float32, of a vector; with "pairs" the least and the largest of neighbours in turn. kind "grid": uint8
    [height, width, 3], `columns` tiles in a row, of channels from `first` on; from black for the least to white for the
    largest of all that are shown, or of each by itself. Three channels are one tile in colour, unless each is by
    itself. Raises UsageError for a first channel that there is not.
    """
    channels = as_channels(blob)
    count = len(channels)
    if not 0 <= first < max(count, 1):
        raise UsageError("there is no such channel", expected=f"0 to {count - 1}", got=str(first))
    head: dict[str, Any] = {**figures(blob), "channels": count}
    if count == 1 and channels.shape[1] == 1:
        values, pairs = _curve(channels[0, 0])
        return {**head, "kind": "curve", "pairs": pairs, "numbers": len(values)}, values.tobytes()
    shown = channels[first : first + CHANNELS]
    columns = min(len(shown), max(1, round(math.sqrt(len(shown) * shown.shape[1] / max(shown.shape[2], 1)))))
    colour = count == 3 and not each
    columns = 1 if colour else columns
    tiles = np.stack([_tile(channel, min(TILE, WIDEST // columns)) for channel in shown])
    grid = _colour(tiles) if colour else _grid(_grey(tiles, each), columns)
    more = {"kind": "grid", "first": first, "shown": len(shown), "columns": columns}
    return {**head, **more, "height": grid.shape[0], "width": grid.shape[1]}, grid.tobytes()


def _curve(values: FloatArray) -> tuple[FloatArray, bool]:
    if len(values) <= CURVE:
        return np.ascontiguousarray(values, np.float32), False
    step = -(-len(values) // (CURVE // 2))
    padded = np.concatenate([values, np.repeat(values[-1:], -len(values) % step)]).reshape(-1, step)
    return np.stack([padded.min(1), padded.max(1)], 1).astype(np.float32).reshape(-1), True


def _tile(channel: FloatArray, most: int) -> FloatArray:
    """No side longer than `most`: means of neighbours."""
    step = -(-max(channel.shape) // most)
    if step == 1:
        return channel
    height, width = (-(-n // step) * step for n in channel.shape)
    padded = np.pad(channel, ((0, height - channel.shape[0]), (0, width - channel.shape[1])), mode="edge")
    with np.errstate(all="ignore"):
        small: FloatArray = padded.reshape(height // step, step, width // step, step).mean((1, 3), dtype=np.float32)
    return small


def _grey(tiles: FloatArray, each: bool) -> npt.NDArray[np.uint8]:
    """[N, H, W] -> uint8 [N, H, W, 3]."""
    finite = np.isfinite(tiles)
    axes = (1, 2) if each else None
    low = np.min(tiles, axis=axes, where=finite, initial=np.inf, keepdims=True).astype(np.float64)
    high = np.max(tiles, axis=axes, where=finite, initial=-np.inf, keepdims=True).astype(np.float64)
    span = np.where(high > low, high - low, 1.0)
    with np.errstate(all="ignore"):
        levels = np.where(finite, np.clip((tiles - low) / span * 255, 0, 255), 0).astype(np.uint8)
    grey = np.repeat(levels[..., None], 3, axis=3)
    grey[~finite] = WRONG
    return grey


def _colour(channels: FloatArray) -> npt.NDArray[np.uint8]:
    """[3, H, W] -> uint8 [H, W, 3]."""
    picture = np.ascontiguousarray(_grey(channels, each=False)[..., 0].transpose(1, 2, 0))
    picture[~np.isfinite(channels).all(0)] = WRONG
    return picture


def _grid(tiles: npt.NDArray[np.uint8], columns: int) -> npt.NDArray[np.uint8]:
    """Tiles beside and below each other, without gaps: [rows * H, columns * W, 3]."""
    number, height, width, _ = tiles.shape
    rows = -(-number // columns)
    grid = np.zeros((rows * columns, height, width, 3), np.uint8)
    grid[:number] = tiles
    return np.ascontiguousarray(
        grid.reshape(rows, columns, height, width, 3)
        .transpose(0, 2, 1, 3, 4)
        .reshape(rows * height, columns * width, 3)
    )
