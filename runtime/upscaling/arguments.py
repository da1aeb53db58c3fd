"""Reads the command line of ``python -m runtime.upscale``: two paths, and key=value in any order."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from ..errors import UsageError
from ..keys import Key, read_words, text, truth, whole
from .upscaler import AUTO, WORDS, Tile

HEAD = """\
usage: python -m runtime.upscale IN OUT model=PATH [key=value ...] [-q]
       python -m runtime.upscale --verify OUT

  IN a picture   .png .jpg .webp .bmp .tif .gif -> OUT a picture; its suffix says the format, .png keeps 16 bits
  IN a folder    of pictures, its folders too   -> OUT a folder, with the same names
  IN a video     .mp4 .mkv .mov .webm .avi .gif -> OUT a video (.mp4 .mkv .mov .webm .gif), with the sound
                 a folder or a video that is stopped goes on when the same command is given again

The picture goes through the net in tiles that overlap as far as the net looks, so that the result is that of the whole
picture. Memory: memory= for the net's blobs and the tile's arrays, beside the net's weights and the picture in and out.

keys:
"""
TAIL = """\
  --verify             of a folder OUT: proves that each picture of IN is there once, every SHA-256 right (else exit
                       status 1)
  -q                   no progress, no remarks

examples:
  python -m runtime.upscale photo.jpg large.png model=x4plus
  python -m runtime.upscale photos photos_x4 model=x4plus format=png memory=512
  python -m runtime.upscale --verify photos_x4
  python -m runtime.upscale clip.mp4 clip_x2.mp4 model=animevideov3-x2 tile=256
"""
SUFFIXES = {"png": ".png", "jpg": ".jpg", "webp": ".webp", "tif": ".tif", "bmp": ".bmp"}


def tile(key: str, text: str) -> Tile:
    if text in WORDS:
        return text
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or not int(text):
        raise UsageError(f"{key}= is no size of tiles", expected="a number of pixels, auto or whole", got=text)
    return int(text)


def suffix(key: str, text: str) -> str:
    if text not in SUFFIXES:
        raise UsageError(f"{key}= is none of its words", expected=" or ".join(SUFFIXES), got=text)
    return SUFFIXES[text]


KEYS = {
    "model": Key(text, "model=PATH", "the net: PATH.param and PATH.bin, and PATH.json if a converter wrote it"),
    "tile": Key(tile, "tile=auto", "pixels of a tile's side; auto: what fits into memory=; whole: no tiles"),
    "overlap": Key(
        whole(0, 4096),
        "overlap=N",
        "pixels that a tile shows around what is kept of it; default: how far the\n"
        "net looks, by its layers, or measured where that is far or not known",
    ),
    "memory": Key(
        whole(16, 1 << 24), "memory=N", "megabytes that a tile may take; default: a quarter of the machine's"
    ),
    "format": Key(suffix, "format=png", "of a folder's pictures: png, jpg, webp, tif or bmp; default: as they were"),
    "quality": Key(whole(1, 100), "quality=95", "of .jpg and .webp"),
    "threads": Key(whole(1, 1024), "threads=N", "default: the physical cores; with workers=, those of each: its share"),
    "workers": Key(
        whole(1, 1024),
        "workers=N",
        "of a folder: processes that each take a picture, and a share of memory=; faster where\n"
        "pictures are small. One that dies is replaced, and its picture made again",
    ),
    "ray": Key(
        text,
        "ray=ADDRESS",
        "of a folder: on a Ray cluster, a thread for each picture: auto for the one that is there,\n"
        "HOST:PORT, local for one of this machine; workers=: pictures at the same time, memory=: of\n"
        "each. IN, OUT and model= have to be the same places on all its machines",
    ),
    "isolate": Key(
        truth,
        "isolate=false",
        "runs the net in this process; by itself it has its own, whose end is an error here",
    ),
}


@dataclass
class Request:
    """A command line that makes sense by itself."""

    source: str
    out: str
    given: dict[str, str] = field(default_factory=dict)  # the keys as they were written
    model: str = ""
    tile: Tile = AUTO
    overlap: int | None = None
    memory: int | None = None
    format: str | None = None
    quality: int = 95
    threads: int | None = None
    workers: int | None = None
    ray: str | None = None
    isolate: bool = os.name == "posix"
    quiet: bool = False
    verify: bool = False


def usage() -> str:
    """The text of --help."""
    return HEAD + "".join(map(Key.line, KEYS.values())) + TAIL


def parse(arguments: list[str]) -> Request:
    """Raises UsageError for an unknown or repeated key, a bad value, or paths that are missing or too many."""
    else_fix = "A path that holds '=' is written ./NAME"
    words = read_words(arguments, KEYS, takes="two paths and key=value", else_fix=else_fix, options=("--verify",))
    given, paths = words.given, words.plain
    if "--verify" in words.options:
        if given:
            raise UsageError(f"{next(iter(given))}= has no meaning with --verify", expected="--verify OUT alone")
        if len(paths) != 1 or not paths[0]:
            raise UsageError("a wrong number of paths", expected="--verify OUT", got=" ".join(paths) or "none")
        return Request("", paths[0], quiet=words.quiet, verify=True)
    if len(paths) != 2:
        got = " ".join(paths) or "none"
        raise UsageError("a wrong number of paths", expected="IN and OUT", got=got, fix="See --help")
    if "" in paths:
        raise UsageError("a path is empty")
    if "model" not in given:
        raise UsageError("there is no model", expected="model=PATH of a .param and a .bin file", fix="See --help")
    request = Request(paths[0], paths[1], given, quiet=words.quiet)
    for key, value in given.items():
        setattr(request, key, KEYS[key].read(key, value))
    return request
