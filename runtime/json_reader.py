"""Takes values out of a manifest's JSON by key and type, or says what is wrong with them and where."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

from .errors import BundleError


def _is_plain(text: str) -> bool:
    """Without control characters, and of characters that a file's name can have on this system."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:  # half of a surrogate
        return False
    return not any(unicodedata.category(character) == "Cc" for character in text)


def _is_file_name(name: str) -> bool:
    return name not in ("", ".", "..") and _is_plain(name) and not any(character in name for character in "/\\")


class Reader:
    """One JSON object, whose values are taken out by key and type; `where` is the way to it."""

    def __init__(self, path: Path, table: Any, where: str = "") -> None:
        self.path, self.where = path, where
        if not isinstance(table, dict):
            raise BundleError(f"{where or 'the manifest'} is not a JSON object", file=str(path))
        self.table: dict[str, Any] = table

    def _key(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def value(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        if key not in self.table:
            raise BundleError(f"the manifest has no key '{self._key(key)}'", file=str(self.path))
        value = self.table[key]
        allowed = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in allowed):
            raise self.bad(key, expected, value)
        return value

    def bad(self, key: str, expected: str, value: object) -> BundleError:
        what = f"the manifest's '{self._key(key)}' has a bad value"
        return BundleError(what, file=str(self.path), expected=expected, got=json.dumps(value)[:60])

    def at(self, key: str) -> Reader:
        return Reader(self.path, self.value(key, dict, "an object"), self._key(key))

    def number(self, key: str, low: int, high: int = 2**62) -> int:
        expected = f"a whole number from {low} to {high}"
        value = self.value(key, int, expected)
        if not low <= value <= high:
            raise self.bad(key, expected, value)
        return int(value)

    def text(self, key: str) -> str:
        value = str(self.value(key, str, "text"))
        if not _is_plain(value):
            raise self.bad(key, "text without control characters", value)
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self.value(key, (str, type(None)), "text or null") is None else self.text(key)

    def file_name(self, key: str) -> str:
        name = self.text(key)
        if not _is_file_name(name):
            raise self.bad(key, "the name of a file beside the manifest", name)
        return name

    def named(self, key: str) -> str:
        """The key itself, which is the name of a file."""
        if not _is_file_name(key):
            what = f"the manifest's '{self.where}' has a bad key"
            raise BundleError(what, file=str(self.path), expected="names of files beside it", got=json.dumps(key)[:60])
        return key

    def matrix(self, key: str, size: int) -> tuple[tuple[float, ...], ...]:
        expected = f"{size} rows of {size} finite numbers"
        rows = self.value(key, list, expected)
        numbers = [n for row in rows if isinstance(row, list) and len(row) == size for n in row]
        fits = len(rows) == size and len(numbers) == size * size
        if not fits or not all(type(n) in (int, float) and abs(n) <= 1e30 for n in numbers):
            raise self.bad(key, expected, rows)
        return tuple(tuple(float(n) for n in row) for row in rows)

    def texts(self) -> dict[str, str]:
        return {key: self.text(key) for key in self.table}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: self.sizes(key) for key in self.table}

    def sizes(self, key: str) -> tuple[int, ...]:
        sizes = self.value(key, list, "a list of sizes")
        if not 1 <= len(sizes) <= 4 or not all(type(size) is int and 0 < size < 2**31 for size in sizes):
            raise self.bad(key, "a list of 1 to 4 sizes", sizes)
        return tuple(sizes)
