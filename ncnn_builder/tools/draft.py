"""A .param file that is being changed: the lines that stay are the very text that was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..emit.layers import Layer
from ..emit.syntax import MAGIC, Line, ParamFile
from ..emit.text import write_param


@dataclass
class Row:
    """A layer. line, source: where it was read, and the text there; a new one has none."""

    type: str
    name: str
    inputs: list[str]
    outputs: list[str]
    entries: list[str]
    source: str = ""
    line: Line | None = None
    _read: tuple[object, ...] = field(default=(), repr=False)

    def parts(self) -> tuple[object, ...]:
        return self.type, self.name, (*self.inputs,), (*self.outputs,), (*self.entries,)

    def text(self) -> str:
        if self.source and self.parts() == self._read:
            return self.source
        counts = [str(len(self.inputs)), str(len(self.outputs))]
        return " ".join([f"{self.type:<24} {self.name:<24}", *counts, *self.inputs, *self.outputs, *self.entries])


class Draft:
    """All rows, and what has been done to them."""

    def __init__(self, file: ParamFile) -> None:
        self.rows = [_row(line, file.source[line.number - 1]) for line in file.lines]
        self.done: list[str] = []

    def did(self, row: Row, what: str) -> None:
        self.done.append(f"{row.type} {row.name}: {what}")

    def names(self) -> set[str]:
        return {name for row in self.rows for name in (row.name, *row.inputs, *row.outputs)}

    def fresh(self, name: str) -> str:
        """This name, or a numbered one where it is taken."""
        taken, number, wanted = self.names(), 1, name
        while wanted in taken:
            number += 1
            wanted = f"{name}_{number}"
        return wanted

    def producer(self, blob: str) -> Row | None:
        return next((row for row in self.rows if blob in row.outputs), None)

    def readers(self, blob: str) -> Iterator[tuple[Row, int]]:
        """Rows that read the blob, and at which input."""
        for row in self.rows:
            for i, name in enumerate(row.inputs):
                if name == blob:
                    yield row, i

    def insert_behind(self, row: Row, new: Row) -> None:
        self.rows.insert(next(i for i, r in enumerate(self.rows) if r is row) + 1, new)

    def text(self) -> str:
        """The whole file; the counts are those of its rows."""
        made = {name for row in self.rows for name in row.outputs}
        blobs = sum(len(row.outputs) for row in self.rows) + len(
            {name for row in self.rows for name in row.inputs} - made
        )
        return "\n".join([MAGIC, f"{len(self.rows)} {blobs}", *(row.text() for row in self.rows)]) + "\n"


def _row(line: Line, source: str) -> Row:
    row = Row(
        line.type.text,
        line.name.text,
        [t.text for t in line.inputs],
        [t.text for t in line.outputs],
        [e.token.text for e in line.entries],
        source,
        line,
    )
    row._read = row.parts()
    return row


def row_of(layer: Layer) -> Row:
    """The row that says what a layer says."""
    words = write_param([layer]).splitlines()[2].split()
    entries = words[4 + len(layer.inputs) + len(layer.outputs) :]
    return Row(layer.spec.in_files, layer.name, layer.inputs, layer.outputs, entries)
