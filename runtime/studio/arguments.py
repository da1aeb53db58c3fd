"""Reads the command line of ``python -m runtime.studio``: key=value in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import UsageError
from ..keys import Key, read_words, text, truth, whole

HEAD = """\
usage: python -m runtime.studio [MODEL | NET.param [OTHER.param]] [key=value ...] [-q]
       python -m runtime.studio --export DIR [MODEL] [wasm=DIR]

Opens a page where the pictures of a generator are seen and steered; with NET.param one where any ncnn net is looked
into, with OTHER.param beside it. The page is served to this machine alone, at an
address that nobody can guess; nothing leaves the machine. With --export the page is written as files instead, which
any web server serves, and which compute in the browser.

keys:
"""
TAIL = """\
  --export DIR         writes the page as files that need no server but one for files
  -q                   no remarks

examples:
  python -m runtime.studio
  python -m runtime.studio model=afhqcat port=8000 open=false
  python -m runtime.studio net.param quantized.param
  python -m runtime.studio --export site model=afhqcat
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
    "wasm": Key(text, "wasm=DIR", "with --export: what `make wasm` built, where it is not in build/wasm/studio"),
}
SERVED = ("port", "open", "threads", "isolate")
"""What an exported page does not have."""


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
    export: str | None = None
    wasm: str | None = None
    quiet: bool = False


def usage() -> str:
    """The text of --help."""
    return HEAD + "".join(map(Key.line, KEYS.values())) + TAIL


def parse(arguments: list[str]) -> Settings:
    """Raises UsageError for an unknown or repeated key, a bad value, more than one model or two nets, or --export
    without a DIR."""
    export, arguments = _export(arguments)
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
    if export is not None and nets:
        raise UsageError("nets are looked into with the server", expected="--export DIR [MODEL]", got=nets[0])
    settings = Settings(words.given, nets=nets, export=export, quiet=words.quiet)
    for key, value in words.given.items():
        if export is not None and key in SERVED:
            raise UsageError(f"{key}= belongs to the server, which an exported page has not")
        if export is None and key == "wasm":
            raise UsageError("wasm= belongs to --export", expected="--export DIR")
        setattr(settings, key, KEYS[key].read(key, value))
    if models:
        settings.model = models[0]
    return settings


def _export(arguments: list[str]) -> tuple[str | None, list[str]]:
    """What stands behind --export, and the words without the two."""
    places = [i for i, word in enumerate(arguments) if word == "--export"]
    if not places:
        return None, arguments
    behind = arguments[places[0] + 1 : places[0] + 2]
    if len(places) > 1 or not behind or behind[0].startswith("-"):
        raise UsageError("--export needs one directory", expected="--export DIR")
    return behind[0], [*arguments[: places[0]], *arguments[places[0] + 2 :]]
