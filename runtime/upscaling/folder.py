"""A folder of pictures, which goes on where it was stopped: a result that is there and newer is not made again.

Beside the results lie upscaled.json, which says what they are of, and a book with the SHA-256 of each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..files import check_directory, sha256_of, sweep, whole_file
from .book import BOOK, Entry, append, read_book, write_book
from .photos import READ_SUFFIXES

FORMAT = "ncnn-builder-upscaled"
LEDGER = "upscaled.json"
NOTES = (LEDGER, BOOK)


@dataclass(frozen=True)
class Claim:
    """Whose results a folder holds. key: a hash of all that they depend on but the pictures; source: their folder;
    command: for people.
    """

    key: str
    command: str
    source: str

    def claim(self, directory: Path) -> None:
        """Makes the folder, or finds that it holds results of this net and these settings. Raises UsageError."""
        path = directory / LEDGER
        directory.mkdir(exist_ok=True)
        if not path.exists():
            if any(not entry.name.startswith(".") for entry in directory.iterdir()):
                raise UsageError(f"{directory} holds other files", expected="an empty or a new folder")
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps({"format": FORMAT, **vars(self)}, indent=1))
            return
        found = read_claim(directory)
        if found.key != self.key:
            raise UsageError(
                f"{directory} holds results of another net or of other settings",
                got=found.command,
                fix="Delete it, or give another OUT",
            )


def read_claim(directory: Path) -> Claim:
    """Raises UsageError where there is none."""
    path = directory / LEDGER
    try:
        found = json.loads(path.read_text())
        return Claim(str(found["key"]), str(found["command"]), str(found.get("source", "")))
    except FileNotFoundError:
        raise UsageError(f"{directory} holds no results of this command", expected=f"a folder with {LEDGER}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError("the note of this folder is damaged", file=str(path), fix=f"Delete {directory}") from None


@dataclass(frozen=True)
class Folder:
    """pictures: (source, target) of each. others: files of the source that are no pictures by their names."""

    source: Path
    target: Path
    pictures: list[tuple[Path, Path]]
    others: int

    def missing(self) -> list[tuple[Path, Path]]:
        return [(source, target) for source, target in self.pictures if not _is_newer(target, source)]

    def prepare(self) -> None:
        """Makes the folders of the targets, removes what a killed process left half-written in them, and enters into
        the book what it had made and not entered."""
        for directory in sorted({target.parent for _, target in self.pictures} | {self.target}):
            directory.mkdir(parents=True, exist_ok=True)
            sweep(directory)
        book, damaged = read_book(self.target)
        missing = {target for _, target in self.missing()}
        there = [pair for pair in self.pictures if pair[1] not in missing and self.name(pair[1]) not in book]
        for source, target in there:
            entry = self.entry(source, target, sha256_of(source), sha256_of(target))
            book[entry.picture] = entry
        if there or damaged:
            write_book(self.target, book.values())

    def name(self, target: Path) -> str:
        return target.relative_to(self.target).as_posix()

    def entry(self, source: Path, target: Path, source_sha256: str, sha256: str) -> Entry:
        return Entry(self.name(target), sha256, source.relative_to(self.source).as_posix(), source_sha256)

    def enter(self, source: Path, target: Path, source_sha256: str, sha256: str) -> None:
        """A picture that was made."""
        append(self.target, self.entry(source, target, source_sha256, sha256))


def find_pictures(source: Path, out: str, suffix: str | None) -> Folder:
    """suffix: of the targets; None keeps that of each picture. Raises UsageError where two would be one file, where
    there is no picture, or where the folders lie in each other."""
    target = check_directory(out)
    inside, outside = target.resolve(), source.resolve()
    if inside == outside or outside in inside.parents or inside in outside.parents:
        raise UsageError("one folder lies in the other", expected="two folders apart", got=f"{source} and {out}")
    pictures: dict[Path, Path] = {}
    others = 0
    for path in files_of(source):
        kind = path.suffix.lower()
        if kind not in READ_SUFFIXES:
            others += 1
            continue
        place = target / path.relative_to(source)
        if suffix or kind == ".gif":
            place = place.with_suffix(suffix or ".png")
        if place in pictures:
            raise UsageError(
                f"two pictures would become {place}",
                got=f"{pictures[place]} and {path}",
                fix="Rename one, or leave format= out" if suffix else "Rename one",
            )
        pictures[place] = path
    if not pictures:
        raise UsageError(f"there is no picture in {source}", expected=" ".join(READ_SUFFIXES))
    return Folder(source, target, [(path, place) for place, path in pictures.items()], others)


def files_of(directory: Path) -> Iterator[Path]:
    """Files that are not hidden, by name, folder by folder; links to folders are not followed."""

    def refuse(error: OSError) -> None:
        raise UsageError("the folder cannot be read", file=str(error.filename), reason=error.strerror)

    for top, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(top, name) for name in sorted(names) if not name.startswith("."))


def _is_newer(target: Path, source: Path) -> bool:
    try:
        return target.stat().st_mtime_ns >= source.stat().st_mtime_ns
    except FileNotFoundError:
        return False
