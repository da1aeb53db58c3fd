"""Pictures in files, of the kinds that are meant and of no other: Pillow knows forty, and one of them (EPS) starts a
program."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from PIL import Image

from .strangers import open_regular

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MOST_PIXELS = 1 << 27
"""A picture of 11,585 x 11,585: half a gigabyte as RGBA."""


class NotAPicture(ValueError):
    """The file is of none of FORMATS, damaged, or larger than MOST_PIXELS; the message does not name it."""


@contextmanager
def opened(file: str | os.PathLike[str] | IO[bytes]) -> Iterator[Image.Image]:
    """A picture whose pixels nobody has looked at yet, of a path or an open file.

    Raises NotAPicture, also for what goes wrong with the picture inside of the block; MemoryError; OSError where the
    file cannot be opened.
    """
    stream = open_regular(file) if isinstance(file, (str, os.PathLike)) else file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata: it is the user's own
            with Image.open(stream, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise NotAPicture(f"it has {image.width} x {image.height} pixels, more than {MOST_PIXELS}")
                yield image
    except (MemoryError, NotAPicture):
        raise
    except Exception as error:  # decoders raise many kinds
        raise NotAPicture(_reason(error)) from None
    finally:
        if stream is not file:
            stream.close()


def _reason(error: Exception) -> str:
    said = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    if "cannot identify image file" in said:  # and then the address of an object in memory
        said = f"it is of no known kind: {', '.join(FORMATS)}"
    return said or type(error).__name__
