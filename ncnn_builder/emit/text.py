"""The text of a .param file, and its reader. Format: ncnn's src/net.cpp and src/paramdict.cpp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..builder import filled
from ..errors import EmitError, ReadError
from ..opspec import OpSpec, Param, registry
from .layers import Layer

MAGIC = "7767517"


def write_param(layers: list[Layer]) -> str:
    """The whole text. Every parameter of a declaration is written: ncnn's defaults are never relied upon."""
    blobs = sum(len(layer.outputs) for layer in layers)
    lines = [MAGIC, f"{len(layers)} {blobs}"]
    for layer in layers:
        parts = [
            f"{layer.spec.type:<24} {layer.name:<24} {len(layer.inputs)} {len(layer.outputs)}",
            *layer.inputs,
            *layer.outputs,
        ]
        parts += [_write(p, layer.params[p.name], layer) for p in sorted(layer.spec.params, key=lambda p: p.id or 0)]
        lines.append(" ".join(parts))
    return "\n".join(lines) + "\n"


def _write(param: Param, value: Any, layer: Layer) -> str:
    if param.kind in ("ints", "floats"):
        scalar = _int if param.kind == "ints" else _float
        return f"{-23300 - (param.id or 0)}={','.join([str(len(value)), *(scalar(v, param, layer) for v in value)])}"
    return f"{param.id}={(_int if param.kind == 'int' else _float)(value, param, layer)}"


def _int(value: int, param: Param, layer: Layer) -> str:
    if not -(2**31) <= value < 2**31:
        raise EmitError("a parameter does not fit 32 bits", node=layer.name, argument=param.name, got=value)
    return str(value)


def _float(value: float, param: Param, layer: Layer) -> str:
    """Nine digits, which is exact for float32; always with point and exponent, or ncnn takes it for an int."""
    single = float(np.float32(value))
    if not math.isfinite(single):
        raise EmitError("a parameter is not a finite float32", node=layer.name, argument=param.name, got=value)
    return f"{single:.8e}"  # 15 characters at most, which is what ncnn's scanner reads


def read_param(text: str, what: str = "param") -> list[Layer]:
    """Layers without weights. It reads what we write; a parameter that no declaration knows is an error."""
    lines = text.split("\n")
    if lines[0] != MAGIC or lines[-1] != "":
        raise ReadError(f"{what}: not a whole param file", expected=f"{MAGIC} and a last newline", got=lines[0][:40])
    counts = lines[1].split(" ")
    layers = []
    for i, line in enumerate(lines[2:-1], 3):
        try:
            layers.append(_read_line(line, f"{what}, line {i}"))
        except ValueError as error:
            raise ReadError(f"{what}, line {i}: a number is malformed", got=str(error)) from None
    blobs = sum(len(layer.outputs) for layer in layers)
    if counts != [str(len(layers)), str(blobs)]:
        raise ReadError(f"{what}, line 2: wrong counts", expected=f"{len(layers)} {blobs}", got=lines[1])
    return layers


def _read_line(line: str, where: str) -> Layer:
    fields = line.split()
    if len(fields) < 4 or fields[0] not in registry:
        raise ReadError(f"{where}: no layer of the registry", got=line[:80])
    spec, name = registry[fields[0]], fields[1]
    n_in, n_out = int(fields[2]), int(fields[3])
    blobs, rest = fields[4 : 4 + n_in + n_out], fields[4 + n_in + n_out :]
    return Layer(spec, name, blobs[:n_in], blobs[n_in:], _read_params(spec, rest, where))


def _read_params(spec: OpSpec, fields: list[str], where: str) -> dict[str, Any]:
    by_id = {p.id: p for p in spec.params}
    params: dict[str, Any] = {}
    for item in fields:
        key, _, value = item.partition("=")
        number = int(key)
        is_array = number <= -23300
        param = by_id.get(-23300 - number if is_array else number)
        if param is None or is_array != (param.kind in ("ints", "floats")):
            raise ReadError(f"{where}: {spec.type} has no such parameter", got=item)
        scalar: Any = int if param.kind in ("int", "ints") else float
        if is_array:
            count, *items = value.split(",")
            if int(count) != len(items):
                raise ReadError(f"{where}: array of the wrong length", expected=count, got=item)
            params[param.name] = tuple(map(scalar, items))
        else:
            params[param.name] = scalar(value)
    return filled(spec, **params)
