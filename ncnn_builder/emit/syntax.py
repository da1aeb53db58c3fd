"""The text of a .param file as tokens with their places: what it says, without asking whether any layer means it.

Format: ncnn's src/net.cpp (load_param) and src/paramdict.cpp (load_param). A file is read to its end whatever is wrong
in it; what is wrong becomes a Problem. Nothing is allocated by a number that the file states.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

MAGIC = "7767517"
MOST = 1_000_000
"""ncnn's own limit of layers, blobs, inputs and outputs (max_net_count in net.cpp)."""
IDS = 32
"""Ids from 0 to 31 exist."""
HINTS, MASK = 30, 31
LONGEST_NAME = 255
LONGEST_NUMBER = 127
OLD_ARRAY = -23300

_WORD = re.compile(r"[^ \t\v\f]+")
_ENTRY = re.compile(r"[-+0-9]{1,15}=")
_INT = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

Form = Literal["number", "array", "text"]


class Token(NamedTuple):
    """A word of the file: its text, its line and column, counted from 1."""

    text: str
    line: int
    column: int

    def part(self, start: int, text: str) -> Token:
        """The piece `text` of this word, `start` characters behind its beginning."""
        return Token(text, self.line, self.column + start)


@dataclass(frozen=True)
class Problem:
    """What is wrong with the form of the file. rule: a short name of the kind."""

    rule: str
    token: Token
    what: str
    fix: str | None = None


@dataclass
class Entry:
    """``id=value``: a number, an array (``-233NN=count,a,b`` or ``NN=a,b``), or a text.

    items: the numbers as words, or the one text.
    """

    token: Token
    id: int
    form: Form
    items: list[Token]
    old_array: bool = False


@dataclass
class Line:
    """A layer as its line says it."""

    type: Token
    name: Token
    inputs: list[Token]
    outputs: list[Token]
    entries: list[Entry]
    number: int

    def entry(self, number: int) -> Entry | None:
        """The last entry of this id: a later one overwrites an earlier one."""
        return next((e for e in reversed(self.entries) if e.id == number), None)

    def words(self) -> Iterator[Token]:
        yield from (self.type, self.name, *self.inputs, *self.outputs)
        yield from (e.token for e in self.entries)


@dataclass
class ParamFile:
    """A .param file. counts: the words of its second line that state the numbers of layers and blobs. text: all of it,
    where it is a text."""

    source: list[str]
    counts: tuple[Token, Token] | None
    lines: list[Line]
    problems: list[Problem] = field(default_factory=list)
    text: str | None = None

    def read_lines(self) -> list[Line]:
        """The layers that ncnn reads: as many as the second line states."""
        return self.lines[: int(self.counts[0].text)] if self.counts is not None else self.lines

    @staticmethod
    def blobs(lines: list[Line]) -> int:
        """Number of different blobs of these layers, as ncnn counts them when it reads a text."""
        made = [t.text for line in lines for t in line.outputs]
        read = {t.text for line in lines for t in line.inputs}
        return len(made) + len(read.difference(made))


def is_float(word: str) -> bool:
    """Whether ncnn takes the word for a float: it has a point or an exponent."""
    return "." in word or "e" in word or "E" in word


@lru_cache(1 << 12)
def is_number(word: str) -> bool:
    """Whether ncnn's scanner accepts the word as a number, within 32 bits."""
    if len(word) > LONGEST_NUMBER or not word.isascii():
        return False
    if is_float(word):
        return bool(_FLOAT.fullmatch(word)) and abs(float(word)) < 3.4028236e38
    return bool(_INT.fullmatch(word)) and -(2**31) <= int(word) < 2**31


def parse(text: str) -> ParamFile:
    """Everything that the text says. It never raises: see ParamFile.problems."""
    source = [line.removesuffix("\r") for line in text.split("\n")]
    file = ParamFile(source, None, [])
    words = _numbered_words(source)
    head: list[Token] = []
    for row in words:
        head += row
        if len(head) >= 3:
            break
    if not head or head[0].text != MAGIC:
        at = head[0] if head else Token("", 1, 1)
        file.problems.append(Problem("magic", at, f"a .param file begins with {MAGIC}", "Is it another kind of file?"))
        if not head:
            return file
    if len(head) < 3:
        file.problems.append(Problem("counts", head[-1], "the numbers of layers and blobs are missing"))
        return file
    file.counts = (head[1], head[2])
    for token in file.counts:
        if not (_INT.fullmatch(token.text) and len(token.text) < 12 and 0 < int(token.text) <= MOST):
            file.problems.append(Problem("counts", token, f"this is no number from 1 to {MOST}"))
    for token in head[3:]:
        file.problems.append(Problem("counts", token, "a word too many behind the numbers of layers and blobs"))
    for row in words:
        line = _layer(row, source[row[0].line - 1], file.problems)
        if line is not None:
            file.lines.append(line)
    return file


def _numbered_words(source: list[str]) -> Iterator[list[Token]]:
    for number, line in enumerate(source, 1):
        row = [Token(m.group(), number, m.start() + 1) for m in _WORD.finditer(line)]
        if row:
            yield row


def _layer(row: list[Token], line: str, problems: list[Problem]) -> Line | None:
    if len(row) < 4:
        problems.append(Problem("short-line", row[-1], "a layer has a type, a name, and two numbers of blobs"))
        return None
    counts = []
    for token, kind in zip(row[2:4], ("inputs", "outputs"), strict=True):
        if not re.fullmatch(r"\+?\d{1,7}", token.text) or int(token.text) > MOST:
            problems.append(Problem("bad-count", token, f"this is no number of {kind}"))
            return None
        counts.append(int(token.text))
    n_in, n_out = counts
    blobs = row[4 : 4 + n_in + n_out]
    stray = next((i for i, t in enumerate(blobs) if _ENTRY.match(t.text)), None)
    if stray is not None or len(blobs) < n_in + n_out:
        found = len(blobs) if stray is None else stray
        where = row[3] if stray is None else blobs[stray]
        problems.append(
            Problem("bad-count", where, f"the line states {n_in} inputs and {n_out} outputs, and names {found} blobs")
        )
        return None
    entries = _entries(row[4 + n_in + n_out :], line, problems)
    result = Line(row[0], row[1], blobs[:n_in], blobs[n_in:], entries, row[0].line)
    for token in (result.type, result.name, *blobs):
        if len(token.text.encode()) > LONGEST_NAME:
            problems.append(Problem("long-name", token, f"a name has {LONGEST_NAME} bytes at most"))
    return result


def _entries(words: list[Token], line: str, problems: list[Problem]) -> list[Entry]:
    """The parameters, from the first of these words to the end of the line: a quoted text may hold white space."""
    if '"' not in line:
        found = [_entry(word, problems) for word in words]
        return [entry for entry in found if entry is not None]
    entries, at = [], words[0].column - 1 if words else len(line)
    while at < len(line):
        if line[at] in " \t\v\f":
            at += 1
            continue
        word = _entry_text(line, at)
        entry = _entry(Token(word, words[0].line, at + 1), problems)
        if entry is not None:
            entries.append(entry)
        at += len(word)
    return entries


def _entry_text(line: str, at: int) -> str:
    key = _ENTRY.match(line, at)
    if key and line.startswith('"', key.end()):
        close = line.find('"', key.end() + 1)
        if close >= 0:
            behind = _WORD.match(line, close + 1)
            return line[at : behind.end() if behind else close + 1]
    word = _WORD.match(line, at)
    assert word is not None
    return word.group()


class _Bad(Exception):
    """What is wrong with a parameter, and which piece of it, `start` characters behind its beginning."""

    def __init__(self, what: str, start: int, piece: str) -> None:
        super().__init__(what)
        self.what, self.start, self.piece = what, start, piece


class _Said(NamedTuple):
    """What the word of a parameter says, wherever it stands. items: each with its place in the word."""

    id: int
    form: Form
    items: tuple[tuple[int, str], ...]
    old_array: bool = False


_OFTEN = 64
"""Characters of the longest words that are remembered: a net says most of its parameters again and again."""


def _entry(token: Token, problems: list[Problem]) -> Entry | None:
    try:
        said = _parsed(token.text) if len(token.text) <= _OFTEN else _parsed.__wrapped__(token.text)
    except _Bad as bad:
        problems.append(Problem("bad-parameter", token.part(bad.start, bad.piece), bad.what))
        return None
    _, line, column = token
    items = [Token(text, line, column + start) for start, text in said.items]
    return Entry(token, said.id, said.form, items, said.old_array)


@lru_cache(1 << 12)
def _parsed(word: str) -> _Said:
    key, equals, value = word.partition("=")
    if not equals or not _INT.fullmatch(key) or len(key) > 15:
        raise _Bad("a parameter is ID=VALUE", 0, word)
    number, old = int(key), int(key) <= OLD_ARRAY
    number = OLD_ARRAY - number if old else number
    if not 0 <= number < IDS:
        what = f"ids are 0 to {IDS - 1}, and {OLD_ARRAY} to {OLD_ARRAY - IDS + 1} for arrays"
        raise _Bad(what, 0, key)
    start = len(key) + 1
    if not value:
        raise _Bad("the value is missing", 0, word)
    if not old and (value[0] == '"' or (value[0].isascii() and value[0].isalpha())):
        return _Said(number, "text", (_text(word, start, value),))
    items, offset = [], start
    for each in value.split(","):
        items.append((offset, each))
        offset += len(each) + 1
    form: Form = "array" if old or len(items) > 1 else "number"
    if old:
        at, count = items.pop(0)
        if count != str(len(items)):
            raise _Bad(f"array of the wrong length: it states {count}, and has {len(items)}", at, count)
    elif len(items) == 2 and not items[1][1]:
        items.pop()  # one element
    for at, each in items:
        if not is_number(each):
            raise _Bad("this is no number that ncnn reads, within 32 bits", at, each)
    return _Said(number, form, tuple(items), old)


def _text(word: str, start: int, value: str) -> tuple[int, str]:
    quoted = value[0] == '"'
    inner = value[1:-1] if quoted else value
    if quoted and (len(value) < 2 or value[-1] != '"' or '"' in inner):
        raise _Bad("a text that begins with a quotation mark ends with one", 0, word)
    if len(inner.encode()) > LONGEST_NAME:
        raise _Bad(f"a text has {LONGEST_NAME} bytes at most", 0, word)
    return start + quoted, inner
