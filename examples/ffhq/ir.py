"""Reads what OpenVINO wrote: layers in xml, numbers in a bin. Nothing is executed; what does not fit is an error."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_TYPES = {"f32": "<f4", "f16": "<f2", "i64": "<i8", "i32": "<i4"}
_MOST_BYTES = 1 << 26
"""Of xml: the two files have half a megabyte."""


class IRError(ValueError):
    """The files are not what OpenVINO writes."""


@dataclass(frozen=True)
class Layer:
    """value: the numbers of a Const, else None. inputs: in the order of the ports."""

    name: str
    type: str
    inputs: tuple[Layer, ...]
    value: np.ndarray | None


def read(path: Path) -> list[Layer]:
    """path: the xml, with the bin beside it. The layers, each behind what it takes. Raises IRError."""
    text = path.read_bytes()
    if len(text) > _MOST_BYTES or b"<!" in text:  # no document type, so no entities that grow or name files
        raise IRError(f"{path}: expected plain xml below {_MOST_BYTES >> 20} MB, without a DOCTYPE")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise IRError(f"{path}: {error}") from None
    numbers = path.with_suffix(".bin").read_bytes()
    into: dict[str, dict[int, str]] = {}
    for edge in root.iterfind("edges/edge"):
        into.setdefault(edge.attrib["to-layer"], {})[int(edge.attrib["to-port"])] = edge.attrib["from-layer"]
    made: dict[str, Layer] = {}
    for element in root.iterfind("layers/layer"):
        at, name = element.attrib["id"], element.attrib["name"]
        try:
            inputs = tuple(made[source] for _, source in sorted(into.get(at, {}).items()))
        except KeyError as error:
            raise IRError(f"{path}: layer {name} takes {error}, which is not before it") from None
        data = element.find("data")
        constant = element.attrib["type"] == "Const"
        if constant and data is None:
            raise IRError(f"{path}: layer {name}: a Const without data")
        value = _constant(path, name, data.attrib, numbers) if constant and data is not None else None
        made[at] = Layer(name, element.attrib["type"], inputs, value)
    return list(made.values())


def _constant(path: Path, name: str, said: dict[str, str], numbers: bytes) -> np.ndarray:
    try:
        kind, offset, size = _TYPES[said["element_type"]], int(said["offset"]), int(said["size"])
        shape = tuple(int(n) for n in said["shape"].split(",") if n.strip())
    except (KeyError, ValueError) as error:
        raise IRError(f"{path}: constant {name}: {error!r}; expected element_type, shape, offset, size") from None
    wanted = math.prod(shape) * np.dtype(kind).itemsize
    if min(shape, default=1) < 1 or size != wanted or not 0 <= offset <= len(numbers) - size:
        raise IRError(f"{path}: constant {name}: expected {wanted} bytes within {len(numbers)}, got {size} at {offset}")
    return np.frombuffer(numbers, kind, math.prod(shape), offset).reshape(shape)
