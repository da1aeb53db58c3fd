"""A conversion that is not equal ends with its cause: every kind of fault is planted, and has to be named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder import pipeline
from ncnn_builder.frontend import CONVERTERS
from ncnn_builder.frontend.cause import cause_of


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return F.softplus(y) + 1  # SOFTPLUS


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()
        self.last = torch.nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.block(x)))


class Own(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    def export_ncnn(self, g: nb.Graph, inputs: nb.Values) -> nb.Value:
        return inputs[0] * 3


class WithOwn(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.own = Own()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.own(x))


class ByItself(WithOwn):
    def export_ncnn(self, g: nb.Graph, inputs: nb.Values) -> nb.Value:
        return nb.relu(g, inputs[0] * 3)  # WRONG


class Counts(torch.nn.Module):
    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        type(self).calls += 1
        return x * self.calls


@pytest.fixture
def registries() -> Iterator[None]:
    nb.capture(Net().eval(), torch.zeros(1, 3, 4, 4))  # ours are there
    before = dict(CONVERTERS), {stage: list(passes) for stage, passes in pipeline.OWN.items()}
    yield
    CONVERTERS.clear()
    CONVERTERS.update(before[0])
    pipeline.OWN.update(before[1])


def line_of(comment: str) -> str:
    rows = Path(__file__).read_text().splitlines()
    return f"test_causes.py:{next(i for i, row in enumerate(rows, 1) if row.endswith(f'# {comment}'))}"


def refused(folder: Path, convert: Callable[..., Any], module: torch.nn.Module, **options: Any) -> str:
    torch.manual_seed(0)
    with pytest.raises(nb.ParityError) as caught:
        convert(module.eval(), torch.randn(1, 3, 8, 8), folder / "net", **options)
    assert not list(folder.iterdir())
    assert "Nothing was written" in str(caught.value)
    return str(caught.value)


def test_a_converter(tmp_path: Path, registries: None) -> None:
    nb.converts("aten.softplus")(lambda g, node, x, beta, threshold: nb.relu(g, x))
    said = refused(tmp_path, nb.convert, Net())
    assert said.startswith(f"at {line_of('SOFTPLUS')}: Net differs from torch, first in module block;")
    assert "The cause: in block, aten.softplus.default: its converter (test_causes.py:" in said


def test_a_pass(tmp_path: Path, registries: None) -> None:
    @nb.rewrites("bad_softplus", targets=["stock"])
    def rewrite(g: nb.Graph, node: nb.Node, matcher: nb.Matcher) -> Any:
        return nb.relu(g, node.inputs[0]) if node.spec.type == "BNLL" else None

    said = refused(tmp_path, nb.convert, Net())
    assert "The cause: pass: step bad_softplus of the compiler changes the result" in said


def test_a_layer(tmp_path: Path, registries: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """ncnn's Sigmoid, which its declaration calls a tanh."""
    nb.converts("aten.tanh")(lambda g, node, x: nb.sigmoid(g, x))
    spec = type(nb.registry["Sigmoid"])
    monkeypatch.setattr(spec, "reference", lambda self, inputs, params, weights: [torch.tanh(inputs[0])])
    said = refused(tmp_path, nb.convert, Net())
    assert "The cause: layer: the layer Sigmoid alone differs from what its declaration says" in said


def test_export_ncnn_of_a_module_inside(tmp_path: Path) -> None:
    said = refused(tmp_path, nb.convert, WithOwn())
    assert "first in module own" in said
    assert "The cause: in own, export_ncnn() says something else than forward(), by 5.0e-01" in said


def test_export_ncnn_of_the_module(tmp_path: Path) -> None:
    said = refused(tmp_path, nb.export, ByItself())
    assert said.startswith(f"at {line_of('WRONG')}: ")
    assert "The cause: in ByItself, export: export_ncnn() says something else than forward(); BinaryOp" in said


def test_what_depends_on_something_else(tmp_path: Path) -> None:
    said = refused(tmp_path, nb.convert, Counts())
    assert "The cause: torch.export made another program of forward(), which depends on something besides" in said


def test_a_tolerance_that_nothing_keeps(tmp_path: Path) -> None:
    said = refused(tmp_path, nb.convert, Net(), tolerance=1e-12)
    assert "The cause: the tolerance: computing in float32 alone may cost 1e-05" in said


def test_weights_that_are_rounded(tmp_path: Path) -> None:
    wide = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.Conv2d(64, 64, 3))
    said = refused(tmp_path, nb.convert, wide, tolerance=1e-5, weights="fp16")
    assert "The cause: weights='fp16' rounds the weights: with fp32 the net is equal" in said


def test_a_batch_of_more_than_one(tmp_path: Path, registries: None) -> None:
    nb.converts("aten.softplus")(lambda g, node, x, beta, threshold: nb.relu(g, x))
    with pytest.raises(nb.ParityError, match="The cause: not looked for, as the net has a batch of more than one"):
        nb.convert(Net().eval(), torch.randn(2, 3, 8, 8), tmp_path / "net")


def test_an_examination_that_fails_hides_nothing() -> None:
    found = cause_of(Net(), None, (), {}, "stock", 1e-4)  # type: ignore[arg-type]
    assert found.what.startswith("not found out, as the examination ended with AttributeError")


def test_a_converter_of_a_users_stays_when_ours_come_later() -> None:
    """Ours are registered when the first module is captured."""
    nb.capture(Net().eval(), torch.zeros(1, 3, 4, 4))
    ours = CONVERTERS["aten.relu"]
    try:
        nb.converts("aten.relu")(lambda g, node, x: nb.sigmoid(g, x))
        theirs = CONVERTERS["aten.relu"]
        nb.converts("aten.relu")(ours.function)
        assert CONVERTERS["aten.relu"] is theirs
    finally:
        CONVERTERS["aten.relu"] = ours


def test_export_after_convert(tmp_path: Path) -> None:
    """Twice: the first call imports modules that have the names of functions."""
    x = torch.randn(1, 3, 4, 4)
    for call in (nb.convert, nb.export, nb.export, nb.convert):
        assert call(torch.nn.Conv2d(3, 2, 1).eval(), x, tmp_path / "net").checked.first is None
    assert nb.capture(torch.nn.Conv2d(3, 2, 1).eval(), x).nodes
