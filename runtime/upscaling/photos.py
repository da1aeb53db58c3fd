"""Pictures from files and into them: 8 or 16 bits, grey or colour, with their alpha channel and colour profile."""

from __future__ import annotations

import re
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .._ncnn import memory_limit
from ..errors import UsageError
from ..files import whole_file
from ..pictures import PICTURE_SUFFIXES, SUFFIXES_WITHOUT_ALPHA

LONGEST = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
"""The longest side of a picture in each format, where that is less than is ever made."""
READ_SUFFIXES = (*PICTURE_SUFFIXES, ".gif")
DEEP = re.compile(r"(LA|RGB|RGBA|RGBX);16([BLN])")
"""Pillow's names of 16 bits a channel, which it cuts down to 8."""
TRANSPARENT = ("LA", "PA", "La", "RGBA", "RGBa")
Array = npt.NDArray[Any]


class PictureError(UsageError):
    """One picture that cannot be read, or whose result cannot be written so: the others of a folder may be fine."""


@dataclass(frozen=True)
class Photo:
    """pixels: [h, w, 1 or 3], uint8 or uint16. alpha: [h, w] of the same type, None where nothing is transparent.
    profile: the ICC profile of its colours.
    """

    pixels: Array
    alpha: Array | None = None
    profile: bytes | None = None


def read_photo(path: Path) -> Photo:
    """The picture in a file, turned as its EXIF data says. Raises PictureError."""
    from ..picture_files import NotAPicture, opened  # Pillow takes longer to import than all of ours

    try:
        with opened(path) as image:
            count = getattr(image, "n_frames", 1)
            if count > 1:
                raise NotAPicture(f"it holds {count} pictures: an animation, or pages")
            deep = DEEP.fullmatch(_raw_mode(image))
            key = image.info.get("transparency")
            pixels = None if deep else _shallow(image)
            profile = image.info.get("icc_profile") if image.mode not in ("CMYK", "LAB", "YCbCr") else None
        if deep:
            pixels = _deep(path, deep[1], deep[2])
            if isinstance(key, tuple):  # the colour that is transparent
                shown = (pixels != np.array(key, np.uint16)).any(2, keepdims=True)
                pixels = np.concatenate([pixels, shown * np.uint16(65535)], 2)
    except FileNotFoundError:
        raise PictureError("no such picture", file=str(path)) from None
    except NotAPicture as error:
        raise PictureError("not a picture that can be read", file=str(path), reason=str(error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PictureError("the picture cannot be read", file=str(path), reason=reason) from None
    assert pixels is not None
    channels = pixels.shape[2]
    if channels in (1, 3):
        return Photo(pixels, None, profile)
    alpha = np.ascontiguousarray(pixels[:, :, -1])
    opaque = bool((alpha == np.iinfo(alpha.dtype).max).all())
    return Photo(np.ascontiguousarray(pixels[:, :, :-1]), None if opaque else alpha, profile)


def _raw_mode(image: Any) -> str:
    """How the file holds its pixels, in Pillow's words; "" where that is no single thing."""
    if not image.tile:
        return ""
    arguments = image.tile[0][3]
    raw = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return raw if isinstance(raw, str) else ""


def _upright(image: Any) -> Array:
    from PIL import ImageOps

    array: Array = np.asarray(ImageOps.exif_transpose(image))
    return array if array.ndim == 3 else array[:, :, None]


def _shallow(image: Any) -> Array:
    """[h, w, 1 to 4], uint8; grey of 16 bits as uint16."""
    from ..picture_files import NotAPicture

    if image.mode == "F":
        raise NotAPicture("its pixels are floating-point numbers of unknown range: save it as 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = _upright(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise NotAPicture("its pixels are whole numbers beyond 16 bits: save it as 8 or 16 bits")
        grey = grey.astype(np.uint16)
        key = image.info.get("transparency")
        return np.concatenate([grey, (grey != key) * np.uint16(65535)], 2) if isinstance(key, int) else grey
    is_grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in TRANSPARENT or "transparency" in image.info:
        return _upright(image.convert("LA" if is_grey and "transparency" not in image.info else "RGBA"))
    return _upright(image.convert("L" if is_grey else "RGB"))


def _deep(path: Path, channels: str, order: str) -> Array:
    """[h, w, 2 to 4], uint16. Pillow reads one byte of each number: the upper one, or, told so, the other."""
    if channels == "LA":  # as four channels of bytes
        halves = _read_as(path, "RGBA").astype(np.uint16)
        return halves[:, :, ::2] << 8 | halves[:, :, 1::2]
    little = order == "L" or (order == "N" and sys.byteorder == "little")
    high, low = (_read_as(path, f"{channels};16{o}") for o in ("LB" if little else "BL"))
    return high.astype(np.uint16) << 8 | low


def _read_as(path: Path, raw: str) -> Array:
    from ..picture_files import opened

    with opened(path) as image:
        image.tile = [  # type: ignore[attr-defined]
            (*tile[:3], (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw)
            for tile in image.tile  # type: ignore[attr-defined]
        ]
        return _upright(image)


def check_writable(path: Path, photo: Photo, height: int, width: int) -> None:
    """Raises PictureError where the format cannot hold the result of this size."""
    suffix = path.suffix.lower()
    if photo.alpha is not None and suffix in SUFFIXES_WITHOUT_ALPHA:
        raise PictureError(
            "the picture is partly transparent", file=str(path), expected=".png, .webp or .tif", got=suffix
        )
    if max(height, width) > LONGEST.get(suffix, 2**31 - 1):
        expected = f"at most {LONGEST[suffix]} pixels a side"
        what = "the result is too large for its format"
        raise PictureError(what, file=str(path), expected=expected, got=f"{width} x {height}")
    # The result, and Pillow's copy of it, which takes 4 bytes for each pixel.
    needed = height * width * (photo.pixels.shape[2] * photo.pixels.itemsize + 4)
    if needed > memory_limit():
        expected = f"at most {memory_limit() >> 20} MB, what this machine has"
        what = f"the result of {width} x {height} pixels is too large for memory"
        raise PictureError(what, file=str(path), expected=expected, got=f"{needed >> 20} MB")


def keeps_16_bits(path: Path, photo: Photo) -> bool:
    suffix, grey = path.suffix.lower(), photo.pixels.shape[2] == 1 and photo.alpha is None
    return suffix == ".png" or (suffix in (".tif", ".tiff") and grey)


def write_photo(path: Path, photo: Photo, quality: int) -> None:
    """The suffix says the format: .png keeps 16 bits, and so does .tif of grey. Whole or not at all."""
    from PIL import Image

    if photo.pixels.dtype == np.uint16 and not keeps_16_bits(path, photo):
        alpha = None if photo.alpha is None else _halved(photo.alpha)
        photo = Photo(_halved(photo.pixels), alpha, photo.profile)
    pixels = photo.pixels if photo.alpha is None else np.concatenate([photo.pixels, photo.alpha[:, :, None]], 2)
    suffix = path.suffix.lower()
    with whole_file(path, durable=True) as temporary:
        if pixels.dtype == np.uint16 and suffix == ".png":
            with temporary.open("wb") as stream:
                _write_deep_png(stream, pixels, photo.profile)
            return
        options: dict[str, Any] = {"icc_profile": photo.profile} if photo.profile and suffix != ".bmp" else {}
        if suffix in (".jpg", ".jpeg", ".webp"):
            options["quality"] = quality
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        image.save(temporary, **options)


def _halved(array: Array) -> Array:
    """16 bits as 8."""
    return ((array.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def resized(alpha: Array, scale: int) -> Array:
    """An alpha channel, bicubic."""
    from PIL import Image

    size = (alpha.shape[1] * scale, alpha.shape[0] * scale)
    smooth = np.asarray(Image.fromarray(alpha.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    result: Array = (smooth.clip(0, np.iinfo(alpha.dtype).max) + 0.5).astype(alpha.dtype)
    return result


def _write_deep_png(stream: IO[bytes], pixels: Array, profile: bytes | None) -> None:
    """uint16 [h, w, 1 to 4], which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> None:
        stream.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))

    height, width, channels = pixels.shape
    stream.write(b"\x89PNG\r\n\x1a\n")
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    if profile:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    packer = zlib.compressobj()
    above = np.zeros(width * channels * 2, np.uint8)
    for row in pixels:
        line = row.astype(">u2").reshape(-1).view(np.uint8)
        chunk(b"IDAT", packer.compress(b"\2" + (line - above).tobytes()))  # 2: the difference to the row above
        above = line
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")
