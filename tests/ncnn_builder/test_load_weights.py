"""Files read back as graphs: every form of weight."""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np
import pytest
from net_files import INT8, floats, lines_of, net_files
from parity_support import build, run_emitted
from pass_support import normal

import ncnn_builder as nb
from ncnn_builder.emit.blob import TAGS, encode
from ncnn_builder.emit.foreign import quantised
from runtime import Net


def again(folder: Path, param: str | bytes, data: bytes = b"", **shapes: tuple[int, ...]) -> nb.EmittedModel:
    """Loaded and compiled again, for the target that changes nothing."""
    return nb.compile_graph(nb.load(*net_files(folder, param, data), shapes=shapes))


DENSE = lines_of("Input x 0 1 x 0=5", "InnerProduct fc 1 1 x y 0=3 1=1 2=15")
BIAS = floats(np.arange(3))


@pytest.mark.parametrize("stored", ["fp16", "bf16", "scaled"])
def test_forms_of_weights_stay_as_they_are(stored: str, tmp_path: Path) -> None:
    weight = normal(15)
    raw = encode(weight, stored).tobytes()
    data = TAGS[stored] + raw + bytes(-len(raw) % 4) + BIAS
    g = nb.load(*net_files(tmp_path, DENSE, data))
    assert np.allclose(g.nodes[0].weights["weight"].reshape(-1), weight, rtol=1e-2)
    assert nb.compile_graph(g).bin == data
    assert nb.compile_graph(g, weights="fp32").bin[:4] == bytes(4)
    x = {"x": normal(5)}
    ours = Net(*net_files(tmp_path, DENSE, data)).run(x)["y"]
    assert np.allclose(ours, g.nodes[0].weights["weight"] @ x["x"] + np.arange(3), atol=1e-5)


def test_a_table_of_numbers(tmp_path: Path) -> None:
    table, index = normal(256), np.arange(15, dtype=np.uint8) * 17
    data = b"\1\0\0\0" + floats(table) + index.tobytes() + b"\0" + BIAS
    g = nb.load(*net_files(tmp_path, DENSE, data))
    assert np.array_equal(g.nodes[0].weights["weight"].reshape(-1), table[index])
    again = nb.compile_graph(g).bin  # the table of the numbers that occur, sorted
    assert len(again) == len(data) and np.array_equal(np.frombuffer(again[4:], "<f4", 15), np.sort(table[index]))
    assert nb.compile_graph(nb.load(*net_files(tmp_path, DENSE, again))).bin == again
    assert nb.compile_graph(g, weights="fp32").bin == bytes(4) + floats(table[index]) + BIAS


@pytest.mark.parametrize("scale", [1, 101])
@pytest.mark.parametrize("kind", ["Convolution", "ConvolutionDepthWise", "InnerProduct"])
def test_int8(kind: str, scale: int, tmp_path: Path) -> None:
    weight = np.random.default_rng(1).integers(-127, 128, 27 * 2, dtype=np.int8)
    top = floats([0.5]) if scale > 100 and kind != "InnerProduct" else b""
    if kind == "InnerProduct":
        layer, shape, out = "InnerProduct q 1 1 x y 0=2 2=54 8=1", "0=27", 2
    else:
        group = " 7=2" if kind == "ConvolutionDepthWise" else ""
        layer = f"{kind} q 1 1 x y 0=2 1=3 6=54 8={scale}{group}"
        shape, out = f"0=5 1=4 2={6 if group else 3}", 2
    data = INT8 + weight.tobytes() + bytes(-54 % 4) + floats(np.full(out, 20.0), [30.0]) + top
    text = lines_of(f"Input x 0 1 x {shape}", layer)
    g = nb.load(*net_files(tmp_path, text, data))
    assert g.nodes[0].weights["weight"].dtype == np.int8 and g.nodes[0].spec.type == f"{kind}/int8"
    model = nb.compile_graph(g, "fused")  # no pass takes it for a layer of float32
    assert model.bin == data and f"8={1 if kind == 'InnerProduct' else scale}" in model.param
    x = {"x": normal(*g.inputs[0].shape)}
    old, new = Net(*net_files(tmp_path, text, data)).run(x), run_emitted(model, x, ["y"])
    assert np.array_equal(old["y"], new["y"]) and np.abs(new["y"]).max() > 0


@pytest.mark.parametrize(
    ("kind", "term"),
    [("Embed", 18), ("RNN", 8), ("LSTM", 8), ("GRU", 8), ("Gemm", 18), ("MultiHeadAttention", 18)],
)
def test_layers_that_ncnn_quantises_when_it_loads_them(kind: str, term: int, tmp_path: Path) -> None:
    """Their weights are float32, and scales stand behind them; ncnn's own reader takes as many bytes as ours."""
    tried = 0
    for sample in nb.registry[kind].samples():
        model = nb.compile_graph(build(sample)[0])
        (line,) = (x for x in model.param.splitlines() if x.startswith(f"{kind} "))
        layer = nb.load(*net_files(tmp_path, model.param, model.bin)).nodes[-1]
        if model.param.splitlines()[-1] != line or not layer.weights:
            continue
        words = [w for w in line.split() if not w.startswith(f"{term}=")]
        text = model.param.replace(line, " ".join([*words, f"{term}=1"]))
        size = sum(quantised(layer.spec).weight_sizes({**layer.params, "int8_scale_term": 1}).values())
        extra = size - sum(w.size for w in layer.weights.values())
        files = net_files(tmp_path, text, model.bin + floats(np.full(extra, 32.0)))
        g = nb.load(*files)
        assert g.nodes[-1].spec.type == f"{kind}/int8" and extra > 0
        copy = nb.compile_graph(g, "stock")
        assert copy.bin == files[1].read_bytes() and f" {term}=1" in copy.param
        net = ncnn.Net()
        assert net.load_param(str(files[0])) == 0 and net.load_model(str(files[1])) == 0
        tried += 1
        with pytest.raises(nb.ReadError, match="ends too early"):
            nb.load(*net_files(tmp_path, text, model.bin + floats(np.full(extra - 1, 32.0))))
        if tried == 3:
            break
    assert tried


def test_constants_without_a_tag(tmp_path: Path) -> None:
    text = lines_of("MemoryData m 0 1 m 0=3 21=1", "Input x 0 1 x 0=3", "BinaryOp add 2 1 m x y 0=0")
    g = nb.load(*net_files(tmp_path, text, floats([1, 2, 3])))
    assert np.array_equal(g.nodes[0].outputs[0].data, [1, 2, 3])
    model = nb.compile_graph(g)
    assert model.bin == floats([1, 2, 3]) and "21=1" in model.param


def test_blocks_of_few_bits(tmp_path: Path) -> None:
    """What ncnnllm2int writes: bytes without a tag, scales of blocks and of the input; back byte by byte."""
    rng = np.random.default_rng(2)
    for bits, block in ((4, 32), (6, 64), (8, 128)):
        term = 100 * bits + 10 + {32: 0, 64: 1, 128: 2}[block]
        row, count = -(-75 * bits // 8), -(-75 // block)
        packed = rng.integers(0, 256, 9 * row, np.uint8).tobytes()
        numbers = floats(rng.uniform(1, 2, 9 * count), rng.uniform(0.5, 1, 75))
        data = packed + bytes(-len(packed) % 4) + bytes(4) + floats(normal(9)) + numbers
        param = lines_of("Input x 0 1 x 0=75 1=3", f"Gemm q 1 1 x y 3=1 5=1 6=1 8=9 9=75 10=4 18={term}")
        g = nb.load(*net_files(tmp_path, param, data))
        assert g.outputs["y"].shape == (3, 9) and nb.compile_graph(g, target="reference").bin == data
        assert nb.compile_graph(g).bin == data  # no pass takes it for another
        ours = Net(*net_files(tmp_path, nb.compile_graph(g).param, data)).run({"x": normal(3, 75)})["y"]
        assert ours.shape == (3, 9) and np.isfinite(ours).all()
    for term in (403, 420, 508):  # there are no such blocks: kept word for word, and then its bytes are nobody's
        bad = lines_of("Input x 0 1 x 0=75 1=3", f"Gemm q 1 1 x y 3=1 5=1 6=1 8=9 9=75 10=4 18={term}")
        with pytest.raises(nb.ReadError):
            nb.load(*net_files(tmp_path, bad, data))
