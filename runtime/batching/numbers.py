"""Seeds by the million: ranges of numbers, of which none is twice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..errors import UsageError
from ..seeds import parse_range


@dataclass(frozen=True)
class Numbers:
    """Seeds in the order of the command; ranges that follow each other are one."""

    ranges: tuple[range, ...]

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def __str__(self) -> str:
        return ",".join(str(r.start) if len(r) == 1 else f"{r.start}-{r.stop - 1}" for r in self.ranges)

    @property
    def largest(self) -> int:
        return max(r.stop for r in self.ranges) - 1

    def cut(self, first: int, count: int) -> Numbers:
        """`count` of them from place `first` on, or as many as there are."""
        found, place = [], 0
        for numbers in self.ranges:
            piece = numbers[max(first - place, 0) : max(first + count - place, 0)]
            found += [piece] if piece else []
            place += len(numbers)
        return Numbers(tuple(found))


def read_numbers(key: str, text: str) -> Numbers:
    """Raises UsageError for what is no number and no range, and for a seed that is given twice."""
    found: list[range] = []
    for part in text.split(","):
        numbers = parse_range(key, part)
        if not numbers:
            expected = f"numbers and ranges, such as {key}=0-999999 or {key}=0-99,458"
            raise UsageError(f"{key}= is not a list of numbers", expected=expected, got=text)
        if found and found[-1].stop == numbers.start:
            numbers = range(found.pop().start, numbers.stop)
        found.append(numbers)
    ordered = sorted(found, key=lambda r: r.start)
    for before, after in pairwise(ordered):
        if after.start < before.stop:
            raise UsageError(f"{key}= has a seed twice", expected="each once", got=str(after.start))
    return Numbers(tuple(found))
