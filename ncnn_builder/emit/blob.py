"""The bytes of a .bin file, and their reader. Format: ncnn's src/modelbin.cpp."""

from __future__ import annotations

import numpy as np

from ..errors import EmitError, ReadError
from ..ir import Array
from .half import halved
from .layers import Layer

TAG_FP32 = b"\0\0\0\0"
TAG_FP16 = (0x01306B47).to_bytes(4, "little")


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
            if weight.name in layer.halves:
                chunks += [TAG_FP16, halved(data).data.cast("B"), bytes(_padding(data.size))]
                continue
            if weight.tagged:
                chunks.append(TAG_FP32)
            chunks.append(data.data.cast("B"))
    return chunks


def _padding(count: int) -> int:
    """Bytes behind so many float16 numbers, up to a multiple of 4."""
    return count % 2 * 2


def read_bin(data: bytes, layers: list[Layer], what: str = "bin") -> None:
    """Put the weights of `data` into `layers`, flat, as float32.

    Raises ReadError unless every byte is used exactly once.
    """
    offset = 0
    for layer in layers:
        sizes = layer.spec.weight_sizes(layer.params)
        for weight in layer.spec.weights:
            if weight.name not in sizes:
                continue
            count, width = sizes[weight.name], 4
            if weight.tagged:
                tag = data[offset : offset + 4]
                if tag not in (TAG_FP32, TAG_FP16):
                    raise ReadError(
                        f"{what}: neither a float32 nor a float16 tag",
                        node=layer.name,
                        argument=weight.name,
                        got=tag.hex(),
                    )
                offset += 4
                width = 2 if tag == TAG_FP16 else 4
            end = offset + width * count + (_padding(count) if width == 2 else 0)
            if end > len(data):
                raise ReadError(
                    f"{what}: ends too early",
                    node=layer.name,
                    argument=weight.name,
                    expected=f"{end} bytes at least",
                    got=len(data),
                )
            array: Array = np.frombuffer(data, f"<f{width}", count, offset)
            if width == 2:
                array = array.astype(np.float32)
                layer.halves.add(weight.name)
            layer.weights[weight.name] = array
            offset = end
    if offset != len(data):
        raise ReadError(f"{what}: bytes are left over", expected=offset, got=len(data))
