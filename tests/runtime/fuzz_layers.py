"""Nets of one layer of each type, whose parameters and inputs are bent to the edges: each case must run or raise.

``python fuzz_layers.py FIRST COUNT [TYPE ...]`` tries cases FIRST to FIRST + COUNT - 1 of each type of the registry in
forked children, and prints those in which a child died, ran for longer than SECONDS, or printed.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import ncnn_builder as nb
from ncnn_builder.builder import check_bottom_names
from ncnn_builder.ir import Shape
from ncnn_builder.opspec import OpSpec
from runtime import Net
from runtime.errors import NcnnError, WeightsError

SECONDS = 10
MEMORY = 6 << 30  # of a child

NUMBERS = ["0", "-1", "1", "2", "3", "4", "5", "7", "16", "100", "-2", "-3", "-233", "-234", "255", "4096", "65535",
           "65536", "1000000", "2147483647", "-2147483648", "2147483646", "0.00000000e+00", "1.00000000e+00",
           "-1.00000000e+00", "2.00000000e+00", "2.50000000e-01", "1.00000000e+30", "-1.00000000e+30"]  # fmt: skip
ARRAYS = ["0,", "1,", "-1,", "3,", "-4,", "2147483647,", "0,1", "-1,0", "0,0,0", "1,2,3,4", "5,5,5,5,5", "-233,-233",
          "0,-2147483648", "1.00000000e+00,", "0.00000000e+00,-1.00000000e+00,1.00000000e+30", "-233,", "2,2,2,2",
          "105,45,62,105", "105,106,44,106,107,45,62,105,107", "120,45,62,105", "105,105"]  # fmt: skip
TEXTS = ["0w", '"0w,0h"', '"*(0w,2),0h"', '"//(0w,0)"', '"+"', '"1w,1h"', '"9c"', '"-1"', '"0"', '"1,2,3,4,5"', "abc",
         '"-(0w,100)"', '"*(0w,1000000),*(0h,1000000)"', '"//(-2147483648,-1)"', '"0w,0h,0c"',
         '"sqrt(0w)"']  # fmt: skip
SHAPES: list[Shape] = [(1,), (2,), (5,), (8,), (64,), (1, 1), (3, 4), (4, 2), (8, 8), (1, 1, 1), (3, 4, 5), (4, 1, 1),
                       (8, 6, 6), (16, 3, 3), (1, 7, 2), (2, 3, 4, 5), (4, 1, 2, 2), (8, 2, 2, 2)]  # fmt: skip
TAGS = [b"\x38\x4b\x0d\x00", b"\x47\x6b\x30\x01", b"\x83\x8b\x34\x01", b"\x56\xc0\x02\x00", b"\1\0\0\0", b"\0\0\0\0"]


@dataclass
class Case:
    text: str
    data: bytes
    inputs: dict[str, Shape]


def samples_of(spec: OpSpec) -> list[Case]:
    """The nets of an op's samples."""
    cases = []
    for sample in spec.samples():
        g = nb.Graph()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = sample.build(g, *(g.input(f"x{i}", s) for i, s in enumerate(sample.inputs)))
        for i, value in enumerate(check_bottom_names(values)):
            g.output(f"y{i}", value)
        model = nb.compile_graph(g)
        cases.append(Case(model.param, model.bin, dict(model.inputs)))
    return cases


def bent_line(rng: random.Random, line: str, spec: OpSpec) -> str:
    """A layer's line with one parameter changed, added or left out."""
    words = line.split(" ")
    ids = [p.id for p in spec.params if p.id is not None] + list(spec.left_out)
    number = rng.choice(ids) if ids and rng.random() < 0.9 else rng.randrange(32)
    kept = [w for w in words if not re.fullmatch(rf"(-?{number}|-{23300 + number})=.*", w)]
    if len(kept) < len(words) and rng.random() < 0.15:
        return " ".join(kept)
    kinds = {p.id: p.kind for p in spec.params}
    usual = ARRAYS if kinds.get(number) in ("ints", "floats") else NUMBERS
    value = rng.choice(usual if rng.random() < 0.85 else rng.choice([NUMBERS, ARRAYS, TEXTS]))
    return " ".join([*kept, f"{number}={value}"])


def bent(rng: random.Random, case: Case, spec: OpSpec) -> Case:
    lines, data, inputs = case.text.splitlines(), case.data, dict(case.inputs)
    own = [i for i, line in enumerate(lines) if line.split(" ")[0] == spec.in_files]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        what = rng.random()
        if own and what < 0.65:
            i = rng.choice(own)
            lines[i] = bent_line(rng, lines[i], spec)
        elif inputs and what < 0.9:
            name = rng.choice(list(inputs))
            near = list(inputs[name])
            near[rng.randrange(len(near))] += rng.choice([-1, 1, 2, 5, 40])
            inputs[name] = tuple(max(1, n) for n in near) if rng.random() < 0.5 else rng.choice(SHAPES)
        elif len(data) >= 4:
            data = rng.choice(TAGS) + data[4:]
    for i, line in enumerate(lines):
        if line.startswith("Input ") and spec.type != "Input":
            lines[i] = " ".join(line.split()[:5])  # of any shape
    return Case("\n".join(lines) + "\n", data, inputs)


def fitted(data: bytes, error: WeightsError) -> bytes | None:
    """Weights as long as the error asks for; None where it does not, or for more than 1 MB."""
    short = re.fullmatch(r"(\d+) bytes?(?: at offset (\d+))?", error.expected or "")
    length = int(short[1]) + int(short[2] or 0) if short else 0
    if not 0 < length <= 1 << 20 or length == len(data):
        return None
    return data[:length] + bytes(max(0, length - len(data)))


def attempt(folder: Path, case: Case) -> str:
    """Runs one case in this process: "ran", or the class of the error."""
    param, bin_ = folder / "net.param", folder / "net.bin"
    param.write_text(case.text)
    data = case.data
    for _ in range(12):
        bin_.write_bytes(data)
        try:
            net = Net(param, bin_, threads=2)
            break
        except WeightsError as error:
            longer = fitted(data, error)
            if longer is None:
                return "WeightsError"
            data = longer
        except NcnnError as error:
            return type(error).__name__
    else:
        return "WeightsError"
    rng = np.random.default_rng(7)
    try:
        net.run({name: rng.integers(-4, 9, shape) for name, shape in case.inputs.items()})
    except NcnnError as error:
        return type(error).__name__
    return "ran"


def cases_of(spec: OpSpec, first: int, count: int) -> list[Case]:
    plain = samples_of(spec)
    cases = []
    for number in range(first, first + count):
        rng = random.Random(f"{spec.type} {number}")
        cases.append(bent(rng, rng.choice(plain), spec))
    return cases


def run_all(cases: list[Case]) -> tuple[Counter[str], dict[int, str]]:
    """What became of the cases, in children one after the other; and of those that ended one, how."""
    results: Counter[str] = Counter()
    broken: dict[int, str] = {}
    shared = mmap.mmap(-1, 8)  # the case at work
    with tempfile.TemporaryDirectory() as folder:
        start = 0
        while start < len(cases):
            shared[:8] = start.to_bytes(8, "little")
            log = Path(folder) / "log"
            pid = os.fork()
            if pid == 0:
                child(cases, start, shared, Path(folder), log)
            status, at = watch(pid, shared)
            lines = log.read_text().splitlines() if log.exists() else []
            results.update(lines)
            log.unlink(missing_ok=True)
            if status == "":
                break
            broken[at] = status
            start = at + 1
    return results, broken


def child(cases: list[Case], start: int, shared: mmap.mmap, folder: Path, log: Path) -> None:
    """Does not return: what is unwound here would be the parent's."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with log.open("a") as out:
            for i in range(start, len(cases)):
                shared[:8] = i.to_bytes(8, "little")
                out.write(attempt(folder, cases[i]) + "\n")
                out.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def watch(pid: int, shared: mmap.mmap) -> tuple[str, int]:
    """Waits for a child: how it ended ("" if well), and the case at which."""
    last, since = -1, time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        at = int.from_bytes(shared[:8], "little")
        if done:
            if os.WIFSIGNALED(status):
                return signal.Signals(os.WTERMSIG(status)).name, at
            return "" if os.WEXITSTATUS(status) == 0 else f"exit status {os.WEXITSTATUS(status)}", at
        if at != last:
            last, since = at, time.monotonic()
        elif time.monotonic() - since > SECONDS:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"more than {SECONDS} s", at
        time.sleep(0.01)


def types(names: list[str]) -> list[OpSpec]:
    return [
        spec for name, spec in sorted(nb.registry.items())
        if not spec.composite and not spec.off and (name in names or not names)
    ]  # fmt: skip


def main() -> None:
    first, count = int(sys.argv[1]), int(sys.argv[2])
    totals: Counter[str] = Counter()
    ended = 0
    for spec in types(sys.argv[3:]):
        cases = cases_of(spec, first, count)
        results, broken = run_all(cases)
        totals += results
        ended += len(broken)
        print(json.dumps({"type": spec.type, **results, "broken": len(broken)}), flush=True)
        for at, how in list(broken.items())[:4]:
            own = [line for line in cases[at].text.splitlines()[2:] if line.split(" ")[0] == spec.in_files]
            print(f"  {how}: case {first + at}: {own} inputs {cases[at].inputs}", flush=True)
    print(json.dumps({"total": sum(totals.values()) + ended, **totals, "broken": ended}))


if __name__ == "__main__":
    main()
