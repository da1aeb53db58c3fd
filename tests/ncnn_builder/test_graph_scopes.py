"""Modules become scopes and taps, and what a module returns in torch can be set beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.parity import Report, interpret, module_graph, node_graph, torch_taps
from ncnn_builder.targets import lower


class Dense(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in))
        self.bias = nn.Parameter(torch.randn(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T + self.bias

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> list[nb.Value]:
        return nb.fully_connected(g, x, self.weight, self.bias)


class Pair(nn.Module):
    """Returns two results, the second of which may be missing."""

    def __init__(self, both: bool = True) -> None:
        super().__init__()
        self.both = both
        self.layers = nn.ModuleList([Dense(5, 4), Dense(4, 3)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        x = self.layers[0](x)
        return x, self.layers[1](x) if self.both else None

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> list[nb.Value | None]:
        x = nb.child(g, self, "layers.0", x)
        return [x[0], nb.child(g, self, "layers.1", x)[0] if self.both else None]


class Net(nn.Module):
    def __init__(self, both: bool = True) -> None:
        super().__init__()
        self.pair = Pair(both)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.pair(x)
        return a.abs().sum(1, keepdim=True) * (1 if b is None else b)

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> list[nb.Value]:
        a, b = nb.child(g, self, "pair", x)
        total = nb.reduction(g, nb.abs(g, a), "ReduceSum", 2, (1,), True)
        return total if b is None else nb.binaryOp(g, [total[0], b], "Mul")


def exported(both: bool = True) -> tuple[nb.Graph, Net]:
    torch.manual_seed(6)
    net = Net(both)
    g = nb.Graph("net")
    g.output("y", net.export_ncnn(g, g.input("x", (5,))))
    return g, net


def outputs_of(graph: nb.Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    values = interpret(graph, inputs)
    return {name: values[value] for name, value in graph.outputs.items()}


# -- scopes, taps, names ------------------------------------------------------------------------------------------


def test_children_give_scopes_and_taps() -> None:
    g, _ = exported()
    assert [n.scope for n in g.nodes] == ["pair.layers.0", "pair.layers.1", "", "", ""]
    assert list(g.taps) == ["pair.layers.0", "pair.layers.1", "pair:0", "pair:1"]
    assert g.taps["pair:0"] is g.taps["pair.layers.0"]
    assert g.current_scope == ""


def test_a_missing_result_keeps_its_place() -> None:
    g, _ = exported(both=False)
    assert list(g.taps) == ["pair.layers.0", "pair:0"]


def test_taps_are_what_the_modules_return() -> None:
    g, net = exported()
    x = torch.randn(1, 5)
    expected = torch_taps(net, lambda: net(x), g.taps)
    values = interpret(g, {"x": x[0].numpy()})
    got = {path: values[value] for path, value in g.taps.items()}
    report = Report("taps").add_all(got, expected, 1e-5).check()
    assert [c.name for c in report.comparisons] == list(g.taps)


def test_torch_taps_refuses_what_it_cannot_find() -> None:
    _, net = exported(both=False)
    x = torch.randn(1, 5)
    with pytest.raises(nb.ParityError, match=r"no modules.*pair\.other"):
        torch_taps(net, lambda: net(x), ["pair.other"])
    with pytest.raises(nb.ParityError, match="did not return"):
        torch_taps(net, lambda: net(x), ["pair.layers.1"])
    with pytest.raises(nb.ParityError, match="batch"):
        torch_taps(net, lambda: net(torch.randn(2, 5)), ["pair.layers.0"])


def test_torch_taps_with_a_prefix_and_without_hooks_left() -> None:
    _, net = exported()
    x = torch.randn(1, 5)
    got = torch_taps(net, lambda: net(x), ["main.pair.layers.0"], prefix="main")
    assert np.allclose(got["main.pair.layers.0"], net.pair.layers[0](x)[0].detach())
    assert not any(m._forward_hooks for m in net.modules())


def test_a_scope_ends_with_an_error() -> None:
    g = nb.Graph()
    with pytest.raises(ZeroDivisionError), g.scope("a.b"):
        raise ZeroDivisionError
    assert g.current_scope == ""


def test_a_name_that_an_author_took_is_left_alone() -> None:
    g = nb.Graph()
    x = g.input("Square_1", (3,))
    assert nb.square(g, x)[0].name == "Square_2"


def test_the_results_of_one_node_are_numbered() -> None:
    g = nb.Graph()
    w, b = nb.shell(g, [], np.ones((2, 3, 1, 1)), np.ones(2))
    assert (w.name, b.name) == ("Shell_1:0", "Shell_1:1")
    assert (w.data == 1).all() and w.data.shape == w.shape == (2, 3, 1, 1)
    assert b.data.shape == b.shape == (2,)


def test_uses_are_kept() -> None:
    g = nb.Graph()
    x = g.input("x", (3,))
    nb.binaryOp(g, [x, x], "Mul")
    assert [(n.spec.type, i) for n, i in x.uses] == [("BinaryOp", 0), ("BinaryOp", 1)]


def test_names_come_from_scope_op_and_a_counter_of_the_graph() -> None:
    (a, _), (b, _) = exported(), exported()
    assert [n.name for n in a.nodes] == [n.name for n in b.nodes]
    assert [n.name for n in a.nodes] == [
        "pair.layers.0/fully_connected_1",
        "pair.layers.1/fully_connected_2",
        "Abs_3",
        "Reduction_4",
        "BinaryOp_5",
    ]


def test_a_printed_graph_can_be_read() -> None:
    g, _ = exported()
    text = str(g)
    assert text.startswith("graph net(x[5])\n")
    assert text.endswith("\n  return y=BinaryOp_5")
    assert "  [pair.layers.0]\n    pair.layers.0/fully_connected_1[4] = fully_connected(x, act=0, " in text
    assert "weight[4, 5], bias[4])  # test_graph_scopes.py:" in text
    lowered = str(lower(g, "reference"))
    assert "by target reference" in lowered and "fully_connected" not in lowered


def test_a_module_as_a_graph() -> None:
    g, _ = exported()
    part, sources = module_graph(g, "pair")
    nb.verify(part, stage="part")
    assert [n.scope for n in part.nodes] == ["pair.layers.0", "pair.layers.1"]
    assert tuple(sources.values()) == g.inputs
    values = interpret(g, {"x": np.ones(5)})
    got = outputs_of(part, {"in0": np.ones(5)})
    assert np.array_equal(got["out0"], values[g.taps["pair:0"]])
    assert np.array_equal(got["out1"], values[g.taps["pair:1"]])
    one, sources = module_graph(g, "pair.layers.1")
    assert len(one.nodes) == 1 and list(sources.values()) == [g.taps["pair:0"]]


@pytest.mark.parametrize("path", ["pai", "pair.layers", "nothing"])
def test_a_module_that_is_not_there(path: str) -> None:
    with pytest.raises(nb.ParityError, match="no nodes or no tap"):
        module_graph(exported()[0], path)


# -- names and outputs ------------------------------------------------------------------------------------------------


def test_a_fresh_name_meets_no_outputs_name() -> None:
    g = nb.Graph()
    x = g.input("x", (3,))
    g.output("Square_1", nb.abs(g, x))
    g.output("Square_2", x)
    first, second = nb.square(g, x), nb.square(g, x)
    g.output("y", first + second)
    assert not {first.name, second.name} & set(g.outputs)
    assert nb.compile_graph(g, "stock").outputs.keys() == {"Square_1", "Square_2", "y"}


@pytest.mark.parametrize("target", ["reference", "stock", "fused"])
def test_passes_and_lowerings_meet_no_outputs_name_of_a_net_that_was_read(tmp_path: Path, target: str) -> None:
    """Outputs that come from a Split, called as what the lowering of a Square or the merging of two scales would be."""
    names = [f"{kind}_{i}" for kind in ("UnaryOp", "MulConstant", "BinaryOp", "Clip", "Reshape") for i in range(1, 6)]
    lines = [
        "Input in 0 1 in 0=5",
        f"Split s 1 {len(names) + 2} in {' '.join(names)} a b",
        "Square q 1 1 a q",
        "MulConstant m 1 1 b m 0=2.0 1=1.0",
        "MulConstant n 1 1 m n 0=3.0 1=1.0",
        "Clamp c 1 1 n c 0=0.0 1=1.0",
    ]
    text = ["7767517", f"{len(lines)} {len(names) + 7}", *lines, ""]
    (tmp_path / "net.param").write_text("\n".join(text))
    (tmp_path / "net.bin").write_bytes(b"")
    g = nb.load(tmp_path / "net.param", tmp_path / "net.bin")
    y = nb.square(g, g.outputs["c"])
    g.output("more", nb.MulConstant(g, y, 2.0))
    model = nb.compile_graph(g, target)
    assert set(model.outputs) == {*names, "q", "c", "more"}


def test_a_part_of_a_net_that_was_read_has_names_of_its_own(tmp_path: Path) -> None:
    """Its inputs and outputs were called in0 and out0, which the net may have as well."""
    lines = ["Input data 0 1 data 0=5", "Square in0 1 1 data in0", "Abs out0 1 1 in0 out0"]
    (tmp_path / "net.param").write_text("\n".join(["7767517", "3 3", *lines, ""]))
    (tmp_path / "net.bin").write_bytes(b"")
    g = nb.load(tmp_path / "net.param", tmp_path / "net.bin")
    for node in g.nodes:
        alone, sources = node_graph(node)
        assert len(sources) == 1 and len(alone.outputs) == 1
        assert nb.compile_graph(alone, "reference").inputs.keys() == sources.keys()
