"""One module called several times: its calls have numbers, and are compared with forward()'s call by call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from parity_support import run_emitted
from torch import Tensor, nn

import ncnn_builder as nb
from ncnn_builder.doctor import case_of, diagnose
from ncnn_builder.parity import Report, torch_taps
from ncnn_builder.parity.taps import called, modules_of
from runtime import Net

INPUTS = {name: np.random.default_rng(i).standard_normal((1, 3, 6, 6), np.float32) for i, name in enumerate("ab")}


class Siamese(nn.Module):
    """out(enc(a) - enc(b)), enc being one module."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.enc = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.out = nn.Conv2d(4, 1, 1)
        self.eval()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(self.enc(a) - self.enc(b))

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        return nb.child(g, self, "out", nb.child(g, self, "enc", a) - nb.child(g, self, "enc", b))


class OtherOrder(Siamese):
    """b first: as right as a first."""

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        second = nb.child(g, self, "enc", b)
        return nb.child(g, self, "out", nb.child(g, self, "enc", a) - second)


class Named(Siamese):
    """b first, and it says that this is the second call."""

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        second = nb.child(g, self, "enc#2", b)
        return nb.child(g, self, "out", nb.child(g, self, "enc", a) - second)


class OwnScope(Siamese):
    """The second call in a scope that is no module of torch."""

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        with g.scope("second"):
            second = nb.child(g, self, "enc", b)
        return nb.child(g, self, "out", nb.child(g, self, "enc", a) - second)


class ByHand(Siamese):
    """The second call without child(), and before the first."""

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        second = nb.export_module(g, self.enc[1], nb.conv2d(g, b, self.enc[0]))
        return nb.child(g, self, "out", nb.child(g, self, "enc", a) - second)


class Tied(Siamese):
    """One module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = self.enc

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.out(self.enc(a) - self.twin(b))

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        return nb.child(g, self, "out", nb.child(g, self, "enc", a) - nb.child(g, self, "twin", b))


RIGHT = [Siamese, OtherOrder, Named, OwnScope, ByHand, Tied]


def built(module: nn.Module) -> nb.Graph:
    g = nb.Graph()
    g.output("y", module.export_ncnn(g, [g.input(name, a.shape[1:]) for name, a in INPUTS.items()]))
    return g


def test_calls_have_numbers() -> None:
    assert list(built(Siamese()).taps) == ["enc.0", "enc.1", "enc", "enc#2.0#2", "enc#2.1#2", "enc#2", "out"]
    assert list(built(Named()).taps)[2::3] == ["enc#2", "enc"]
    assert {"enc", "twin#2"} <= set(built(Tied()).taps)
    assert called("enc#2.0#3") == ("enc.0", 3) and called("a.b") == ("a.b", 1) and called("") == ("", 1)


@pytest.mark.parametrize("target", ["reference", "stock", "fused"])
@pytest.mark.parametrize("kind", [Siamese, Named, Tied])
def test_every_call_is_compared_with_its_own(kind: type[nn.Module], target: str) -> None:
    module = kind()
    model = nb.compile_graph(built(module), target)
    with torch.no_grad():
        expected = torch_taps(module, lambda: module(*map(torch.from_numpy, INPUTS.values())), model.taps)
    blobs = run_emitted(model, {name: a[0] for name, a in INPUTS.items()}, list(dict.fromkeys(model.taps.values())))
    assert sum("#2" in tap for tap in expected) >= 1
    Report("calls").add_all({tap: blobs[blob] for tap, blob in model.taps.items()}, expected, 1e-5).check()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_a_call_that_forward_does_not_make_is_said() -> None:
    module = Siamese()
    call = lambda: module(*map(torch.from_numpy, INPUTS.values()))
    with pytest.raises(nb.ParityError, match=r"did not return this; expected one of 2 calls; got enc#2\.0#3"):
        torch_taps(module, call, ["enc#2.0#3"])
    with pytest.raises(nb.ParityError, match=r"no modules.*second\.enc"):
        torch_taps(module, call, ["second.enc"])


def test_what_is_no_call_is_refused() -> None:
    g, module = nb.Graph(), Siamese()
    x = g.input("x", (3, 6, 6))
    nb.child(g, module, "enc#2", x)
    nb.child(g, module, "enc", x)
    for name, word in (
        ("enc#2", "there already"),
        ("enc#", "second call"),
        ("enc#two", "second call"),
        ("enc#0", "second call"),
    ):
        with pytest.raises(nb.BuildError, match=word):
            nb.child(g, module, name, x)
    with pytest.raises(nb.BuildError, match=r"tapped before.*another module needs a scope of another name"):
        nb.child(g, Siamese(), "enc", x)


@pytest.mark.parametrize("kind", RIGHT)
def test_the_doctor_blames_nothing_that_is_right(kind: Callable[[], nn.Module]) -> None:
    d = diagnose(case_of(kind(), INPUTS), Net, "stock").check()
    notes = [m.note for m in d.modules if m.note]
    assert bool(notes) == (kind in (OtherOrder, OwnScope))
    assert all(re.fullmatch(r"compared with call [12] of forward\(\)'s", note) for note in notes)
    assert bool(d.skipped) == (kind is OwnScope)


class SecondIsWrong(Siamese):
    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        first = nb.child(g, self, "enc", a)
        with torch.no_grad():
            bias = self.enc[0].bias.clone()
            self.enc[0].bias[0] += 1
            second = nb.child(g, self, "enc", b)
            self.enc[0].bias[:] = bias
        return nb.child(g, self, "out", first - second)


class Exchanged(Siamese):
    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        a, b = inputs
        return nb.child(g, self, "out", nb.child(g, self, "enc", b) - nb.child(g, self, "enc", a))


def test_the_doctor_blames_the_call_that_is_wrong() -> None:
    d = diagnose(case_of(SecondIsWrong(), INPUTS), Net, "stock")
    assert not d.equal and d.culprit == "SecondIsWrong.enc#2.0#2" and d.cause is not None and d.cause.kind == "export"
    assert [m.path for m in d.modules if m.ok] == ["SecondIsWrong.enc.0", "SecondIsWrong.enc.1", "SecondIsWrong.enc"]


def test_the_doctor_blames_the_code_around_calls_that_are_right() -> None:
    d = diagnose(case_of(Exchanged(), INPUTS), Net, "stock")
    assert not d.equal and d.culprit in ("Exchanged", "Exchanged.out")
    assert all(m.ok for m in d.modules if "enc" in m.path)


# -- a Sequential that holds one module several times ------------------------------------------------------------------


@pytest.mark.parametrize("by_name", [False, True])
def test_a_module_that_a_sequential_repeats_is_repeated(by_name: bool) -> None:
    """named_children() gives it once: the second activation was left out without a word."""
    act, conv = nn.LeakyReLU(0.5), nn.Conv2d(3, 3, 1)
    net = nn.Sequential(conv, act, conv, act).eval()
    holder = nn.Module()
    holder.net = net if not by_name else nn.ModuleList(net)
    g = nb.Graph()
    g.output("y", nb.child(g, holder, "net", g.input("x", (3, 6, 6))))
    assert [n.spec.type for n in g.nodes] == ["Convolution", "ReLU"] * 2
    assert list(g.taps)[:4] == ["net.0", "net.1", "net.2#2", "net.3#2"]
    x = torch.from_numpy(INPUTS["a"])
    with torch.no_grad():
        expected = {"y": net(x)[0].numpy()}
    got = run_emitted(nb.compile_graph(g, "stock"), {"x": INPUTS["a"][0]}, ["y"])
    Report("repeated").add_all(got, expected, 1e-5).check()
    assert set(modules_of(holder)) >= {"net.0", "net.2"}
