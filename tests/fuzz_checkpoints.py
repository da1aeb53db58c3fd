"""`python -m tests.fuzz_checkpoints [--cases N] [--seconds S] [--seed SEED] [--first CASE]`: damaged checkpoints.

Valid files of every kind, damaged in every way that a random generator thinks of. Each must load, or be refused with
one sentence: within TIME, within MEMORY, and without anything being imported, compiled, executed or started, which an
audit hook watches. Findings are printed as they come, with the number that brings them back (`--first N --cases 1`);
exit status 1 where there is any.
"""

from __future__ import annotations

import argparse
import codecs
import collections
import gzip
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

import numpy as np
import torch
from safetensors.torch import save

from stylegan.checkpoints import checkpoint
from stylegan.errors import CheckpointError

from .official_pickles import CODE_BASES, EasyDict, dumps, official_network, rosinality, snapshot, tensorflow

TIME = 10  # seconds
MEMORY = 1 << 30
TOLD = 10_000
V2ADA: dict[str, Any] = dict(
    z_dim=2,
    c_dim=1,
    w_dim=2,
    img_resolution=4,
    img_channels=1,
    mapping_kwargs=dict(num_layers=1),
    synthesis_kwargs=dict(channel_base=8, channel_max=2),
)
PLAIN = {**V2ADA, "c_dim": 0}
TALL = {**V2ADA, "synthesis_kwargs": dict(channel_base=8, channel_max=2, init_res=[4, 2])}
V3: dict[str, Any] = dict(
    z_dim=2,
    c_dim=0,
    w_dim=2,
    img_resolution=8,
    img_channels=1,
    mapping_kwargs=dict(num_layers=1),
    channel_base=16,
    channel_max=2,
    num_layers=3,
)
HOSTILE = [
    b"cos\nsystem\n\x8c\x04true\x85R",
    b"\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R",
    b"cevil\nrun\n\x8c\x04true\x85R",
    b"cevil\nRun\n\x8c\x04true\x85\x81}(\x8c\x08_modules}\x8c\x0b_parameters}ub",
    b"cevil\nRun\n)}\x92",
    b"(ios\nsystem\n",
    b"(cos\nsystem\n\x8c\x04trueo",
    b"cbuiltins\neval\n\x8c\x011\x85R",
    b"cbuiltins\ngetattr\n",
    b"cfunctools\npartial\n",
    b"ctorch._utils\n_rebuild_from_type_v2\n)R",
    b"cdnnlib.tflib.network\nNetwork\n)\x81",
    b"}(\x85\x85N\x88Nu",
    b"(KaNK\1\x91",
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


def _saved(content: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def _made(family: str, kwargs: dict[str, Any]) -> checkpoint.Generator:
    return checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs), family)


def corpus() -> dict[str, bytes]:
    """Valid files of every kind, small."""
    files = {}
    for base, family in CODE_BASES.items():
        kwargs = V3 if family == "v3" else V2ADA
        network = _made(family, kwargs)
        state = network.state_dict()
        for protocol in (2, 4):
            files[f"{base}, protocol {protocol}"] = dumps({"G_ema": official_network(base, network, kwargs)}, protocol)
        for zipped in (True, False):
            files[f"{base}, state_dict, {'zip' if zipped else 'legacy'}"] = _saved(state, zipped)
        files[f"{base}, safetensors"] = save(state)
        files[f"{base}, predecessor"] = _saved(
            {
                f"{part}_ema": {k.partition(".")[2]: v for k, v in state.items() if k.startswith(part)}
                for part in ("mapping", "synthesis")
            },
            False,
        )
    plain = _made("v2ada", PLAIN)
    files["a snapshot"] = dumps(snapshot("v2ada", plain, PLAIN))
    for protocol in (2, 4):
        files[f"TensorFlow, protocol {protocol}"] = dumps(tensorflow(plain, PLAIN), protocol)
    strange = {
        "a": np.random.RandomState(0),
        "b": {(1, 2): 0.5},
        "c": np.array(["x"]),
        "d": torch.optim.Adam([plain.mapping.w_avg]),
    }
    files["rosinality, training"] = _saved({"g_ema": rosinality(plain), "latent_avg": plain.mapping.w_avg, **strange})
    files["rosinality, inside"] = _saved(
        {"state_dict": {f"decoder.{k}": v for k, v in rosinality(plain).items()}, "latent_avg": plain.mapping.w_avg}
    )
    files["whole module"] = _saved(plain)
    frozen = official_network("v2ada", plain, PLAIN)
    frozen.attributes["_init_kwargs"]["mapping_kwargs"] = EasyDict(num_layers=1, freeze_layers=1)
    frozen.attributes |= strange
    files["a fork's"] = dumps({"G_ema": frozen, "D": strange})
    tall = official_network("v2ada", _made("v2ada", TALL), PLAIN | {"c_dim": 1, "square": False})
    files["not square"] = dumps({"G_ema": tall})
    files["packed"] = gzip.compress(files["v2ada, protocol 4"])
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


def run(cases: int | None, seconds: float | None, seed: int, first: int = 0) -> int:
    """Runs the cases; returns how many failed."""
    files = corpus()
    names = sorted(files)
    shares = [1 / len(files[name]) for name in names]  # of the time all have about the same
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
    path = folder / "case"

    def loaded(data: bytes) -> str:
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
        assert loaded(data) == "loaded", (name, loaded(data))
        loaded(data[:-100])
        loaded(HOSTILE[0])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY))

    start, case, slowest = time.monotonic(), first, 0.0

    def told() -> None:
        print(f"seed {seed}: {case - first} cases, {dict(counts)}, slowest {slowest:.2f} s", flush=True)

    while cases is None or case < first + cases:
        if seconds is not None and time.monotonic() - start >= seconds:
            break
        rng = random.Random(f"{seed}-{case}")
        name = rng.choices(names, shares)[0]
        data = damaged(files[name], rng)
        began = time.process_time()
        signal.alarm(TIME * 10)  # on a busy machine too; TIME itself is of this process
        watching = True
        result = loaded(data)
        watching = False
        signal.alarm(0)
        took = time.process_time() - began
        slowest = max(slowest, took)
        if executed:
            result = f"FAILED: executed {executed}"
            executed.clear()
        elif took > TIME:
            result = f"FAILED: {took:.1f} s"
        counts[result.partition(":")[0]] += 1
        if result.startswith("FAILED"):
            print(f"seed {seed} case {case} {name}: {result}", flush=True)
        case += 1
        if (case - first) % TOLD == 0:
            told()
    path.unlink(missing_ok=True)
    folder.rmdir()
    told()
    return counts["FAILED"]


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_checkpoints", description=__doc__)
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--cases", type=int, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    given = parser.parse_args(arguments)
    return 1 if run(given.cases, given.seconds, given.seed, given.first) else 0


if __name__ == "__main__":
    sys.exit(main())
