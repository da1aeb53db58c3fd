"""raise_modulation: the predecessor's layers become composite ops, and then fast ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from parity_support import run_emitted
from pass_support import FIR as F
from pass_support import fir, fires, graph_of, normal, refuses, same_on_ncnn, types

import ncnn_builder as nb
from ncnn_builder.parity import Report, interpret
from ncnn_builder.passes.dead_code import dead_code
from ncnn_builder.passes.raise_modulation import raise_modulation
from ncnn_builder.passes.raise_upfirdn2d import raise_upfirdn2d
from ncnn_builder.pipeline import lower_and_optimise
from ncnn_builder.targets import lower

Build = Callable[..., Any]
PICTURE, STYLES = (6, 5, 7), (6,)
W = normal(4, 6, 3, 3)


# -- raise_modulation -----------------------------------------------------------------------------------------------


def modulated(
    g: nb.Graph,
    styles: nb.Value,
    weight: Any = W,
    demodulate: bool = True,
    gain: float = 1.0,
    eps: float = 1e-8,
    scale: float | None = None,
    op: str = "Mul",
    squares: str = "Square",
    keepdim: bool = False,
    reduce: str = "ReduceSum",
    axes: tuple[int, ...] = (1, 2, 3),
) -> list[nb.Value]:
    """The weight [out, in, kh, kw] of a modulated convolution, as the predecessor writes it."""
    held = weight if isinstance(weight, nb.Value) else nb.shell(g, [], weight)[0]
    w = nb.F4DOp1D(g, [held, styles], 1, op)
    if not demodulate:
        return w
    y = w if squares == "none" else nb.square(g, w) if squares == "Square" else nb.abs(g, w)
    d = nb.rsqrt(g, nb.really_reduction(g, y, reduce, axes, keepdim), eps, scale)
    if gain != 1:
        d = nb.MulConstant(g, d, gain)
    return nb.F4DOp1D(g, [*w, *d], 0, "Mul")


def conv(padding: Any = 1, noise: Any = None, stride: int = 1, dilation: int = 1, **kw: Any) -> Build:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value, *n: nb.Value) -> list[nb.Value]:
        y = nb.Fconv2d(g, [x, *modulated(g, s, **kw)], stride=stride, padding=padding, dilation=dilation)
        if noise is not None:
            y = nb.AddNoise(g, [*y, *nb.shell(g, [], noise[None, None])])
        return nb.AddNoise(g, [*y, *n]) if n else y

    return build


@pytest.mark.parametrize(
    ("build", "params"),
    [
        (conv(), {"demodulate": 1, "padding": 1, "gain": 1.0, "flip_weight": 1, "up": 1}),
        (conv(padding=0), {"padding": 0}),
        (conv(demodulate=False), {"demodulate": 0}),
        (conv(gain=0.3), {"gain": 0.3}),
        (conv(noise=normal(5, 7)), {"demodulate": 1}),
        (conv(squares="none", reduce="ReduceSumSquare"), {"demodulate": 1}),
        (conv(axes=(3, 1, 2)), {"demodulate": 1}),
        (conv(keepdim=True), {"demodulate": 1}),
        (conv(reduce="ReduceMean", scale=54.0, keepdim=True), {"demodulate": 1}),
    ],
)
def test_a_modulated_convolution_is_recognised(build: Build, params: dict[str, Any]) -> None:
    g = graph_of(build, PICTURE, STYLES)
    after = fires(raise_modulation, g, ["modulated_conv2d"], tolerance=1e-5)
    assert {k: after.nodes[0].params[k] for k in params} == params
    assert raise_modulation.refusals(g) == {}
    for target in nb.TARGETS:
        same_on_ncnn(g, lower_and_optimise(g, target))


@pytest.mark.parametrize("plane", [(5, 7), (1, 1, 5, 7)])
def test_noise_that_is_an_input(plane: tuple[int, ...]) -> None:
    after = fires(raise_modulation, graph_of(conv(), PICTURE, STYLES, plane), ["modulated_conv2d"], tolerance=1e-5)
    assert len(after.nodes[0].inputs) == 3


def test_noise_of_another_shape_stays_a_layer() -> None:
    g = graph_of(conv(), (6, 1, 7), STYLES, (7,))
    fires(raise_modulation, g, ["modulated_conv2d", "AddNoise"], tolerance=1e-5)


def test_the_second_noise_stays_a_layer() -> None:
    g = graph_of(conv(noise=normal(5, 7)), PICTURE, STYLES, (5, 7))
    fires(raise_modulation, g, ["modulated_conv2d", "AddNoise"], tolerance=1e-5)


def up(
    f: np.ndarray = F,
    k: int = 3,
    padding: int = 1,
    factor: int = 2,
    permuted: bool = True,
    shift: int = 0,
    border: int = 0,
    **kw: Any,
) -> Build:
    """The transposed form, weights permuted at run time as the predecessor has it."""

    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        weight = normal(4, 6, k, k)
        if permuted:
            w = nb.really_permute(g, modulated(g, s, weight, **kw), (1, 0, 2, 3))
        else:
            w = nb.F4DOp1D(g, [*nb.shell(g, [], weight.swapaxes(0, 1)), s], 0, "Mul")
        y = nb.conv_transpose2d(g, [x, *w], (6, 4, k, k), stride=factor, padding=border)
        n = f.shape[0]
        first = padding + (n + factor - 1) // 2 - (k - 1) + shift
        last = padding + (n - factor) // 2 - (k - factor)
        return fir(g, nb.pad(g, y, first, last, first, last), f * factor**2)

    return build


F4 = np.outer([1, 3, 3, 2], [1, 2, 3, 3]).astype(np.float32) / 81


@pytest.mark.parametrize(
    "build",
    [
        up(F4),
        up(F4, k=1, padding=0),
        up(F4, factor=3),
        up(F4, demodulate=False),
        up(F4, gain=0.4),
        up(F4, permuted=False),
    ],
)
def test_an_upsampling_convolution_is_recognised(build: Build) -> None:
    g = graph_of(build, PICTURE, STYLES)
    raised = raise_upfirdn2d(g)
    after = fires(raise_modulation, raised, ["modulated_conv2d"], tolerance=1e-5)
    assert after.nodes[0].params["up"] > 1 and after.nodes[0].params["flip_weight"] == 0
    assert raise_modulation.refusals(raised) == {}
    for target in nb.TARGETS:
        same_on_ncnn(g, lower_and_optimise(g, target))


@pytest.mark.parametrize(
    "sample", nb.registry["modulated_conv2d"].samples(), ids=[s.id for s in nb.registry["modulated_conv2d"].samples()]
)
def test_the_reference_lowering_is_raised_again(sample: nb.Sample) -> None:
    """Every sample of the composite op, lowered to the predecessor's layers, comes back as one composite op."""
    g = lower(graph_of(sample.build, *sample.inputs), "reference")
    after = raise_modulation(raise_upfirdn2d(dead_code(g)))
    if any(n.spec.type == "FconvTranspose2d" for n in after.nodes):
        assert set(raise_modulation.refusals(after).values()) == {"no filter behind the transposed convolution"}
        assert "resample_filter" not in str(graph_of(sample.build, *sample.inputs))
        return
    assert types(after) == ["modulated_conv2d"]
    x = {v.name: normal(*v.shape) for v in g.inputs}
    got, wanted = (interpret(h, x)[h.outputs["y0"]] for h in (after, g))
    Report(sample.id).add_all({"y": got}, {"y": wanted}, 1e-5).check()


def _read(where: str) -> Build:
    """A modulated convolution of which somebody else reads a value on the way."""

    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        held = nb.shell(g, [], W)[0]
        w = nb.F4DOp1D(g, [held, s], 1, "Mul")[0]
        squares = nb.square(g, w)[0]
        sums = nb.really_reduction(g, squares, "ReduceSum", (1, 2, 3))[0]
        d = nb.rsqrt(g, sums, 1e-8)[0]
        v = nb.F4DOp1D(g, [w, d], 0, "Mul")[0]
        y = nb.Fconv2d(g, [x, v], padding=1)
        named = dict(held=held, w=w, squares=squares, sums=sums, d=d, v=v)
        if where.startswith("tap "):
            with g.scope("t"):
                g.tap(named[where[4:]])
            return y
        return [*y, *nb.abs(g, named[where])]

    return build


def _other_squares(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.F4DOp1D(g, [*nb.shell(g, [], W), s], 1, "Mul")
    d = nb.rsqrt(g, nb.really_reduction(g, nb.square(g, nb.shell(g, [], W)), "ReduceSum", (1, 2, 3)), 1e-8)
    return nb.Fconv2d(g, [x, *nb.F4DOp1D(g, [*w, *d], 0, "Mul")])


def _shared_weight(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    held = nb.shell(g, [], W)[0]
    return [*nb.Fconv2d(g, [x, *modulated(g, s, held)]), *nb.Fconv2d(g, [x, *modulated(g, s, held, False)])]


def _with(change: dict[str, Any]) -> Build:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        y = conv()(g, x, s)
        assert y[0].producer is not None
        y[0].producer.params |= change
        return y

    return build


def _biased_conv(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    return nb.Fconv2d(g, [x, *modulated(g, s), *nb.shell(g, [], normal(1, 1, 1, 4), None, 1)])


def _no_filter(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.really_permute(g, modulated(g, s), (1, 0, 2, 3))
    return nb.conv_transpose2d(g, [x, *w], (6, 4, 3, 3), stride=2)


def _two_readers_of_the_transposed(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.really_permute(g, modulated(g, s), (1, 0, 2, 3))
    y = nb.conv_transpose2d(g, [x, *w], (6, 4, 3, 3), stride=2)
    return [*nb.upfirdn2d(g, y, F4, padding=1), *nb.abs(g, y)]


def _half(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.really_permute(g, modulated(g, s), (1, 0, 2, 3))
    y = nb.conv_transpose2d(g, [x, *w], (6, 4, 3, 3), stride=2)
    return nb.upfirdn2d(g, y, F4, down=2, padding=1)


def _other_permutation(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.really_permute(g, modulated(g, s), (1, 0, 3, 2))
    y = nb.conv_transpose2d(g, [x, *w], (6, 4, 3, 3), stride=2)
    return nb.upfirdn2d(g, y, F4, padding=1)


def _divided(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.F4DOp1D(g, [*nb.shell(g, [], W), s], 1, "Mul")
    d = nb.sqrt(g, nb.really_reduction(g, nb.square(g, w), "ReduceSum", (1, 2, 3)), 1e-8)
    return nb.Fconv2d(g, [x, *nb.F4DOp1D(g, [*w, *d], 0, "Div")])


def _along_in(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.F4DOp1D(g, [*nb.shell(g, [], W), s], 1, "Mul")
    d = nb.rsqrt(g, nb.really_reduction(g, nb.square(g, w), "ReduceSum", (0, 2, 3)), 1e-8)
    return nb.Fconv2d(g, [x, *nb.F4DOp1D(g, [*w, *d], 1, "Mul")])


def _added_gain(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
    w = nb.F4DOp1D(g, [*nb.shell(g, [], W), s], 1, "Mul")
    d = nb.rsqrt(g, nb.really_reduction(g, nb.square(g, w), "ReduceSum", (1, 2, 3)), 1e-8)
    return nb.Fconv2d(g, [x, *nb.F4DOp1D(g, [*w, *nb.MulConstant(g, d, 1.0, 0.1)], 0, "Mul")])


READ = "somebody else reads"
REFUSED: list[tuple[Build, str]] = [
    (_read("held"), f"{READ} the weight before it is modulated"),
    (_read("w"), f"{READ} the modulated weight"),
    (_read("squares"), f"{READ} the squares"),
    (_read("sums"), f"{READ} what Reduction makes"),
    (_read("d"), f"{READ} what Rsqrt makes"),
    (_read("v"), f"{READ} the modulated weight"),
    (_read("tap w"), f"{READ} the modulated weight"),
    (_read("tap held"), f"{READ} the weight before it is modulated"),
    (_shared_weight, f"{READ} the weight before it is modulated"),
    (_other_squares, "squares of another value"),
    (_biased_conv, "a bias"),
    (_with({"activation_type": 1}), "an activation"),
    (_with({"pad_value": 1.0}), "the border is not the same on all sides, or not 0"),
    (conv(padding=(1, 1, 0, 0)), "the border is not the same on all sides, or not 0"),
    (conv(stride=2), "a stride"),
    (conv(dilation=2), "a dilation"),
    (conv(op="Add"), "modulation that does not multiply the input channels"),
    (conv(eps=1e-6), "another epsilon or scale"),
    (conv(scale=0.5), "another epsilon or scale"),
    (conv(squares="Abs"), "demodulation without Square"),
    (conv(reduce="ReduceMean"), "another reduction than a sum for each output channel"),
    (conv(squares="none", reduce="ReduceL2"), "another reduction than a sum for each output channel"),
    (_along_in, "demodulation of something else"),
    (_divided, "demodulation of something else"),
    (_added_gain, "an addend to the demodulation"),
    (_no_filter, "no filter behind the transposed convolution"),
    (_two_readers_of_the_transposed, f"{READ} what the transposed convolution makes"),
    (_half, "the filter changes the size"),
    (_other_permutation, "a permutation that does not swap in and out"),
    (up(F4, shift=1), "the border of the filter is none of an upsampling convolution"),
    (up(F4, border=1), "the transposed convolution has a border"),
    (up(F4, factor=1), "the factors of the upsampling differ, or are 1"),
]


@pytest.mark.parametrize(("build", "reason"), REFUSED, ids=[f"{i}-{r[:32]}" for i, (_, r) in enumerate(REFUSED)])
def test_what_is_no_modulated_convolution(build: Build, reason: str) -> None:
    g = raise_upfirdn2d(graph_of(build, PICTURE, STYLES))
    assert reason in raise_modulation.refusals(g).values()
    after = raise_modulation(g)
    if build is not _shared_weight:
        assert after is g
    same = {v.name: normal(*v.shape) for v in g.inputs}
    got, wanted = ({n: interpret(h, same)[v] for n, v in h.outputs.items()} for h in (after, g))
    Report(reason).add_all(got, wanted, 1e-9).check()


def test_a_weight_that_is_computed_is_no_constant() -> None:
    g = graph_of(lambda g, x, s, w: nb.Fconv2d(g, [x, *modulated(g, s, w)]), PICTURE, STYLES, (4, 6, 3, 3))
    assert list(raise_modulation.refusals(g).values()) == ["the weight is no constant"]
    refuses(raise_modulation, g)


def test_groups_are_no_modulated_convolution() -> None:
    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        w = modulated(g, s, normal(6, 2, 3, 3))
        y = nb.conv_transpose2d(g, [x, *w], (6, 2, 3, 3), stride=2, groups=2)
        return nb.upfirdn2d(g, y, F4, padding=1)

    g = graph_of(build, PICTURE, (2,))
    assert list(raise_modulation.refusals(g).values()) == ["groups"]
    refuses(raise_modulation, g)


def test_of_an_open_size_it_stays_a_convolution() -> None:
    """Our kernels are made for one size: raised, a net that compiles would be refused (seed 48014052 of the fuzz)."""
    g = graph_of(conv(), (6, 5, "w"), STYLES)
    assert any("a size that is open" in why for why in raise_modulation.refusals(g).values())
    refuses(raise_modulation, g)
    nb.compile_graph(g, "fused")


def test_another_weight_is_seen() -> None:
    """Control: raising with the weight turned round changes the numbers, and the comparison notices."""
    g = graph_of(conv(), PICTURE, STYLES)
    after = raise_modulation(g)
    node = after.nodes[0]
    node.weights = {**node.weights, "weight": np.ascontiguousarray(node.weights["weight"][:, :, ::-1, ::-1])}
    inputs = {v.name: normal(*v.shape) for v in g.inputs}
    got, wanted = (run_emitted(nb.compile_graph(h, "fused"), inputs, ["y0"]) for h in (after, g))
    with pytest.raises(nb.ParityError, match="differ"):
        Report("control").add_all(got, wanted, 2e-5).check()
