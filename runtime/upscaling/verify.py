"""Reads all results of a folder and proves that each picture has one, as it was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..command import Refuted
from ..errors import UsageError
from ..files import sha256_of
from ..progress import progress
from .book import BOOK, Entry, read_book
from .folder import NOTES, files_of, read_claim
from .photos import READ_SUFFIXES

MOST_LINES = 50


@dataclass
class _Found:
    """faults: in words. alone: results whose picture is not there any more."""

    faults: list[str] = field(default_factory=list)
    alone: int = 0


def verify(out: str, quiet: bool) -> str:
    """What was proven, in a sentence. Raises Refuted with what is wrong and where, UsageError where OUT holds nothing
    of this command."""
    directory = Path(out)
    claim = read_claim(directory)
    book, damaged = read_book(directory)
    source = Path(claim.source) if claim.source else None
    found = _Found([f"{BOOK}: line {number} cannot be read" for number in damaged])
    for entry in progress(book.values(), len(book), "verify", "picture", quiet):
        found.faults += _faults(directory, entry)
        if source is not None:
            _compare(source, entry, found)
    there = {path.relative_to(directory).as_posix() for path in files_of(directory)}
    found.faults += [f"{name}: it is of no picture" for name in sorted(there - book.keys() - {*NOTES})]
    if source is not None and source.is_dir():
        done = {entry.source for entry in book.values()}
        names = (
            path.relative_to(source).as_posix() for path in files_of(source) if path.suffix.lower() in READ_SUFFIXES
        )
        found.faults += [f"{name}: its result is missing" for name in names if name not in done]
    if found.faults:
        count = len(found.faults)
        more = [f"and {count - MOST_LINES} more"] if count > MOST_LINES else []
        cure = f"Delete a result that is wrong, and give the command again: {claim.command}"
        raise Refuted("\n".join([f"{count} fault{'s'[: count != 1]}:", *found.faults[:MOST_LINES], *more, cure]))
    left = f"; the pictures of {found.alone} are not there any more" if found.alone else ""
    return f"{len(book)} pictures of {claim.source or 'a folder'}: each is there once, every SHA-256 is right{left}"


def _faults(directory: Path, entry: Entry) -> Iterator[str]:
    """Of a result."""
    try:
        if sha256_of(directory / entry.picture) != entry.sha256:
            yield f"{entry.picture}: its SHA-256 is not the one that was written"
    except FileNotFoundError:
        yield f"{entry.picture}: it is missing"
    except (OSError, ValueError, UsageError) as error:
        yield f"{entry.picture}: it cannot be read; reason: {error}"


def _compare(source: Path, entry: Entry, found: _Found) -> None:
    """A result with the picture that it was made of."""
    try:
        if sha256_of(source / entry.source) != entry.source_sha256:
            found.faults.append(f"{entry.picture}: it was made of another {entry.source} than is there now")
    except (FileNotFoundError, NotADirectoryError):
        found.alone += 1
    except (OSError, ValueError, UsageError) as error:
        found.faults.append(f"{entry.source}: it cannot be read; reason: {error}")
