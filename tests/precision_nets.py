"""Small nets as files, for int8 and 16-bit numbers: what the tests of the doctor and of the planner share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from net_files import floats, lines_of, net_files

from ncnn_builder.precision.int8 import CALIBRATED, as_int8, can_be_int8
from ncnn_builder.precision.net_files import Blobs, NetFiles, encoded, loaded, ran, read_net_files

TAG = b"\0\0\0\0"


def convolutions(folder: Path, name: str = "net", gain: float = 1.0) -> NetFiles:
    """3x3, depthwise, 1x1, 3x3 with Winograd's sizes, pooling, inner product. gain: of the first weight, taken back by
    the second."""
    rng = np.random.default_rng(5)
    lines = [
        "Input in 0 1 in 0=12 1=12 2=3",
        "Convolution c1 1 1 in b1 0=16 1=3 4=1 5=1 6=432 9=1",
        "ConvolutionDepthWise c2 1 1 b1 b2 0=16 1=3 4=1 5=1 6=144 7=16",
        "Convolution c3 1 1 b2 b3 0=24 1=1 5=1 6=384 9=1",
        "Convolution c4 1 1 b3 b4 0=24 1=3 4=1 5=1 6=5184 9=1",
        "Pooling p 1 1 b4 b5 0=1 4=1",
        "InnerProduct ip 1 1 b5 out 0=10 1=1 2=240",
    ]
    data = b""
    for rows, columns, factor in ((16, 27, gain), (16, 9, 1 / gain), (24, 16, 1), (24, 216, 1), (10, 24, 1)):
        weight = rng.standard_normal((rows, columns)) / columns**0.5
        data += TAG + floats(weight * factor, rng.standard_normal(rows) * 0.1 * (gain if factor == gain else 1))
    return read_net_files(net_files(folder, lines_of(*lines), data, name)[0])


def samples(count: int = 2, seed: int = 1) -> list[Blobs]:
    rng = np.random.default_rng(seed)
    return [{"in": rng.standard_normal((3, 12, 12)).astype(np.float32)} for _ in range(count)]


def all_int8(net: NetFiles, data: list[Blobs]) -> NetFiles:
    """Every layer that can be, with scales by the largest numbers."""
    here = loaded(net, threads=1)
    runs = [{**sample, **ran(net, here, sample, [b for b in net.producers if b not in net.inputs])} for sample in data]
    layers = []
    for layer in net.layers:
        if can_be_int8(layer) is None:
            blob = net.source(layer.inputs[0])
            largest = max(float(np.abs(run[blob]).max()) for run in runs)
            layer = as_int8(layer, 127 / largest if layer.spec.type in CALIBRATED else None)
        layers.append(layer)
    return net.with_layers(layers)


def written(net: NetFiles, folder: Path, name: str) -> NetFiles:
    """The net through files."""
    text, data = encoded(net)
    return read_net_files(net_files(folder, text, data, name)[0])
