"""Sizes of a net's inputs that are open, as the NAME.json beside NAME.param says them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .errors import InputError, NcnnError, ParamError
from .strangers import read_regular

SCHEMA = 1
"""Of the files that are read here, of converted and of saved nets; ncnn_builder/emit/stated.py has the same."""
MOST_BYTES = 1 << 24
LARGEST = 1 << 31


class OpenSize(NamedTuple):
    """``factor * name + more``: the size of an axis, of any whole number from `least` to `most` that the name may have.

    One name is one number wherever it stands. most: None where there is no bound.
    """

    factor: int
    name: str
    more: int
    least: int
    most: int | None

    def __str__(self) -> str:
        text = self.name if self.factor == 1 else f"{self.factor}*{self.name}"
        return text + (f" {'-' if self.more < 0 else '+'} {abs(self.more)}" if self.more else "")

    def at(self, number: int) -> int:
        """The size where the name is this number."""
        return self.factor * number + self.more

    def of(self, size: int) -> int | None:
        """What the name is where the axis has this size; None where that is no number within the bounds."""
        number, rest = divmod(size - self.more, self.factor)
        inside = rest == 0 and self.least <= number and (self.most is None or number <= self.most)
        return number if inside else None


OpenShape = tuple["int | OpenSize", ...]
"""Outer first, no batch."""


def stated(param: str | os.PathLike[str]) -> dict[str, OpenShape]:
    """Input -> its shape, of those that have open sizes; none where no NAME.json tells of this very .param file.

    Raises ParamError for one that does, and is damaged, or of another schema.
    """
    path = Path(os.fspath(param)).with_suffix(".json")
    try:
        said = json.loads(read_regular(path, MOST_BYTES))
        digest = said["sha256"]["param"]
        if digest != hashlib.sha256(Path(os.fspath(param)).read_bytes()).hexdigest():
            return {}
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return {}  # none, or of something else
    need_schema(said, path, ParamError)
    if "sizes" not in said:
        return {}
    try:
        if any("shape" in i and "blob" not in i for i in said["inputs"]):
            what, fix = "its inputs say no blob, as an early version wrote it", "Convert the net again"
            raise ParamError(what, file=str(path), expected="blob", fix=fix)
        names = {name: (_number(b["least"]), _number(b["most"])) for name, b in said["sizes"].items()}
        shapes = {str(i["name"]): tuple(_size(n, names) for n in i["blob"]) for i in said["inputs"]}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ParamError("its sizes are damaged", file=str(path), reason=f"{type(error).__name__}: {error}") from None
    return {name: shape for name, shape in shapes.items() if any(isinstance(n, OpenSize) for n in shape)}


def need_schema(said: Mapping[str, Any], path: Path, kind: type[NcnnError]) -> None:
    """Raises an error of this kind for what a version beyond this one wrote."""
    schema = said.get("schema", SCHEMA)
    if schema != SCHEMA:
        fix = "Update ncnn-builder, or convert the net again"
        raise kind("its schema is not known here", file=str(path), expected=str(SCHEMA), got=repr(schema)[:60], fix=fix)


def check(shapes: Mapping[str, OpenShape], given: Mapping[str, Sequence[int]]) -> None:
    """Raises InputError where what is given has sizes that do not fit, each other as well."""
    numbers: dict[str, tuple[int, str]] = {}
    for name, shape in shapes.items():
        got = given.get(name)
        if got is None:
            continue  # the net will miss it
        wrong = len(got) != len(shape)
        for n, size in zip(shape, got, strict=False):
            number = n.of(size) if isinstance(n, OpenSize) else None
            wrong |= number is None and size != n
            if isinstance(n, OpenSize) and number is not None and not wrong:
                before, where = numbers.setdefault(n.name, (number, name))
                if before != number:
                    same = f"{n} = {n.at(before)}, as {n.name} is {before} in {where}"
                    raise _wrong(name, f"{described(shape)}; {same}", got)
        if wrong:
            raise _wrong(name, described(shape), got)


def described(shape: OpenShape) -> str:
    """For a person: ``[3, 8*h, 8*w], h from 2, w from 2 to 64``."""
    names = dict.fromkeys((n.name, n.least, n.most) for n in shape if isinstance(n, OpenSize))
    bounds = (f", {name} from {low}" + (f" to {high}" if high is not None else "") for name, low, high in names)
    return f"[{', '.join(map(str, shape))}]" + "".join(bounds)


def _wrong(name: str, expected: str, got: Sequence[int]) -> InputError:
    return InputError(f"input '{name}' has the wrong shape", expected=expected, got=str(list(got)))


def _number(value: Any) -> Any:
    if value is not None and (type(value) is not int or not 0 < value < LARGEST):
        raise ValueError(f"no bound of a size: {value!r}"[:60])
    return value


def _size(value: Any, names: Mapping[str, tuple[Any, Any]]) -> int | OpenSize:
    if type(value) is int and 0 < value < LARGEST:
        return value
    found = re.fullmatch(r"(?:([1-9]\d{0,9})\*)?([A-Za-z_]\w*)(?: ([-+]) (\d{1,10}))?", value)
    if found is None:
        raise ValueError(f"no size: {value!r}"[:60])
    least, most = names[found[2]]
    more = int(found[4] or 0) * (-1 if found[3] == "-" else 1)
    return OpenSize(int(found[1] or 1), found[2], more, 1 if least is None else least, most)
