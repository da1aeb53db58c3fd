"""One contender in its own process: prints one line of JSON. Called by `python -m benchmarks`."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 458


def torch_eager(config: Any, folder: Path, threads: int) -> tuple[Callable[[], Any], float]:
    import torch

    from stylegan import checkpoint
    from stylegan.seeds import latent

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    state = checkpoint.random_state(config.family, config.init_kwargs)
    start = time.perf_counter()
    G = checkpoint.build_generator(config.family, config.init_kwargs, state, "random:0")
    load = time.perf_counter() - start
    ws = G.mapping(torch.from_numpy(latent(SEED, G.z_dim))[None])
    return lambda: G.synthesis(ws, noise_mode="const")[0].numpy(), load


def ncnn_target(target: str, config: Any, folder: Path, threads: int) -> tuple[Callable[[], Any], float]:
    import subprocess

    from runtime import Model
    from stylegan.seeds import latent

    out = folder / target  # exported by another process: no torch in this one
    command = [sys.executable, "-m", "stylegan.export", "--cfg", config.name, "--out", str(out), "--ckpt", "random:0"]
    command += ["--target", target, "--seeds", str(SEED), "--seeds-dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the weights are random, and meant to be
        model = Model(out, threads=threads)
    load = time.perf_counter() - start
    w = model.mapping(latent(SEED, 512))
    return lambda: model.synthesis(w), load


def main(what: str, folder: str, cfg: str, runs: str, threads: str) -> None:
    from stylegan.configs import get_config

    arguments = (get_config(cfg), Path(folder), int(threads))
    picture, load = torch_eager(*arguments) if what == "torch" else ncnn_target(what, *arguments)
    result = picture()
    seconds = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        picture()
        seconds.append(time.perf_counter() - start)
    path = Path(folder, f"{what}.npy")
    np.save(path, result)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "load": load, "peak_mb": peak, "picture": str(path)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
