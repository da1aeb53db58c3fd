"""Means of what a training reports, and where they are written: JSON lines, and TensorBoard where it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylegan._torch import Tensor, torch
from stylegan.training import distributed


class Means:
    """Collects values by name until take() gives their means."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor) -> None:
        values = values.detach().double().flatten()
        sums = torch.stack([values.sum(), values.new_tensor(values.numel())])
        self._sums[name] = self._sums[name] + sums if name in self._sums else sums

    def take(self) -> dict[str, float]:
        """The mean of every name over all processes, which have to call it together; and begin anew."""
        names = sorted(self._sums)
        sums = [self._sums[name] for name in names]
        distributed.average(sums)
        self._sums = {}
        return {name: float(x[0] / x[1]) for name, x in zip(names, sums, strict=True)}


class Log:
    """`log.jsonl` in a folder, one object a line; lines of more than `seen` pictures, which were not saved, go."""

    def __init__(self, folder: Path, seen: int) -> None:
        path = folder / "log.jsonl"
        kept = [line for line in read_lines(path) if line.get("pictures", 0) <= seen]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")
        self._board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._board = SummaryWriter(str(folder), purge_step=seen + 1)

    def write(self, values: dict[str, Any]) -> None:
        """`values` has "pictures", so many real ones were seen."""
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, values["pictures"])
            self._board.flush()

    def figures(self, values: Mapping[str, float], seen: int) -> None:
        """Of a snapshot after so many pictures, for TensorBoard alone."""
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, seen)
            self._board.flush()

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file, without a last line that was cut off; none where there is no file."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
