"""What cannot be converted, as its user sees it: the line of forward(), what to do, exit code 2, and no files."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.tools.cli import main

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)


class Unsupported(Base):
    def forward(self, x):
        return torch.linalg.svd(self.conv(x)[0, 0])[1]  # line


class Branch(Base):
    def forward(self, x):
        if x.sum() > 0:  # line
            return self.conv(x)
        return -self.conv(x)


class Loop(Base):
    def forward(self, x):
        y = self.conv(x)
        while y.max() > 1:  # line
            y = y / 2
        return y


class Item(Base):
    def forward(self, x):
        return self.conv(x)[:, : int(x.abs().max().item()) + 1]  # line


class Scalar(Base):
    def forward(self, x):
        return self.conv(x) * x.max().item()  # line


class OpenSize(Base):
    def forward(self, x):
        return self.conv(x), torch.nonzero(x)  # line


class Random(Base):
    def forward(self, x):
        return self.conv(x) + torch.randn(1, 4, 6, 6)  # line


class Dropped(Base):
    def forward(self, x):
        return F.dropout(self.conv(x), 0.5, training=True)  # line


class Spectrum(nn.Module):
    def forward(self, x):  # line
        return torch.fft.rfft(x)


class Complex(nn.Module):
    def forward(self, x):  # line
        return torch.view_as_complex(x[..., :2].contiguous())


class Number(Base):
    def forward(self, x):  # line
        return self.conv(x), 3.5


class Word(Base):
    def forward(self, x):  # line
        return {"y": self.conv(x), "name": "abc"}


class Absent(Base):
    def forward(self, x):  # line
        return self.conv(x), None


class Nothing(Base):
    def forward(self, x):  # line
        self.conv(x)


class IntoInput(Base):
    def forward(self, x):
        x.add_(1)  # line
        return self.conv(x)


class IntoBuffer(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count.add_(1)  # line
        return self.conv(x) + self.count


class Fails(Base):
    def forward(self, x):
        return self.conv(x) @ x  # line


class Raises(Base):
    def forward(self, x):
        raise ValueError("not today")  # line


class Two(Base):
    def forward(self, x, y):  # line
        return self.conv(x)


class Plain(Base):
    def forward(self, x):
        return self.conv(x)


def meta() -> nn.Module:
    return Plain().to("meta")


def half() -> nn.Module:
    return Plain().half()


def bfloat() -> nn.Module:
    return Plain().bfloat16()


def training() -> nn.Module:
    return nn.Sequential(Plain(), nn.Dropout()).train()


def number() -> int:
    return 3


CASES = {
    Unsupported: ["aten.linalg_svd", "ncnn has no layer", "nb.converts", "export_ncnn", "nb.from_pnnx()"],
    Branch: ["forward() decides by numbers", "torch.where()"],
    Loop: ["forward() decides by numbers", "torch.where()"],
    Item: ["forward() decides by numbers"],
    Scalar: ["aten.item", "a number that is known only when the net runs", "compute with the tensor itself"],
    OpenSize: ["aten.nonzero", "the size of the result is known only when the net runs", "an output of forward()"],
    Random: ["aten.randn", "random numbers", "an input of forward(), or a buffer"],
    Dropped: ["aten.dropout", "dropout in training mode", ".eval()"],
    Spectrum: ["forward() returns complex numbers", "torch.abs(x)"],
    Complex: ["forward() returns complex numbers", "torch.view_as_real(x)"],
    Number: ["forward() returns what is no tensor; got float", "leave it out"],
    Word: ["forward() returns what is no tensor; got str", "leave it out"],
    Absent: ["forward() returns what is no tensor; got None", "leave it out"],
    Nothing: ["forward() returns what is no tensor; got None"],
    IntoInput: ["forward() writes into its input; got x", "x = x.clone()"],
    IntoBuffer: ["forward() writes into a buffer of the module; got count", "an input and an output"],
    Fails: ["torch.export cannot export the module", "RuntimeError"],
    Raises: ["torch.export cannot export the module", "ValueError: not today"],
    Two: ["the inputs do not fit forward()", "missing a required argument: 'y'", "forward(x, y)"],
    meta: ["Plain argument conv.weight: it has no numbers", "device meta", ".to_empty"],
    half: ["Plain argument conv.weight: half precision", "torch.float16", ".float()"],
    bfloat: ["half precision", "torch.bfloat16", ".float()"],
    Base: ["Base: the module has no forward()"],
    number: ["not a module", "got int"],
}
"""A class or a factory -> words of the message. A class that has a line with a comment is told by that line."""


def line_of(name: str) -> str | None:
    rows = Path(__file__).read_text().splitlines()
    begin = next(i for i, row in enumerate(rows) if re.match(rf"(class|def) {name}\b", row))
    for i, row in enumerate(rows[begin + 1 :], begin + 2):
        if row.startswith(("class ", "def ")):
            return None
        if row.endswith("# line"):
            return f"test_errors.py:{i}"
    return None


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_what_is_refused(make, tmp_path, monkeypatch, capfd):
    """By the function, and by the command: the same sentence."""
    module = make()
    said = []
    with pytest.raises(nb.BuildError) as caught:
        nb.convert(module.eval() if isinstance(module, nn.Module) else module, X.clone(), tmp_path / "net")
    said.append(str(caught.value))
    capfd.readouterr()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "errors_of_a_user", sys.modules[__name__])
    arguments = ["--input", "x=1,3,8,8", "--out", "net"]
    assert main(["convert", f"errors_of_a_user:{make.__name__}", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("error: "), err
    said.append(err)
    for text in said:
        for word in [*CASES[make], line_of(make.__name__) or ""]:
            assert word in text
    assert not list(tmp_path.iterdir())


def converted(tmp_path, module=None, x=X, path="net", **options):
    return nb.convert(Plain().eval() if module is None else module, x, tmp_path / path, **options)


class Result:
    def __init__(self, y):
        self.y = y


class Wrapped(Plain):
    def forward(self, x):  # line
        return Result(self.conv(x))


class Cache:
    pass


class Caching(Plain):
    def forward(self, x):
        return self.conv(x), Cache()


class Scaled(Plain):
    def forward(self, x, *, by):
        return self.conv(x) * by


class Sines(nn.Module):
    def forward(self, x):
        return torch.sin(x)

    def export_ncnn(self, g, inputs):
        return nb.sin(g, inputs)


def traced():
    return torch.jit.trace(Plain().eval(), X)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "options, words",
    [
        ({"x": X.numpy()}, ["Plain: an input that is no tensor", "got ndarray", "torch.from_numpy(x)"]),
        ({"x": (1, 3, 8, 8)}, ["the inputs do not fit forward()", "got 4 and none by name"]),
        ({"path": "net.param"}, ["argument path: the path has a suffix", "all files get this name"]),
        ({"inputs": "data"}, ["names of inputs; expected a list of 1; got data"]),
        ({"outputs": ["a", "b"]}, ["names of outputs; expected 1; got 2"]),
        ({"module": traced}, ["a module of torch.jit", "traced or scripted from"]),
        ({"module": Wrapped().eval()}, ["Wrapped at", line_of("Wrapped"), "register_dataclass()"]),
        ({"module": Caching().eval()}, ["not a known type. Ask for none", 'kwargs={"use_cache": False}']),
        (
            {"module": Sines().eval(), "target": "reference", "own": True, "examples": ["py"]},
            ["argument examples: these programs are for plain ncnn", "['Sin']", "target='stock'"],
        ),
    ],
)
def test_calls_that_do_not_fit(options, words, tmp_path):
    if "module" in options and not isinstance(options["module"], nn.Module):
        options = {**options, "module": options["module"]()}
    with pytest.raises(nb.BuildError) as caught:
        converted(tmp_path, **options)
    for word in words:
        assert word in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_calls_that_fit(tmp_path):
    assert converted(tmp_path, torch.compile(Plain().eval())).checked.first is None
    assert converted(tmp_path, Scaled().eval(), kwargs={"by": 2.0}).checked.first is None
    assert converted(tmp_path, Scaled().eval(), kwargs={"by": torch.ones(1)}, examples=["py"]).checked.first is None


def test_training_mode(tmp_path):
    with pytest.raises(nb.BuildError, match=r"the module is in training mode\. Call \.eval\(\)"):
        nb.convert(training(), X, tmp_path / "net")


@pytest.mark.parametrize("given", [torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 3, dtype=torch.complex64)])
def test_inputs_of_another_type(given, tmp_path):
    with pytest.raises(nb.BuildError, match=r"input in0; expected float32, int32 or int64; got torch\.\w+\. Give it"):
        nb.convert(nn.Identity().eval(), given, tmp_path / "net")


def test_double_precision_is_taken_and_compared(tmp_path):
    done = nb.convert(Plain().double().eval(), X.double(), tmp_path / "net")
    assert done.checked.first is None and done.outputs[0].dtype is torch.float64


def test_a_dict_is_flattened(tmp_path):
    class Named(Plain):
        def forward(self, x):
            return {"z": x * 2, "a": self.conv(x)}

    assert [p.shape for p in nb.convert(Named().eval(), X, tmp_path / "net").outputs] == [(1, 3, 8, 8), (1, 4, 6, 6)]


def test_an_input_that_nobody_reads_and_one_that_is_given_twice(tmp_path):
    """torch.export takes one tensor that is given twice for one input."""
    done = nb.convert(Two().eval(), (X, X), tmp_path / "net")
    assert done.checked.first is None and [p.name for p in done.inputs] == ["in0", "in1"]
