"""The picture to be projected, from a file of any kind that Pillow reads."""

from __future__ import annotations

import io
import os

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylegan.dataset.picture_files import MODES, PictureError, converted, open_picture
from stylegan.errors import ProjectionError


def open_target(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file, turned as its EXIF data says; of an animation the first one. Raises ProjectionError."""
    try:
        return open_picture(path)
    except PictureError as error:
        raise ProjectionError(f"target {os.fspath(path)}: {error}") from None


def fit_target(picture: Image.Image, resolution: int, channels: int) -> npt.NDArray[np.uint8]:
    """[resolution, resolution, channels]: the square in its middle, resized by Lanczos.

    What is transparent is shown on white where the network has no alpha channel. Raises ProjectionError.
    """
    if channels not in MODES:
        raise ProjectionError(f"target: the network makes pictures of {channels} channels, expected 1, 3 or 4")
    try:
        picture = converted(picture, MODES[channels])
    except PictureError as error:
        raise ProjectionError(f"target: {error}") from None
    side = min(picture.size)
    left, top = ((size - side) // 2 for size in picture.size)
    picture = picture.crop((left, top, left + side, top + side))
    picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return np.array(picture, np.uint8).reshape(resolution, resolution, channels)


def to_uint8(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """[C, H, W] of 0..255 -> [H, W, C], rounded."""
    rounded: npt.NDArray[np.uint8] = np.floor(picture.clip(0, 255) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """[H, W, C] of 1, 3 or 4 channels as a file."""
    data = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(data, "png")
    return data.getvalue()
