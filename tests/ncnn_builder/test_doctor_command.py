"""The doctor's command line, its page, its inputs and options."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import doctor_net
import numpy as np
import pytest
import torch
from PIL import Image

import ncnn_builder as nb
from ncnn_builder.__main__ import main
from ncnn_builder.doctor import Options, case_of
from ncnn_builder.doctor.cure import fewest
from ncnn_builder.features import FEATURES, features_of, mask_of

Patch = pytest.MonkeyPatch


@pytest.fixture
def inputs(tmp_path: Path) -> str:
    np.savez(tmp_path / "inputs.npz", **doctor_net.arrays())
    return str(tmp_path / "inputs.npz")


def wrong_slope(patch: Patch) -> None:
    patch.setattr(
        doctor_net.Act, "export_ncnn", lambda self, g, x: nb.activation(g, x, "leaky_relu", {"negative_slope": 0.1})
    )


def doctor(*arguments: str) -> int:
    return main(["doctor", "--target", "reference", *arguments])


def test_equal_is_0_and_different_is_1(inputs: str, monkeypatch: Patch, capsys: Any) -> None:
    assert doctor("--model", "doctor_net:make", "--inputs", inputs) == 0
    text = capsys.readouterr().out
    assert "equal: 13 results" in text and "BAD" not in text and "\x1b" not in text
    wrong_slope(monkeypatch)
    assert doctor("--model", "doctor_net:make", "--inputs", inputs, "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["culprit"] == "Net.act" and found["cause"]["kind"] == "export" and not found["equal"]
    assert [m["path"] for m in found["modules"]][:2] == ["Net.stem", "Net.act"]


class Page(HTMLParser):
    """Tags that are open, attributes that load something, and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_stands_alone(inputs: str, monkeypatch: Patch, tmp_path: Path) -> None:
    wrong_slope(monkeypatch)
    report = tmp_path / "a" / "report.html"
    assert doctor("--model", "doctor_net:make", "--inputs", inputs, "--html", str(report)) == 1
    text, page = report.read_text(), Page()
    page.feed(text)
    assert page.open == [] and page.loads and all(u.startswith("data:image/png;base64,") for u in page.loads)
    assert not re.search(r"https?:|@import|url\(|<script", text)
    assert text.count("<polyline") == 1 and "Net.act" in "".join(page.texts)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(u.partition(",")[2])))) for u in page.loads]
    assert len(pictures) % 3 == 0
    last = pictures[-3:]  # of the net's own result: torch, ncnn, difference
    assert [p.shape for p in last] == [(8, 8, 3)] * 3
    with torch.no_grad():
        expected = doctor_net.make()(*map(torch.from_numpy, doctor_net.arrays().values()))[0].numpy()
    span = (expected - expected.min()) / (expected.max() - expected.min())
    assert np.abs(last[0] - np.round(span * 255).transpose(1, 2, 0)).max() <= 1
    assert not np.array_equal(last[0], last[1]) and np.ptp(last[2]) > 100


BAD: dict[str, tuple[str, str, list[str], str]] = {
    # kind: (model, inputs, more arguments, what the message says)
    "no colon": ("doctor_net", "good.npz", [], "MODULE:CALLABLE"),
    "no module": ("no_such_module:make", "good.npz", [], "no_such_module"),
    "import fails": ("raising_net:make", "good.npz", [], "nowhere_to_be_found"),
    "no callable": ("doctor_net:nothing", "good.npz", [], "no callable nothing.*make"),
    "no export": ("plain_net:make", "good.npz", [], "no forward"),
    "make raises": ("plain_net:fail", "good.npz", [], r"KeyError.*plain_net.py:4"),
    "no file": ("doctor_net:make", "none.npz", [], "no such file"),
    "no npz": ("doctor_net:make", "text.npz", [], "no .npz file"),
    "one array": ("doctor_net:make", "one.npy", [], "single array"),
    "batch of 2": ("doctor_net:make", "batch.npz", [], "batch of 1"),
    "nan": ("doctor_net:make", "nan.npz", [], "finite"),
    "too few": ("doctor_net:make", "few.npz", [], "export_ncnn|forward"),
    "options": ("doctor_net:make", "good.npz", ["--options", "fp17"], "fp17"),
    "threads": ("doctor_net:make", "good.npz", ["--options", "threads=0"], "1 to 1024"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_message(kind: str, tmp_path: Path, monkeypatch: Patch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    w = np.zeros((1, 10), np.float32)
    np.savez("good.npz", **doctor_net.arrays())
    np.savez("batch.npz", x=np.zeros((2, 3, 12, 12), np.float32), w=w)
    np.savez("nan.npz", x=np.full((1, 3, 12, 12), np.nan, np.float32), w=w)
    np.savez("few.npz", x=np.zeros((1, 3, 12, 12), np.float32))
    np.save("one.npy", np.zeros(3))
    Path("text.npz").write_text("no")
    Path("raising_net.py").write_text("import nowhere_to_be_found")
    Path("plain_net.py").write_text("def make():\n    return 3\ndef fail():\n    return {}['key']\n")
    model, file, more, message = BAD[kind]
    assert doctor("--model", model, "--inputs", file, *more, "--html", "r.html") == 2
    out = capsys.readouterr()
    assert re.search(message, out.err) and out.err.count("\n") == 1 and "Traceback" not in out.err
    assert not Path("r.html").exists()


def test_arrays_find_their_parameters() -> None:
    """By name, whatever their order; by position where forward() has no such name; the graph's in the file's order."""

    class Sub(torch.nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a - b

        def export_ncnn(self, g: nb.Graph, inputs: Any) -> Any:
            return nb.binaryOp(g, inputs, "Sub")

    a, b = np.full((1, 2, 4), 3, np.float32), np.full((1, 2, 4), 1, np.float32)
    for arrays, expected in (({"b": b, "a": a}, 2), ({"arr_0": a, "arr_1": b}, 2), ({"a": b, "b": a}, -2)):
        case = case_of(Sub(), arrays)
        assert float(case.call()[0, 0, 0]) == expected
        assert [v.name for v in case.build().inputs] == list(arrays) and case.inputs[next(iter(arrays))].shape == (2, 4)


def test_options_in_words() -> None:
    assert Options.parse("") == Options()
    fp16 = Options.parse("fp16, no-winograd,threads=3")
    assert (fp16.fp16_storage, fp16.fp16_packed, fp16.fp16_arithmetic) == (True,) * 3
    assert (fp16.winograd, fp16.threads, fp16.tolerance) == (False, 3, 2e-2)
    assert Options.parse("fp16,no-fp16-arithmetic").on[-1] == "fp16_storage"
    assert fp16.off(fp16.on) == Options(winograd=False, sgemm=False, packing=False, threads=1)


def test_the_fewest_items_are_found() -> None:
    """A cure that needs items 3 and 17 of 40, within few trials."""
    trials = []

    def good(items: Any) -> bool:
        trials.append(items)
        return {3, 17} <= set(items)

    numbers: Any = list(range(40))
    assert fewest(numbers, good, 80) == [3, 17]
    assert len(trials) <= 60


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_a_mask_reaches_the_layers_and_is_read_back(target: str) -> None:
    g = nb.Graph()
    x: Any = g.input("x", (3, 8, 8))
    weight = np.ones((4, 3, 3, 3), np.float32)
    with nb.without(g, "fp16_storage"):
        with nb.without(g, "winograd", "fp16_storage"):
            x = nb.Fconv2d(g, [x, *nb.shell(g, x, weight, np.ones(4, np.float32))], padding=1)
        x = nb.activation(g, x, "leaky_relu", {"negative_slope": 0.1})
    g.output("y", nb.square(g, x))
    model = nb.compile_graph(g, target)
    masks = dict(re.findall(r"^(\w+).* 31=(\d+)$", model.param, re.M))
    assert masks["Convolution"] == "66" and masks.get("ReLU", "2") == "2"
    assert not masks.keys() & {"Square", "UnaryOp", "Input"}
    with pytest.raises(nb.BuildError, match="no such feature"), nb.without(g, "fp17"):
        pass
    assert g.mask == 0
    assert [features_of(mask_of([name])) for name in FEATURES] == [[name] for name in FEATURES]
