"""One contender in a process of its own: `python -m benchmarks.worker FOLDER LOADER ARTEFACT THREADS`.

It speaks JSON, a line each: {"load_s"} when the model is loaded; then, for each line of its input, "picture" ->
{"seconds", "processor", "peak_mb"} and "save FILE" -> {}. The end of its input ends it. seconds: by the clock;
processor: of the processor, of all threads together. Loading is reading the file and building the model; importing the
framework before that is not in it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Picture = Callable[[], Any]
"""Makes one picture: an array [C, R, R]."""


def _torch(folder: Path, threads: int, static: bool = False) -> tuple[Any, Any, float]:
    """The synthesis network, its ws, and the seconds that loading took."""
    import torch

    from stylegan.checkpoints import checkpoint

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    spec = json.loads((folder / "spec.json").read_text())
    start = time.perf_counter()
    state = torch.load(folder / "weights.pt", weights_only=True)
    G = checkpoint.build_generator(spec["family"], spec["init_kwargs"], state, "random:0")
    net: Any = lambda ws: G.synthesis(ws, noise_mode="const")
    if static:
        from benchmarks.rewrite import static_form

        net = static_form(G)
    return net, torch.from_numpy(np.load(folder / "ws.npy")), time.perf_counter() - start


def torch_eager(folder: Path, artefact: str, threads: int) -> tuple[Picture, float]:
    net, ws, load = _torch(folder, threads)
    return lambda: net(ws)[0].numpy(), load


def torch_static(folder: Path, artefact: str, threads: int) -> tuple[Picture, float]:
    net, ws, load = _torch(folder, threads, static=True)
    return lambda: net(ws)[0].numpy(), load


def torch_compile(folder: Path, artefact: str, threads: int) -> tuple[Picture, float]:
    """Compiling happens at the first picture, and belongs to loading."""
    import torch

    net, ws, load = _torch(folder, threads)
    start = time.perf_counter()
    compiled = torch.compile(net)
    compiled(ws)
    return lambda: compiled(ws)[0].numpy(), load + time.perf_counter() - start


def onnxruntime(folder: Path, artefact: str, threads: int) -> tuple[Picture, float]:
    import onnxruntime as ort

    ws = np.load(folder / "ws.npy")
    start = time.perf_counter()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(folder / f"{artefact.replace(':', '_')}.onnx", options, ["CPUExecutionProvider"])
    load = time.perf_counter() - start
    return lambda: session.run(["picture"], {"ws": ws})[0][0], load


def openvino(folder: Path, artefact: str, threads: int) -> tuple[Picture, float]:
    import openvino as ov

    ws = np.load(folder / "ws.npy")
    start = time.perf_counter()
    core = ov.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # else bf16 where the processor has it
    }
    model = core.compile_model(folder / f"{artefact.replace(':', '_')}.onnx", "CPU", options)
    request = model.create_infer_request()
    load = time.perf_counter() - start
    return lambda: request.infer([ws])[0][0].copy(), load


def ncnn_wheel(folder: Path, artefact: str, threads: int) -> tuple[Picture, float]:
    import ncnn

    ws = np.load(folder / "ws.npy")[0]
    files = folder / artefact.replace(":", "_")
    start = time.perf_counter()
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    # Pools that live as long as the net: with fresh pages at each picture it is much slower.
    pools = ncnn.PoolAllocator(), ncnn.PoolAllocator()
    net.opt.blob_allocator, net.opt.workspace_allocator = pools
    for code in (net.load_param(str(files / "net.ncnn.param")), net.load_model(str(files / "net.ncnn.bin"))):
        if code:
            raise RuntimeError(f"ncnn cannot load what pnnx wrote: code {code}")
    load = time.perf_counter() - start

    def picture() -> Any:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(ws).clone())
        code, out = extractor.extract("out0")
        if code:
            raise RuntimeError(f"ncnn cannot run what pnnx wrote: code {code}")
        return np.array(out)

    picture.keeps = pools, net  # type: ignore[attr-defined]
    return picture, load


def ours(folder: Path, artefact: str, threads: int) -> tuple[Picture, float]:
    from runtime import Model

    ws = np.load(folder / "ws.npy")[0]
    start = time.perf_counter()
    model = Model(folder / artefact.partition(":")[2], threads=threads)
    load = time.perf_counter() - start
    return lambda: model.synthesis(ws), load


LOADERS = {f.__name__: f for f in (torch_eager, torch_static, torch_compile, onnxruntime, openvino, ncnn_wheel, ours)}


def _die_with_parent() -> None:
    """A worker that is stopped would else outlive a parent that was killed, with all its memory."""
    import ctypes

    PR_SET_PDEATHSIG = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(folder: str, loader: str, artefact: str, threads: str) -> None:
    _die_with_parent()
    # Libraries print to standard output: the answers get a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    picture, load = LOADERS[loader](Path(folder), artefact, int(threads))
    answer(load_s=load)
    result: Any = None
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "save":
            np.save(rest, np.asarray(result, np.float32))
            answer()
            continue
        start, spent = time.perf_counter(), time.process_time()
        result = picture()
        seconds, processor = time.perf_counter() - start, time.process_time() - spent
        answer(seconds=seconds, processor=processor, peak_mb=peak_mb())


def peak_mb() -> float:
    """The most memory that this program had at once. ru_maxrss would count the process that started it as well."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
