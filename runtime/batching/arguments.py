"""Reads the command line of ``python -m runtime.batch``: key=value in any order."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace

from ..arguments import Request
from ..errors import UsageError
from ..keys import KEYS as RUN_KEYS
from ..keys import Key, read_words, text, whole, word
from ..strangers import printable
from .formats import FORMATS
from .numbers import Numbers, read_numbers

HEAD = """\
usage: python -m runtime.batch seeds=RANGES out=PLACE [key=value ...] [-q]
       python -m runtime.batch --verify out=PLACE

The pictures of many seeds in shards, each as `python -m runtime.run mode=image` makes it, or with mix= mode=mix.
A shard is there whole or not at all: what was stopped or killed goes on when the same command is given again, and no
picture is left out or made twice. --verify reads them all and says what is wrong (exit status 1).

  format=png, webp    PLACE/00000/seed000085.png ...: a folder for each shard
  format=webdataset   PLACE/00000.tar ...: a PNG and a JSON file for each seed
  format=parquet      PLACE/00000.parquet ...: columns seed, image and command, as the package datasets reads them
  PLACE/_batch        what was asked for, and the SHA-256 of each picture, a file for each shard

keys:
"""
TAIL = """\
  --verify             proves what is there: no gap, no picture twice, every SHA-256 right
  -q                   no progress, no remarks

examples:
  python -m runtime.batch model=faces seeds=0-999999 out=pictures/ trunc=0.7
  python -m runtime.batch model=cats seeds=0-99999,458000 out=cats format=webdataset workers=16
  python -m runtime.batch --verify out=pictures/
"""
OF_THE_MACHINE = ("workers", "ray")
MIXING = ("styles", "weight")
OF_THE_PICTURE = (
    *("model", "trunc", "cutoff", "mix", *MIXING, "class"),
    *("noise", "noise_seed", "noise_strength", "rotate", "translate", "zoom", "move", "move_styles"),
    *("edit", "layers", "fp16", "bf16"),
)
"""Keys of runtime.run, which mean the same here."""
HELP = {
    "mix": "every picture with styles of this seed, or of w_avg",
    "styles": "with mix=: the styles that come from it, such as 0-6 or 0,2,8-11",
    "weight": "likewise: how much these styles take, 0 to 1",
}
KEYS = {
    "seeds": Key(read_numbers, "seeds=RANGES", "the seeds: numbers and ranges, such as 0-999999 or 0-99,458"),
    "out": Key(text, "out=PLACE", "a folder, new or of the same command"),
    "format": Key(word(*FORMATS), "format=png", " ".join(FORMATS)),
    "shard": Key(whole(1, 10**6), "shard=N", "pictures of a shard; default: a sixteenth of them all, at most 1000"),
    **{key: replace(RUN_KEYS[key], help=HELP.get(key, RUN_KEYS[key].help)) for key in OF_THE_PICTURE},
    "workers": Key(
        whole(1, 1024), "workers=N", "processes that make shards, with a thread each; default: the physical cores"
    ),
    "ray": Key(
        text,
        "ray=ADDRESS",
        "on a Ray cluster: auto for the one that is there, HOST:PORT, local for one of this\n"
        "machine; model= and out= have to be the same places on all its machines",
    ),
}
LARGEST_SHARD = 1000
FEWEST_SHARDS = 16
MOST_SHARDS = 10**6  # names in one folder


@dataclass
class Batch:
    """A command line that makes sense by itself. request: that of one picture, without its seed."""

    request: Request
    out: str
    given: dict[str, str]  # the keys as they were written
    seeds: Numbers = field(default_factory=lambda: Numbers(()))
    format: str = "png"
    shard: int = 0
    workers: int | None = None
    ray: str | None = None
    verify: bool = False

    @property
    def command(self) -> str:
        """That makes the same pictures, whoever works on them."""
        keys = [f"{key}={value}" for key, value in self.given.items() if key not in OF_THE_MACHINE]
        return printable(shlex.join(["python", "-m", "runtime.batch", *keys]), keep="")


def usage() -> str:
    """The text of --help."""
    return HEAD + "".join(map(Key.line, KEYS.values())) + TAIL


def parse(arguments: list[str]) -> Batch:
    """Raises UsageError for an unknown or repeated key, a bad value, or one that is missing."""
    words = read_words(arguments, KEYS, takes="key=value", options=("--verify",))
    if words.plain:
        raise UsageError(f"{words.plain[0]} is no key=value", expected="seeds=RANGES", fix="See --help")
    given = words.given
    if "out" not in given:
        raise UsageError("there is no out=", expected="out=PLACE, a folder", fix="See --help")
    of_the_picture = {key: value for key, value in given.items() if key in OF_THE_PICTURE}
    request = Request("mix" if "mix" in given else "image", of_the_picture, quiet=words.quiet)
    batch = Batch(request, given["out"], given, verify="--verify" in words.options)
    if batch.verify:
        if others := [key for key in given if key != "out"]:
            raise UsageError(f"{others[0]}= has no meaning with --verify", expected="out= alone: the rest stands there")
        return batch
    if "seeds" not in given:
        raise UsageError("there is no seeds=", expected="seeds=RANGES, such as seeds=0-999999", fix="See --help")
    for key, value in given.items():
        target = request if key in OF_THE_PICTURE else batch
        setattr(target, {"class": "label_class"}.get(key, key), KEYS[key].read(key, value))
    for key in MIXING:
        if key in given and request.mix is None:
            raise UsageError(f"{key}= is about the seed that is mixed in", expected="mix=", got="no mix=")
    if request.move_styles is not None and request.move is None:
        raise UsageError("move_styles= is about move=", expected="move=", got="no move=")
    if request.layers is not None and request.edit is None:
        raise UsageError("layers= is about edit=", expected="edit=", got="no edit=")
    batch.shard = batch.shard or min(LARGEST_SHARD, -(-len(batch.seeds) // FEWEST_SHARDS))
    if (fewest := -(-len(batch.seeds) // MOST_SHARDS)) > batch.shard:
        raise UsageError("there are too many shards", expected=f"shard={fewest} or more", got=f"shard={batch.shard}")
    return batch
