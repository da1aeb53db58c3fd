"""The bytes of a .bin file, and their reader. Format: ncnn's src/modelbin.cpp.

A weight that is `tagged` has four bytes before it that say how it is stored; any other is plain float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import BuildError, EmitError, ReadError
from ..ir import Array
from .foreign import undeclared
from .half import BEHIND_TAG, halved
from .layers import Layer

Numbers = np.ndarray[Any, np.dtype[Any]]

TAG_FP32 = b"\0\0\0\0"
TAG_FP16 = (0x01306B47).to_bytes(4, "little")
TAGS = {
    "fp16": TAG_FP16,
    "bf16": (0x01348B83).to_bytes(4, "little"),
    "int8": (0x000D4B38).to_bytes(4, "little"),
    "scaled": (0x0002C056).to_bytes(4, "little"),  # float32 with a tag of its own
    "table": b"\1\0\0\0",
}
STORED = {tag: name for name, tag in TAGS.items()} | {TAG_FP32: "fp32"}
TABLE = "table"
"""Any other tag: 256 float32 numbers, then a byte for each element."""
MOST_IN_TABLE = 256
PACKED = "packed"
"""Bytes that hold numbers of few bits, and no tag."""
_WIDTH = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1, "scaled": 4, PACKED: 1, BEHIND_TAG: 1}


def write_bin(layers: list[Layer]) -> list[bytes | memoryview]:
    """The weights of all layers, in order, as chunks; nothing is copied."""
    chunks: list[bytes | memoryview] = []
    for layer in layers:
        sizes = layer.weight_sizes()
        if set(sizes) != set(layer.weights):
            raise EmitError(
                "weights do not match the parameters",
                op=layer.spec.type,
                node=layer.name,
                expected=sorted(sizes),
                got=sorted(layer.weights),
            )
        for weight in layer.spec.weights:
            if weight.name not in sizes:
                continue
            data = layer.weights[weight.name]
            if data.size != sizes[weight.name]:
                raise EmitError(
                    "a weight has the wrong size",
                    op=layer.spec.type,
                    node=layer.name,
                    argument=weight.name,
                    expected=sizes[weight.name],
                    got=data.size,
                )
            packed = layer.spec.is_packed(weight, layer.params)
            stored = layer.stored.get(weight.name, PACKED if packed else "fp32")
            encoded = encode(data, stored)
            if stored == BEHIND_TAG:
                chunks.append(TAGS["int8"])
            elif layer.spec.is_tagged(weight, layer.params):
                chunks.append(TAGS.get(stored, TAG_FP32))
            chunks += [encoded.data.cast("B"), bytes(_padding(encoded.nbytes))]
    return chunks


def encode(data: Numbers, stored: str) -> Numbers:
    """The numbers as the file holds them."""
    if stored == "fp16":
        return halved(data)
    if stored == "bf16":
        bits = np.ascontiguousarray(data, dtype="<f4").view("<u4").astype(np.uint64)
        rounded = bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))  # to nearest, to even
        halves: Numbers = (rounded >> np.uint64(16)).astype("<u2")
        return halves
    if stored == "int8":
        return np.ascontiguousarray(data, dtype=np.int8)
    if stored in (PACKED, BEHIND_TAG):
        return np.ascontiguousarray(data, dtype=np.uint8)
    if stored == TABLE:
        values, places = np.unique(np.asarray(data, np.float32), return_inverse=True)
        table = np.full(MOST_IN_TABLE, values[-1], "<f4")
        table[: len(values)] = values
        return np.frombuffer(table.tobytes() + places.astype(np.uint8).tobytes(), np.uint8)
    return np.ascontiguousarray(data, dtype="<f4")


def _padding(size: int) -> int:
    """Bytes behind so many, up to a multiple of 4."""
    return -size % 4


def read_bin(data: bytes | memoryview, layers: list[Layer], what: str = "bin") -> None:
    """Put the weights of `data` into `layers`, flat, as float32; those of quantised layers as int8.

    Raises ReadError unless every byte is used exactly once. Nothing is allocated for a size that the file
    does not have.
    """
    reader = Reader(data, what)
    for layer in layers:
        reader.layer(layer)
    if reader.at != len(data):
        unknown = sorted({layer.spec.in_files for layer in layers if undeclared(layer.spec)})
        raise ReadError(
            f"{what}: bytes are left over",
            expected=reader.at,
            got=len(data),
            fix=f"Perhaps a layer that is kept word for word has weights: {', '.join(unknown)}" if unknown else None,
        )


class Reader:
    """A .bin file, read layer by layer. at: how many bytes have been used."""

    def __init__(self, data: bytes | memoryview, what: str = "bin") -> None:
        self.data, self.what, self.at = memoryview(data), what, 0

    def layer(self, layer: Layer) -> None:
        """Put its weights into the layer. Raises ReadError where the file ends before, or nobody knows their sizes."""
        try:
            sizes = layer.weight_sizes()
        except BuildError as error:
            raise ReadError(f"{self.what}: {error.what}", op=error.op, node=error.node) from None
        for weight in layer.spec.weights:
            if weight.name in sizes:
                tagged = layer.spec.is_tagged(weight, layer.params)
                packed = layer.spec.is_packed(weight, layer.params)
                self._weight(layer, weight.name, tagged, sizes[weight.name], PACKED if packed else "fp32")

    def _weight(self, layer: Layer, name: str, tagged: bool, count: int, untagged: str) -> None:
        def take(size: int) -> memoryview:
            if not 0 <= size <= len(self.data) - self.at:
                raise ReadError(
                    f"{self.what}: ends too early",
                    node=layer.name,
                    argument=name,
                    expected=f"{self.at + size} bytes at least",
                    got=len(self.data),
                )
            self.at += size
            return self.data[self.at - size : self.at]

        if count < 0:
            raise ReadError(f"{self.what}: a weight of {count} numbers", node=layer.name, argument=name)
        stored = STORED.get(bytes(take(4)), TABLE) if tagged else untagged
        if stored == PACKED and self.data[self.at : self.at + 4] == TAGS["int8"]:
            stored = BEHIND_TAG
            take(4)
        if stored == TABLE:
            table = np.frombuffer(take(1024), "<f4")
            layer.weights[name] = table[np.frombuffer(take(count + _padding(count))[:count], np.uint8)]
            layer.stored[name] = TABLE
            return
        size = count * _WIDTH[stored]
        layer.weights[name] = decode(take(size), stored)
        take(_padding(size))
        if stored not in ("fp32", PACKED):
            layer.stored[name] = stored


def decode(raw: bytes | memoryview, stored: str) -> Numbers:
    """The numbers that the bytes are: float32, or int8."""
    if stored == TABLE:
        values = np.frombuffer(raw, "<f4", MOST_IN_TABLE)
        looked_up: Numbers = values[np.frombuffer(raw, np.uint8)[4 * MOST_IN_TABLE :]]
        return looked_up
    if stored == "bf16":
        wide: Numbers = np.frombuffer(raw, "<u2").astype("<u4") << np.uint32(16)
        return wide.view("<f4")
    if stored in ("int8", PACKED, BEHIND_TAG):
        return np.frombuffer(raw, np.int8 if stored == "int8" else np.uint8)
    array: Array = np.frombuffer(raw, "<f2" if stored == "fp16" else "<f4")
    return array.astype(np.float32) if stored == "fp16" else array
