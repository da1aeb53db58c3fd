"""Walking modules: whose export is called, scopes and taps, what is refused, and how the registry is extended."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from module_support import Net, check_module, graph_of
from parity_support import run_emitted
from torch import nn

import ncnn_builder as nb
from ncnn_builder.modules import walk
from ncnn_builder.parity import Report, torch_taps


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class Own(Scale):
    def export_ncnn(self, g: nb.Graph, inputs: Any) -> list[nb.Value]:
        return nb.MulConstant(g, inputs, scale=self.factor)


@pytest.fixture
def registry() -> Iterator[None]:
    """What a test registers goes again."""
    before = dict(walk._ENTRIES)
    yield
    walk._ENTRIES.clear()
    walk._ENTRIES.update(before)


def refused(module: nn.Module, *shapes: tuple[int, ...]) -> str:
    with pytest.raises(nb.BuildError) as error:
        graph_of(Net(module), *shapes)
    return str(error.value)


# -- what is called ---------------------------------------------------------------------------------------------


def test_a_module_of_ones_own_is_asked() -> None:
    g = check_module(nn.Sequential(nn.Conv2d(3, 4, 1), Own(0.5), nn.Sequential(Own(3.0), nn.ReLU())), (3, 4, 5))
    assert list(g.taps) == ["part.0", "part.1", "part.2.0", "part.2.1", "part.2", "part"]
    assert [n.scope for n in g.nodes] == ["part.0", "part.1", "part.2.0", "part.2.1"]


def test_export_module_asks_it_too() -> None:
    g = nb.Graph()
    nb.export_module(g, Own(2.0), g.input("x", (3,)))
    assert [n.spec.type for n in g.nodes] == ["MulConstant"]


@pytest.mark.parametrize("by_child", [False, True])
def test_a_list_is_walked_and_its_members_have_paths(by_child: bool) -> None:
    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Tanh(), Own(2.0)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = layer(x)
            return x

        def export_ncnn(self, g: nb.Graph, inputs: Any) -> Any:
            if by_child:
                return nb.child(g, self, "layers", inputs)
            with g.scope("layers"):
                return nb.export_module(g, self.layers, inputs)

    g = check_module(Chain(), (4,))
    assert list(g.taps) == ["part.layers.0", "part.layers.1", "part.layers.2", "part"]


def test_a_subclass_that_computes_the_same_is_known() -> None:
    class Conv3x3(nn.Conv2d):
        def __init__(self, channels: int) -> None:
            super().__init__(channels, channels, 3, padding=1)

        def extra_repr(self) -> str:
            return "3x3"

    class Pair(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(Conv3x3(2), nn.ReLU())

    check_module(Pair(), (2, 4, 5))


def test_a_parametrised_weight_is_the_computed_one() -> None:
    check_module(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (3, 5, 6))


def test_in_place_modules_do_not_write_over_what_was_tapped() -> None:
    check_module(nn.Sequential(nn.Linear(5, 6), nn.ReLU(inplace=True)), (5,))


# -- the registry -----------------------------------------------------------------------------------------------


def test_a_function_of_ones_own(registry: None) -> None:
    @nb.exports(Scale)
    def scale(g: nb.Graph, module: Scale, inputs: list[nb.Value]) -> list[nb.Value]:
        return nb.MulConstant(g, inputs, scale=module.factor)

    check_module(nn.Sequential(Scale(3.0), nn.ReLU()), (2, 3))


def test_a_later_function_wins(registry: None) -> None:
    @nb.exports("ReLU", eval_only=True)
    def relu(g: nb.Graph, module: nn.ReLU, inputs: list[nb.Value]) -> list[nb.Value]:
        return nb.binaryOp(g, [inputs[0], 0.0], "Max")

    g = check_module(nn.Sequential(nn.ReLU()), (2, 3))
    assert [n.spec.type for n in g.nodes] == ["BinaryOp"]
    with pytest.raises(nb.BuildError, match="training mode"):
        nb.export_module(nb.Graph(), nn.ReLU(), nb.Graph().input("x", (1,)))


# -- what is refused --------------------------------------------------------------------------------------------


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x)


def test_what_cannot_be_captured_is_named_with_path_and_line() -> None:
    message = refused(nn.Sequential(nn.ReLU(), nn.Sequential(Unknown())), (3,))
    assert "bessel_j0 in part.1.0 at test_modules.py:" in message and "ncnn has no layer" in message
    assert "export_ncnn(g, inputs)" in message and "from_pnnx" in message


def test_an_unknown_module_is_captured() -> None:
    g = check_module(nn.Sequential(nn.ReLU(), nn.Sequential(Scale(2.0))), (3,))
    assert [n.scope for n in g.nodes] == ["part.0", "part.1.0"]


@pytest.mark.parametrize("method", ["forward", "_conv_forward"])
def test_a_subclass_that_computes_something_else_is_unknown(method: str) -> None:
    other = type("Other", (nn.Conv2d,), {method: lambda self, *args: args[0]})
    g = check_module(nn.Sequential(other(3, 3, 1).eval(), nn.ReLU()), (3, 4, 4))
    assert [n.spec.type for n in g.nodes] == ["ReLU"], "captured: it gives back what it is given"


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.BatchNorm2d(3), (3, 4, 4)),
        (nn.Dropout(), (3,)),
        (nn.InstanceNorm2d(3, track_running_stats=True), (3, 4, 4)),
        (nn.LSTM(3, 4, 2, dropout=0.5), (2, 3)),
        (nn.MultiheadAttention(4, 2, dropout=0.1), (3, 4)),
        (nn.RReLU(), (3,)),
    ],
    ids=lambda m: type(m).__name__,
)
def test_training_mode(module: nn.Module, shape: tuple[int, ...]) -> None:
    g, net = nb.Graph(), nn.Sequential(module).train()
    with pytest.raises(nb.BuildError, match=rf"{type(module).__name__} in 0 .*training mode.*\.eval\(\)"):
        nb.export_module(g, net, g.input("x", shape))


def test_training_mode_does_not_matter_to_others() -> None:
    g = nb.Graph()
    nb.export_module(
        g, nn.Sequential(nn.Linear(3, 3), nn.InstanceNorm1d(3), nn.LSTM(3, 2)).train(), g.input("x", (3, 3))
    )


def test_hooks() -> None:
    module = nn.Linear(3, 3)
    module.register_forward_pre_hook(lambda module, args: None)
    message = refused(module, (3,))
    assert "has hooks" in message and "forward_pre_hooks" in message and "remove_weight_norm" in message


REFUSED: list[tuple[nn.Module, tuple[int, ...], str]] = [
    (nn.MaxPool2d(2, return_indices=True), (3, 4, 4), "return_indices"),
    (nn.MaxPool2d(2, dilation=2), (3, 8, 8), "dilation"),
    (nn.AdaptiveMaxPool2d(2, return_indices=True), (3, 4, 4), "no indices"),
    (nn.AvgPool2d(2, divisor_override=3), (3, 4, 4), "divisor_override"),
    (nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"), (3, 4, 4), "padding"),
    (nn.Conv2d(3, 3, 3), (3, 9), "3-D"),
    (nn.Conv2d(4, 3, 3), (3, 9, 9), "wrong shape"),
    (nn.Upsample(scale_factor=2, mode="nearest-exact"), (3, 4, 4), "unknown mode"),
    (nn.Upsample(scale_factor=2, mode="bilinear"), (3, 9), "3-D"),
    (nn.Upsample(size=(1, 2, 3)), (3, 4, 4), "bad size"),
    (nn.RNN(3, 4, nonlinearity="relu"), (2, 3), "tanh only"),
    (nn.MultiheadAttention(4, 2, add_zero_attn=True), (3, 4), "add_zero_attn"),
    (nn.Embedding(5, 4, max_norm=1.0), (3,), "max_norm"),
    (nn.Softmax(0), (3, 4), "dim|axis"),
    (nn.Softmax(), (3, 4), "which dimension"),
    (nn.Softplus(1, 5), (3,), "threshold"),
    (nn.Flatten(0), (3, 4), "bad axis"),
    (nn.Unflatten(1, (2, 2)), (3, 4), "do not fit"),
    (nn.PixelUnshuffle(2), (3, 5, 4), "does not divide"),
    (nn.ZeroPad2d(1), (3, 5), "3-D"),
    (nn.ReflectionPad2d(5), (3, 5, 5), "reflection wider"),
    (nn.BatchNorm2d(3, track_running_stats=False), (3, 4, 4), "no running statistics"),
]


@pytest.mark.parametrize(("module", "shape", "text"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_a_module_cannot_be(module: nn.Module, shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(nb.BuildError, match=text) as error:
        graph_of(Net(module), shape)
    assert ("in part" in str(error.value) and "test_modules.py:" in str(error.value)) or error.value.scope == "part"


# -- mutation control, and the batch ----------------------------------------------------------------------------


def test_a_changed_weight_is_seen_by_path() -> None:
    net = Net(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)))
    graph, x = graph_of(copy.deepcopy(net), (4,)), torch.randn(1, 4)
    with torch.no_grad():
        net.part[2].weight[1, 1] += 0.01
        expected = torch_taps(net, lambda: net(x), graph.taps)
    model = nb.compile_graph(graph)
    blobs = run_emitted(model, {"x0": x[0].numpy()}, list(model.taps.values()))
    report = Report("net").add_all({p: blobs[b] for p, b in model.taps.items()}, expected, 1e-5)
    assert report.first_divergence is not None and report.first_divergence.name == "part.2"


def test_taps_of_several_results_and_of_the_first() -> None:
    module = nn.GRU(3, 2, batch_first=False)
    rows = torch.randn(5, 1, 3)
    with torch.no_grad():
        y, h = module(rows)
        got = torch_taps(nn.Sequential(module), lambda: module(rows), ["0", "0:0", "0:1"])
    assert np.array_equal(got["0"], y[:, 0]) and np.array_equal(got["0:0"], y[:, 0])
    assert np.array_equal(got["0:1"], h[:, 0])
