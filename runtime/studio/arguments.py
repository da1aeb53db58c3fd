"""Reads the command line of ``python -m runtime.studio``: key=value in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import UsageError
from ..keys import Key, read_words, text, truth, whole

HEAD = """\
usage: python -m runtime.studio [MODEL | NET.param [OTHER.param]] [key=value ...] [-q]

Opens a page where the pictures of a generator are seen and steered; with NET.param one where any ncnn net is looked
into, with OTHER.param beside it. The page is served to this machine alone, at an
address that nobody can guess; nothing leaves the machine.

keys:
"""
TAIL = """\
  -q                   no remarks

examples:
  python -m runtime.studio
  python -m runtime.studio model=afhqcat port=8000 open=false
  python -m runtime.studio net.param quantized.param
"""
KEYS = {
    "model": Key(
        text,
        "model=PATH",
        "the bundle to begin with (default: the newest one here, or else faces, which comes\n"
        "with the package); the page offers the others that are here",
    ),
    "port": Key(whole(0, 65535), "port=0", "of 127.0.0.1; 0: any that is free"),
    "open": Key(truth, "open=true", "opens the page in the browser"),
    "threads": Key(whole(1, 1024), "threads=N", "default: the physical cores"),
    "isolate": Key(
        truth,
        "isolate=false",
        "runs the nets in this process; by itself each has its own, whose end is an error on the page,\n"
        "save those of the package",
    ),
}


@dataclass
class Settings:
    """A command line that makes sense by itself."""

    given: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    nets: list[str] = field(default_factory=list)
    port: int = 0
    open: bool = True
    threads: int | None = None
    isolate: bool | None = None
    quiet: bool = False


def usage() -> str:
    """The text of --help."""
    return HEAD + "".join(map(Key.line, KEYS.values())) + TAIL


def parse(arguments: list[str]) -> Settings:
    """Raises UsageError for an unknown or repeated key, a bad value, more than one model or two nets."""
    words = read_words(arguments, KEYS, takes="key=value")
    nets = [word for word in words.plain if word.endswith((".param", ".param.bin"))]
    models = [
        *(word for word in words.plain if word not in nets),
        *([words.given["model"]] if "model" in words.given else []),
    ]
    if len(models) > 1:
        raise UsageError("there is more than one model", expected="model=PATH", got=" ".join(models))
    if len(nets) > 2:
        raise UsageError("there are more than two nets", expected="NET.param OTHER.param", got=" ".join(nets))
    settings = Settings(words.given, nets=nets, quiet=words.quiet)
    for key, value in words.given.items():
        setattr(settings, key, KEYS[key].read(key, value))
    if models:
        settings.model = models[0]
    return settings
