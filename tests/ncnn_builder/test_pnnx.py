"""from_pnnx(): what it converts, that it finds what pnnx gets wrong, and every way in which it can fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pnnx
import pytest
import torch
from module_support import check_module, randomise
from network_support import network
from parity_support import run_emitted
from torch import nn
from torch.nn import functional

import ncnn_builder as nb
from ncnn_builder.modules import pnnx as converter
from ncnn_builder.modules import walk
from ncnn_builder.parity import Report


class Gate(nn.Module):
    """Squeeze and excitation behind a block: nothing that export_module() knows, and no trouble for pnnx."""

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.down, self.up = nn.Linear(8, 4), nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.norm(self.conv(x)))
        weight = self.up(functional.silu(self.down(y.mean((2, 3)))))
        return y * weight.sigmoid().reshape(1, 8, 1, 1)


class Modulated(nn.Module):
    """A layer like StyleGAN2's: the weight is modulated at run time, by styles that the input is multiplied by as well.

    pnnx takes the first axis of the styles [1, C, 1, 1] for a batch and multiplies the weight [out, C, k, k] by
    [C, 1, 1], without a word.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.channels, self.out = channels, out
        self.weight, self.affine = nn.Parameter(torch.randn(out, channels, 3, 3)), nn.Linear(8, channels)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        styles = self.affine(w).view(1, self.channels, 1, 1)
        return functional.conv2d(functional.leaky_relu(x * styles, 0.2), self.weight * styles, padding=1)


def ready(module: Any) -> Any:
    randomise(module)
    return module.eval()


def converted(module: nn.Module, *shapes: tuple[int, ...], **options: Any) -> list[nb.Value]:
    g = nb.Graph()
    inputs = [g.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    try:
        with g.scope("decoder.layer"):
            return nb.from_pnnx(g, module, inputs, **options)
    except nb.NcnnBuilderError:
        assert not g.nodes  # nothing half-built
        raise


def refused(kind: type[nb.NcnnBuilderError], module: nn.Module, *shapes: tuple[int, ...], **options: Any) -> str:
    with pytest.raises(kind) as error:
        converted(module, *shapes, **options)
    text = str(error.value)
    assert text.startswith(f"{type(module).__name__} in decoder.layer at test_pnnx.py:") and "/tmp" not in text
    return text


# -- what it converts -------------------------------------------------------------------------------------------


@pytest.fixture
def gates_by_pnnx() -> Iterator[None]:
    before = dict(walk._ENTRIES)
    nb.exports(Gate)(nb.from_pnnx)
    yield
    walk._ENTRIES.clear()
    walk._ENTRIES.update(before)


def test_a_network_with_converted_parts(gates_by_pnnx: None) -> None:
    """By child(), twice, between modules that export themselves; on every target, tap by tap."""
    g = check_module(nn.Sequential(nn.Conv2d(6, 6, 1), Gate(), nn.Sequential(Gate(8), nn.ReLU())), (6, 7, 5))
    assert {"part.0", "part.1", "part.2.0", "part.2"} <= set(g.taps)
    parts = [n for n in g.nodes if n.made_by == "pnnx"]
    assert {n.scope for n in parts} == {"part.1", "part.2.0"}
    assert {n.source.split(":")[0] for n in parts} == {"module_support.py"}


def test_several_inputs_and_results_on_ncnn_as_well() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            a = self.conv(a)
            return functional.leaky_relu(a + c, 0.1), torch.cat([a, c], 1)

    values = converted(ready(Several()), (2, 3, 4), (5,), (2, 3, 4), run=run_emitted)
    assert [v.shape for v in values] == [(2, 3, 4), (4, 3, 4)]


def test_a_form_of_the_modulation_that_it_gets_right() -> None:
    class ByWeight(Modulated):
        def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            weight = self.weight * self.affine(w).reshape(1, -1, 1, 1)
            return functional.conv2d(x, weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8))

    converted(ready(ByWeight(6, 5)), (6, 5, 7), (8,), run=run_emitted)


# -- what it finds ----------------------------------------------------------------------------------------------


def test_a_wrong_conversion_of_stylegan2_is_found_and_measured() -> None:
    text = refused(nb.ParityError, ready(Modulated(6, 6)), (6, 5, 7), (8,))
    assert "something else" in text and "Write export_ncnn()" in text
    assert float(text.split("got ")[1].split(" ")[0]) > 0.05


def test_a_wrong_axis_is_found() -> None:
    """Without a convolution pnnx has to guess which axis is the batch."""

    class Join(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.cat([a, b], 1)

    refused(nb.ParityError, Join().eval(), (2, 3, 4), (2, 3, 4))


def test_and_where_the_channels_differ_it_does_not_fit() -> None:
    text = refused(nb.BuildError, ready(Modulated(6, 5)), (6, 5, 7), (8,))
    assert "do not fit each other" in text and "[5, 6, 3, 3] and [6, 1, 1, 1]" in text and "m.ncnn.param, line" in text


def test_a_layer_with_a_batch_is_named_with_its_parameters() -> None:
    class Demodulated(Modulated):
        def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            styles = self.affine(w).view(1, self.channels, 1, 1)
            demodulation = torch.rsqrt((self.weight * styles).square().sum([1, 2, 3]) + 1e-8)
            return functional.conv2d(x * styles, self.weight, padding=1) * demodulation.view(1, self.out, 1, 1)

    text = refused(nb.BuildError, ready(Demodulated(6, 6)), (6, 5, 7), (8,))
    assert "nobody could check" in text and "Reshape with 12=0 13=233" in text


def test_a_whole_synthesis_is_refused() -> None:
    G = network("skip").eval()
    text = refused(nb.BuildError, G.synthesis, (G.num_ws, 24))
    assert "does not have" in text and "torch.narrow" in text


def test_mutation_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that is changed a little behind pnnx is a difference, and is said to be one."""
    read = converter._read

    def changed(*args: Any) -> nb.Graph:
        part = read(*args)
        node = next(n for n in part.nodes if n.spec.type == "Convolution")
        node.weights["weight"] = node.weights["weight"] * np.float32(1.01)
        return part

    module = ready(Gate())
    converted(module, (6, 4, 4))
    monkeypatch.setattr(converter, "_read", changed)
    assert "within 1e-04" in refused(nb.ParityError, module, (6, 4, 4))
    converted(module, (6, 4, 4), tolerance=0.1)


def test_a_difference_on_ncnn_alone() -> None:
    def wrong(*args: Any) -> dict[str, Any]:
        return {name: result * 1.01 for name, result in run_emitted(*args).items()}

    assert "on ncnn" in refused(nb.ParityError, ready(Gate()), (6, 4, 4), run=wrong)


class Is(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.function(*inputs)


WRONG_LAYERS = {
    "x ** 3": lambda x: x**3,
    "pow 5": lambda x: x.pow(5),
    "pow 4.0": lambda x: torch.pow(x, 4.0) * 0.5,
    "pow -1": lambda x: (x + 2000) ** -1,
    "root": lambda x: x.clamp(min=0) ** 1.5,
    "half a gelu": lambda x: torch.tanh(x + 0.044715 * x**3),
    "softplus": functional.softplus,
    "logsigmoid": functional.logsigmoid,
    "logsumexp": lambda x: torch.logsumexp(functional.conv1d(x, torch.eye(4)[..., None]), 2, keepdim=True) * x,
    "glu": lambda x: functional.glu(functional.conv1d(x, torch.eye(4)[..., None]), 2),
}
"""What pnnx makes layers of that ncnn computes wrongly at zero, below, or where exp() overflows."""


@pytest.mark.parametrize("name", WRONG_LAYERS)
def test_layers_that_ncnn_computes_wrongly_at_edges_are_said_otherwise(name: str) -> None:
    g = nb.Graph()
    module, x = Is(WRONG_LAYERS[name]).eval(), np.float32([[0, -0.5, 90, -90, 1, -2, 3, 100]] * 3 + [[0.25] * 8])
    g.output("y", nb.from_pnnx(g, module, g.input("x", (4, 8))))
    expected = {"y": module(torch.from_numpy(x)[None])[0].numpy()}
    for target in ("reference", "stock"):
        got = run_emitted(nb.compile_graph(g, target), {"x": x}, ["y"])
        Report(name).add_all(got, expected, 1e-5).check()


def test_the_gelu_that_it_takes_for_another_is_found() -> None:
    """That of tanh becomes that of erf, which differs by 5e-4: of numbers that are all small, that is much."""
    tanh = Is(lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))))
    assert "of negative inputs on ncnn" in refused(nb.ParityError, tanh.eval(), (4, 8))


@pytest.mark.parametrize("name", ["x ** 3", "softplus", "logsigmoid"])
def test_and_left_as_they_are_they_are_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The mutation control: without the other form, normal draws alone would let softplus through."""
    monkeypatch.setattr(converter, "right_forms", lambda part: part)
    text = refused(nb.ParityError, Is(WRONG_LAYERS[name]).eval(), (4, 8))
    assert "inputs on ncnn" in text or "NaN or infinite" in text


def test_a_difference_at_edges_alone_is_found() -> None:
    """A layer that is right for all that normal draws reach."""

    def saturated(model: nb.EmittedModel, inputs: Any, outputs: list[str]) -> dict[str, Any]:
        return {name: np.minimum(array, 50) for name, array in run_emitted(model, inputs, outputs).items()}

    assert "of large inputs" in refused(nb.ParityError, Is(functional.relu).eval(), (3, 4), run=saturated)


def test_what_float32_cannot_know_is_no_difference() -> None:
    """A norm of equal numbers divides rounding by rounding."""
    converted(ready(nn.Sequential(nn.Conv2d(4, 4, 1), nn.InstanceNorm2d(4))), (4, 5, 8))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x.flatten(2).transpose(1, 2), (20, 4)),
        (lambda x: x.view(1, 4, -1), (4, 20)),
        (lambda x: functional.conv2d(x, torch.ones(4, 4, 1, 1)).mean((2, 3)), (4,)),
    ],
)
def test_a_result_with_the_batch_in_it_gets_its_shape(function: Any, shape: tuple[int, ...]) -> None:
    (value,) = converted(Is(function).eval(), (4, 5, 4))
    assert value.shape == shape


class Focus(nn.Module):
    """The stem of YOLOv5 and YOLOX: every second pixel, four times."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * channels, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.conv(torch.cat(parts, 1))


@pytest.mark.parametrize(
    "module",
    [Focus(), nn.Sequential(nn.Conv2d(3, 4, 1), Is(lambda x: x[:, :, 1::3] * 2)), Is(lambda x: x[:, :, ::2, 2:5:2])],
)
def test_slices_with_a_step(module: nn.Module) -> None:
    """pnnx loses where such a slice begins and steps: it is traced as reshapes and slices without a step."""
    converted(ready(module), (3, 8, 6))


COMMON: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "padding of the same size": (nn.Conv2d(4, 6, 3, padding="same"), (4, 5, 8)),
    "and of an even kernel": (nn.Conv2d(4, 6, 4, padding="same"), (4, 5, 8)),
    "reflect padding": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (4, 5, 8)),
    "a matrix of constants": (nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(8, 3)), (4, 5, 8)),
    "resized from one pixel": (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 3, 1), nn.Upsample((5, 7), mode="bilinear")),
        (4, 5, 8),
    ),
    "a head of rows": (nn.Sequential(nn.Conv2d(4, 6, 2, 2), nn.Flatten(2)), (4, 6, 8)),
    "an activation twice": (nn.Sequential(conv := nn.Conv2d(4, 4, 1), act := nn.Hardswish(), conv, act), (4, 5, 8)),
}


@pytest.mark.parametrize("name", COMMON)
def test_what_pnnx_gets_right_is_taken(name: str) -> None:
    module, shape = COMMON[name]
    converted(ready(module), shape)


def test_on_the_wheel_where_there_is_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "runtime", None)
    converted(ready(Gate()), (6, 4, 4))
    monkeypatch.setattr(converter, "right_forms", lambda part: part)
    refused(nb.ParityError, Is(functional.softplus).eval(), (4, 8))


def test_no_ncnn_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runtime", "ncnn"):
        monkeypatch.setitem(sys.modules, name, None)
    text = refused(nb.BuildError, ready(Gate()), (6, 4, 4))
    assert "no ncnn to run the layers on" in text and "pip install ncnn" in text


# -- how it fails -----------------------------------------------------------------------------------------------


def test_pnnx_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pnnx", None)
    text = refused(nb.BuildError, ready(Gate()), (6, 4, 4))
    assert "pnnx is not installed" in text and "pip install pnnx" in text


def program(path: Path, lines: str) -> str:
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("sleep 60", "takes too long; expected 0.5 s at most"),
        ("echo building; echo 'index out of range'; exit 3", "broke off with code 3; got index out of range"),
        ("kill -SEGV $$", "broke off with code -11; got nothing said"),
        ("exit 0", "broke off with code 0"),
        ("echo 7767517 > m.ncnn.param; echo '1 1' >> m.ncnn.param; touch m.ncnn.bin", "do not fit each other"),
    ],
)
def test_it_breaks_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str, text: str) -> None:
    monkeypatch.setattr(pnnx, "EXEC_PATH", program(tmp_path / "pnnx", lines))
    assert text in refused(nb.BuildError, ready(Gate()), (6, 4, 4), timeout=0.5)


def test_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pnnx, "EXEC_PATH", "/nonexistent/pnnx")
    assert "cannot be run" in refused(nb.BuildError, ready(Gate()), (6, 4, 4))


def test_torch_cannot_trace_it() -> None:
    assert "cannot trace" in refused(nb.BuildError, ready(Gate()), (5, 4, 4))  # five channels, not six


def test_training_mode() -> None:
    with pytest.raises(nb.BuildError, match=r"training mode.*\.eval\(\)"):
        converted(nn.Sequential(Gate()).train(), (6, 4, 4))
