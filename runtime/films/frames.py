"""Where the frames of a video wait until all are there, so that one that was stopped goes on where it was."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..files import sweep, whole_file
from ..pictures import Picture, save_picture
from ..strangers import printable
from .video import Sound, join, part_encoding, write_video

FORMAT = "ncnn-builder-frames"
LEDGER = "frames.json"
FRAMES_OF_A_PART = 48


@dataclass(frozen=True)
class Ledger:
    """Whose frames a directory holds. key: a hash of all that they depend on; the rest is for people."""

    key: str
    frames: int
    command: str

    def claim(self, directory: Path) -> None:
        """Makes the directory, or finds that it holds frames of this very video. Raises UsageError otherwise."""
        path = directory / LEDGER
        directory.mkdir(exist_ok=True)
        sweep(directory)
        if not path.exists():
            if any(directory.glob("[0-9]*.*")):
                raise UsageError(f"{directory} holds other files", expected="an empty or a new directory")
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1))
            return
        try:
            found = json.loads(path.read_text())
            key, command = found["key"], found["command"]
        except (ValueError, KeyError, TypeError):
            raise UsageError("the list of frames is damaged", file=str(path), fix=f"Delete {directory}") from None
        if key != self.key:
            raise UsageError(
                f"{directory} holds frames of another video",
                got=command,
                fix="Finish that one with its command, delete the directory, or give another out=",
            )


class FrameDirectory:
    """The frames themselves are wanted: 00000.png ... in a directory.

    text: number of a frame -> what its PNG says of itself.
    """

    def __init__(self, directory: Path, ledger: Ledger, text: Callable[[int], Mapping[str, str]]) -> None:
        self.place, self._text, self._total = directory, text, ledger.frames
        ledger.claim(directory)
        self._digits = max(5, len(str(ledger.frames - 1)))
        self.missing: Sequence[int] = [i for i in range(ledger.frames) if not self._path(i).exists()]

    def _path(self, frame: int) -> Path:
        return self.place / f"{frame:0{self._digits}d}.png"

    def add(self, frame: int, picture: Picture) -> None:
        save_picture(self._path(frame), picture, self._text(frame))

    def finish(self) -> None:
        """All frames are there."""

    def stop(self) -> int:
        """Leaves whole frames only, says how many, and removes a directory that holds none."""
        sweep(self.place)
        kept = sum(self._path(i).exists() for i in range(self._total))
        if not kept:
            (self.place / LEDGER).unlink(missing_ok=True)
            if not any(self.place.iterdir()):
                self.place.rmdir()
        return kept


class PartialVideo:
    """One file is wanted. Until the end NAME.part holds it in encoded parts, and the frames of the next part raw.

    Every video is made so, stopped or not: hence the same file comes out. Nothing but the frame that is being
    computed is lost, whatever stops the process, and no more than a part of raw frames takes room.
    """

    def __init__(self, out: Path, ledger: Ledger, fps: Fraction, sound: Sound | None = None) -> None:
        self._out, self._fps, self._total, self._sound = out, fps, ledger.frames, sound
        self._encoding = part_encoding(out.suffix)
        self.place = out.with_name(out.name + ".part")
        ledger.claim(self.place)
        self._next = 0
        while self._part(self._next).exists():
            self._next = min(self._next + FRAMES_OF_A_PART, self._total)
        for raw in self.place.glob("[0-9]*.npy"):  # of the last part, if it was stopped while it deleted them
            if int(raw.stem) < self._next:
                raw.unlink()
        while self._raw(self._next).exists():
            self._next += 1
        if self._next % FRAMES_OF_A_PART == 0 and self._raw(self._next - 1).exists():
            self._encode()
        self.missing: Sequence[int] = range(self._next, self._total)

    def _part(self, first: int) -> Path:
        return self.place / f"{first:08d}{self._encoding.suffix}"

    def _raw(self, frame: int) -> Path:
        return self.place / f"{frame:08d}.npy"

    def add(self, frame: int, picture: Picture) -> None:
        """The frames of `missing`, in order."""
        with whole_file(self._raw(frame)) as temporary, temporary.open("wb") as stream:
            np.save(stream, picture)
        self._next = frame + 1
        if self._next % FRAMES_OF_A_PART == 0:
            self._encode()

    def _encode(self) -> None:
        """Makes a part of the raw frames."""
        first = (self._next - 1) // FRAMES_OF_A_PART * FRAMES_OF_A_PART
        raws = [self._raw(frame) for frame in range(first, self._next)]
        write_video(self._part(first), self._fps, map(_load, raws), self._encoding)
        for raw in raws:
            raw.unlink()

    def finish(self) -> None:
        """Joins the parts."""
        if self._raw(self._total - 1).exists():
            self._encode()
        firsts = range(0, self._total, FRAMES_OF_A_PART)
        joined = self.place / f"joined{self._out.suffix}"
        join([self._part(first) for first in firsts], joined, self._fps, self._sound)
        joined.replace(self._out)
        shutil.rmtree(self.place)

    def stop(self) -> int:
        """Leaves whole parts and frames only, says how many frames, and removes a directory that holds none."""
        sweep(self.place)
        if not self._next:
            shutil.rmtree(self.place)
        return self._next


def fill(store: FrameDirectory | PartialVideo, pictures: Iterable[Picture], total: int) -> None:
    """Takes the pictures for the frames that are missing; says what is kept where it is stopped."""
    try:
        for i, picture in zip(store.missing, pictures, strict=True):
            store.add(i, picture)
        store.finish()
    except BaseException:
        if kept := store.stop():
            remark = f"{kept} of {total} frames are kept in {store.place}: the same command goes on with them"
            print(printable(remark, keep=""), file=sys.stderr)
        raise


def _load(path: Path) -> Picture:
    try:
        picture: Picture = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError("a frame is damaged", file=str(path), reason=str(error), fix="Delete it and go on") from None
    return picture
