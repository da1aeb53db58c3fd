"""A video through a restorer, frame by frame, with its sound; goes on where it was stopped."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from ..files import sha256_of
from ..films.frames import Ledger, PartialVideo, fill
from ..films.video import ENCODINGS, GIF, MOST_GIF_FPS, Sound, import_av, open_video
from ..pictures import Picture
from ..progress import progress
from ..stopping import check_stop
from .upscaler import Upscaler

MUXERS = {".mkv": "matroska"}
"""Suffix -> FFmpeg's name of the container, where that is another."""


@dataclass(frozen=True)
class Clip:
    """shown: for each frame of the result, which one of the source it shows: their times are made even."""

    path: Path
    fps: Fraction
    shown: list[int]
    start: Fraction
    audio: list[str]
    digest: str
    deep: bool


def read_clip(path: Path) -> Clip:
    """Looks at every frame. Raises UsageError for what is no video, or changes its size."""
    if not path.exists():
        raise UsageError("no such video", file=str(path))
    times: list[Fraction] = []
    sizes: set[tuple[int, int]] = set()
    with open_video(path) as container:
        if not container.streams.video:
            raise UsageError("the file holds no pictures", file=str(path))
        stream = container.streams.video[0]
        fps = Fraction(stream.guessed_rate or stream.average_rate or 25)
        audio = [s.codec_context.name for s in container.streams.audio]
        deep = any(component.bits > 8 for component in stream.format.components) if stream.format else False
        for frame in container.decode(stream):
            time = Fraction(frame.pts) * frame.time_base if frame.pts is not None else len(times) / fps
            times.append(time)
            sizes.add((frame.width, frame.height))
    if not times:
        raise UsageError("the video holds no frame", file=str(path))
    if len(sizes) > 1:
        raise UsageError("the frames of the video have several sizes", file=str(path), got=str(sorted(sizes)))
    if not Fraction(1, 100) <= fps <= 1000:
        raise UsageError("the video states an odd number of frames a second", file=str(path), got=str(fps))
    return Clip(path, fps, _evenly(times, fps), times[0], audio, sha256_of(path), deep)


def _evenly(times: list[Fraction], fps: Fraction) -> list[int]:
    """The number of the frame that is shown in each 1/fps of a second: the last one that has begun, rounded."""
    first = [max(round((time - times[0]) * fps), 0) for time in times]
    shown: list[int] = []
    for i, begin in enumerate(first):
        del shown[begin:]  # two frames in one place: the later one
        shown += [max(i - 1, 0)] * (begin - len(shown))
        shown.append(i)
    return shown


def upscale_clip(clip: Clip, path: Path, upscaler: Upscaler, key: str, command: str, quiet: bool) -> Path:
    """key: a hash of all that the frames depend on but the source."""
    say = upscaler.say
    gif = ENCODINGS[path.suffix.lower()] is GIF
    if gif and clip.fps > MOST_GIF_FPS:
        raise UsageError(
            "the video is too fast for a GIF", expected=f"{MOST_GIF_FPS} frames a second", got=str(clip.fps)
        )
    frames = len(set(clip.shown))
    if len(clip.shown) != frames or clip.shown[-1] != frames - 1:
        repeated, dropped = len(clip.shown) - frames, clip.shown[-1] + 1 - frames
        say(f"frames come at uneven times: at {float(clip.fps):g} a second {repeated} are repeated, {dropped} left out")
    if clip.deep:
        say("its more than 8 bits a channel become 8")
    sound = Sound(clip.path, clip.start) if clip.audio and not gif else None
    if clip.audio and (gif or not _takes(path, clip.audio)):
        say(f"the sound ({', '.join(clip.audio)}) cannot be copied into {path.suffix} and is left out; .mkv takes any")
        sound = None
    total = len(clip.shown)
    whole = hashlib.sha256(f"{key} {clip.digest}".encode()).hexdigest()
    store = PartialVideo(path, Ledger(whole, total, command), clip.fps, sound)
    done = total - len(store.missing)
    if done:
        say(f"{done} of {total} frames are there already")
    pictures = _restored(clip, upscaler, done)
    fill(store, progress(pictures, total, path.name, "frame", quiet, done), total)
    return path


def _takes(path: Path, codecs: list[str]) -> bool:
    """Whether a container of this suffix holds such streams."""
    suffix = path.suffix.lower()
    with import_av().open(io.BytesIO(), mode="w", format=MUXERS.get(suffix, suffix[1:])) as container:
        return bool(set(codecs) <= container.supported_codecs)


def _restored(clip: Clip, upscaler: Upscaler, first: int) -> Iterator[Picture]:
    """The frames of the result from one on."""
    wanted = clip.shown[first:]
    last, picture = -1, None
    with open_video(clip.path) as container:
        frames = enumerate(container.decode(container.streams.video[0]))
        for number in wanted:
            while last < number:
                last, frame = next(frames)
                if last == number:
                    check_stop()
                    picture = upscaler.upscale(_upright(frame))
            assert picture is not None
            yield picture


def _upright(frame: Any) -> Picture:
    """[h, w, 3], turned as the video says."""
    picture: Picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
