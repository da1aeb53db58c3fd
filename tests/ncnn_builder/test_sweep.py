"""Every layer type in every form of parameters that ncnn's source accepts: a file that ncnn runs loads, says the shape
that runs, is saved as it was, and computes the same on every target."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from file_forms import FORMS
from net_files import lines_of, net_files
from parity_support import build, distinct, draw, run_emitted

import ncnn_builder as nb
from ncnn_builder.emit.syntax import parse
from ncnn_builder.emit.text import read_layers
from ncnn_builder.parity import Report
from runtime import Net

LAYERS = {name: spec for name, spec in nb.registry.items() if not (spec.composite or spec.custom or spec.off)}
SAMPLES = 3
"""So many calls of the DSL are tried as a file would spell them that leaves out what is a default."""
STARTS = {1: ("0",), 2: ("1", "0"), 3: ("2", "1", "0"), 4: ("2", "11", "1", "0")}


def file_of(layer: str, form: str) -> tuple[str, dict[str, np.ndarray], list[str]]:
    """The .param of one layer, its inputs x0, x1, ... and the names of its outputs y0, y1, ..."""
    words, shapes, count = [part.strip() for part in (form + "||").split("|")[:3]]
    sizes = [
        tuple(map(int, s.split("x"))) for s in (shapes or "" if layer == "MemoryData" else shapes or "4x5x6").split()
    ]
    rng = np.random.default_rng(zlib.crc32(form.encode()))
    inputs = {f"x{i}": rng.standard_normal(s).astype(np.float32) for i, s in enumerate(sizes)}
    if layer in ("Log", "Power", "UnaryOp") or words.startswith("0=9"):  # of what has a logarithm, and an arc sine
        inputs = {name: rng.uniform(0.1, 0.9, x.shape).astype(np.float32) for name, x in inputs.items()}
    lines = [
        f"Input {name} 0 1 {name} " + " ".join(f"{i}={n}" for i, n in zip(STARTS[x.ndim], x.shape, strict=True))
        for name, x in inputs.items()
    ]
    outputs = [f"y{i}" for i in range(int(count or 1))]
    lines.append(" ".join([layer, "layer", str(len(inputs)), str(len(outputs)), *inputs, *outputs, words]))
    if layer in ("ROIAlign", "ROIPooling"):
        inputs["x1"] = np.array([1, 1, 6, 5], np.float32)
    if layer == "Proposal":  # height, width and scale of the picture
        inputs["x2"] = np.array([64, 80, 1], np.float32)
    if layer == "DetectionOutput":  # scores of each box that add up to 1, and boxes that are some
        mxnet = "0=-233" in words
        scores = np.exp(inputs["x1"].reshape((3, 2) if mxnet else (2, 3)))
        inputs["x1"] = (scores / scores.sum(0 if mxnet else 1, keepdims=True)).reshape(sizes[1])
        inputs["x2"] = np.abs(inputs["x2"])
    return lines_of(*lines), inputs, outputs


def weights_of(text: str) -> bytes:
    """A .bin for it, of small numbers; of variances, positive ones."""
    rng, data = np.random.default_rng(1), b""
    for layer in read_layers(parse(text)):
        params = layer.params or getattr(layer.spec, "given", {})
        for weight in layer.spec.weights:
            size = layer.weight_sizes().get(weight.name)
            if size is not None:
                numbers = rng.uniform(0.1, 0.5, size) * (1 if weight.name == "var" else rng.choice((-1, 1), size))
                data += (bytes(4) if layer.spec.is_tagged(weight, params) else b"") + numbers.astype("<f4").tobytes()
    return data


def spelled(sample: nb.Sample) -> Iterator[tuple[str, bytes, dict[str, np.ndarray], list[str]]]:
    """The net of a sample without what the declarations have as defaults, and its arrays in the shorter form."""
    model = nb.compile_graph(build(sample)[0])
    lines = []
    for line in model.param.splitlines()[2:]:
        words = line.split()
        end = 4 + int(words[2]) + int(words[3])
        spec = nb.registry[words[0]]
        kept = words[:end]
        shorter = nb.builder.filled(spec) if words[0] != "MultiHeadAttention" else {}
        for word in words[end:]:
            number = int(word.split("=")[0])
            param = next(p for p in spec.params if p.id in (number, -23300 - number))
            default = shorter.get(param.name)
            if (
                isinstance(default, int)
                and not callable(getattr(param.default, "of", None))
                and word == f"{number}={default}"
            ):
                continue
            array = re.fullmatch(r"-(\d+)=(\d+)((?:,[^,]+)+)", word)
            kept.append(f"{int(array[1]) - 23300}={array[3][1:]}{',' * (array[2] == '1')}" if array else word)
        lines.append(" ".join(kept))
    yield lines_of(*lines), model.bin, {f"x{i}": a for i, a in enumerate(draw(sample))}, list(model.outputs)


def check(
    folder: Path, text: str, data: bytes, inputs: dict[str, np.ndarray], outputs: list[str], error: float
) -> None:
    files = net_files(folder, text, data)
    want = Net(*files, threads=1).run(inputs, outputs=outputs)
    g = nb.load(*files)
    for name in outputs:
        said, made = g.outputs[name].shape, want[name].shape
        producer = g.outputs[name].producer
        open_length = producer is not None and producer.spec.open_length
        assert said[1:] == made[1:] and made[0] <= said[0] if open_length else said == made, name
    copy = folder / "copy.param", folder / "copy.bin"
    nb.save(g, *copy)
    assert [path.read_bytes() for path in copy] == [path.read_bytes() for path in files]
    models = {target: nb.compile_graph(g, target) for target in sorted(nb.TARGETS)}
    for target, model in distinct(models).items():
        got = run_emitted(model, inputs, outputs)
        report = Report(target)
        report.add_all(got, want, error)
        report.check()


def test_the_sweep_knows_every_layer() -> None:
    assert set(FORMS) == set(LAYERS)


@pytest.mark.parametrize(("layer", "form"), [(layer, form) for layer, forms in FORMS.items() for form in forms])
def test_a_form_that_ncnn_accepts(layer: str, form: str, tmp_path: Path) -> None:
    text, inputs, outputs = file_of(layer, form)
    check(tmp_path, text, weights_of(text), inputs, outputs, LAYERS[layer].tolerance.fp32)


@pytest.mark.parametrize(
    ("layer", "sample"), [(name, s) for name, spec in LAYERS.items() for s in spec.samples()[:SAMPLES]]
)
def test_what_the_dsl_writes_spelled_as_files_do(layer: str, sample: nb.Sample, tmp_path: Path) -> None:
    for text, data, inputs, outputs in spelled(sample):
        check(tmp_path, text, data, inputs, outputs, LAYERS[layer].tolerance.fp32)
