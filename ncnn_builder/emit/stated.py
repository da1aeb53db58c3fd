"""NAME.json beside NAME.param: what of a net's inputs its text cannot say, as they are open: names, and bounds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import BuildError, ReadError
from ..ir import Shape
from ..open_shapes import evaluated_text
from ..sizes import Name, Size, is_open, names_of, open_size
from ..strangers import open_regular

SCHEMA = 1
"""Raised when a key is renamed or gets another meaning; runtime/open_sizes.py has the same."""


def texts_of(shape: Shape) -> list[int | str]:
    """For JSON: an open size is a sum of names."""
    return [str(n) if isinstance(n, Size) else n for n in shape]


def bounds_of(names: Iterable[Name]) -> dict[str, dict[str, int | None]]:
    return {n.name: {"least": n.least, "most": n.most} for n in names}


def digests(param: str, data: bytes) -> dict[str, str]:
    """By which a file knows that it is told of."""
    return {"param": hashlib.sha256(param.encode()).hexdigest(), "bin": hashlib.sha256(data).hexdigest()}


def statement(param: str, data: bytes, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> bytes | None:
    """The file of a net that no front end made, where an input has open sizes; the keys are those of convert()'s."""
    names = names_of(*(n for shape in inputs.values() for n in shape))
    if not names:
        return None
    ports = {
        kind: [{"name": name, "blob": texts_of(shape)} for name, shape in table.items()]
        for kind, table in (("inputs", inputs), ("outputs", outputs))
    }
    said = {"schema": SCHEMA, **ports, "sizes": bounds_of(names), "sha256": digests(param, data)}
    return (json.dumps(said, indent=1) + "\n").encode()


def stated(param_path: str | PathLike[str], text: bytes) -> dict[str, Sequence[int]]:
    """Input -> its shape, of those with open sizes; none where no NAME.json tells of this very text.

    Raises ReadError for one that does, and is damaged, or of another schema.
    """
    path = Path(param_path).with_suffix(".json")
    try:
        with open_regular(path) as stream:
            said: Any = json.load(stream)
        if said["sha256"]["param"] != hashlib.sha256(text).hexdigest():
            return {}
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return {}  # none, or of something else
    schema = said.get("schema", SCHEMA)
    if schema != SCHEMA:
        fix = "Update ncnn-builder, or convert the net again"
        raise ReadError(f"{path}: its schema is not known here", expected=SCHEMA, got=repr(schema)[:60], fix=fix)
    if "sizes" not in said:
        return {}
    try:
        if any("shape" in i and "blob" not in i for i in said["inputs"]):
            fix = "Convert the net again"
            raise ReadError(f"{path}: its inputs say no blob, as an early version wrote it", expected="blob", fix=fix)
        names = {name: open_size(name, b["least"], b["most"]) for name, b in said["sizes"].items()}
        shapes = {
            i["name"]: tuple(n if isinstance(n, int) else evaluated_text(n, names) for n in i["blob"])
            for i in said["inputs"]
        }
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        SyntaxError,
        RecursionError,
        MemoryError,
        BuildError,
    ) as error:
        raise ReadError(f"{path}: its sizes are damaged", got=f"{type(error).__name__}: {error}") from None
    return {name: shape for name, shape in shapes.items() if is_open(shape)}
