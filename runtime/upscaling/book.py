"""What results a folder holds: a line of JSON for each, added when it is there; the last one of a name counts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..files import whole_file

BOOK = "upscaled.jsonl"


@dataclass(frozen=True)
class Entry:
    """picture: the result, by its name in the folder, with / between folders. source: likewise, of the picture that it
    was made of."""

    picture: str
    sha256: str
    source: str
    source_sha256: str

    def line(self) -> str:
        return json.dumps(vars(self)) + "\n"


def read_book(directory: Path) -> tuple[dict[str, Entry], list[int]]:
    """The entries by picture, and the lines that cannot be read, from 1: the last one, of a process that was killed."""
    book: dict[str, Entry] = {}
    damaged: list[int] = []
    try:
        lines = (directory / BOOK).read_bytes().splitlines()
    except FileNotFoundError:
        return book, damaged
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            values = [found[name] for name in Entry.__annotations__]
            if not all(isinstance(value, str) for value in values):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged.append(number)
            continue
        book[values[0]] = Entry(*values)
    return book, damaged


def write_book(directory: Path, entries: Iterable[Entry]) -> None:
    with whole_file(directory / BOOK, durable=True) as temporary:
        temporary.write_text("".join(entry.line() for entry in entries), encoding="ascii")


def append(directory: Path, entry: Entry) -> None:
    with (directory / BOOK).open("a", encoding="ascii") as stream:
        stream.write(entry.line())
