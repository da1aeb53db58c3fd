"""Side by side: `python -m benchmarks [--cfg v2ada_512_afhqcat] [--runs 5]`.

Each contender runs in a process of its own (torch and ncnn each bring an OpenMP, and in one process their threads
fight), in turn, on the same latent. The table gives medians as ratios to torch eager, peak memory and error.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import ncnn_builder as nb
from stylegan.configs import CONFIGS, get_config

# glibc gives freed memory back to the system, and torch then pays for fresh pages at every layer.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9000000000"}


def contenders() -> dict[str, tuple[list[str], dict[str, str]]]:
    """Name -> (arguments of benchmarks.contender, environment)."""
    table = {"torch eager": (["torch"], {}), "torch eager, C library keeps memory": (["torch"], KEEP_MEMORY)}
    return table | {f"ncnn {target}": ([target], {}) for target in sorted(nb.TARGETS)}


def measure(
    arguments: list[str], environment: dict[str, str], folder: Path, args: argparse.Namespace
) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.contender", *arguments, str(folder), args.cfg]
    command += [str(args.runs), str(args.threads)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time synthesis against peers.")
    parser.add_argument("--cfg", default="v2ada_512_afhqcat", choices=list(CONFIGS), metavar="NAME")
    parser.add_argument("--runs", type=int, default=5, help="pictures timed, after one warm-up (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    args = parser.parse_args()
    get_config(args.cfg)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (arguments, environment) in contenders().items():
            results[name] = measure(arguments, environment, Path(folder), args)
        pictures = {name: np.load(r["picture"]) for name, r in results.items()}
    first = "torch eager"
    scale = np.abs(pictures[first]).max()
    print(f"{args.cfg}, {args.threads} threads, median of {args.runs} pictures after one warm-up\n")
    print("| what | s/picture | speed, torch eager = 1 | peak MB | load s | max error |")
    print("|---|---|---|---|---|---|")
    base = statistics.median(results[first]["seconds"])
    for name, r in results.items():
        median = statistics.median(r["seconds"])
        error = np.abs(pictures[name] - pictures[first]).max() / scale
        print(f"| {name} | {median:.2f} | {base / median:.2f} | {r['peak_mb']:.0f} | {r['load']:.2f} | {error:.0e} |")


if __name__ == "__main__":
    main()
