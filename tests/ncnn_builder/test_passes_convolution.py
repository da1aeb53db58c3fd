"""fuse_convolution: 3x3 convolutions on our kernels, with Concat, sums and activations in the same layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity_support import run_emitted
from pass_support import fires, graph_of, inputs_of, normal, refuses, same_on_ncnn, types
from torch import nn

import ncnn_builder as nb
from ncnn_builder.ops.convolutions.conv import static_conv
from ncnn_builder.passes.fuse_convolution import fuse_convolution
from ncnn_builder.passes.rules import Rules
from ncnn_builder.sizes import open_size

C, OUT = 16, 24
X, Y = (C, 28, 29), (OUT, 28, 29)
W = (normal(OUT, C, 3, 3) / 12).astype(np.float32)
B = normal(OUT)
WINOGRAD = 3e-5
"""As the layer's tolerance: the scheme is chosen by the size."""


def conv(g: nb.Graph, x: Any, weight: np.ndarray = W, bias: Any = B, **kw: Any) -> nb.Value:
    return static_conv(g, x, weight, bias, padding=kw.pop("padding", 1), **kw)[0]


def made(g: nb.Graph, count: int = 1, pass_: Rules = fuse_convolution) -> nb.Graph:
    after = fires(pass_, g, ["FusedConv2d"] * count)
    same_on_ncnn(g, after, WINOGRAD)
    return after


@pytest.mark.parametrize("bias", [B, None])
@pytest.mark.parametrize("padding", [0, 1, (0, 1, 2, 0)])
def test_a_convolution(bias: Any, padding: Any) -> None:
    after = made(graph_of(lambda g, x: conv(g, x, bias=bias, padding=padding), X))
    assert (after.nodes[0].params["height"], after.nodes[0].params["width"]) == X[1:]


@pytest.mark.parametrize("slope", [0.0, 0.2, -0.5])
def test_its_own_activation(slope: float) -> None:
    def build(g: nb.Graph, x: nb.Value) -> nb.Value:
        y = conv(g, x)
        maker = y.producer
        assert maker is not None
        maker.params |= {"activation_type": 2 if slope else 1, "activation_params": (slope,) if slope else ()}
        return y

    assert made(graph_of(build, X)).nodes[0].params["slope"] == np.float32(slope)


@pytest.mark.parametrize("slopes", [1, OUT])
def test_prelu(slopes: int) -> None:
    module = nn.PReLU(slopes)
    module.weight.data.uniform_(-0.5, 1.5)
    after = made(graph_of(lambda g, x: nb.prelu(g, conv(g, x), module), X))
    assert after.nodes[0].params["slope_data_size"] == (OUT if slopes > 1 else 0)


def test_sums() -> None:
    made(graph_of(lambda g, x, r: nb.binaryOp(g, [conv(g, x), r], "Add"), X, Y))
    made(graph_of(lambda g, x, r: nb.binaryOp(g, [r, conv(g, x)], "Add"), X, Y))
    made(graph_of(lambda g, x, r: nb.eltwise(g, [conv(g, x), r], "Sum"), X, Y))
    after = made(graph_of(lambda g, x, r: nb.eltwise(g, [r, conv(g, x)], "Sum", [1.0, 0.2]), X, Y))
    assert after.nodes[0].params["scale"] == np.float32(0.2)
    # of two convolutions, one of which is the residual; and an activation behind
    relu = nb.activation
    after = made(
        graph_of(lambda g, x: relu(g, nb.binaryOp(g, [conv(g, x), conv(g, x, W[::-1])], "Add"), "relu"), X), count=2
    )
    assert [n.params["residual"] for n in after.nodes] == [0, 1] and after.nodes[1].params["slope"] == 0


def test_a_dense_block_reads_its_parts() -> None:
    """As RRDB's: each convolution takes all that were made before it."""
    grown = [(normal(16, C + 16 * i, 3, 3) / 16).astype(np.float32) for i in range(3)]

    def build(g: nb.Graph, x: nb.Value) -> nb.Value:
        parts = [x]
        for weight in grown[:2]:
            joined = nb.concat(g, parts, 1) if len(parts) > 1 else x
            parts.append(nb.activation(g, conv(g, joined, weight, None), "leaky_relu", {"negative_slope": 0.2})[0])
        y = conv(g, nb.concat(g, [nb.concat(g, parts[:2], 1)[0], parts[2]], 1), grown[2], normal(16))
        return nb.eltwise(g, [y, x], "Sum", [0.2, 1.0])[0]

    after = made(graph_of(build, X), count=3)
    assert [len(node.inputs) for node in after.nodes] == [1, 2, 4]


def test_the_picture_that_a_net_ends_with() -> None:
    made(graph_of(lambda g, x: conv(g, x, W[:3], B[:3]), (C, 128, 129)))


def test_an_open_size_is_laid_out_for_none() -> None:
    h, w = open_size("h", 8, 300), open_size("w", 8, 300)
    g = nb.Graph()
    g.output("y", conv(g, g.input("x", (C, h, w))))
    after = fuse_convolution(g)
    assert types(after) == ["FusedConv2d"]
    assert (after.nodes[0].params["height"], after.nodes[0].params["width"]) == (0, 0)


def test_an_open_size_that_is_always_small_stays_with_ncnn() -> None:
    g = nb.Graph()
    g.output("y", conv(g, g.input("x", (C, open_size("h", 8, 27), open_size("w", 8, 300)))))
    refuses(fuse_convolution, g, "a picture too small")


def test_a_long_strip_is_laid_out_for_the_largest_size_that_a_file_may_say() -> None:
    after = made(graph_of(lambda g, x: conv(g, x, W[:12], None), (C, 33000, 28)))
    assert after.nodes[0].params["height"] == 1 << 15


def test_a_relu_s_zeros_are_positive() -> None:
    """1 / ReLU(y) is inf, and atan2(ReLU(y), -1) pi."""
    g = graph_of(lambda g, x: nb.activation(g, conv(g, x), "relu"), X)
    for graph in (g, made(g)):
        y = run_emitted(nb.compile_graph(graph, "reference"), inputs_of(g), ["y0"])["y0"]
        assert (y == 0).any() and not np.signbit(y).any()


def test_float16_of_a_file_stays_so(tmp_path: Path) -> None:
    large = (normal(32, C, 3, 3) / 12).astype(np.float32)  # a small weight is not stored so
    g = graph_of(lambda g, x: nb.activation(g, conv(g, x, large, None), "relu"), X)
    nb.save(g, tmp_path / "a.param", tmp_path / "a.bin", target="stock", weights="fp16")
    read = nb.load(tmp_path / "a.param", tmp_path / "a.bin", shapes={"x0": X})
    nb.save(read, tmp_path / "b.param", tmp_path / "b.bin", target="fused")
    again = nb.load(tmp_path / "b.param", tmp_path / "b.bin")
    stored = {n.spec.type: n.stored for n in (*read.nodes, *again.nodes)}
    assert stored["FusedConv2d"] == stored["Convolution"] == {"weight": "fp16"}


def test_float16_that_passes_leave_alone_stays_so(tmp_path: Path) -> None:
    """What stands around the layer goes into it; its weights are those of the file, and as long."""
    large = (normal(32, C, 3, 3) / 12).astype(np.float32)
    g = graph_of(lambda g, x: static_conv(g, nb.pad(g, x, 1, 1)[0], large, None), X)
    nb.save(g, tmp_path / "a.param", tmp_path / "a.bin", target="reference", weights="fp16")
    lines = (tmp_path / "a.param").read_text().splitlines()
    assert lines[1] == "3 3"
    text = "\n".join([lines[0], "4 4", *lines[2:], "ReLU relu 1 1 y0 z"]) + "\n"
    (tmp_path / "b.param").write_text(text)
    read = nb.load(tmp_path / "b.param", tmp_path / "a.bin", shapes={"x0": X})
    for target, layer in (("stock", "Convolution"), ("fused", "FusedConv2d")):
        model = nb.compile_graph(read, target)
        assert [line.split()[0] for line in model.param.splitlines()[2:]] == ["Input", layer]
        assert len(model.bin) == (tmp_path / "a.bin").stat().st_size
    scaled = text.replace("ReLU relu 1 1 y0 z", "BinaryOp third 1 1 y0 z 0=2 1=1 2=0.333")
    (tmp_path / "c.param").write_text(scaled)
    other = nb.load(tmp_path / "c.param", tmp_path / "a.bin", shapes={"x0": X})
    assert len(nb.compile_graph(other, "stock").bin) > 1.9 * len(model.bin)  # other numbers, which float16 has not


def sigmoid() -> Any:
    def build(g: nb.Graph, x: nb.Value) -> nb.Value:
        y = conv(g, x)
        assert y.producer is not None
        y.producer.params |= {"activation_type": 4, "activation_params": ()}
        return y

    return build


WIDE = (normal(24, 20, 3, 3) / 12).astype(np.float32)
REFUSED = {
    "a kernel that is not 3x3": (lambda g, x: conv(g, x, normal(8, C, 5, 5), None, padding=2), (X,)),
    "a stride, or dilation": (lambda g, x: conv(g, x, stride=2), (X,)),
    "a stride, or dilation ": (lambda g, x: conv(g, x, dilation=2), (X,)),
    "channels that fill no group": (lambda g, x: conv(g, x, WIDE), ((20, 40, 40),)),
    "channels that fill no group ": (lambda g, x: conv(g, x, W[:, :8]), ((8, 200, 200),)),
    "a picture too small": (lambda g, x: conv(g, x), ((C, 27, 40),)),
    "a picture too small ": (lambda g, x: conv(g, x, normal(8, 24, 3, 3)[:, :], None), ((24, 60, 60),)),
    "a picture too small  ": (lambda g, x: conv(g, x, W[:3], None), ((C, 127, 200),)),
    "more than the layer takes": (lambda g, x: conv(g, x, padding=((1 << 15) + 1, 0, 1, 1)), ((C, 28, 28),)),
    "weights that are inputs": (
        lambda g, x, w: nb.Fconv2d(g, [x, w], padding=1)[0],
        (X, (OUT, C, 3, 3)),
    ),
    "an activation that is none of": (sigmoid(), (X,)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_stays_with_ncnn(reason: str) -> None:
    build, shapes = REFUSED[reason]
    refuses(fuse_convolution, graph_of(build, *shapes), reason.strip())


def left(g: nb.Graph, expected: list[str], reason: str) -> None:
    """What FusedConv2d cannot take stands behind or before it."""
    after = fires(fuse_convolution, g, expected, WINOGRAD)
    refuses(fuse_convolution, after, reason)


def test_what_does_not_join() -> None:
    relu, add = nb.activation, nb.binaryOp
    two = lambda g, x: relu(g, relu(g, conv(g, x), "relu"), "leaky_relu", {"negative_slope": 0.5})
    left(graph_of(two, X), ["FusedConv2d", "ReLU"], "an activation already")
    left(
        graph_of(lambda g, x, r: add(g, [relu(g, conv(g, x), "relu")[0], r], "Add"), X, Y),
        ["FusedConv2d", "BinaryOp"],
        "an activation already",
    )
    left(
        graph_of(lambda g, x, r: add(g, [add(g, [conv(g, x), r], "Add")[0], r], "Add"), X, Y),
        ["FusedConv2d", "BinaryOp"],
        "a residual already",
    )
    left(
        graph_of(lambda g, x, r: add(g, [conv(g, x), r], "Add"), X, (OUT, 1, 1)),
        ["FusedConv2d", "BinaryOp"],
        "spread over the result",
    )
    half = (normal(OUT, 32, 3, 3) / 12).astype(np.float32)
    left(
        graph_of(lambda g, x, y: conv(g, nb.concat(g, [x, y], 1), half), (12, 28, 28), (20, 28, 28)),
        ["Concat", "FusedConv2d"],
        "parts of other than multiples of 16",
    )


def test_two_readers() -> None:
    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        y = conv(g, x)
        return [*nb.activation(g, y, "relu"), *nb.square(g, y)]

    left(graph_of(build, X), ["FusedConv2d", "ReLU", "Square"], "somebody else reads")


def test_a_shared_weight_is_shared_still() -> None:
    def build(g: nb.Graph, x: nb.Value, y: nb.Value) -> list[nb.Value]:
        return [conv(g, x), conv(g, y)]

    after = made(graph_of(build, X, (C, 31, 30)), count=2)
    assert len({id(n.weights["weight"]) for n in after.nodes}) == 1


def test_only_for_fused() -> None:
    g = graph_of(lambda g, x: conv(g, x), X)
    found = {target: nb.compile_graph(g, target).param for target in nb.TARGETS}
    assert {target for target, text in found.items() if "FusedConv2d" in text} == {"fused"}
