"""Open sizes in graphs: every op's shape rule computes with them as with numbers, or says no."""

from __future__ import annotations

from typing import Any

import pytest
from open_support import graph_of, larger, openings
from parity_support import spread
from torch import nn

import ncnn_builder as nb
from ncnn_builder import pipeline
from ncnn_builder.ir import Node
from ncnn_builder.open_shapes import shape_at
from ncnn_builder.opspec import spec_of
from ncnn_builder.passes.match import rewrite_all
from ncnn_builder.rebuild import rebuild
from ncnn_builder.sizes import OpenSizeError, open_size
from ncnn_builder.verify import verify

SPECS = [s for s in nb.registry.values() if not s.off and s.type != "Input" and any(x.inputs for x in s.samples())]
ONE_SIZE = {
    "ModulatedConv2d": "the layer has its size as parameters",
    "ToRGB": "the layer has its size as parameters",
    "DetectionOutput": "an input of one number for each of another's",
    "Fold": "the number of windows follows from the size of the result",
    "Transforms": "one matrix",
    "synthesis_input": "a vector of one length",
}
"""Ops of which no sample takes an open size."""
OTHER_WORDS = {"FusedConv2d", "Reshape", "Crop", "Pooling", "Pooling1D", "Pooling3D"}
"""Weights laid out for a size that is known, which changes no number; -1, an end counted from the end, a window that
hangs over or does not: what is known may be said in another way."""


@pytest.mark.parametrize("spec", SPECS, ids=[s.type for s in SPECS])
def test_a_shape_rule_agrees_with_itself(spec: nb.OpSpec) -> None:
    """Every value's shape, and every parameter, at three sizes; what is built for all sizes is built for each."""
    samples = spec.samples()
    taken = sum(map(agrees, spread(samples, 6))) or sum(map(agrees, samples))
    assert (taken == 0) == (spec.type in ONE_SIZE)


def agrees(sample: nb.Sample) -> int:
    """With how many choices of its axes open the sample can be built; then it agrees."""
    taken = 0
    for opened, now in openings(sample.inputs):
        try:
            graph = graph_of(sample.build, opened)
        except nb.BuildError:
            continue
        taken += 1
        verify(graph, stage="open")
        for at in larger(now):
            known = graph_of(sample.build, [shape_at(shape, at) for shape in opened])
            assert [shape_at(v.shape, at) for v in graph.values()] == [v.shape for v in known.values()]
            for a, b in zip(graph.nodes, known.nodes, strict=True):
                assert a.spec.foreign or a.spec.type in OTHER_WORDS or a.params == b.params, (a, b)
    return taken


def test_what_an_open_graph_looks_like() -> None:
    g = nb.Graph()
    x = g.input("x", (3, "h", "8*w = 64..512"))
    y = nb.conv2d(g, x, nn.Conv2d(3, 8, 3, 2, 1))[0]
    assert repr(y) == "Convolution_1[8, (h + 1)//2, 4*w]" and y.open and x.open
    assert [(n.name, n.least, n.most) for n in g.open_sizes] == [("h", 2, None), ("w", 8, 64)]
    assert g.size_of("w") == (x, 2)
    assert not nb.adaptive_avg_pool2d(g, y, 1)[0].open
    assert nb.really_reshape(g, y, (8, -1))[0].shape == (8, y.shape[1] * y.shape[2])
    like = nb.interpolate(g, y, size=x.shape[1:])[0]
    assert like.shape == (8, *x.shape[1:])
    assert nb.concat(g, [like, x], 1)[0].shape == (11, *x.shape[1:])


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((3, "h*w", 4), {}, "bad size"),
        ((3, open_size("h") * open_size("w"), 4), {}, "one name each"),
        ((3, open_size("h") // 2, 4), {}, "one name each"),
        ((3, "h=0..9", 4), {}, "bad bounds"),
        ((3, "h", 4), {"any_shape": True}, "or any_shape"),
        ((3, "h", "h=5..9"), {}, "other bounds of h"),
        ((3, "a", "b", "c", "d"), {}, "1 to 4 positive"),
    ],
)
def test_inputs_that_say_no_size(shape: Any, options: dict[str, Any], says: str) -> None:
    g = nb.Graph()
    with pytest.raises(nb.BuildError, match=says):
        g.input("x", shape, **options)


@pytest.mark.parametrize(
    ("build", "op"),
    [
        (lambda g, x: nb.adaptive_avg_pool2d(g, x, (x.shape[1] // 2, 2)), "adaptive_avg_pool2d"),
        (lambda g, x: nb.slice(g, x, 3, 2), "slice"),
        (lambda g, x: nb.really_reshape(g, x, (4, 4, -1)), "really_reshape"),
        (lambda g, x: nb.conv2d(g, x, nn.Conv2d(3, 4, 5)), "Convolution"),
        (lambda g, x: nb.pad(g, x, left=x.shape[2]), "pad"),
        (lambda g, x: nb.MulConstant(g, x, scale=x.shape[1]), "MulConstant"),
        (lambda g, x: nb.concat(g, [x, nb.permute(g, x, (0, 1, 3, 2))], 1), "Concat"),
    ],
)
def test_what_holds_for_one_size_only_is_an_error(build: Any, op: str) -> None:
    g = nb.Graph()
    with pytest.raises(nb.BuildError) as caught:
        build(g, g.input("x", (3, "h", "w")))
    assert caught.value.op == op and "h" in str(caught.value)


def test_pooling_into_parts_that_follow_the_size() -> None:
    g = nb.Graph()
    x = g.input("x", (3, "8*h", "w"))
    _, h, w = x.shape
    assert nb.adaptive_max_pool2d(g, x, (None, 2))[0].shape == (3, h, 2)
    y = nb.adaptive_avg_pool2d(g, x, (h // 4, None))[0]
    assert y.shape == (3, h // 4, w) and y.producer is not None and y.producer.params["kernel_h"] == 4
    assert nb.adaptive_avg_pool2d(g, x, (h // 2, 5))[0].shape == (3, h // 2, 5)
    rows = g.input("y", (3, "2*n"))
    assert nb.pooling1d(g, rows, nn.AdaptiveMaxPool1d(3))[0].shape == (3, 3)


def test_parts_of_an_open_axis_are_one_slice_where_that_can_be() -> None:
    g = nb.Graph()
    x = g.input("x", (4, "2*h=8..", "w=8.."))
    _, h, w = x.shape
    for made, slices, indices in [
        (nb.tensor_split(g, x, 2, 2), (-233, -233), ()),
        (nb.slice(g, x, h // 2, 2), (-233, -233), ()),
        (nb.slice(g, x, [2, (w - 2) // 1], 3), (2, -233), ()),
        (nb.slice(g, x, [w - 2, 2], 3), (), (-2,)),
        (nb.slice(g, x, [1, w - 3, 2], 3), (), (1, -2)),
    ]:
        node = made[0].producer
        assert node is not None and (node.params["slices"], node.params["indices"]) == (slices, indices)
    assert [v.producer.spec.type for v in nb.slice(g, x, [h // 2 - 1, h // 2 + 1], 2)] == ["Crop/sized"] * 2
    for wrong in ([w, 1], [w - 1], [w - 9, 9]):
        with pytest.raises(nb.BuildError):
            nb.slice(g, x, wrong, 3)


def test_a_lowering_that_needs_a_size_names_op_and_size() -> None:
    g = nb.Graph()
    g.output("y", nb.coordconcat(g, g.input("x", (3, "h", "w"))))
    assert nb.compile_graph(g, "fused").outputs["y"] == (5, open_size("h"), open_size("w"))
    with pytest.raises(nb.BuildError, match=r"CoordConcat .*one size only.*x\[3, h, w\]") as caught:
        nb.compile_graph(g, "stock")
    assert caught.value.op == "CoordConcat"


def resized(g: nb.Graph, x: nb.Value, y: nb.Value) -> nb.Value:
    """Of a size that nothing behind it shows."""
    return nb.global_pool(g, nb.sin(g, nb.interpolate(g, x, size=y.shape[1:])), "AveragePool")[0]


def pair() -> nb.Graph:
    g = nb.Graph()
    y = resized(g, g.input("x", (3, "h", "w")), g.input("y", (1, "2*h", "v")))
    g.output("z", y)
    return g


def baked(graph: nb.Graph) -> nb.Graph:
    """What it has seen at one size, in the place of what follows the input."""
    new = nb.Graph(graph.name)
    new.input("x", (3, "h", "w"))
    new.output("y", nb.memorydata(new, [[[1.0] * 8] * 8]))
    return new


def size_as_parameter(graph: nb.Graph) -> nb.Graph:
    node = graph.nodes[0]
    new = nb.Graph(graph.name)
    x = new.input("x", (3, "h", "w"))
    copy = Node(spec_of("Reduction"), "r", [x], {**node.params, "operation": x.shape[1]}, {}, "", "here", "a pass")
    new.output("y", new.adopt(copy, [("r", node.outputs[0].shape)])[0])
    return new


@pytest.mark.parametrize(
    ("step", "says"),
    [(baked, "output y has another shape"), (size_as_parameter, "parameter operation is the open size h")],
)
def test_a_pass_that_bakes_a_size_in_is_found(step: Any, says: str) -> None:
    """Control."""
    g = nb.Graph()
    g.output("y", nb.reduction(g, g.input("x", (3, "h", "w")), "ReduceSum", 4, (2,), True))
    with pytest.raises(nb.VerifyError, match=says):
        pipeline.run_passes(g, [pipeline.Pass("it", step)], "stock")


def sixteen(new: nb.Graph, node: nb.Node, inputs: list[nb.Value]) -> Any:
    """A size of today."""
    if not node.spec.type.startswith("Interp"):
        return None
    return nb.interpolate(new, inputs[0], size=(16, 16))


def test_a_size_that_is_baked_in_where_no_output_shows_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a pass that rebuilds, a rule, a pass of another kind, and a lowering."""
    says = r"has another shape.*expected \[3, 2\*h, v\]; got \[3, 16, 16\].*takes a size for known that is open"
    rebuilt = pipeline.Pass("it", lambda graph: rebuild(graph, sixteen, "a pass"))
    with pytest.raises(nb.VerifyError, match=f"a pass: what takes the place of .*{says}"):
        pipeline.run_passes(pair(), [rebuilt], "stock")

    def by_hand(graph: nb.Graph) -> nb.Graph:
        new = nb.Graph(graph.name)
        new.avoid(())
        x, _ = (new.input(v.name, v.shape) for v in graph.inputs)
        first = graph.nodes[0].outputs[0].name
        copy = Node(spec_of("Interp"), "i", [x], interp_params(), {}, "", "here", "a pass")
        y = new.adopt(copy, [(first, (3, 16, 16))])[0]
        new.output("z", nb.global_pool(new, nb.sin(new, y), "AveragePool")[0])
        return new

    with pytest.raises(nb.VerifyError, match=f"after pass it: .*{says}"):
        pipeline.run_passes(pair(), [pipeline.Pass("it", by_hand)], "stock")
    rule = pipeline.Pass("it", lambda graph: rewrite_all(graph, lambda g, n, m: sixteen(g, n, list(n.inputs)), "it"))
    assert pipeline.run_passes(graph := pair(), [rule], "stock") is graph  # a rule does not take place
    monkeypatch.setitem(nb.TARGETS["stock"], "Interp/sized", sixteen)
    with pytest.raises(nb.VerifyError, match=f"target stock: what takes the place of .*{says}"):
        nb.compile_graph(pair(), "stock")


def interp_params() -> Any:
    g = nb.Graph()
    nb.interpolate(g, g.input("x", (3, 8, 8)), size=(16, 16))
    return g.nodes[0].params


def test_a_pass_that_asks_for_the_number_of_an_open_size_is_an_error() -> None:
    def mean(graph: nb.Graph) -> nb.Graph:
        return rebuild(graph, lambda new, node, inputs: [inputs[0] * (1.0 / node.inputs[0].shape[1])], "it")

    with pytest.raises(OpenSizeError, match=r"a number is asked for.* got h"):
        pipeline.run_passes(pair(), [pipeline.Pass("it", mean)], "stock")
