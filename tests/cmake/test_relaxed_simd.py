"""Relaxed SIMD's instructions get the numbers of the standard, and nothing else of a module changes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parents[2] / "cmake" / "relaxed_simd.py"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("relaxed_simd", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def number(value: int) -> bytes:
    return bytes((value & 127 | 128, *number(value >> 7))) if value > 127 else bytes((value,))


def module(*bodies: bytes) -> bytes:
    """Functions of these bodies, between a section and data that hold the same bytes."""
    code = number(len(bodies)) + b"".join(number(len(body)) + body for body in bodies)
    alike = bytes((0xFD, 0xAF, 0x01))
    custom, data = b"\0" + number(4 + len(alike)) + b"\3abc" + alike, b"\x0b" + number(len(alike)) + alike
    return b"\0asm\1\0\0\0" + custom + b"\x0a" + number(len(code)) + code + data


def test_only_instructions_are_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    relaxed = tool()
    alike = bytes((0xFD, 0xAF, 0x01))  # a constant, an offset, lanes and a label that look like the instruction
    around = (
        b"\x01\x02\x7b"  # locals
        + b"\xfd\x0c" + alike * 5 + b"\0"  # v128.const
        + b"\xfd\x0d" + alike * 5 + b"\0"  # i8x16.shuffle
        + b"\xfd\x00\x04" + alike[1:]  # v128.load
        + b"\xfd\x54\x00" + alike[1:] + b"\xfd"  # v128.load8_lane
        + b"\xfd\x15\xaf"  # i8x16.extract_lane_s
        + b"\x41\xfd\xaf\x01" + b"\x43\0" + alike + b"\x44" + alike + alike[:2] + b"\0\0\0"  # constants
        + b"\x02\x40\x0e\x01\xaf\x01\x00\x0b" + b"\x06\x40\x07\x00\x19\x0b"  # block, br_table; try, catch
        + b"\xfc\x0a\0\0" + b"\xfe\x03\0" + b"\xfe\x10\x02\xaf\x01" + b"\x11\xaf\x01\0" + b"\x1c\x01\x7b"
    )  # fmt: skip
    old, new = around + alike + b"\xfd\xb0\x01\x0b", around + b"\xfd\x85\x02\xfd\x86\x02\x0b"
    assert relaxed.renumber(module(b"\0\x0b", old, old)) == (module(b"\0\x0b", new, new), 4)
    path = tmp_path / "x.wasm"
    path.write_bytes(module(old))
    assert relaxed.main([str(path)]) == 0 and path.read_bytes() == module(new)
    for wrong, said in (
        (module(new), "none of its instructions"),
        (module(b"\0\xc5\x0b"), "instruction 0xc5"),
        (module(b"\0\xfd\x94\x02\x0b"), "instruction 0xfd 0x114"),
        (module(b"\0\xfc\x12\x0b"), "instruction 0xfc 0x12"),
        (module(b"\0\xfd\xaf\x81\0\x0b"), "more bytes than it needs"),
        (module(b"\0\x43\0\0"), "should end"),
        (module(old)[:-20], "it ends before byte"),
        (b"\0asm", "no module"),
    ):
        path.write_bytes(wrong)
        assert relaxed.main([str(path)]) == 1 and path.read_bytes() == wrong
        assert said in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["x.wasm"]
