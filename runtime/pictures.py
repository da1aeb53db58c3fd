"""Pictures as files and as tables. pillow is imported when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .files import whole_file

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
# JPEG has no fourth channel, and readers leave that of a BMP out.
SUFFIXES_WITHOUT_ALPHA = (".jpg", ".jpeg", ".bmp")

Picture = npt.NDArray[np.uint8]


def save_picture(path: Path, picture: Picture, text: Mapping[str, str] | None = None) -> None:
    """Writes uint8 [H, W, C] with 1, 3 or 4 channels; the suffix says the format.

    text: what a PNG says of itself, as text chunks by keyword; the other formats leave it out.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    pixels = picture[:, :, 0] if picture.shape[2] == 1 else picture
    options: dict[str, Any] = {}
    if text and path.suffix.lower() == ".png":
        options["pnginfo"] = PngInfo()
        for key, value in text.items():
            options["pnginfo"].add_text(key, value)  # iTXt by itself where Latin-1 does not hold the value
    with whole_file(path) as temporary:
        Image.fromarray(pixels).save(temporary, **options)


class Table:
    """A picture made of pictures of one size: [rows * H, columns * W, C], black where none was put."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._canvas: Picture | None = None

    def put(self, row: int, column: int, picture: Picture) -> None:
        height, width, channels = picture.shape
        if self._canvas is None:
            self._canvas = np.zeros((self._rows * height, self._columns * width, channels), np.uint8)
            if channels == 4:
                self._canvas[:, :, 3] = 255
        top, left = row * height, column * width
        self._canvas[top : top + height, left : left + width] = picture

    def picture(self) -> Picture:
        if self._canvas is None:
            raise ValueError("the table is empty")
        return self._canvas
