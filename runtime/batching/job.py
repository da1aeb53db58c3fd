"""What a place holds pictures of: said in a file there, and compared when the command is given again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import UsageError
from ..keys import whole, word
from .formats import FORMATS, Format
from .numbers import Numbers, read_numbers
from .stores import Store

BOOKS = "_batch"  # of the store: hidden from those who read a folder of .parquet
NOTE = f"{BOOKS}/job.json"
KIND = "ncnn-builder-batch"
VERSION = 1


@dataclass(frozen=True)
class Job:
    """model: as recipes call it. recipe: the settings of all pictures. key: a hash of all that their bytes depend on,
    but what the model is called; command: for people.
    """

    seeds: Numbers
    shard: int
    format: str
    model: str
    model_sha256: str
    recipe: dict[str, str]
    key: str
    command: str

    @property
    def form(self) -> Format:
        return FORMATS[self.format]

    @property
    def shards(self) -> range:
        return range(-(-len(self.seeds) // self.shard))

    def seeds_of(self, shard: int) -> Numbers:
        return self.seeds.cut(shard * self.shard, self.shard)

    def title(self, shard: int) -> str:
        """00000, as the shard is called in all its names."""
        return f"{shard:0{max(5, len(str(len(self.shards) - 1)))}d}"

    def place(self, shard: int) -> str:
        """Of the pictures, in the store."""
        return self.title(shard) + self.form.shard

    def index(self, shard: int) -> str:
        """The file that says what is in the shard: it is there exactly if the shard is."""
        return f"{BOOKS}/{self.title(shard)}.json"

    def name(self, seed: int) -> str:
        """Of a picture's file."""
        return f"seed{seed:0{max(4, len(str(self.seeds.largest)))}d}{self.form.picture}"

    def count(self, shards: Iterable[int]) -> int:
        """Of the pictures in shards."""
        return sum(min(self.shard, len(self.seeds) - shard * self.shard) for shard in shards)

    def says(self, shard: int) -> str:
        return f"shard {self.title(shard)} (seeds {self.seeds_of(shard)})"

    def missing(self, store: Store) -> list[int]:
        """Shards of which the pictures or the file that says what they are is not there."""
        places, books = store.names(), store.names(BOOKS)
        names = ((shard, self.place(shard), Path(self.index(shard)).name) for shard in self.shards)
        return [shard for shard, place, book in names if place not in places or book not in books]

    def note(self) -> dict[str, object]:
        return {"kind": KIND, "version": VERSION, **vars(self), "seeds": str(self.seeds)}


def claim(store: Store, job: Job) -> Job:
    """The job that the store holds pictures of: this one, or the same under another name of its model.

    Raises UsageError where it is another, or where other files lie there.
    """
    if Path(NOTE).name in store.names(BOOKS):
        found = read_job(store)
        if found.key == job.key:
            return found
        if store.names(BOOKS) != {Path(NOTE).name}:
            raise UsageError(
                f"out={store.out} holds pictures of another model or of other seeds, or made with other settings",
                expected=job.command,
                got=found.command,
                fix="Finish that job with its command, delete the place, or give another out=",
            )
    elif store.names() - {BOOKS} or store.names(BOOKS):
        raise UsageError(f"out={store.out} holds other files", expected="an empty or a new out=")
    with store.file(NOTE) as path:
        path.write_text(json.dumps(job.note(), indent=1), encoding="utf-8")
    return job


def read_job(store: Store) -> Job:
    """Raises UsageError where there is none, or where what it says makes no sense."""
    try:
        data = read(store, NOTE)
    except FileNotFoundError:
        expected = f"a place with {NOTE}"
        raise UsageError(f"out={store.out} holds no pictures of this command", expected=expected) from None
    try:
        found = parse(data, KIND)
        texts = {name: str(found[name]) for name in ("format", "model", "model_sha256", "key", "command")}
        seeds, shard = read_numbers("seeds", str(found["seeds"])), whole(1)("shard", str(found["shard"]))
        recipe = {str(key): str(value) for key, value in found["recipe"].items()}
        word(*FORMATS)("format", texts["format"])
    except (ValueError, KeyError, AttributeError, RecursionError, UsageError) as error:
        fix = "Delete the place, and begin again"
        raise UsageError(f"the note of out={store.out} is damaged", file=NOTE, reason=str(error), fix=fix) from None
    return Job(seeds=seeds, shard=shard, recipe=recipe, **texts)


def digest(stream: IO[bytes]) -> str:
    """SHA-256 of what can be read there."""
    found = hashlib.sha256()
    while block := stream.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def read(store: Store, name: str) -> bytes:
    """Raises OSError, and UsageError of an address."""
    with store.open(name) as stream:
        return stream.read()


def parse(data: bytes, kind: str) -> dict[str, Any]:
    """What JSON says. Raises ValueError, RecursionError."""
    found = json.loads(data)
    if not isinstance(found, dict) or found.get("kind") != kind or found.get("version") != VERSION:
        raise ValueError(f"it is no {kind} of version {VERSION}")
    return found
