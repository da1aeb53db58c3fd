"""The graph as text, before and after every step of the pipeline: `--dump-passes DIR`."""

from __future__ import annotations

import re
from pathlib import Path

from ..ir import Graph
from ..pipeline import refusals
from .files import write_files

_OURS = re.compile(r"\d\d_\w+\.(before|after|unchanged|refused)\.txt")


class Dump:
    """DIR/GRAPH/NN_step.before.txt and .after.txt; a step that changed nothing leaves NN_step.unchanged.txt.

    NN_step.refused.txt says of each node that looks like the pattern of a pass why it is none.
    The files appear together, when write() is called.
    """

    def __init__(self, folder: Path, graph: Graph) -> None:
        self._folder = folder / graph.name
        self._texts: dict[str, str] = {"00_built.txt": f"{graph}\n"}
        self._steps = 0

    def record(self, step: str, before: Graph, after: Graph) -> None:
        """Note a step; steps are numbered in the order in which they are recorded."""
        self._steps += 1
        name = f"{self._steps:02d}_{step}"
        if after is before:
            self._texts[f"{name}.unchanged.txt"] = f"{len(before.nodes)} nodes, as before\n"
        else:
            self._texts[f"{name}.before.txt"] = f"{before}\n"
            self._texts[f"{name}.after.txt"] = f"{after}\n"
        if reasons := refusals(step, after):
            self._texts[f"{name}.refused.txt"] = "".join(f"{node}: {why}\n" for node, why in reasons.items())

    def write(self) -> None:
        """The files of an earlier dump go, as far as they have other names.

        Raises EmitError where the folder cannot be written.
        """
        write_files({self._folder / name: [text.encode()] for name, text in self._texts.items()})
        for path in self._folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in self._texts and path.is_file():
                path.unlink()
