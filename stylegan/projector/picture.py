"""The picture to be projected, from a file of any kind that Pillow reads."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from stylegan.errors import ProjectionError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels of a network -> Pillow's name of such pictures."""
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Grey of 16 bits: Pillow would cut it off at 255."""
_TRANSPARENT = ("LA", "PA", "La", "RGBA", "RGBa")


def open_target(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file, turned as its EXIF data says; of an animation the first one. Raises ProjectionError."""
    name = os.fspath(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a large picture, of odd metadata: it is the user's own
            with Image.open(path) as file:
                picture = ImageOps.exif_transpose(file)
                picture.load()
                return picture
    except FileNotFoundError:
        raise ProjectionError(f"target {name}: no such file") from None
    except MemoryError:
        raise ProjectionError(f"target {name}: no memory for it") from None
    except Exception as error:  # decoders raise many kinds
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise ProjectionError(f"target {name}: expected a picture, but it cannot be read: {reason}") from None


def fit_target(picture: Image.Image, resolution: int, channels: int) -> npt.NDArray[np.uint8]:
    """[resolution, resolution, channels]: the square in its middle, resized by Lanczos.

    What is transparent is shown on white where the network has no alpha channel. Raises ProjectionError.
    """
    if channels not in MODES:
        raise ProjectionError(f"target: the network makes pictures of {channels} channels, expected 1, 3 or 4")
    try:
        picture = _converted(picture, MODES[channels])
    except ValueError as error:  # no way between two colour spaces
        raise ProjectionError(f"target: its pixels cannot be read as {MODES[channels]}: {error}") from None
    side = min(picture.size)
    left, top = ((size - side) // 2 for size in picture.size)
    picture = picture.crop((left, top, left + side, top + side))
    picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return np.array(picture, np.uint8).reshape(resolution, resolution, channels)


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode == "F":
        raise ProjectionError("target: its pixels are floating-point numbers of unknown range: save it as 8 or 16 bits")
    if picture.mode in _DEEP:
        grey = np.asarray(picture).astype(np.int64).clip(0, 65535)
        picture = Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8))
    transparent = "transparency" in picture.info or picture.mode in _TRANSPARENT
    if transparent and mode != "RGBA":
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert(mode)


def to_uint8(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """[C, H, W] of 0..255 -> [H, W, C], rounded."""
    rounded: npt.NDArray[np.uint8] = np.floor(picture.clip(0, 255) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(rounded.transpose(1, 2, 0))


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """[H, W, C] of 1, 3 or 4 channels as a file."""
    data = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(data, "png")
    return data.getvalue()
