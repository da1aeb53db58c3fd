"""Captured synthesis networks against their export_ncnn(): `python -m benchmarks.captured --cfg NAME ...`.

Both are compiled for one target and take turns in one process, a picture each; a time is that of the processor, all
threads together, so that other work on the machine counts little. The last column is how far the pictures are apart, of
the largest magnitude.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ncnn_builder as nb
from benchmarks.compare import Parser, positive
from benchmarks.report import as_json, write_json
from ncnn_builder.parity.runner import loaded
from runtime import Net
from stylegan.checkpoints.checkpoint import build_generator, random_state
from stylegan.errors import ConfigError
from stylegan.export import synthesis_graph
from stylegan.networks.configs import get_config


def graphs(G: Any) -> dict[str, tuple[nb.Graph, dict[str, np.ndarray]]]:
    """Name -> the graph, and its inputs for a picture of one and the same w."""
    w = np.random.RandomState(458).randn(G.w_dim).astype(np.float32)
    ws = np.repeat(w[None], G.num_ws, axis=0)
    arguments = {"noise_mode": "const"} if G.family == "v2ada" else None
    captured = nb.capture(G.synthesis, torch.from_numpy(ws[None]), arguments, forward_only=True)
    mixing = np.zeros(G.num_ws, np.float32)
    return {
        "written": (synthesis_graph(G), {"ws0": ws, "ws1": ws, "mixing": mixing}),
        "captured": (captured, {"in0": ws}),
    }


def measure(G: Any, target: str, threads: int, rounds: int) -> dict[str, Any]:
    """Seconds of each turn, layers and megabytes of both nets, and the difference of their pictures."""
    found: dict[str, Any] = {"seconds": {}, "layers": {}, "megabytes": {}}
    nets, pictures = {}, {}
    for name, (graph, inputs) in graphs(G).items():
        model = nb.compile_graph(graph, target)
        found["layers"][name], found["megabytes"][name] = model.layers, len(model.bin) / 1e6
        nets[name] = loaded(model, Net, threads=threads), inputs, list(model.outputs)
        found["seconds"][name] = []
    for i in range(rounds + 1):
        for name, (net, inputs, outputs) in nets.items():
            start = time.process_time()
            pictures[name] = net.run(inputs, outputs)[outputs[0]]
            if i:  # the first warms up
                found["seconds"][name].append(time.process_time() - start)
    apart = np.abs(pictures["captured"] - pictures["written"]).max()
    found["difference"] = float(apart / np.abs(pictures["written"]).max())
    return found


def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python -m benchmarks.captured", description="A captured forward() against export_ncnn().")
    p.add_argument("--cfg", nargs="+", default=["v2ada_512_afhqcat"], metavar="NAME")
    p.add_argument("--target", choices=sorted(nb.TARGETS), default="fused", help="default fused")
    p.add_argument("--threads", type=positive, default=1, help="default 1")
    p.add_argument("--rounds", type=positive, default=5, help="pictures of each (default 5)")
    p.add_argument("--json", type=Path, metavar="FILE", help="the result as JSON too")
    options = p.parse_args(argv)
    torch.set_num_threads(options.threads)
    print("processor seconds    layers  written   layers  captured   ratio  difference")
    results = {}
    for name in options.cfg:
        try:
            config = get_config(name)
        except ConfigError as error:
            p.error(str(error))
        kwargs = config.init_kwargs
        G = build_generator(config.family, kwargs, random_state(config.family, kwargs, seed=0), name).eval()
        found = results[name] = measure(G, options.target, options.threads, options.rounds)
        taken = {kind: statistics.median(seconds) for kind, seconds in found["seconds"].items()}
        found["ratio"] = taken["captured"] / taken["written"]
        print(
            f"{name:<20} {found['layers']['written']:>6} {taken['written']:>7.3f}s {found['layers']['captured']:>8} "
            f"{taken['captured']:>8.3f}s {found['ratio']:>6.3f}x {found['difference']:>10.1e}",
            flush=True,
        )
    if options.json is not None:
        said = {"captured": results, "target": options.target, "threads": options.threads, "rounds": options.rounds}
        write_json(as_json(said, []), options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
