"""Damaged nets through everything that reads them: `python tests/ncnn_builder/fuzz_param.py COUNT [SEED]`.

A case is a file of corpus/ or a net that the builder emits, damaged in some places. load(), compiling again, and every
command line must end in a result or in one of our errors: no other exception, no hang (SLOW seconds of a processor),
and no memory beyond what the limit leaves. A case that does not is written beside the corpus, and its name is said.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from net_files import binary_param, mixed
from parity_support import build

import ncnn_builder as nb
from ncnn_builder.tools.cli import main as command_line

CORPUS = Path(__file__).parent / "corpus"
SLOW = 5.0
MEMORY = 1 << 30
"""Bytes that a case may take beyond what the process has."""

NUMBERS = (
    *("0", "-1", "1", "2", "3", "7", "255", "-233", "65535", "2147483647", "-2147483648", "2147483648", "99999999999"),
    *("1e38", "-1.0", "0.0", "1.5e-45", "3.5e38", "1e999", "nan", "inf", ".", "1.", "+1", "0x10", "--1", "", "1_0"),
    *("1" * 130, "\u0663", '"', '"a b"', "a,b", "1,", ",1", "1,,2", "\0"),
)
WORDS = (
    *sorted(nb.registry),
    *("Split", "x", "y", "-23330=4,3,1,1,1", "31=-1", "30=1,", "-23399=0", "=", "9=", "-23309=99999999,1"),
)


def seeds() -> list[tuple[bytes, bytes]]:
    """(.param, .bin) of every seed."""
    found = [(path.read_bytes(), b"") for path in sorted(CORPUS.glob("*.param"))]
    for target in ("reference", "stock", "fused"):
        model = nb.compile_graph(mixed(), target)
        found += [(model.param.encode(), model.bin), (binary_param(model.param), model.bin)]
    for _, spec in sorted(nb.registry.items()):  # every layer, with its weights
        for sample in spec.samples()[:1]:
            model = nb.compile_graph(build(sample)[0])
            found.append((model.param.encode(), model.bin))
    return found


def damaged(rng: random.Random, data: bytes) -> bytes:
    """The bytes with one to four changes: of bytes, or of words and lines where it is a text."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = ""
        if text.startswith("7767517") and rng.random() < 0.97:
            data = _changed_text(rng, text).encode()
        else:
            data = _changed_bytes(rng, data)
    return data


def _changed_text(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines)) if rng.random() < 0.1 or len(lines) < 4 else rng.randrange(2, len(lines) - 1)
    kind = rng.random()
    if kind < 0.04:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif kind < 0.08:
        del lines[at]
    elif kind < 0.1:
        lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
    else:
        words = lines[at].split() or [""]
        valued = [i for i, word in enumerate(words) if "=" in word]
        i = rng.choice(valued) if valued and kind < 0.7 else rng.randrange(len(words))
        key, equals, value = words[i].partition("=")
        if kind < 0.65 and equals:
            parts = value.split(",")
            parts[rng.randrange(len(parts))] = rng.choice(NUMBERS)
            words[i] = f"{key}={','.join(parts)}"
        elif kind < 0.75:
            words[i] = rng.choice(NUMBERS)
        elif kind < 0.85:
            number = rng.randint(-23333, 33) if rng.random() < 0.2 else rng.randint(0, 31)
            words.insert(i, f"{number}={rng.choice(NUMBERS)}")
        elif kind < 0.95:
            words[i] = rng.choice([*WORDS, *text.split()])
        else:
            del words[i]
        lines[at] = " ".join(words)
    return "\n".join(lines)


def _changed_bytes(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return rng.randbytes(rng.randint(0, 9))
    at = rng.randrange(len(data))
    kind = rng.random()
    if kind < 0.5:
        known = (0, 1, -1, 2**31 - 1, -(2**31), -233, -23300, -23331, -23400, 0x01306B47)
        value = rng.choice((*known, rng.getrandbits(31)))
        at -= at % 4
        return data[:at] + int(np.int64(value)).to_bytes(8, "little", signed=True)[:4] + data[at + 4 :]
    if kind < 0.8:
        return data[:at] + rng.randbytes(rng.randint(1, 4)) + data[at + 1 :]
    return data[:at] if kind < 0.9 else data[:at] + data[rng.randrange(len(data)) :]


def try_case(folder: Path, param: bytes, data: bytes) -> None:
    """Everything that reads a net. Raises what must not be raised."""
    files = folder / "net.param", folder / "net.bin"
    files[0].write_bytes(param)
    files[1].write_bytes(data)
    with contextlib.suppress(nb.NcnnBuilderError):
        nb.compile_graph(nb.load(*files))
    with contextlib.suppress(nb.NcnnBuilderError):
        g = nb.load(*files, shapes={"x": (4, 6, 5)})
        nb.compile_graph(g, "stock")
    p, b = map(str, files)
    draw = ["draw", p, b, "-o", str(folder / "net.dot")]
    for arguments in (["lint", p, b], ["lint", p, "--json"], ["fix", p], ["show", p, b], ["diff", p, p], draw):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert command_line(arguments) in (0, 1, 2)


def cases(seed: int) -> Iterator[tuple[random.Random, bytes, bytes]]:
    """Without end; the same for the same seed."""
    rng = random.Random(seed)
    kept = seeds()
    while True:
        param, data = rng.choice(kept)
        if rng.random() < 0.15:
            data = damaged(rng, data)
        if rng.random() < 0.95:
            param = damaged(rng, param)
        yield rng, param, data


def limit_memory() -> None:
    """A case that asks for more than MEMORY gets a MemoryError, which the command line tells, and load() does not."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))


def main(count: int, seed: int = 1) -> int:
    """Returns the number of cases that failed."""
    limit_memory()
    start, failed, slowest = time.monotonic(), 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        for number, (_, param, data) in enumerate(itertools.islice(cases(seed), count)):
            before = time.process_time()
            try:
                try_case(Path(name), param, data)
                took = time.process_time() - before
                assert took < SLOW, f"it took {took:.1f} s"
                slowest = max(slowest, took)
            except Exception:  # whatever it is, it is a finding
                failed += 1
                kept = CORPUS.parent / f"fuzz_{seed}_{number}.param"
                kept.write_bytes(param)
                kept.with_suffix(".bin").write_bytes(data)
                print(f"{kept}:\n{traceback.format_exc()}", flush=True)
    print(f"{count} cases in {time.monotonic() - start:.0f} s, {failed} failed, the slowest took {slowest:.2f} s")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:3])) else 0)
