"""Weights stored as float16: every op that has such weights, what stays float32, and what the report says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from parity_support import build, draw, named, run_emitted
from pass_support import graph_of, normal

import ncnn_builder as nb
from ncnn_builder.emit import blob, half
from ncnn_builder.emit.blob import TAG_FP16, TAG_FP32, read_bin, write_bin
from ncnn_builder.emit.layers import Layer, legalise
from ncnn_builder.ops.convolutions.conv import static_conv
from ncnn_builder.parity import Report, interpret
from ncnn_builder.pipeline import lower_and_optimise

TAGGED = [
    (spec, sample)
    for spec in nb.registry.values()
    if not spec.composite and any(w.tagged for w in spec.weights)
    for sample in spec.samples()
    if any(n.weights for n in build(sample)[0].nodes)
]


@pytest.fixture
def all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small weights too."""
    monkeypatch.setattr(half, "SMALL", 1)


def rounded(g: nb.Graph) -> nb.Graph:
    """The graph with the weights that the file rounds, rounded: the exact oracle."""
    for node in g.nodes:
        for weight in node.spec.weights:
            if weight.tagged and weight.name in node.weights:
                data = node.weights[weight.name]
                node.weights = {**node.weights, weight.name: data.astype(np.float16).astype(np.float32)}
    return g


@pytest.mark.parametrize(("spec", "sample"), TAGGED, ids=[f"{o.type}-{s.id}" for o, s in TAGGED])
def test_rounded_weights_are_what_ncnn_computes_with(spec: nb.OpSpec, sample: nb.Sample, all_of_them: None) -> None:
    arrays = draw(sample)
    model = nb.compile_graph(build(sample)[0], weights="fp16")
    assert model.weights.storage == "fp16" and model.weights.halved > 0 and not model.weights.kept
    oracle = rounded(lower_and_optimise(build(sample)[0], "reference"))
    values = interpret(oracle, named(arrays))
    expected = {name: values[value] for name, value in oracle.outputs.items()}
    got = run_emitted(model, named(arrays), list(expected))
    Report(sample.id).add_all(got, expected, spec.tolerance.fp32).check()


def test_every_op_with_tagged_weights_is_tried() -> None:
    assert {spec.type for spec, _ in TAGGED} >= {"Convolution", "ConvolutionDepthWise", "Shell"}


def conv(w: np.ndarray) -> Callable[..., list[nb.Value]]:
    return lambda g, x: static_conv(g, x, w, normal(len(w)))


BIG = normal(32, 16, 3, 3)


def test_the_file_is_half() -> None:
    g = graph_of(conv(BIG), (16, 3, 3))
    full, small = nb.compile_graph(g), nb.compile_graph(g, weights="fp16")
    assert len(full.bin) == 4 + 4 * BIG.size + 4 * 32
    assert len(small.bin) == 4 + 2 * BIG.size + 4 * 32
    assert full.param == small.param
    assert full.weights == nb.WeightStorage() and small.weights.halved == 1
    error = np.abs(BIG.astype(np.float16).astype(np.float32) - BIG).max() / np.abs(BIG).max()
    assert small.weights.error == pytest.approx(float(error))
    assert 1e-5 < small.weights.error < 2**-11


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_an_odd_number_is_padded_to_four_bytes(count: int, all_of_them: None) -> None:
    g = graph_of(conv(normal(count, 1, 1, 1)), (1, 2, 2))
    model = nb.compile_graph(g, weights="fp16")
    assert len(model.bin) == 4 + (2 * count + 3) // 4 * 4 + 4 * count
    assert model.bin[:4] == TAG_FP16 == bytes([0x47, 0x6B, 0x30, 0x01])


def test_small_weights_stay() -> None:
    model = nb.compile_graph(graph_of(conv(normal(8, 8, 3, 3)), (8, 3, 3)), weights="fp16")
    assert model.weights.halved == 0 and model.weights.error == 0 and model.bin[:4] == TAG_FP32


def test_raw_weights_stay(all_of_them: None) -> None:
    f = normal(12)
    models = [
        nb.compile_graph(graph_of(lambda g, x: nb.Upfirdn2d(g, x, f, padding=6), (3, 5, 5)), weights=w)
        for w in nb.STORAGES
    ]
    assert models[0].bin == models[1].bin


@pytest.mark.parametrize(
    ("scale", "reason"), [(1e5, "float16 ends at 65504"), (1e-6, "float16 has few digits below 6.1e-05")]
)
def test_what_float16_cannot_hold_stays_and_is_named(scale: float, reason: str) -> None:
    wild = (BIG / np.abs(BIG).max() * scale).astype(np.float32)

    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        return [*conv(wild)(g, x), *conv(BIG)(g, x)]

    g = graph_of(build, (16, 3, 3))
    model = nb.compile_graph(g, weights="fp16")
    assert model.weights.halved == 1
    (kept,) = model.weights.kept
    assert kept.startswith("Convolution_1 weight: magnitude") and kept.endswith(reason)
    assert len(model.bin) == 8 + 6 * BIG.size + 8 * 32


def test_zeros_are_halved() -> None:
    model = nb.compile_graph(graph_of(conv(np.zeros_like(BIG)), (16, 3, 3)), weights="fp16")
    assert model.weights.halved == 1 and model.weights.error == 0


def test_an_unknown_storage_is_refused(tmp_path: Path) -> None:
    g = graph_of(conv(BIG), (16, 3, 3))
    with pytest.raises(nb.BuildError, match=r"argument weights: unknown storage.*fp32.*fp16.*got int8"):
        nb.save(g, tmp_path / "a.param", tmp_path / "a.bin", weights="int8")
    assert not list(tmp_path.iterdir())


def test_save_takes_the_storage(tmp_path: Path) -> None:
    g = graph_of(conv(BIG), (16, 3, 3))
    model = nb.save(g, tmp_path / "a.param", tmp_path / "a.bin", weights="fp16")
    assert (tmp_path / "a.bin").read_bytes() == model.bin and model.weights.halved == 1


# -- the reader -----------------------------------------------------------------------------------------------------


def layers_of(g: nb.Graph) -> list[Layer]:
    return legalise(g)[0]


def test_the_reader_understands_both(all_of_them: None) -> None:
    g = graph_of(lambda g, x: [*conv(BIG)(g, x), *conv(normal(3, 16, 3, 3))(g, x)], (16, 3, 3))
    layers = layers_of(g)
    layers[-1].stored["weight"] = "fp16"
    again = layers_of(g)
    for layer in again:
        layer.weights = {}
    read_bin(b"".join(write_bin(layers)), again)
    assert again[-1].stored == {"weight": "fp16"} and again[-2].stored == {}
    assert np.array_equal(again[-2].weights["weight"], layers[-2].weights["weight"].reshape(-1))
    expected = layers[-1].weights["weight"].reshape(-1).astype(np.float16).astype(np.float32)
    assert np.array_equal(again[-1].weights["weight"], expected) and again[-1].weights["weight"].dtype == np.float32


@pytest.mark.parametrize("cut", [1, 2, 4 * 32 + 1, 4 * 32 + BIG.size])
def test_a_short_file_is_refused(cut: int) -> None:
    layers = layers_of(graph_of(conv(BIG), (16, 3, 3)))
    layers[-1].stored["weight"] = "fp16"
    with pytest.raises(nb.ReadError, match="ends too early"):
        read_bin(b"".join(write_bin(layers))[:-cut], layers)


def test_a_tag_that_says_less_than_there_is_is_refused() -> None:
    layers = layers_of(graph_of(conv(BIG), (16, 3, 3)))
    data = b"\x83\x8b\x34\x01" + b"".join(write_bin(layers))[4:]  # ncnn's bfloat16
    with pytest.raises(nb.ReadError, match="bytes are left over"):
        read_bin(data, layers)


def test_a_wrong_rounding_is_seen_when_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: what is written is compared with what was meant."""
    encode = blob.encode
    monkeypatch.setattr(blob, "encode", lambda data, stored: encode(data * np.float32(1.01), stored))
    with pytest.raises(nb.EmitError, match="did not read back"):
        nb.compile_graph(graph_of(conv(BIG), (16, 3, 3)), weights="fp16")


def test_weights_that_were_not_rounded_are_no_oracle(all_of_them: None) -> None:
    """Control: the comparison above would see the difference between rounded and exact weights."""
    g = graph_of(conv(BIG), (16, 3, 3))
    inputs = {"x0": normal(16, 3, 3)}
    got = run_emitted(nb.compile_graph(g, weights="fp16"), inputs, ["y0"])
    expected = {"y0": interpret(g, inputs)[g.outputs["y0"]]}
    with pytest.raises(nb.ParityError, match="differ"):
        Report("control").add_all(got, expected, 1e-5).check()


def test_the_layers_of_this_test_are_the_emitted_ones() -> None:
    assert [layer.spec.type for layer in layers_of(graph_of(conv(BIG), (16, 3, 3)))] == ["Input", "Convolution"]
