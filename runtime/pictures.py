"""Pictures as files and as tables. pillow is imported when it is needed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .files import whole_file

FORMATS = {  # suffix -> what Pillow calls it
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
PICTURE_SUFFIXES = tuple(FORMATS)
# JPEG has no fourth channel, and readers leave that of a BMP out.
SUFFIXES_WITHOUT_ALPHA = (".jpg", ".jpeg", ".bmp")

Picture = npt.NDArray[np.uint8]


def save_picture(path: Path, picture: Picture, text: Mapping[str, str] | None = None) -> None:
    """Writes uint8 [H, W, C] with 1, 3 or 4 channels; the suffix says the format, see `encoded`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(encoded(picture, path.suffix.lower(), text))


def encoded(picture: Picture, suffix: str, text: Mapping[str, str] | None = None) -> bytes:
    """A file of uint8 [H, W, C] with 1, 3 or 4 channels; suffix: one of PICTURE_SUFFIXES.

    text: what a PNG says of itself, as text chunks by keyword; the other formats leave it out.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    pixels = picture[:, :, 0] if picture.shape[2] == 1 else picture
    options: dict[str, Any] = {}
    if text and suffix == ".png":
        options["pnginfo"] = PngInfo()
        for key, value in text.items():
            options["pnginfo"].add_text(key, value)  # iTXt by itself where Latin-1 does not hold the value
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, FORMATS[suffix], **options)
    return stream.getvalue()


def tiled(pictures: Iterable[Picture], rows: int, columns: int, first: int = 0) -> Picture:
    """Pictures of one size as one: [rows * H, columns * W, C], row by row from place `first` on, black where none is.

    Raises ValueError where there is no picture.
    """
    canvas: Picture | None = None
    for place, picture in enumerate(pictures, first):
        height, width, channels = picture.shape
        if canvas is None:
            canvas = np.zeros((rows * height, columns * width, channels), np.uint8)
            if channels == 4:
                canvas[:, :, 3] = 255
        top, left = place // columns * height, place % columns * width
        canvas[top : top + height, left : left + width] = picture
    if canvas is None:
        raise ValueError("no picture to tile")
    return canvas
