"""The benchmark of int8: ncnn's own way is what its tools do, and rows are measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from precision_nets import convolutions, samples

from benchmarks.quantize import Bench, by_ncnns_way
from benchmarks.quantize_nets import Anchor


def test_rows(tmp_path: Path) -> None:
    net = convolutions(tmp_path)
    bench = Bench(Anchor(net, samples(8), classes=True), 1)
    assert bench.row("fp32", net).worst.max == 0
    made = by_ncnns_way(net, bench.seen)
    steps = {la.name: int(np.abs(la.weights["weight"]).max()) for la in made.layers if "weight" in la.weights}
    assert steps == {"c1": 31, "c2": 127, "c3": 127, "c4": 31, "ip": 127}
    theirs = bench.row("ncnn", made).worst.psnr
    bench.planned("ours", budget="psnr=1", aim="size", forms=("int8",), device=tmp_path / "d.json")
    text = bench.table(rounds=1)
    assert 20 < theirs < 60 and "| ours: 5 int8 |" in text and text.count(" of 2 |") == 3 and "| fp32 | inf |" in text
