"""What a rule found, and how it is told: as a compiler tells it, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..emit.syntax import Line, Token

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    rule         its id, such as float-as-int
    severity     error: ncnn refuses the file or computes something else; warning: it will on another version, or it is
                 probably not what was meant; note: something to know
    line, column where, counted from 1; length: of the text there
    type, layer  the layer, where it is about one
    what, why    the fact, and what follows from it
    fix          what to do
    """

    rule: str
    severity: Severity
    line: int
    column: int
    length: int
    type: str
    layer: str
    what: str
    why: str
    fix: str

    def order(self) -> tuple[int, int, str]:
        return self.line, self.column, self.rule

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def at(
    token: Token, rule: str, severity: Severity, what: str, why: str = "", fix: str = "", line: Line | None = None
) -> Finding:
    """A finding at a word of the file. line: the layer that it is about."""
    layer = (line.type.text, line.name.text) if line is not None else ("", "")
    return Finding(rule, severity, token.line, token.column, max(len(token.text), 1), *layer, what, why, fix)


MOST_COLUMNS = 160
"""A line is shown around its caret where it is longer than this."""


def told(finding: Finding, path: str, source: Sequence[str]) -> str:
    """The finding as text, with the line of the source and a caret."""
    about = f"{finding.type} {finding.layer}: " if finding.type else ""
    place = f"{path}:{finding.line}:{finding.column}"
    rows = [f"{place}: {finding.severity}: {about}{finding.what} [{finding.rule}]"]
    if 0 < finding.line <= len(source):
        rows += _shown(finding, source[finding.line - 1])
    rows += [f"  {name}: {text}" for name, text in (("why", finding.why), ("fix", finding.fix)) if text]
    return "\n".join(rows)


def _shown(finding: Finding, line: str) -> list[str]:
    start = max(0, min(finding.column - 1 - MOST_COLUMNS // 2, len(line) - MOST_COLUMNS))
    piece = line[start : start + MOST_COLUMNS]
    before = piece[: finding.column - 1 - start]
    margin = f"{finding.line:>6} | "
    # Tabs stay tabs, so that the caret stands below its word.
    blank = "".join(c if c == "\t" else " " for c in before)
    length = max(1, min(finding.length, len(piece) - len(before)))
    return [f"{margin}{piece}", f"{' ' * (len(margin) - 2)}| {blank}^{'~' * (length - 1)}"]
