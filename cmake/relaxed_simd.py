"""Gives relaxed SIMD's instructions the numbers of the standard: clang 14, which is Debian's, knows their first ones.

    python cmake/relaxed_simd.py engine.wasm

WebAssembly's fused multiplication and addition, f32x4.relaxed_madd, was 0xfd 0xaf when clang 14 was written, is 0xfd
0x105 since 2022, and takes its operands in the same order; 0xaf stayed without a meaning. The code is decoded,
instruction by instruction, and rewritten in place: both numbers take two bytes. A module with an instruction that is
unknown here is left as it was. Source: WebAssembly 3.0, chapter "Binary Format"; for exceptions the first proposal,
which emscripten writes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

OLD = {0xAF: 0x105, 0xB0: 0x106}  # madd, nmadd
CODE = 10  # the section
TYPED = (0x02, 0x03, 0x04, 0x06)  # block, loop, if, try
NUMBERED = (0x07, 0x08, 0x09, 0x0C, 0x0D, 0x10, 0x12, 0x18)  # catch, throw, rethrow, br, br_if, calls, delegate


class Unknown(ValueError):
    """What cannot be decoded."""


class Reader:
    def __init__(self, data: bytes | bytearray) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise Unknown(f"it ends at byte {self.at}, within something")
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """LEB128, without a sign. Of one with a sign only the length is right."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def numbers(self, count: int) -> None:
        for _ in range(count):
            self.number()

    def memory(self) -> None:
        self.numbers(2)  # alignment, offset


def instruction(code: Reader) -> tuple[int, int] | None:
    """Passes one; returns the place and number of a vector instruction."""
    start = code.at
    op = code.byte()
    if op in (*TYPED, *NUMBERED):
        code.number()
    elif op == 0x0E:  # br_table
        code.numbers(code.number() + 1)
    elif op in (0x11, 0x13):  # indirect calls
        code.numbers(2)
    elif op == 0x1C:  # select of a type
        code.numbers(code.number())
    elif 0x20 <= op <= 0x26 or op in (0x3F, 0x40, 0x41, 0x42, 0xD0, 0xD2):  # locals, globals, tables; memory; integers
        code.number()
    elif 0x28 <= op <= 0x3E:
        code.memory()
    elif op in (0x43, 0x44):  # floats
        code.at += 4 if op == 0x43 else 8
    elif op == 0xFC:
        sub = code.number()
        if sub > 17:
            raise Unknown(f"instruction 0xfc {sub:#x} at byte {start}")
        code.numbers(0 if sub < 8 else 1 if sub in (9, 11, 13, 15, 16, 17) else 2)
    elif op == 0xFD:
        return start, vector(code, start)
    elif op == 0xFE:  # atomic
        if code.number() == 3:  # fence
            code.number()
        else:
            code.memory()
    elif not (op in (0x00, 0x01, 0x05, 0x0B, 0x0F, 0x19, 0x1A, 0x1B, 0xD1) or 0x45 <= op <= 0xC4):
        raise Unknown(f"instruction {op:#x} at byte {start}")
    return None


def vector(code: Reader, start: int) -> int:
    sub = code.number()
    if sub <= 11 or sub in (0x5C, 0x5D):
        code.memory()
    elif sub in (12, 13):  # a constant, lanes
        code.at += 16
    elif 0x15 <= sub <= 0x22:
        code.at += 1
    elif 0x54 <= sub <= 0x5B:  # of a lane
        code.memory()
        code.at += 1
    elif sub > 0x113:
        raise Unknown(f"instruction 0xfd {sub:#x} at byte {start}")
    return sub


def renumber(module: bytes) -> tuple[bytes, int]:
    """The module with the standard's numbers, and how many were changed. Raises Unknown."""
    if module[:8] != b"\0asm\1\0\0\0":
        raise Unknown("it is no module of WebAssembly")
    made = bytearray(module)
    whole, changed = Reader(made), 0
    whole.at = 8
    while whole.at < len(made):
        section, size = whole.byte(), whole.number()
        end = whole.at + size
        if end > len(made):
            raise Unknown(f"it ends before byte {end}, where its section {section} should")
        if section == CODE:
            for _ in range(whole.number()):
                stop = whole.number() + whole.at
                for _ in range(whole.number()):  # locals: a count and a type
                    whole.numbers(2)
                while whole.at < stop:
                    found = instruction(whole)
                    if found and found[1] in OLD:
                        new = OLD[found[1]]
                        if whole.at != found[0] + 3:
                            raise Unknown(f"a number of more bytes than it needs at byte {found[0]}")
                        made[found[0] + 1 : whole.at] = bytes((new & 127 | 128, new >> 7))
                        changed += 1
                if whole.at != stop:
                    raise Unknown(f"a function that should end at byte {stop} ends at {whole.at}")
        whole.at = end
    return bytes(made), changed


def main(arguments: list[str]) -> int:
    path = Path(arguments[0])
    try:
        made, changed = renumber(path.read_bytes())
        if not changed:
            raise Unknown("none of its instructions is one of relaxed SIMD")
    except Unknown as error:
        print(f"error: {path}: {error}", file=sys.stderr)
        return 1
    part = path.with_name(path.name + ".part")
    part.write_bytes(made)
    os.replace(part, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
