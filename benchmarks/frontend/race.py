"""Two nets on the plain ncnn wheel, in turn, in one process without torch:
`python -m benchmarks.frontend.race FOLDER THREADS ROUNDS NAME...`.

FOLDER has x.npy, y.npy (what torch makes of it), and NAME.param and NAME.bin of each net, all with one input in0 and
one output out0. Answers one line of JSON: per net {"wall", "cpu"}, seconds by round; "error", of the largest magnitude;
or "failed", why it does not run. In turn, forward and back (A B, B A), so that neither is always the one that comes
behind the other, and a machine that slows down slows both. cpu: of one thread, of which other programs take nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

WARM_UP = 3


class Net:
    """A net loaded for so many threads, in fp32, with pools that live as long as it."""

    def __init__(self, path: Path, threads: int) -> None:
        self.net = ncnn.Net()
        self.pools = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        option = self.net.opt
        option.num_threads = threads
        option.use_vulkan_compute = False
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(option, name, False)
        option.blob_allocator, option.workspace_allocator = self.pools
        for load, suffix in ((self.net.load_param, ".param"), (self.net.load_model, ".bin")):
            if load(str(path.with_name(path.name + suffix))):
                raise RuntimeError(f"ncnn cannot load {path.name}{suffix}")

    def run(self, x: Any) -> Any:
        extractor = self.net.create_extractor()
        extractor.input("in0", x)
        code, y = extractor.extract("out0")
        if code:
            raise RuntimeError(f"ncnn cannot run it: code {code}")
        return np.array(y)


def race(folder: Path, names: list[str], threads: int, rounds: int) -> dict[str, dict[str, Any]]:
    x = np.load(folder / "x.npy")
    mat, want = ncnn.Mat(x).clone(), np.load(folder / "y.npy")
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    nets: dict[tuple[str, int], Net] = {}
    for name in names:
        try:
            for count in dict.fromkeys((threads, 1)):
                nets[name, count] = net = Net(folder / name, count)
                got = [net.run(mat) for _ in range(WARM_UP)][-1]
            if got.size != want.size:
                raise RuntimeError(f"it makes {list(got.shape)} of {list(want.shape)}")
            found[name]["error"] = float(np.abs(got.reshape(want.shape) - want).max() / np.abs(want).max())
        except RuntimeError as error:
            found[name]["failed"] = str(error)
    able = [name for name in names if "failed" not in found[name]]
    for kind, count, clock in (("wall", threads, time.perf_counter), ("cpu", 1, time.process_time)):
        for name in able:
            found[name][kind] = []
        for number in range(rounds):
            for name in able if number % 2 else able[::-1]:
                start = clock()
                nets[name, count].run(mat)
                found[name][kind].append(clock() - start)
    return found


def main(folder: str, threads: str, rounds: str, *names: str) -> None:
    # ncnn says on standard output what is wrong with a net.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers.write(json.dumps(race(Path(folder), list(names), int(threads), int(rounds))) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
