"""The command line of restorers: pictures, folders of them and videos, larger or better."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from .batching.cluster import find
from .batching.stores import alone
from .command import answer
from .errors import UsageError
from .files import check_file
from .films.video import DEMUXERS, VIDEO_SUFFIXES
from .pictures import PICTURE_SUFFIXES
from .progress import progress
from .strangers import printable
from .upscaling.arguments import Request, parse, usage
from .upscaling.clips import read_clip, upscale_clip
from .upscaling.folder import Claim, Folder, find_pictures
from .upscaling.job import restored, upscaler_of
from .upscaling.photos import READ_SUFFIXES, read_photo, write_photo
from .upscaling.upscaler import Upscaler, Window, upscaled
from .upscaling.verify import verify


def run(request: Request) -> Path | str:
    """Raises NcnnError for everything that is wrong, most of it before anything is computed, and Refuted."""
    if request.verify:
        return verify(request.out, request.quiet)
    source, out = Path(request.source), request.out
    if not source.exists():
        raise UsageError("no such picture, folder or video", file=request.source)
    if Path(out).exists() and os.path.samefile(source, out):
        raise UsageError("IN and OUT are the same", got=out)
    if source.is_dir():
        return _folder(request, find_pictures(source, out, request.format))
    if request.format is not None:
        raise UsageError("format= is for folders: the suffix of OUT says it", got=f"format={request.given['format']}")
    for key in ("workers", "ray"):
        if key in request.given:
            raise UsageError(f"{key}= is for folders: a picture or a video has threads=")
    kind = source.suffix.lower()
    if kind in DEMUXERS and (kind != ".gif" or Path(out).suffix.lower() in VIDEO_SUFFIXES):
        path = check_file(out, VIDEO_SUFFIXES)
        clip = read_clip(source)
        return upscale_clip(clip, path, *_upscaler(request), _command(request), request.quiet)
    if kind not in READ_SUFFIXES:
        expected = " ".join(dict.fromkeys((*READ_SUFFIXES, *DEMUXERS)))
        raise UsageError("an unknown kind of file", file=request.source, expected=expected, got=kind or "no suffix")
    return _picture(request, source, check_file(out, PICTURE_SUFFIXES))


def _picture(request: Request, source: Path, path: Path) -> Path:
    photo = read_photo(source)

    def watch(windows: list[Window]) -> Iterable[Window]:
        return progress(windows, len(windows), path.name, "tile", request.quiet)

    upscaler, _ = _upscaler(request)
    write_photo(path, upscaled(photo, path, upscaler, watch), request.quality)
    return path


def _folder(request: Request, folder: Folder) -> Path:
    """A picture that cannot be done is said and left out; in the end it is an error."""
    if request.ray is not None:
        find(request.ray)
    upscaler, key = _upscaler(request)
    folder.target.mkdir(exist_ok=True)
    with alone(folder.target):
        Claim(key, _command(request), str(folder.source.absolute())).claim(folder.target)
        folder.prepare()
        failed, total = _make(request, upscaler, folder), len(folder.pictures)
        gone = [target for _, target in folder.pictures if not target.exists()]
        if len(gone) > len(failed):
            fix = "With ray=, IN and OUT have to be the same places on all its machines"
            raise UsageError(f"{gone[0]} was made, but is not there", fix=fix)
    if failed:
        raise UsageError(f"{len(failed)} of {total} pictures could not be done", got=f"first {failed[0]}")
    return folder.target


def _make(request: Request, upscaler: Upscaler, folder: Folder) -> list[str]:
    """What is wrong with the pictures that could not be done."""
    total, done = len(folder.pictures), len(folder.pictures) - len(folder.missing())
    if folder.others:
        upscaler.say(f"{folder.others} files of {folder.source} are no pictures by their names, and left out")
    if done:
        upscaler.say(f"{done} of {total} pictures are there already")
    failed = []
    with closing(restored(request, upscaler, folder)) as faults:
        for fault in progress(faults, total, folder.target.name, "picture", request.quiet, done):
            if fault:
                print(f"left out: {fault}", file=sys.stderr)
                failed.append(fault)
    return failed


def _upscaler(request: Request) -> tuple[Upscaler, str]:
    """With a hash of the net and of the settings that results depend on."""
    upscaler = upscaler_of(request)
    settings = (upscaler.restorer.digest, request.tile, request.overlap, request.format, request.quality)
    return upscaler, hashlib.sha256(repr(settings).encode()).hexdigest()


def _command(request: Request) -> str:
    keys = [f"{key}={value}" for key, value in request.given.items()]
    return printable(shlex.join(["python", "-m", "runtime.upscale", request.source, request.out, *keys]))


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C; SIGTERM exits with 143."""
    return answer(argv, usage, lambda arguments: run(parse(list(arguments))))


if __name__ == "__main__":
    sys.exit(main())
