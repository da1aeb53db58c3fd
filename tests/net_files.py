"""What the tests of reading and repairing share: nets as files, by hand and in ncnn's binary form."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

import ncnn_builder as nb
from ncnn_builder.emit.binary_types import CUSTOM, TYPES
from ncnn_builder.emit.syntax import is_float, parse

MAGIC = 7767517
INT8 = (0x000D4B38).to_bytes(4, "little")
CUSTOM_TYPES = sorted(name for name, spec in nb.registry.items() if spec.custom)


def net_files(folder: Path, param: str | bytes, data: bytes = b"", name: str = "net") -> tuple[Path, Path]:
    """Both files of a net."""
    paths = folder / f"{name}.param", folder / f"{name}.bin"
    paths[0].write_bytes(param if isinstance(param, bytes) else param.encode())
    paths[1].write_bytes(data)
    return paths


def lines_of(*lines: str, blobs: int | None = None) -> str:
    """A .param text of these layers; the number of blobs is counted unless it is given."""
    made = sum(int(line.split()[3]) for line in lines) if blobs is None else blobs
    return "\n".join([str(MAGIC), f"{len(lines)} {made}", *lines]) + "\n"


def floats(*arrays: np.ndarray) -> bytes:
    return b"".join(np.asarray(a, "<f4").tobytes() for a in arrays)


def binary_param(text: str) -> bytes:
    """The text in the form of .param.bin, as ncnn's load_param_bin reads it; arrays and numbers only."""
    file = parse(text)
    assert not file.problems
    blobs: dict[str, int] = {}
    for line in file.lines:
        for token in line.outputs:
            blobs[token.text] = len(blobs)
    out = [MAGIC, len(file.lines), len(blobs)]
    for line in file.lines:
        name = line.type.text
        out += [TYPES.index(name) if name in TYPES else CUSTOM | CUSTOM_TYPES.index(name)]
        out += [len(line.inputs), len(line.outputs)]
        out += [blobs[t.text] for t in (*line.inputs, *line.outputs)]
        for entry in line.entries:
            bits = [_bits(t.text) for t in entry.items]
            out += [-23300 - entry.id, len(bits), *bits] if entry.form == "array" else [entry.id, *bits]
        out.append(-233)
    return struct.pack(f"<{len(out)}i", *out)


def _bits(word: str) -> int:
    return int(np.float32(word).view(np.int32)) if is_float(word) else int(word)


def mixed() -> nb.Graph:
    """Every kind of parameter and weight: ints, floats, arrays of ints, tagged and bare weights."""
    rng = np.random.default_rng(0)
    g = nb.Graph("mixed")
    x, z = g.input("x", (4, 6, 5)), g.input("z", (7,))
    w, b = nb.shell(g, [], rng.standard_normal((4, 4, 3, 3)), rng.standard_normal(4))
    y = nb.Fconv2d(g, [x, w, b], padding=1)
    y = nb.MulConstant(g, nb.crop(g, y, [1], [3], [2]), 0.1, 3.0)
    s = nb.bias_act(g, nb.fully_connected(g, z, rng.standard_normal((4, 7)), act="lrelu"), rng.standard_normal(4))
    g.output("picture", nb.binaryOp(g, [y, nb.reshape(g, s, (1, 4, 1, 1))], "Mul"))
    return g
