"""Damages valid checkpoints in every way that a random generator thinks of, and loads them.

`PYTHONPATH=tests python tests/stylegan/fuzz_checkpoints.py --seconds 600` runs that long; the suite runs a few cases of
kept seeds. Each case must load, or be refused with a CheckpointError: within TIME, within MEMORY, and without anything
being imported, compiled, executed or started, which an audit hook watches. Ends with a line of counts.
"""

from __future__ import annotations

import argparse
import codecs
import collections
import io
import os
import pickletools
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from official_pickles import CODE_BASES, dumps, snapshot
from safetensors.torch import save

from stylegan import checkpoint
from stylegan.errors import CheckpointError

TIME = 10  # seconds
MEMORY = 1 << 30
V2ADA: dict[str, Any] = dict(
    z_dim=4,
    c_dim=2,
    w_dim=4,
    img_resolution=8,
    img_channels=1,
    mapping_kwargs=dict(num_layers=1),
    synthesis_kwargs=dict(channel_base=16, channel_max=4),
)
V3: dict[str, Any] = dict(
    z_dim=4,
    c_dim=0,
    w_dim=4,
    img_resolution=16,
    img_channels=1,
    mapping_kwargs=dict(num_layers=1),
    channel_base=32,
    channel_max=4,
    num_layers=4,
)
HOSTILE = [
    b"cos\nsystem\n\x8c\x04true\x85R",
    b"\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R",
    b"(ios\nsystem\n",
    b"(cos\nsystem\n\x8c\x04trueo",
    b"cbuiltins\neval\n\x8c\x011\x85R",
    b"cbuiltins\ngetattr\n",
    b"\x82\x01",
    b"\x88Q",
    b"}b",
    b")\x81",
    b"}\x92",
    b"22222222",
    b"\x8b\xff\xff\xff\x7f",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
]
EVENTS = (
    "import",
    "compile",
    "exec",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
    "ctypes.dlopen",
    "shutil.rmtree",
    "os.remove",
)


OPCODES = [ord(op.code) for op in pickletools.opcodes]


def corpus() -> dict[str, bytes]:
    """Valid files of every kind, small."""
    files = {}
    for base, family in CODE_BASES.items():
        kwargs = V3 if family == "v3" else V2ADA
        state = checkpoint.random_state(family, kwargs)
        network = checkpoint.build_generator(family, kwargs, state, base)
        for protocol in (2, 4, 5):
            files[f"{base}-{protocol}.pkl"] = dumps(snapshot(base, network, kwargs), protocol)
        for zipped in (True, False):
            file = io.BytesIO()
            torch.save(state, file, _use_new_zipfile_serialization=zipped)
            files[f"{base}-{zipped}.pt"] = file.getvalue()
        files[f"{base}.safetensors"] = save(state)
    return files


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: bits, bytes, numbers, pieces cut, repeated, moved or of hostile pickles put in."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        if rng.random() < 0.5:  # most of a file is numbers: prefer its opcodes
            at = data.find(rng.choice((b"R", b"\x93", b"t", b"b", b"\x94", b"h", b"q", b"}", b"(")), at) % (
                len(data) + 1
            )
        size = rng.choice((1, 2, 4, 8, 100, 5000))
        piece = data[at : at + size]
        new = rng.choice(
            (
                bytes([(piece or b"\0")[0] ^ 1 << rng.randrange(8)]) + piece[1:],
                rng.randbytes(len(piece)),
                b"\xff" * len(piece),
                b"\0" * len(piece),
                b"",
                piece * rng.choice((2, 3, 100)),
                rng.choice(HOSTILE) + piece,
                bytes([rng.choice(OPCODES)]) + piece[1:],
                data[rng.randrange(len(data)) :][:size],
            )
        )
        data = data[:at] + new + data[at + size :]
        if rng.random() < 0.05:
            data = data[: rng.randrange(len(data) + 1)]
        if not data:
            break
    return data


def run(cases: int | None, seconds: float, seed: int) -> int:
    """Runs the cases; returns how many failed."""
    files = corpus()
    counts: collections.Counter[str] = collections.Counter()
    executed: list[str] = []
    watching = False

    def watch(event: str, arguments: Any) -> None:
        if watching and event in EVENTS:
            executed.append(f"{event} {arguments!r}"[:200])

    def too_long(*_: Any) -> None:
        raise TimeoutError

    sys.addaudithook(watch)
    signal.signal(signal.SIGALRM, too_long)
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))

    def loaded(name: str, data: bytes) -> str:
        path = folder / ("case" + Path(name).suffix)
        path.write_bytes(data)
        try:
            found = checkpoint.load(path)
            checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
        except CheckpointError as error:
            text = str(error)
            return "refused" if "\n" not in text and len(text) < 20_000 else f"FAILED: the message {text[:500]!r}"
        except BaseException as error:
            return f"FAILED: {type(error).__name__}: {error}"[:500]
        return "loaded"

    codecs.lookup("cp437")  # zipfile's, for names
    for name, data in files.items():  # imports what is imported lazily
        assert loaded(name, data) == "loaded", loaded(name, data)
        loaded(name, data[:-100])
        loaded(name, HOSTILE[0])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY))

    end, case, slowest = time.monotonic() + seconds, 0, 0.0
    while (cases is None or case < cases) and time.monotonic() < end:
        rng = random.Random(f"{seed}-{case}")
        name = rng.choice(sorted(files))
        data = damaged(files[name], rng)
        start = time.monotonic()
        signal.alarm(TIME)
        watching = True
        result = loaded(name, data)
        watching = False
        signal.alarm(0)
        slowest = max(slowest, time.monotonic() - start)
        if executed:
            result = f"FAILED: executed {executed}"
            executed.clear()
        counts[result.partition(":")[0]] += 1
        if result.startswith("FAILED"):
            print(f"seed {seed} case {case} {name}: {result}", flush=True)
        case += 1
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    print(f"seed {seed}: {case} cases, {dict(counts)}, slowest {slowest:.2f} s")
    return counts["FAILED"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    return 1 if run(args.cases, args.seconds, args.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
