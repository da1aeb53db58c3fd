"""What users add from outside of the package: ops, lowerings, passes, converters of operators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from own_support import taken_back

import ncnn_builder as nb
from ncnn_builder.parity import interpret


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Takes back what a test has registered."""
    with taken_back():
        yield


def soft_cap() -> Any:
    """A layer of the user's own, x / (1 + |x| / cap), and its function."""

    @nb.register
    class SoftCap(nb.OpSpec):
        """x / (1 + |x| / cap)."""

        type = "SoftCap"
        outside = True
        params = (nb.Param("cap", 0, "float", "how far it goes", 1.0),)

        def infer(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
            return [inputs[0]]

        def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
            (x,) = inputs
            return [x / (1 + x.abs() / params["cap"])]

    @nb.dsl
    def soft_cap(g: nb.Graph, bottom_names: nb.ValueLike, cap: float = 1.0) -> nb.Values:
        return nb.append(g, nb.registry["SoftCap"], bottom_names, {"cap": cap})

    return soft_cap


def net(cap: float = 2.0) -> nb.Graph:
    g = nb.Graph()
    g.output("y", soft_cap()(g, g.input("x", (3, 4)), cap)[0] * 2)
    return g


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_a_layer_of_ones_own_stays_on_every_target(target: str) -> None:
    line = next(row for row in nb.compile_graph(net(), target).param.splitlines() if row.startswith("SoftCap"))
    assert line.split()[-1] == "0=2.00000000e+00"


def test_its_files_are_read_again() -> None:
    model = nb.compile_graph(net(), "stock")
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    g = nb.Graph()
    g.output("y", nb.functions["soft_cap"](g, g.input("x", (3, 4)), 2)[0])
    (y,) = interpret(g, {"x": x})[g.outputs["y"]][None]
    assert np.allclose(y, x / (1 + np.abs(x) / 2), atol=1e-6) and "SoftCap" in model.param


def test_a_lowering_takes_its_place_on_its_targets() -> None:
    graph = net()

    @nb.lowers("SoftCap", "stock", "fused")
    def lowered(g: nb.Graph, node: nb.Node, inputs: list[nb.Value]) -> list[nb.Value]:
        x = inputs[0]
        return [x / (abs(x) / node.params["cap"] + 1)]

    assert "SoftCap" not in nb.compile_graph(graph, "stock").param
    assert "SoftCap" not in nb.compile_graph(graph, "fused").param
    assert "SoftCap" in nb.compile_graph(graph, "reference").param


def test_lowerings_that_make_each_others_ops_are_an_error() -> None:
    nb.register(type("Loop", (nb.OpSpec,), {"type": "Loop", "composite": True, "infer": lambda self, x, p, w: [x[0]]}))
    nb.lowers("Loop", "stock")(lambda g, node, inputs: nb.append(g, node.spec, inputs))
    g = nb.Graph()
    g.output("y", nb.append(g, nb.registry["Loop"], g.input("x", (3,))))
    with pytest.raises(nb.BuildError, match="without end"):
        nb.compile_graph(g, "stock")


def test_a_lowering_that_overlooks_a_parameter_is_an_error() -> None:
    graph = net()
    nb.lowers("SoftCap", "stock")(lambda g, node, inputs: [inputs[0] / (abs(inputs[0]) + 1)])
    with pytest.raises(nb.BuildError, match="does not know a parameter"):
        nb.compile_graph(graph, "stock")


def caps_merged(g: nb.Graph, node: nb.Node, matcher: nb.Matcher) -> Any:
    """SoftCap of a SoftCap: 1 / (1/a + 1/b) is the cap of both."""
    if node.spec.type != "SoftCap":
        return None
    first = matcher.interior(node.inputs[0], "SoftCap")
    if first is None:
        return None
    a, b = node.params["cap"], first.params["cap"]
    return nb.functions["soft_cap"](g, first.inputs[0], a * b / (a + b))


def twice() -> nb.Graph:
    function, g = soft_cap(), nb.Graph()
    g.output("y", function(g, function(g, g.input("x", (3, 4)), 2.0), 2.0))
    return g


def test_a_pass_runs_where_it_is_said() -> None:
    graph = twice()
    assert nb.compile_graph(graph, "stock").param.count("SoftCap ") == 2
    nb.rewrites("merge_caps", targets=["stock"])(caps_merged)
    model = nb.compile_graph(graph, "stock")
    (line,) = [row for row in model.param.splitlines() if row.startswith("SoftCap")]
    assert line.split()[-1] == "0=1.00000000e+00"
    assert nb.compile_graph(graph, "fused").param.count("SoftCap ") == 2


def test_a_pass_runs_everywhere_but_on_the_oracle(tmp_path: Any) -> None:
    graph = twice()
    nb.rewrites("merge_caps", stage="built")(caps_merged)
    assert nb.compile_graph(graph, "stock", dump=tmp_path).param.count("SoftCap ") == 1
    assert nb.compile_graph(graph, "fused").param.count("SoftCap ") == 1
    assert nb.compile_graph(graph, "reference").param.count("SoftCap ") == 2
    assert any("merge_caps.after" in path.name for path in tmp_path.rglob("*"))


def test_why_a_pass_did_nothing_is_shown(tmp_path: Any) -> None:
    def needs(g: nb.Graph, node: nb.Node, matcher: Any) -> Any:
        if node.spec.type == "SoftCap" and matcher.interior(node.inputs[0], "SoftCap"):
            matcher.need(node.params["cap"] < 1, f"the cap {node.params['cap']} is large")
        return None

    nb.rewrites("merge_small", targets=["stock"])(needs)
    graph = twice()
    nb.compile_graph(graph, "stock", dump=tmp_path / "large")
    (said,) = (tmp_path / "large").rglob("*_merge_small.refused.txt")
    assert said.read_text() == f"{graph.nodes[1].name}: the cap 2.0 is large\n"
    graph.output("z", graph.nodes[0].outputs[0])
    nb.compile_graph(graph, "stock", dump=tmp_path / "read")
    (said,) = (tmp_path / "read").rglob("*_merge_small.refused.txt")
    assert "somebody else reads" in said.read_text()


def test_a_converter_of_ones_own_op() -> None:
    function = soft_cap()

    @torch.library.custom_op("test_own::soft_cap", mutates_args=())
    def operator(x: torch.Tensor, cap: float) -> torch.Tensor:
        return x / (1 + x.abs() / cap)

    operator.register_fake(lambda x, cap: torch.empty_like(x))
    nb.converts(torch.ops.test_own.soft_cap.default)(lambda g, node, x, cap: function(g, x, cap))

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return operator(x, 3.0) + 1

    graph = nb.capture(Net().eval(), torch.ones(1, 3, 4))
    assert [node.spec.type for node in graph.nodes] == ["SoftCap", "BinaryOp"]
    assert graph.nodes[0].params == {"cap": 3.0}


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nb.lowers("Nothing", "stock"), "unknown op"),
        (lambda: nb.lowers("ReLU", "plain"), "unknown target"),
        (lambda: nb.lowers("ReLU"), "unknown target"),
        (lambda: nb.rewrites("dead_code"), "a pass has this name"),
        (lambda: nb.rewrites("x", stage="last"), "unknown stage"),
        (lambda: nb.rewrites("x", targets=["plain"]), "unknown target"),
        (lambda: (soft_cap(), soft_cap()), "SoftCap: the type is declared already"),
        (lambda: nb.dsl(lambda g: None) and nb.dsl(lambda g: None), "a function of the DSL has this name"),
        (lambda: nb.register(type("A", (nb.OpSpec,), {})), "no type"),
        (lambda: nb.register(type("A", (nb.OpSpec,), {"type": "two words"})), "no type"),
        (lambda: nb.register(declared("A", [("a", 1), ("b", 1)])), "a parameter id is used twice"),
        (lambda: nb.register(declared("A", [("a", 31)])), "an id that no layer can have"),
        (lambda: nb.register(declared("A", [("a", 1)], composite=True)), "ids of parameters"),
        (lambda: nb.register(declared("A", [], custom=True, outside=True)), "composite, custom, outside"),
    ],
)
def test_a_wrong_registration_says_so(call: Any, words: str) -> None:
    with pytest.raises(nb.BuildError, match=words):
        call()


def declared(name: str, params: list[tuple[str, int]], **more: Any) -> Any:
    declarations = tuple(nb.Param(p, i, "int", p) for p, i in params)
    return type(name, (nb.OpSpec,), {"type": name, "params": declarations, **more})
