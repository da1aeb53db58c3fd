"""int8 of nets with trained weights: all layers by ncnn's own way beside the planner's choices, on held-out data.

``python -m benchmarks.quantize NET|all [--threads N] [--out DIR]`` prints a table. The source distribution of ncnn has
none of its tools, so their way is done again here (docs/quantize.md: beside the tools of another source): every
Convolution, ConvolutionDepthWise and InnerProduct in int8, activations cut by the Kullback-Leibler rule, weights with
127 steps, 31 for 3x3 convolutions of stride 1, results handed on as int8 where the next one takes it. The budget is
half of what that way loses (6 dB), else all of it.
Times are of the processor, of one thread, all nets in turn: other programs take nothing of them. Weights: docs/real.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import ncnn_builder as nb
from benchmarks.quantize_nets import NETS, Anchor
from ncnn_builder.precision.budget import Budget, Measured
from ncnn_builder.precision.calibrate import thresholds
from ncnn_builder.precision.forms import in_form
from ncnn_builder.precision.int8 import CALIBRATED, STEPS, as_int8, can_be_int8, rows_of, weight_scales, winograd
from ncnn_builder.precision.net_files import Blobs, NetFiles, encoded, loaded, ran, read_net_files
from ncnn_builder.precision.plan import handed_on
from ncnn_builder.precision.quantise import quantize_net, split

SIX_BITS = 31


def by_ncnns_way(net: NetFiles, samples: list[Blobs]) -> NetFiles:
    """All in int8 as ncnn2table (method kl) and ncnn2int8 have it."""
    here = loaded(net, threads=1)
    wanted = sorted({net.source(la.inputs[0]) for la in net.layers if la.spec.type in CALIBRATED} - set(net.inputs))
    runs = [{**s, **ran(net, here, s, wanted)} for s in samples]
    layers = []
    for layer in net.layers:
        if layer.spec.type in CALIBRATED and can_be_int8(layer) is None:
            end = thresholds([run[net.source(layer.inputs[0])] for run in runs], ("kl",))["kl"]
            rows = rows_of(layer, "weight")
            scales = weight_scales(rows, SIX_BITS if winograd(layer) else STEPS)
            layer = as_int8(layer, STEPS / end, scales={"weight": scales})
        layers.append(layer)
    return handed_on(net.with_layers(layers))


@dataclass
class Row:
    name: str
    net: NetFiles
    measured: Measured
    more: str


class Bench:
    """An anchor, and rows of a table about its net in other forms."""

    def __init__(self, anchor: Anchor, threads: int) -> None:
        self.net, self.samples, self.threads, self.anchor = anchor.net, anchor.samples, threads, anchor
        self.seen, self.held = split(anchor.samples)
        self.right = self._run(anchor.net)
        self.rows: list[Row] = []

    def _run(self, net: NetFiles) -> list[Blobs]:
        here = loaded(net, threads=self.threads)
        return [ran(net, here, s) for s in self.held]

    def row(self, name: str, net: NetFiles) -> Measured:
        got = self._run(net)
        m = Budget.parse("psnr=0").measure(got, self.right, self.held)
        more = ""
        if self.anchor.classes:
            (out,) = self.net.outputs
            hits = sum(int(g[out].argmax() == r[out].argmax()) for g, r in zip(got, self.right, strict=True))
            more = f" {hits} of {len(got)} |"
        elif self.anchor.picture:
            (out,) = self.net.outputs
            pictures = [np.stack([levels(run[out]) for run in runs]) for runs in (got, self.right)]
            off = np.abs(pictures[0] - pictures[1])
            noise = float((off**2).mean())
            more = f" {10 * np.log10(255**2 / noise) if noise else np.inf:.1f} dB, {off.max():.0f} levels |"
        self.rows.append(Row(name, net, m, more))
        print(f"{name}: {m.worst.psnr:.1f} dB{more}", file=sys.stderr, flush=True)
        return m

    def planned(self, name: str, **arguments: Any) -> bool:
        """Whether the budget can be kept."""
        try:
            done = quantize_net(self.net.path, self.samples, threads=self.threads, **arguments)
        except nb.BuildError as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            return False
        for file in ("param", "bin"):
            (self.net.path.parent / f"q.{file}").write_bytes(next(v for k, v in done.files.items() if k.endswith(file)))
        counts = {f: list(done.choice.values()).count(f) for f in sorted(set(done.choice.values()))}
        said = ", ".join(f"{n} {form}" for form, n in counts.items())
        self.row(f"{name}: {said}", read_net_files(self.net.path.parent / "q.param"))
        return True

    def table(self, rounds: int = 30) -> str:
        """All rows, with the time of each beside the first."""
        here = [loaded(row.net, threads=self.threads) for row in self.rows]
        times: list[list[float]] = [[] for _ in here]
        for turn in range(rounds + 2):
            for net, own in list(zip(here, times, strict=True))[:: 1 if turn % 2 else -1]:
                start = process_time() if self.threads == 1 else perf_counter()
                net.run(self.held[0])
                own.append((process_time() if self.threads == 1 else perf_counter()) - start)
        seconds = [median(own[2:]) for own in times]
        sizes = [sum(map(len, encoded(row.net))) for row in self.rows]
        more = " same class |" if self.anchor.classes else " of the picture |" if self.anchor.picture else ""
        heads = f"| net | PSNR | largest difference | cosine |{more} time | size |"
        lines = [heads, "|---" * (heads.count("|") - 1) + "|"]
        for row, second, size in zip(self.rows, seconds, sizes, strict=True):
            e = row.measured.worst
            time = f"{1e3 * second:.3g} ms, {second / seconds[0]:.2f}x"
            file = f"{size / 1e6:.3g} MB, {100 * size / sizes[0]:.0f} %"
            lines.append(f"| {row.name} | {e.psnr:.1f} | {e.max:.3g} | {e.cosine:.5f} |{row.more} {time} | {file} |")
        return "\n".join(lines)


def levels(output: Any) -> Any:
    """A picture of 0 to 255, as runtime.Model makes it."""
    return np.floor(np.clip(output.astype(np.float64) * 127.5 + 128, 0, 255))


def measured(name: str, arguments: argparse.Namespace) -> str:
    """The table of a net."""
    anchor = NETS[name](arguments.out)
    anchor = anchor._replace(samples=anchor.samples[: arguments.samples])
    bench = Bench(anchor, arguments.threads)
    bench.row("fp32", anchor.net)
    bench.row("fp16 weights", anchor.net.with_layers([in_form(la, "fp16") for la in anchor.net.layers]))
    theirs = bench.row("all int8, ncnn's way", by_ncnns_way(anchor.net, bench.seen)).worst.psnr
    bench.planned("all int8, ours", budget="psnr=1", aim="size", forms=("int8",))
    theirs = theirs if np.isfinite(theirs) else 40.0  # ncnn has no int8 form of any layer
    for aim in arguments.aims.split():
        for budget in (f"psnr={theirs + 6.1:.1f}", f"psnr={theirs:.1f}"):
            if bench.planned(f"{budget}, {aim}", budget=budget, aim=aim):
                break  # what keeps half of their error keeps the whole
        for budget in arguments.budgets.split():
            bench.planned(f"{budget}, {aim}", budget=budget, aim=aim)
    return bench.table()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantize", description=__doc__)
    parser.add_argument("net", choices=[*sorted(NETS), "all"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("quantize_bench"))
    parser.add_argument("--samples", type=int, default=20, help="every fourth is held out")
    parser.add_argument("--budgets", default="", help="more than the two, such as psnr=40 psnr=44")
    parser.add_argument("--aims", default="time")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in sorted(NETS) if arguments.net == "all" else [arguments.net]:
        begin = perf_counter()
        print(f"{name}, {arguments.samples} samples\n\n{measured(name, arguments)}\n", flush=True)
        print(f"{name}: {perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
