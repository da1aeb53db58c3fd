"""Pictures from files, as networks take them."""

from __future__ import annotations

import os
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from runtime.picture_files import NotAPicture, opened
from stylegan.errors import StyleganError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels of a network -> Pillow's name of such pictures."""
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Grey of 16 bits: Pillow would cut it off at 255."""
_TRANSPARENT = ("LA", "PA", "La", "RGBA", "RGBa")
_GREY = ("1", "L", *_DEEP)


class PictureError(StyleganError):
    """A file is no picture that can be used; the message does not name it."""


def open_picture(file: str | os.PathLike[str] | IO[bytes]) -> Image.Image:
    """The picture in a file, turned as its EXIF data says; of an animation the first one. Raises PictureError."""
    try:
        with opened(file) as found:
            picture = ImageOps.exif_transpose(found)
            picture.load()
            return picture
    except FileNotFoundError:
        raise PictureError("no such file") from None
    except MemoryError:
        raise PictureError("no memory for it") from None
    except (NotAPicture, OSError, ValueError) as error:
        raise _unreadable(error) from None


def kind(file: IO[bytes]) -> tuple[tuple[int, int], int]:
    """(width, height) and channels of a picture, from the first bytes of its file.

    Channels are 1 for grey, 3 for colour, 4 where something may be transparent. Raises PictureError.
    """
    try:
        with opened(file) as found:
            width, height = found.size
            # A PNG that does not say it before its pixels would be decoded for it.
            exif = {} if found.format == "PNG" and "exif" not in found.info else found.getexif()
            if exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8):  # it lies on its side
                width, height = height, width
            channels = 4 if is_transparent(found) else 1 if found.mode in _GREY else 3
            return (width, height), channels
    except NotAPicture as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> PictureError:
    return PictureError(f"expected a picture, but it cannot be read: {getattr(error, 'strerror', None) or error}")


def is_transparent(picture: Image.Image) -> bool:
    """Whether its pixels can be."""
    return "transparency" in picture.info or picture.mode in _TRANSPARENT


def converted(picture: Image.Image, mode: str) -> Image.Image:
    """In one of MODES; what is transparent is shown on white where that has no alpha channel. Raises PictureError."""
    if picture.mode == "F":
        raise PictureError("its pixels are floating-point numbers of unknown range: save it as 8 or 16 bits")
    if picture.mode in _DEEP:
        grey = np.asarray(picture).astype(np.int64).clip(0, 65535)
        picture = Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8))
    try:
        if is_transparent(picture) and mode != "RGBA":
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        return picture.convert(mode)
    except ValueError as error:  # no way between two colour spaces
        raise PictureError(f"its pixels cannot be read as {mode}: {error}") from None
