"""`python -m ncnn_builder fix`: what can be repaired without a doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..emit.syntax import ParamFile, parse
from ..emit.text import error_at
from .draft import Draft
from .net import Net, net_of
from .repairs import REPAIRS, Options


@dataclass(frozen=True)
class Fixed:
    """text: the repaired file. done: what was done. net: the repaired file, read."""

    text: str
    done: list[str]
    net: Net


def fix(
    file: ParamFile, path: str, shapes: Mapping[str, Sequence[int]] | None = None, options: Options | None = None
) -> Fixed:
    """Repair a .param file; its .bin stays as it is.

    shapes: of inputs that the file leaves open. Raises ReadError for a file in which a line cannot be read: who knows
    what it meant.
    """
    for problem in file.problems:
        if problem.rule != "counts":
            raise error_at(path, problem.token, f"this cannot be repaired: {problem.what}", fix=problem.fix)
    done: list[str] = []
    counts = [t.text for t in file.counts or ()]
    text = ""
    for repair in REPAIRS:
        net, draft = net_of(file, path, None, shapes), Draft(file)
        repair(draft, net, options or Options())
        done += draft.done
        text = draft.text()
        file = parse(text)
    if counts != text.splitlines()[1].split():
        done.append(f"line 2: the counts are {text.splitlines()[1]}, not {' '.join(counts)}")
    return Fixed(text, done, net_of(file, path, None, shapes))
