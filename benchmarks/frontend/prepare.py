"""Converts one network of benchmarks.frontend.networks by both: `python -m benchmarks.frontend.prepare FOLDER NAME`.

FOLDER gets x.npy, y.npy (what torch makes of it), ours.param and .bin, pnnx.param and .bin. Answers one line of JSON,
for each of the two: {"convert_s", "start_s", "layers": {type: how many}, "failed"}.

convert_s are seconds of processor time, so that other programs on the machine count for nothing, with torch imported
and a net of one layer converted before. Of pnnx's, start_s are those that its program, started for each network, takes
for this one layer. Ours are without the check that runs the files and compares them with torch, which pnnx does not
do; checked_s are with it.
"""

from __future__ import annotations

import collections
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import ncnn_builder as nb
from benchmarks.frontend.networks import NETWORKS, Network

LIMIT = 600
"""Seconds that pnnx may take."""


def seconds() -> float:
    """Of processor time, of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def by_us(module: nn.Module, x: torch.Tensor, out: Path, check: bool = False) -> None:
    nb.convert(module, (x,), out, check=check)


def by_pnnx(module: nn.Module, x: torch.Tensor, out: Path) -> None:
    """Raises RuntimeError where it writes no files. What it leaves unconverted is found when ncnn loads them."""
    import pnnx

    folder = out.with_name("pnnx's")
    folder.mkdir(exist_ok=True)
    torch.jit.trace(module, (x,), check_trace=False).save(folder / "net.pt")
    kind = "f32" if x.dtype.is_floating_point else "i64"
    shape = f"inputshape=[{','.join(map(str, x.shape))}]{kind}"
    done = subprocess.run([pnnx.EXEC_PATH, "net.pt", shape, "fp16=0"], cwd=folder, timeout=LIMIT, capture_output=True)
    for suffix in (".param", ".bin"):
        made = folder / f"net.ncnn{suffix}"
        if done.returncode or not made.exists():
            raise RuntimeError(f"pnnx writes no {made.name}, exit code {done.returncode}")
        shutil.move(made, out.with_name(out.name + suffix))


def taken(convert: Callable[..., None], module: nn.Module, x: torch.Tensor, out: Path) -> float:
    start = seconds()
    convert(module, x, out)
    return seconds() - start


def layers(param: Path) -> dict[str, int]:
    """How many layers of each type."""
    types = [line.split()[0] for line in param.read_text().splitlines()[2:]]
    return dict(sorted(collections.Counter(types).items()))


def prepare(folder: Path, network: Network) -> dict[str, dict[str, Any]]:
    module, x = network.built(), network.input()
    given = x[0].numpy()
    np.save(folder / "x.npy", given.astype(np.int32) if network.words else given)
    np.save(folder / "y.npy", module(x).numpy())
    one = nn.Linear(4, 4).eval()
    found: dict[str, dict[str, Any]] = {}
    for name, convert in (("ours", by_us), ("pnnx", by_pnnx)):
        out = folder / name
        try:
            start = [taken(convert, one, torch.zeros(1, 4), out) for _ in range(2)][-1]
            found[name] = {"start_s": start, "convert_s": taken(convert, module, x, out)}
            found[name]["layers"] = layers(folder / f"{name}.param")
            if convert is by_us:
                found[name]["checked_s"] = taken(lambda m, x, o: by_us(m, x, o, True), module, x, out)
        except (nb.NcnnBuilderError, RuntimeError, subprocess.TimeoutExpired) as error:
            found[name] = {"failed": re.sub(r"\s+", " ", str(error))[:200]}
    return found


def main(folder: str, name: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers.write(json.dumps(prepare(Path(folder), NETWORKS[name])) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
