"""The binary form of a .param file (.param.bin), as the text that says the same.

Format: ncnn's src/net.cpp and src/paramdict.cpp (load_param_bin). It has no names: blobs become blob_0, blob_1, ...,
layers Type_0, Type_1, ... A number is an int or a float without saying which, so the declarations tell.
"""

from __future__ import annotations

import struct

import numpy as np

from ..errors import ReadError
from ..opspec import registry
from .binary_types import CUSTOM, TYPES
from .syntax import IDS, MAGIC, MOST, OLD_ARRAY

END = -233
OLD_TEXT = OLD_ARRAY - 100


def is_binary(data: bytes) -> bool:
    """Whether this is a .param.bin: its magic number is four bytes, not seven digits."""
    return data[:4] == struct.pack("<i", int(MAGIC))


def to_text(data: bytes, what: str = "param.bin") -> str:
    """The text of a binary param file.

    Raises ReadError for one that is cut off, that states sizes which it cannot hold, or that has bytes left over.
    """
    reader = _Reader(data, what)
    reader.number()  # the magic number
    layers, blobs = reader.count("layers", MOST, 16), reader.count("blobs", MOST, 0)
    custom = sorted(name for name, spec in registry.items() if spec.custom)
    lines = [MAGIC, f"{layers} {blobs}"]
    for i in range(layers):
        number = reader.number()
        at = number & ~CUSTOM
        names = custom if number & CUSTOM else TYPES
        if not 0 <= number < 2 * CUSTOM or at >= len(names):
            raise ReadError(
                f"{what}: layer {i} has a type that is not known", expected="a number of a type", got=number
            )
        n_in, n_out = reader.count("inputs", MOST, 4), reader.count("outputs", MOST, 4)
        wires = [reader.number() for _ in range(n_in + n_out)]
        for wire in wires:
            if not 0 <= wire < blobs:
                raise ReadError(f"{what}: layer {i} names a blob that there is not", expected=f"< {blobs}", got=wire)
        words = [names[at], f"{names[at]}_{i}", str(n_in), str(n_out), *(f"blob_{w}" for w in wires)]
        lines.append(" ".join([*words, *reader.entries(names[at])]))
    if reader.at != len(data):
        raise ReadError(f"{what}: bytes are left over", expected=reader.at, got=len(data))
    return "\n".join(lines) + "\n"


class _Reader:
    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.what, self.at = data, what, 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise ReadError(
                f"{self.what}: ends too early", expected=f"{self.at + size} bytes at least", got=len(self.data)
            )
        self.at += size
        return piece

    def number(self) -> int:
        return int(struct.unpack("<i", self.take(4))[0])

    def count(self, kind: str, most: int, size: int) -> int:
        """A number of things that take at least `size` bytes each."""
        n = self.number()
        if not 0 <= n <= most or n * size > len(self.data) - self.at:
            raise ReadError(
                f"{self.what}: an impossible number of {kind}",
                expected=f"0 to {most}, as far as the file is long",
                got=n,
            )
        return n

    def entries(self, op_type: str) -> list[str]:
        spec = registry.get(op_type)
        kinds = {} if spec is None else {p.id: p.kind for p in spec.params}
        words = []
        while (number := self.number()) != END:
            text, array = number <= OLD_TEXT, number <= OLD_ARRAY
            at = OLD_TEXT - number if text else OLD_ARRAY - number if array else number
            if not 0 <= at < IDS:
                raise ReadError(
                    f"{self.what}: {op_type} has an id that there is not", expected=f"0 to {IDS - 1}", got=at
                )
            if text:
                n = self.count("characters", 255, 1)
                said = self.take((n + 3) // 4 * 4)[:n].split(b"\0")[0].decode(errors="replace")
                words.append(f'{at}="{said}"')
                continue
            raw = self.take(4 * self.count("numbers", MOST * 100, 4)) if array else self.take(4)
            floats = kinds.get(at) in ("float", "floats")
            numbers = (
                [_float(v, self.what) for v in np.frombuffer(raw, "<f4")]
                if floats
                else map(str, np.frombuffer(raw, "<i4"))
            )
            items = list(numbers)
            words.append(f"{OLD_ARRAY - at}={','.join([str(len(items)), *items])}" if array else f"{at}={items[0]}")
        return words


def _float(value: np.float32, what: str) -> str:
    if not np.isfinite(value):
        raise ReadError(f"{what}: a parameter is no finite number", got=value)
    return f"{value:.8e}"
