"""The bytes of a .bin file, and their reader. Format: ncnn's src/modelbin.cpp."""

from __future__ import annotations

import numpy as np

from ..errors import EmitError, ReadError
from ..ir import Array
from .layers import Layer

TAG_FP32 = b"\0\0\0\0"


def write_bin(layers: list[Layer]) -> list[bytes | memoryview]:
    """The weights of all layers, in order, as chunks; nothing is copied."""
    chunks: list[bytes | memoryview] = []
    for layer in layers:
        sizes = layer.spec.weight_sizes(layer.params)
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
            data = np.ascontiguousarray(layer.weights[weight.name], dtype="<f4")
            if data.size != sizes[weight.name]:
                raise EmitError(
                    "a weight has the wrong size",
                    op=layer.spec.type,
                    node=layer.name,
                    argument=weight.name,
                    expected=sizes[weight.name],
                    got=data.size,
                )
            if weight.tagged:
                chunks.append(TAG_FP32)
            chunks.append(data.data.cast("B"))
    return chunks


def read_bin(data: bytes, layers: list[Layer], what: str = "bin") -> None:
    """Put the weights of `data` into `layers`, flat. Raises ReadError unless every byte is used exactly once."""
    offset = 0
    for layer in layers:
        sizes = layer.spec.weight_sizes(layer.params)
        for weight in layer.spec.weights:
            if weight.name not in sizes:
                continue
            if weight.tagged:
                if data[offset : offset + 4] != TAG_FP32:
                    raise ReadError(
                        f"{what}: no float32 tag",
                        node=layer.name,
                        argument=weight.name,
                        got=data[offset : offset + 4].hex(),
                    )
                offset += 4
            end = offset + 4 * sizes[weight.name]
            if end > len(data):
                raise ReadError(
                    f"{what}: ends too early",
                    node=layer.name,
                    argument=weight.name,
                    expected=f"{end} bytes at least",
                    got=len(data),
                )
            array: Array = np.frombuffer(data, "<f4", sizes[weight.name], offset)
            layer.weights[weight.name] = array
            offset = end
    if offset != len(data):
        raise ReadError(f"{what}: bytes are left over", expected=offset, got=len(data))
