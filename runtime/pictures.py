"""Writes pictures and videos, whole or not at all. pillow and av are imported when they are needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import UsageError

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
# JPEG has no fourth channel, and readers leave that of a BMP out.
SUFFIXES_WITHOUT_ALPHA = (".jpg", ".jpeg", ".bmp")
VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov")

Picture = npt.NDArray[np.uint8]


def check_out(out: str | os.PathLike[str], suffixes: tuple[str, ...]) -> Path:
    """The path to write to. Raises UsageError unless its directory can be written and its suffix is known.

    The directory is tried by making a file in it: permissions alone do not tell for root.
    """
    path = Path(out)
    if path.suffix.lower() not in suffixes:
        raise UsageError(
            f"out={out}: unknown kind of file", expected=" ".join(suffixes), got=path.suffix or "no suffix"
        )
    if path.is_dir():
        raise UsageError(f"out={out} is a directory")
    if not path.parent.is_dir():
        raise UsageError(f"out={out}: there is no directory {path.parent}")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(f"out={out} cannot be written", reason=error.strerror) from None
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it becomes `path` at the end, or disappears if the block raises."""
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes the file private; a picture gets the permissions that any new file would get.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_picture(path: Path, picture: Picture) -> None:
    """Writes uint8 [H, W, C] with 1, 3 or 4 channels; the suffix says the format."""
    from PIL import Image

    pixels = picture[:, :, 0] if picture.shape[2] == 1 else picture
    with whole_file(path) as temporary:
        Image.fromarray(pixels).save(temporary)


class VideoWriter:
    """H.264 in yuv420p, which every player shows. Frames are written as they come.

    An odd width or height is made even by repeating the last column or row: yuv420p halves both.
    """

    def __init__(self, path: Path, fps: Fraction) -> None:
        self._av = import_av()
        self._container = self._av.open(str(path), mode="w")
        self._fps = fps
        self._stream: Any = None

    def add(self, picture: Picture) -> None:
        if picture.shape[2] == 1:
            picture = np.repeat(picture, 3, axis=2)
        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._fps, options={"crf": "18"})
            self._stream.width, self._stream.height = picture.shape[1], picture.shape[0]
            self._stream.pix_fmt = "yuv420p"
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self, finish: bool) -> None:
        """Ends the file; without `finish` what the encoder still holds is dropped."""
        if finish and self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()


def import_av() -> Any:
    """The module av, or a UsageError that says how to get it, and tqdm, which shows a video's progress."""
    try:
        import av
        import tqdm  # noqa: F401
    except ImportError as error:
        fix = "Install them with `pip install av tqdm`, or this project with its extra [video]"
        raise UsageError("videos need the packages av and tqdm", got=f"no {error.name}", fix=fix) from None
    return av
