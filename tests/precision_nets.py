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


def as_onnx(net: NetFiles, path: Path) -> Path:
    """What convolutions() is, as ONNX, with names of its own and activations apart. Needs the extra [onnx]."""
    from onnx import TensorProto, helper, numpy_helper, save

    nodes, weights, x = [], [], "x"
    for layer, shape in zip(
        [la for la in net.layers if la.weights],
        ((16, 3, 3, 3), (16, 1, 3, 3), (24, 16, 1, 1), (24, 24, 3, 3), (10, 24)),
        strict=True,
    ):
        names = [f"{layer.name}.weight", f"{layer.name}.bias"]
        arrays = (layer.weights["weight"].reshape(shape), layer.weights["bias"])
        weights += [numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)]
        if layer.name == "ip":
            nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"]))
            nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
            nodes.append(helper.make_node("Gemm", ["flat", *names], ["y"], name="head", transB=1))
            continue
        size = shape[2]
        pads, group = [size // 2] * 4, layer.params.get("group", 1)
        x, before = f"{layer.name}.out", x
        nodes.append(helper.make_node("Conv", [before, *names], [x], name=layer.name, pads=pads, group=group))
        if layer.params["activation_type"]:
            nodes.append(helper.make_node("Relu", [x], [f"{x}.relu"]))
            x += ".relu"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", (1, 3, 12, 12)), ("y", (1, 10)))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
