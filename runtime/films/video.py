"""Videos: frames are written as they come, and parts of a video are joined. av is imported when it is needed."""

from __future__ import annotations

import ctypes
import heapq
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from ..files import whole_file
from ..pictures import Picture
from ..strangers import open_regular


@dataclass(frozen=True)
class Encoding:
    """How frames become a stream. suffix: of the container that holds parts of such a video without loss of time."""

    codec: str
    pixels: str
    suffix: str
    options: dict[str, str] = field(default_factory=dict)


# What every player shows. One thread: with FFmpeg's own choice of them the same frames are other bytes now and then;
# and what is allocated is filled, as libx264 decides by memory that nobody wrote: of 13,000 videos 30 were others.
H264 = Encoding("libx264", "yuv420p", ".mp4", {"crf": "18", "threads": "1"})
VP9 = Encoding("libvpx-vp9", "yuv420p", ".webm", {"crf": "24", "b": "0", "cpu-used": "4", "row-mt": "1"})
GIF = Encoding("gif", "pal8", ".mkv")
LOSSLESS = Encoding("ffv1", "bgr0", ".mkv")
ENCODINGS = {".mp4": H264, ".mkv": H264, ".mov": H264, ".webm": VP9, ".gif": GIF}
VIDEO_SUFFIXES = tuple(ENCODINGS)
DEMUXERS = {".mp4": "mov", ".mov": "mov", ".mkv": "matroska", ".webm": "matroska", ".gif": "gif", ".avi": "avi"}
"""Suffixes of videos that can be read -> FFmpeg's name of what reads them."""
BT601, LIMITED = 6, 1
"""What FFmpeg makes of RGB: the matrix and the range of its luma, by the numbers that streams hold."""
SAME_BYTES = {"fflags": "+bitexact"}  # Matroska would write a random number into each file
_M_PERTURB = -6
MOST_GIF_FPS = 50  # browsers show faster ones slowly


@dataclass(frozen=True)
class Sound:
    """The audio streams of a file, as they are. start: seconds that lie before the first frame."""

    path: Path
    start: Fraction


class VideoWriter:
    """One video file; the suffix of `path` says the format.

    An odd width or height is made even by repeating the last column or row where the pixels are yuv420p, which
    halves both. A GIF counts time in hundredths of a second: its frames are as near to `fps` as that allows.
    """

    def __init__(self, path: Path, fps: Fraction, encoding: Encoding | None = None) -> None:
        self._av = import_av()
        self._container = self._av.open(str(path), mode="w", options=SAME_BYTES)
        self._fps = fps
        self._encoding = encoding or ENCODINGS[path.suffix.lower()]
        self._stream: Any = None
        self._palette: Any = None
        self._count = 0

    def add(self, picture: Picture) -> None:
        """uint8 [H, W, C] with 1 or 3 channels; all of one size."""
        if picture.shape[2] == 1:
            picture = np.repeat(picture, 3, axis=2)
        if self._encoding.pixels == "yuv420p":
            height, width = picture.shape[:2]
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._begin(picture.shape[1], picture.shape[0])
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self._count, 1 / self._fps
        self._count += 1
        if self._palette is not None:
            self._palette.push(frame)
            frame = self._palette.pull()
        self._encode(frame)

    def _encode(self, frame: Any) -> None:
        """None: what the encoder still holds."""
        with filled_memory() if self._encoding is H264 else nullcontext():
            packets = self._stream.encode(frame)
        for packet in packets:
            self._container.mux(packet)

    def _begin(self, width: int, height: int) -> None:
        encoding = self._encoding
        self._stream = self._container.add_stream(encoding.codec, rate=self._fps, options=dict(encoding.options))
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = encoding.pixels
        if encoding.pixels == "yuv420p":  # players take large videos that say nothing for BT.709
            self._stream.codec_context.colorspace, self._stream.codec_context.color_range = BT601, LIMITED
        if encoding is GIF:
            self._palette = _palette_graph(width, height, self._fps)

    def close(self, finish: bool) -> None:
        """Ends the file; without `finish` what the encoder still holds is dropped."""
        if finish and self._stream is not None:
            self._encode(None)
        self._container.close()


@contextmanager
def filled_memory() -> Iterator[None]:
    """What glibc gives out inside is filled with one number (M_PERTURB, malloc.h); other C libraries do as they do."""
    mallopt = _mallopt()
    mallopt(_M_PERTURB, 7)
    try:
        yield
    finally:
        mallopt(_M_PERTURB, 0)


@cache
def _mallopt() -> Callable[[int, int], Any]:
    own = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return own or (lambda option, value: None)


def _palette_graph(width: int, height: int, fps: Fraction) -> Any:
    """Each frame with a palette of its own: one for all would need all of them at once."""
    from av.filter import Graph
    from av.video.format import VideoFormat

    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=1 / fps)
    split = graph.add("split")
    make = graph.add("palettegen", "stats_mode=single")
    use = graph.add("paletteuse", "new=1")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(make, 1, 0)
    make.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


def write_video(path: Path, fps: Fraction, frames: Iterable[Picture], encoding: Encoding | None = None) -> None:
    """All frames as one file, whole or not at all."""
    with whole_file(path) as temporary:
        video = VideoWriter(temporary, fps, encoding)
        finished = False
        try:
            for picture in frames:
                video.add(picture)
            finished = True
        finally:
            video.close(finished)


def part_encoding(suffix: str) -> Encoding:
    """How the parts of a video are kept until they are joined: as they will be, or without loss for a GIF.

    The packets of a GIF cannot be joined: the palette of its first frame belongs to the file.
    """
    encoding = ENCODINGS[suffix.lower()]
    return LOSSLESS if encoding is GIF else encoding


def join(parts: list[Path], path: Path, fps: Fraction, sound: Sound | None = None) -> None:
    """Parts that `part_encoding` encoded, one after another, as one video. A GIF is encoded anew, without sound."""
    if ENCODINGS[path.suffix.lower()] is GIF:
        write_video(path, fps, (frame for part in parts for frame in frames_of(part)))
        return
    av = import_av()
    with whole_file(path) as temporary, ExitStack() as stack:
        output = stack.enter_context(av.open(str(temporary), mode="w", options=SAME_BYTES))
        with av.open(str(parts[0])) as first:
            stream = output.add_stream_from_template(first.streams.video[0])
        stream.time_base = 1 / fps
        packets = _pictures(parts, stream, fps)
        if sound is not None:
            source = stack.enter_context(open_video(sound.path))
            packets = heapq.merge(packets, _sounds(source, output, sound.start), key=lambda p: p.dts * p.time_base)
        for packet in packets:
            output.mux(packet)


def _pictures(parts: list[Path], stream: Any, fps: Fraction) -> Iterator[Any]:
    """The packets of all parts, as those of one stream."""
    start = 0
    for part in parts:
        with import_av().open(str(part)) as source:
            template = source.streams.video[0]
            count = 0
            for packet in source.demux(template):
                if packet.dts is None:  # marks the end
                    continue
                # Containers round time; in frames it is whole again.
                unit = template.time_base * fps
                packet.pts = start + round(packet.pts * unit)
                packet.dts = start + round(packet.dts * unit)
                packet.duration, packet.time_base, packet.stream = 1, 1 / fps, stream
                yield packet
                count += 1
            start += count


def _sounds(source: Any, output: Any, start: Fraction) -> Iterator[Any]:
    """The packets of all audio streams from a time on, which becomes 0."""
    streams = {s.index: output.add_stream_from_template(s) for s in source.streams.audio}
    for packet in source.demux(source.streams.audio):
        if packet.dts is None:
            continue
        offset = round(start / packet.time_base)
        packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
        if not start or packet.pts + packet.duration > 0:  # those before 0 start the decoder up
            packet.stream = streams[packet.stream.index]
            yield packet


@contextmanager
def open_video(path: Path) -> Iterator[Any]:
    """A video of a stranger, read as what its suffix says. Raises UsageError, also for what goes wrong inside of the
    block: no other kind is looked for, as some of them (playlists) open further files."""
    av = import_av()
    try:
        with open_regular(path) as stream, av.open(stream, format=DEMUXERS[path.suffix.lower()]) as container:
            yield container
    except av.FFmpegError as error:
        reason = error.strerror or str(error)
        raise UsageError("not a video that can be read", file=str(path), reason=reason) from None


def frames_of(path: Path) -> Iterator[Picture]:
    """The frames of a video, uint8 [H, W, 3], one at a time."""
    with import_av().open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def import_av() -> Any:
    """The module av, or a UsageError that says how to get it."""
    try:
        import av
    except ImportError as error:
        fix = "Install it with `pip install av`, or this project with its extra [video]"
        raise UsageError("videos need the package av", got=f"no {error.name}", fix=fix) from None
    return av
