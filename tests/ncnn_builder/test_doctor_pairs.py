"""The doctor of two nets as files, or of one with options: planted faults are found, named and cured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from net_files import floats, lines_of, net_files
from precision_nets import TAG, all_int8, as_onnx, convolutions, samples, written

import runtime
from ncnn_builder.__main__ import main
from ncnn_builder.doctor.options import Options
from ncnn_builder.emit.layers import Layer
from ncnn_builder.precision.int8 import as_int8, weight_scales
from ncnn_builder.precision.net_files import NetFiles, read_net_files
from ncnn_builder.precision.pair import PairDiagnosis, examine

Change = Callable[[Layer], None]


def changed(net: NetFiles, name: str, change: Change) -> NetFiles:
    """The net with one layer changed; its arrays are copies that may be written."""
    layers = []
    for layer in net.layers:
        if layer.name == name:
            weights = {k: np.array(w) for k, w in layer.weights.items()}
            layer = replace(layer, params=dict(layer.params), weights=weights)
            change(layer)
        layers.append(layer)
    return net.with_layers(layers)


def times(weight: str, factor: float, at: Any = ...) -> Change:
    def change(layer: Layer) -> None:
        layer.weights[weight][at] *= factor

    return change


def loud(layer: Layer) -> None:
    """Channel 3 is two hundred times as large as the others."""
    layer.weights["weight"] = layer.weights["weight"].reshape(16, -1)
    layer.weights["weight"][3] *= 200


def one_scale(net: NetFiles) -> NetFiles:
    """The depthwise layer in int8 with one scale for all channels."""
    (layer,) = (la for la in net.layers if la.name == "c2")
    (least,) = weight_scales(layer.weights["weight"].reshape(1, -1))
    made = as_int8(layer, 20.0, scales={"weight": np.full(16, least, np.float32)})
    return net.with_layers([made if la is layer else la for la in net.layers])


FILES: dict[str, tuple[str, str, Change]] = {
    # fault: the layer, the kind that has to be named, and how it is planted into the int8 net
    "a dead channel": ("c1", "dead-channel", lambda la: la.weights["weight"].reshape(16, -1)[7].fill(0)),
    "a wrong scale of weights": ("c3", "weight-scale", times("weight_scales", 0.4, 5)),
    "a wrong scale of activations": ("c3", "input-scale", times("input_scale", 50)),
    "a clipped calibration": ("c1", "clipped", times("input_scale", 2.2)),
    "a calibration on too wide a range": ("c3", "coarse", times("input_scale", 1 / 40)),
    "a lost activation": ("c1", "parameter", lambda la: la.params.update(activation_type=0)),
    "a wrong bias": ("ip", "weight", times("bias", 40, 2)),
}


def verdict(d: PairDiagnosis) -> tuple[str, str]:
    return d.culprit.name if d.culprit else "", d.causes[0].kind if d.causes else ""


def test_planted_faults_are_named(tmp_path: Path) -> None:
    data = samples()
    plain = convolutions(tmp_path)
    good = all_int8(plain, data)
    sound = examine(plain, written(good, tmp_path, "good"), data, price=False)
    assert sound.equal and sound.culprit is None and 1e-4 < sound.outputs.relative < 0.03  # int8, and no fault
    found: dict[str, tuple[str, str]] = {}
    meant: dict[str, tuple[str, str]] = {}
    for fault, (name, kind, plant) in FILES.items():
        bad = written(changed(good, name, plant), tmp_path, "bad")
        d = examine(plain, bad, data, tolerance=0.03, price=False)
        found[fault], meant[fault] = verdict(d), (name, kind)
        assert d.cure is not None and (d.cure.what, d.cure.layers) == ("replace", (name,)), (fault, d.cure)
        assert d.cure.error.relative <= 0.03
    outlier = changed(plain, "c2", loud)
    d = examine(outlier, written(one_scale(outlier), tmp_path, "outlier"), data, tolerance=1e-3, price=False)
    found["an outlier channel"], meant["an outlier channel"] = verdict(d), ("c2", "outlier-channel")
    for fault, gain, kind in (("overflow", 3e5, "overflow"), ("denormals", 1e-7, "denormal")):
        net = convolutions(tmp_path, fault, gain)
        d = examine(net, net, data, Options.parse("fp16"), tolerance=5e-3, price=False)
        found[fault], meant[fault] = verdict(d), ("c1", kind)
        assert d.cure is not None and d.cure.what == "mask" and {"c1", "c2"} >= set(d.cure.layers), (fault, d.cure)
        assert d.here is not None and d.here.relative < 5e-3  # x86 does not show it
    sums = [
        "Input in 0 1 in 0=12 1=12 2=3",
        "BinaryOp up 1 1 in a 0=0 1=1 2=1.0e3",
        "BinaryOp down 1 1 a out 0=1 1=1 2=1.0e3",
    ]
    net = read_net_files(net_files(tmp_path, lines_of(*sums), name="sums")[0])
    d = examine(net, net, data, Options.parse("bf16"), price=False)
    found["cancellation"], meant["cancellation"] = verdict(d), ("down", "cancellation")
    assert found == meant and len(found) >= 10


def test_winograd_of_int8_that_overflows(tmp_path: Path) -> None:
    """A sum of 2**31 / 576 or more is wrong by Winograd's transform; our own scales keep below it."""
    lines = ["Input in 0 1 in 0=12 1=12 2=32", "Convolution c 1 1 in out 0=16 1=3 4=1 6=4608"]
    net = read_net_files(net_files(tmp_path, lines_of(*lines), TAG + floats(np.ones(4608)))[0])
    data = [{"in": np.ones((32, 12, 12), np.float32)}]
    for scales, right in ((None, True), ({"weight": np.full(16, 127, np.float32)}, False)):
        bad = net.with_layers([net.layers[0], as_int8(net.layers[1], 127.0, scales=scales)])
        d = examine(net, bad, data, price=False)
        assert d.equal == right and verdict(d) == (("", "") if right else ("c", "winograd-overflow")), d
        assert examine(net, bad, data, Options(winograd=False), price=False).equal


def test_the_command(tmp_path: Path, capsys: Any) -> None:
    data = samples(3)
    plain = convolutions(tmp_path)
    bad = changed(all_int8(plain, data), "c3", times("input_scale", 1 / 40))
    written(bad, tmp_path, "bad")
    np.savez(tmp_path / "x.npz", **{"in": np.stack([s["in"] for s in data])})
    np.savez(tmp_path / "other.npz", **{"in": np.zeros((4, 12, 12), np.float32)})
    net, other, x = str(plain.path), str(tmp_path / "bad.param"), str(tmp_path / "x.npz")
    assert main(["doctor", net, net, "--data", x]) == 0
    assert "equal: the outputs need 0.0e+00 of 1e-04" in capsys.readouterr().out
    assert main(["doctor", net, other, "--data", x, "--tolerance", "0.03"]) == 1
    text = capsys.readouterr().out
    assert "first:  Convolution c3" in text and "[coarse]" in text and "cure:   the first net's c3" in text
    assert main(["doctor", net, "--options", "fp16", "--data", x, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][0]["name"] == "c1"
    for arguments, said in (
        ([net, "--data", x], "nothing to compare it with"),
        ([net, other], "no data"),
        ([net, other, "--data", str(tmp_path / "other.npz")], "another shape; expected [3, 12, 12]; got [4, 12, 12]"),
        ([net, other, "--data", str(tmp_path)], "another shape"),
        ([net, str(tmp_path / "none.param"), "--data", x], "none.param"),
        ([net, other, "--data", x, "--model", "a:b"], "for modules"),
        ([net, other, "--data", x, "--against", "onnx:a"], "too many nets"),
        ([net, "--data", x, "--against", "a.onnx"], "unknown kind of net"),
        (["--against", "onnx:a"], "--against is for nets as files"),
        *(
            ()
            if runtime._ncnn.has_vulkan
            else (([net, "--data", x, "--options", "vulkan"], "ncnn was built without Vulkan"),)
        ),
        ([], "nothing to examine"),
    ):
        assert main(["doctor", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and "Traceback" not in error, error


def test_the_page(tmp_path: Path, capsys: Any) -> None:
    data = samples(2)
    plain = convolutions(tmp_path)
    np.savez(tmp_path / "x.npz", **{"in": np.stack([s["in"] for s in data])})
    written(changed(all_int8(plain, data), "c3", times("input_scale", np.inf)), tmp_path, "bad")
    files = [str(plain.path), str(tmp_path / "bad.param"), "--data", str(tmp_path / "x.npz")]
    assert main(["doctor", *files, "--html", str(tmp_path / "d.html")]) == 1
    assert "written to" in capsys.readouterr().out
    page = (tmp_path / "d.html").read_text()
    assert page.count("<circle") >= 12 and "[input-scale]" in page and "http" not in page and "<script" not in page
    assert page.count("<tr>") + page.count("<tr ") == 4 + 1 + 6
    assert main(["doctor", *files, "--html", str(tmp_path / "x.npz" / "d.html")]) == 2


def test_against_onnx(tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
    pytest.importorskip("onnx", reason="the extra [onnx] is not installed")
    data = samples(2)
    plain = convolutions(tmp_path)
    right = as_onnx(plain, tmp_path / "net.onnx")
    np.savez(tmp_path / "x.npz", **{"in": np.stack([s["in"] for s in data])})
    common = ["--data", str(tmp_path / "x.npz"), "--against", f"onnx:{right}"]
    assert main(["doctor", str(plain.path), *common, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [la["name"] for la in found["layers"]] == ["c1", "c2", "c3", "c4", "p", "ip"] and not found["unmatched"]
    assert all(la["alone"]["relative"] < 1e-5 for la in found["layers"])
    for name, change, where, said in (
        ("c2", times("weight", 1.5, slice(9, 18)), "c2", "other numbers than ONNX by Conv c2 [other-layer]"),
        # what c4 makes without its activation is a tensor too
        ("c4", lambda la: la.params.update(activation_type=0), "p", "ONNX by Relu, GlobalAveragePool pooled ["),
    ):
        written(changed(plain, name, change), tmp_path, "bad")
        assert main(["doctor", str(tmp_path / "bad.param"), *common]) == 1
        text = capsys.readouterr().out
        assert f" {where}, alone" in text and said in text, text
    written(changed(all_int8(plain, data), "c3", times("input_scale", 1 / 40)), tmp_path, "bad")
    assert main(["doctor", str(tmp_path / "bad.param"), *common, "--tolerance", "0.03"]) == 1
    text = capsys.readouterr().out
    assert "[coarse]" in text and "bad  c4 " in text, text  # c4 is beside the activation that it has, not before it
    (tmp_path / "text.onnx").write_text("no")
    for file, said in (("text.onnx", "no ONNX file"), ("none.onnx", "no such file")):
        assert main(["doctor", str(plain.path), *common[:3], f"onnx:{tmp_path / file}"]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error


def test_no_data_is_no_success(tmp_path: Path) -> None:
    plain = convolutions(tmp_path)
    with pytest.raises(Exception, match="no output of the second net"):
        other = read_net_files(
            net_files(
                tmp_path, lines_of("Input in 0 1 in 0=12 1=12 2=3", "TanH t 1 1 in u", "Flatten f 1 1 u v"), name="o"
            )[0]
        )
        examine(plain, other.with_layers(other.layers[:2]), samples())
