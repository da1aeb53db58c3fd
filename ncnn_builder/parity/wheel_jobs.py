"""Run in a process of its own, `python -I wheel_jobs.py`: plain ncnn from PyPI and numpy, nothing of ours.

Each line of its input names a folder, and is answered with the line `done`. The folder holds NUMBER.param, NUMBER.bin
and NUMBER.npz with the inputs as in:NAME (batch:NAME, where the first axis is ncnn's batch) and the names of the
outputs; beside them NUMBER.out.npz is written, and NUMBER.error where ncnn reports one.
"""

import os
import sys
from pathlib import Path
from typing import Any

import ncnn  # type: ignore
import numpy as np


def load(job: Path) -> Any:
    net = ncnn.Net()
    net.opt.num_threads = 2
    net.opt.use_bf16_storage = False
    for half in ("packed", "storage", "arithmetic"):  # on by default
        setattr(net.opt, f"use_fp16_{half}", False)
    if net.load_param(str(job.with_suffix(".param"))) != 0:
        raise RuntimeError("load_param failed")
    if net.load_model(str(job.with_suffix(".bin"))) != 0:
        raise RuntimeError("load_model failed")
    return net


def run(net: Any, job: Path) -> dict[str, Any]:
    data = dict(np.load(job))
    names = [str(n) for n in data.pop("outputs")]
    # What an extractor gives goes with it, and a Mat of an array does not own its memory.
    extractor = net.create_extractor()
    for name, array in data.items():
        kind, _, name = name.partition(":")
        mat = ncnn.Mat(array, batch_index=0) if kind == "batch" else ncnn.Mat(array)
        if extractor.input(name, mat.clone()) != 0:
            raise RuntimeError(f"input({name}) failed")
    results: dict[str, Any] = {}
    # ncnn drops a blob after its last use, so that one is asked for before those that are made of it.
    order = {blob.name: i for i, blob in enumerate(net.blobs())}
    for name in sorted(names, key=lambda name: order.get(name, len(order))):
        code, blob = extractor.extract(name)
        if code != 0:
            raise RuntimeError(f"extract({name}) returned {code}")
        results[name] = (blob.numpy(batch_index=0) if blob.n > 1 else np.array(blob)).copy()
    return results


def run_all(folder: Path) -> None:
    loaded: tuple[Any, Path] = (None, Path())  # the net, and its file: several jobs may have one
    for path in sorted(p for p in folder.glob("*.npz") if not p.name.endswith(".out.npz")):
        try:
            model = path.with_suffix(".param").resolve()
            if loaded[1] != model:
                loaded = (None, Path())
                loaded = (load(path), model)
            np.savez(path.with_suffix(".out.npz"), **run(loaded[0], path))
        except RuntimeError as error:
            path.with_suffix(".error").write_text(str(error))
    ours = sorted(n for n in sys.modules if n.split(".")[0] in ("ncnn_builder", "runtime", "stylegan", "torch"))
    assert not ours, f"not plain ncnn: {ours}"


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what ncnn prints is no answer
    for line in sys.stdin:
        run_all(Path(line.rstrip("\n")))
        print("done", file=answers, flush=True)
