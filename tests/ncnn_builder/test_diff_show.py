"""Comparing nets, and what they cost: figures by hand and by torch's own counter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from net_files import binary_param, lines_of, mixed, net_files
from network_support import golden_generator
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import ncnn_builder as nb
from ncnn_builder.tools.cli import main
from ncnn_builder.tools.cost import by_module, cost
from ncnn_builder.tools.diff import diff
from ncnn_builder.tools.net import Net, read_net
from ncnn_builder.tools.show import count, memory
from stylegan.export import synthesis_graph


def compiled(folder: Path, g: nb.Graph, target: str = "reference", name: str = "net", weights: str = "fp32") -> Net:
    model = nb.compile_graph(g, target, weights=weights)
    return read_net(*net_files(folder, model.param, model.bin, name))


# -- diff -------------------------------------------------------------------------------------------------------------


def test_a_net_equals_itself(tmp_path: Path) -> None:
    a, b = compiled(tmp_path, mixed(), name="a"), compiled(tmp_path, mixed(), name="b")
    found = diff(a, b)
    assert not found and found.equal == 4


def test_other_names_make_no_difference_but_are_told(tmp_path: Path) -> None:
    model = nb.compile_graph(mixed())
    a = read_net(*net_files(tmp_path, model.param, model.bin, "a"))
    b = read_net(*net_files(tmp_path, binary_param(model.param), model.bin, "b"))
    found = diff(a, b)
    assert not found and found.equal == 4


def test_a_weight_that_differs(tmp_path: Path) -> None:
    model = nb.compile_graph(mixed())
    data = bytearray(model.bin)
    values = np.frombuffer(data, "<f4", 4 * 4 * 9, 4)  # behind the tag of the first weight
    largest = float(np.abs(values).max())
    values[5] += 0.25
    a = read_net(*net_files(tmp_path, model.param, model.bin, "a"))
    b = read_net(*net_files(tmp_path, model.param, bytes(data), "b"))
    (difference,) = diff(a, b).weights
    assert (difference.layer, difference.weight, difference.numbers) == ("Shell_1", "weight", 1)
    assert difference.absolute == pytest.approx(0.25, rel=1e-5)
    assert difference.relative == pytest.approx(0.25 / largest, rel=1e-5)
    assert diff(a, b, tolerance=0.3).weights == []


def test_a_parameter_a_wire_and_a_layer_that_differ(tmp_path: Path) -> None:
    x, v = "Input x 0 1 x 0=4", "Input v 0 1 v 0=4"
    a = lines_of(x, v, "ReLU r 1 1 x y 0=0.1", "BinaryOp b 2 1 y v z 0=1")
    cases = {
        a.replace("0=0.1", "0=0.2"): ["ReLU r: slope is 0.1, then 0.2"],
        a.replace("2 1 y v", "2 1 v y"): [
            "BinaryOp b: input 0 comes from output 0 of ReLU r, then from output 0 of Input v",
            "BinaryOp b: input 1 comes from output 0 of Input v, then from output 0 of ReLU r",
        ],
        lines_of(x, v, "BinaryOp b 2 1 x v z 0=1"): [
            "only in {a}: ReLU r",
            "BinaryOp b: input 0 comes from output 0 of ReLU r, then from output 0 of Input x",
        ],
        lines_of(x, "Split s 1 2 x x0 x1", v, "ReLU r 1 1 x0 y 0=0.1", "BinaryOp b 2 1 y v z 0=1"): [],
        a.replace("ReLU r", "ReLU renamed"): [],
        a.replace("0=0.1", "0=0.1 31=2"): ["ReLU r: feature mask is 0, then 2"],
    }
    first = read_net(net_files(tmp_path, a, name="a")[0])
    for text, want in cases.items():
        found = diff(first, read_net(net_files(tmp_path, text, name="b")[0]))
        assert found.structure == [w.format(a=first.path) for w in want]


def test_the_form_of_a_weight(tmp_path: Path) -> None:
    g = synthesis_graph(golden_generator("v2ada_orig_32"))
    a, b = (compiled(tmp_path, g, "stock", name=w, weights=w) for w in nb.STORAGES)
    found = diff(a, b)
    assert any("is stored as fp32, then as fp16" in line for line in found.structure) and found.weights
    assert not diff(a, b, tolerance=1e-3)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nb.compile_graph(mixed())
    a, _ = net_files(tmp_path, model.param, model.bin, "a")
    b, data = net_files(tmp_path, model.param, model.bin, "b")
    assert main(["diff", str(a), str(b)]) == 0
    assert capsys.readouterr().out == "0 differences of structure, 0 of weights; 4 weights equal\n"
    changed = bytearray(model.bin)
    changed[-2] ^= 1
    data.write_bytes(changed)
    assert main(["diff", str(a), str(b)]) == 1 and "numbers differ by" in capsys.readouterr().out
    assert main(["diff", str(a), str(b), "--no-weights"]) == 0
    assert "weights not compared" in capsys.readouterr().out
    assert main(["diff", str(a), str(b), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["equal_weights"] == 3 and said["weights"][0]["numbers"] == 1
    assert all(i == j for i, j in said["pairs"]) and [
        len(said["changed"]),
        said["changed"][0] < len(said["pairs"]),
    ] == [1, True]
    data.write_bytes(model.bin[:-4])
    assert main(["diff", str(a), str(b)]) == 2 and "do not belong together" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["diff", str(a), str(b), "--tolerance", "-1"])


# -- show -------------------------------------------------------------------------------------------------------------


def test_figures_by_hand(tmp_path: Path) -> None:
    g = nb.Graph("hand")
    x = g.input("x", (3, 8, 10))
    with g.scope("body"):
        y = nb.conv2d(g, x, nn.Conv2d(3, 5, 3, padding=1))
        y = nb.activation(g, y, "relu")
    with g.scope("head"):
        z = nb.fully_connected(g, nb.reshape(g, y, (1, -1)), torch.randn(7, 400), bias=torch.randn(7))
    g.output("y", nb.binaryOp(g, [z, z], "Mul"))
    found = cost(compiled(tmp_path, g, "stock"))
    rows = {c.type: c for c in found.layers}
    assert rows["Convolution"].macs == 5 * 8 * 10 * 3 * 9 and rows["Convolution"].parameters == 5 * 27 + 5
    assert rows["InnerProduct"].macs == 7 * 400 and rows["InnerProduct"].parameters == 7 * 400 + 7
    assert rows["BinaryOp"].macs == rows["Split"].macs == rows["Split"].blob_bytes == 0
    assert rows["Convolution"].weight_bytes == 4 * (5 * 27 + 5) and rows["Convolution"].blob_bytes == 4 * 400
    assert found.macs == 400 * 27 + 2800 and found.parameters == 140 + 2807 and found.unknown == 0
    # x and the convolution's result, which are alive together; Splits hold nothing of their own
    assert found.peak_bytes == max(4 * (240 + 400), 2 * 4 * 400)
    modules = by_module(found.layers)
    assert sum(c.macs or 0 for c in modules["body"]) == 400 * 27 and sum(c.macs or 0 for c in modules["head"]) == 2800


NETS = {
    "conv": (nn.Conv2d(6, 4, (3, 2), stride=2, padding=1), (6, 9, 8)),
    "groups": (nn.Conv2d(6, 12, 3, groups=3), (6, 9, 8)),
    "depthwise": (nn.Conv2d(6, 6, 3, groups=6, padding=1), (6, 9, 8)),
}


@pytest.mark.parametrize("name", NETS)
def test_products_as_torch_counts_them(name: str, tmp_path: Path) -> None:
    module, shape = NETS[name]
    g = nb.Graph("net")
    g.output("y", nb.conv2d(g, g.input("x", shape), module))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.randn(1, *shape))
    assert 2 * cost(compiled(tmp_path, g)).macs == counter.get_total_flops()


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_transposed_and_matrix_products_as_torch_counts_them(target: str, tmp_path: Path) -> None:
    w, m = torch.randn(5, 4, 3, 3), torch.randn(6, 60)
    g = nb.Graph("net")
    y = nb.conv_transpose2d(g, [g.input("x", (5, 2, 3)), *nb.shell(g, [], w)], w.shape, stride=2, padding=1)
    y = nb.Fmatmul(g, [*nb.reshape(g, y, (1, -1)), *nb.shell(g, [], m[:, :, None, None])], m.shape)
    g.output("y", y)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        z = torch.nn.functional.conv_transpose2d(torch.randn(1, 5, 2, 3), w, stride=2, padding=1)
        z.reshape(1, -1) @ m.T
    assert 2 * cost(compiled(tmp_path, g, target)).macs == counter.get_total_flops()


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_a_whole_network_has_the_parameters_that_torch_says(target: str, tmp_path: Path) -> None:
    """Of the fused form: every convolution has its parameters once, and so has every affine layer."""
    G = golden_generator("v2ada_skip_64")
    found = cost(read_net(*_files(tmp_path, synthesis_graph(G), target), {"ws0": (64,), "ws1": (64,)}))
    assert found.unknown == 0 and found.peak_bytes is not None and found.weight_bytes == 4 * found.parameters
    convs = {c.name: c for c in found.layers if c.type == "ModulatedConv2d"}
    if target == "fused":
        assert sum(".conv" in name for name in convs) == 9
        block = G.synthesis.b16.conv1
        (layer,) = (c for c in convs.values() if c.module == "synthesis.b16.conv1")
        o, i = block.weight.shape[:2]
        assert layer.macs == o * i * 9 * 16 * 16 + o * i
        assert layer.parameters == block.weight.numel() + block.bias.numel() + 16 * 16


def _files(folder: Path, g: nb.Graph, target: str) -> tuple[Path, Path]:
    model = nb.compile_graph(g, target)
    return net_files(folder, model.param, model.bin)


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines_of("Input x 0 1 x 0=10 1=8 2=3", "Convolution body.c/conv 1 1 x y 0=5 1=1 6=15", "ReLU r 1 1 y z")
    param, _ = net_files(tmp_path, text)
    assert main(["show", str(param)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["type", "name", "output", "MACs", "parameters", "weights", "blobs"]
    assert out[2].split() == ["Convolution", "body.c/conv", "5x8x10", "1.2", "k", "15", "1.56", "KiB"]
    assert "MACs        1.2 k (1200)" in out and "parameters  15 (15)" in out
    assert main(["show", str(param), "--by-module"]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:3]]
    assert rows == [["-", "2"], ["body.c", "1"]]
    assert main(["show", str(param), "--depth", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[:2] == ["body", "1"]
    assert main(["show", str(param), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["macs"] == 1200 and said["layers"][1]["outputs"] == [[5, 8, 10]] and said["weight_bytes"] is None
    layer = said["layers"][1]
    assert layer["reads"] == said["layers"][0]["writes"] and "num_output=5" in layer["said"]


def test_what_is_not_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    param, _ = net_files(tmp_path, lines_of("Input x 0 1 x", "Convolution c 1 1 x y 0=5 1=1 6=15", "Their t 1 1 y z"))
    assert main(["show", str(param)]) == 0
    out = capsys.readouterr().out
    assert "at least 0 (0)" in out and "3 layers of unknown cost" in out and "peak unknown" in out
    assert main(["show", str(param), "--shape", "x=3,8,10"]) == 0
    out = capsys.readouterr().out
    assert "at least 1.2 k (1200)" in out and "1 layers of unknown cost" in out
    assert main(["show", str(param), "--shape", "x=4,8,10"]) == 0
    assert "note: Convolution c does not fit its inputs" in capsys.readouterr().err


def test_units() -> None:
    assert [count(n) for n in (None, 0, 7, 999, 1000, 1234567, 61_000_000_000)] == [
        *("?", "", "7", "999", "1 k", "1.23 M", "61 G")
    ]
    assert [memory(n) for n in (None, 0, 1023, 1536, 3 << 20)] == ["?", "0 B", "1023 B", "1.50 KiB", "3.00 MiB"]


def test_a_bundle_knows_the_shapes_of_its_open_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from stylegan.export import export_generator

    export_generator(golden_generator("v2ada_skip_64"), tmp_path / "m", seeds=[])
    assert main(["show", str(tmp_path / "m_synthesis.param"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    text = json.dumps(found)
    assert main(["show", str(tmp_path / "m_synthesis.param")]) == 0
    assert "?" not in capsys.readouterr().out
    for other in ({"format": "another"}, [], {"format": "ncnn-builder-bundle", "graphs": 3}):
        (tmp_path / "m.json").write_text(json.dumps(other))
        assert main(["show", str(tmp_path / "m_synthesis.param")]) == 0
        assert "unknown cost: say the shapes of open inputs with --shape" in capsys.readouterr().out
    # Said by hand they are the same.
    w_dim = golden_generator("v2ada_skip_64").w_dim
    shapes = [f"--shape=ws{i}={w_dim}" for i in (0, 1)]
    assert main(["show", str(tmp_path / "m_synthesis.param"), "--json", *shapes]) == 0
    assert json.dumps(json.loads(capsys.readouterr().out)) == text
