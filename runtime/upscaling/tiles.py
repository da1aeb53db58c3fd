"""Where the windows of a picture lie that a net sees one at a time, and what is kept of each."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class Span:
    """Along one axis: a window [start, stop), of which [first, last) is kept."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Grid:
    """How windows have to lie.

    overlap: what a kept pixel has around it in its window, where the picture does not end. align: windows start at
    multiples of it. least: of a window. exact: every window is as long as the longest.
    """

    overlap: int
    align: int = 1
    least: int = 1
    exact: bool = False

    def smallest(self) -> int:
        """The shortest window of which something is kept."""
        return max(_up(2 * self.overlap, self.align) + self.align, self.least)

    def spans(self, length: int, most: int) -> list[Span]:
        """Windows of at most `most` that cover [0, length), all about equally long.

        Raises UsageError where the overlap leaves nothing of a window.
        """
        if length <= most:
            return [Span(0, length, 0, length)]
        shared = _up(2 * self.overlap, self.align)
        step = (most - shared) // self.align * self.align
        if step <= 0:
            raise UsageError(
                "the overlap leaves nothing of a tile",
                expected=f"tiles of {self.smallest()} or more, or a smaller overlap=",
                got=f"tiles of {most}, overlap={self.overlap}",
            )
        count = -(-(length - shared) // step)
        step = _up(-(-(length - shared) // count), self.align)
        size = most if self.exact else step + shared
        # The last window ends with the picture: it may be shorter than the others, but not too short.
        latest = (length - (most if self.exact else self.least)) // self.align * self.align
        starts = [min(i * step, latest) for i in range(count)]
        ends = [min(start + size, length) for start in starts]
        cuts = [(start + end) // 2 for start, end in zip(starts[1:], ends, strict=False)]
        return [Span(*span) for span in zip(starts, ends, [0, *cuts], [*cuts, length], strict=True)]


def windows(grid: Grid, height: int, width: int, most: tuple[int, int]) -> list[tuple[Span, Span]]:
    """(rows, columns) of each window, of at most so many rows and columns, row by row."""
    columns = grid.spans(width, most[1])
    return [(row, column) for row in grid.spans(height, most[0]) for column in columns]


def sides(pixels: int, height: int, width: int, multiple: int) -> tuple[int, int]:
    """Rows and columns of a window of so many pixels: a square, longer where the picture is narrower than that."""
    side = max(int(pixels**0.5) // multiple * multiple, multiple)
    rows = side if width > side else max(pixels // width // multiple * multiple, multiple)
    columns = side if height > side else max(pixels // height // multiple * multiple, multiple)
    return min(rows, height), min(columns, width)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
