"""Inputs of any shape: what is built at one size is right at every other, on every target, or it is an error."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity_support import distinct, load_emitted, run_emitted
from torch import nn

import ncnn_builder as nb
from ncnn_builder import openness
from ncnn_builder.openness import others_of_input
from ncnn_builder.parity import Report
from runtime import Net
from runtime.errors import NcnnError

torch.manual_seed(0)
SPECS = [s for s in nb.registry.values() if not s.off and s.type != "Input"]
SURPRISES = (nb.BuildError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
TAPS = np.array([1, 3, 3, 1], np.float32) / 8
CONV = nn.Conv2d(3, 4, 1)


def graph_of(build: Callable[..., Any], shapes: tuple[tuple[int, ...], ...], *, any_shape: bool) -> nb.Graph:
    g = nb.Graph("open")
    values = build(g, *(g.input(f"x{i}", s, any_shape=any_shape) for i, s in enumerate(shapes)))
    for i, value in enumerate(nb.check_bottom_names(values)):
        g.output(f"y{i}", value)
    return g


TARGETS = sorted(nb.TARGETS)


def check(build: Callable[..., Any], now: Any, laters: Sequence[Any], targets: Sequence[str] = TARGETS) -> int:
    """How many targets took the graph that was built at `now`, summed over `laters`, at which all are right."""
    try:
        opened = graph_of(build, now, any_shape=True)
    except nb.BuildError:
        return 0
    models: dict[str, nb.EmittedModel] = {}
    for target in targets:
        with contextlib.suppress(nb.BuildError):
            models[target] = nb.compile_graph(opened, target)
    # Of the same files for several targets one is run.
    nets = {target: load_emitted(model) for target, model in distinct(models).items()}
    files = Counter((model.param, model.bin) for model in models.values())
    taken = 0
    for later in laters:
        rng = np.random.default_rng(5)
        inputs = {f"x{i}": (rng.random(s) + 0.1).astype(np.float32) for i, s in enumerate(later)}
        closed = nb.compile_graph(graph_of(build, later, any_shape=False))
        expected = run_emitted(closed, inputs, list(opened.outputs))
        if not all(a.size and np.isfinite(a).all() for a in expected.values()):
            continue  # nothing to compare
        for target, net in nets.items():
            try:
                got = net.run(inputs, list(opened.outputs))
            except NcnnError:
                continue
            Report(f"{now} -> {later} {target}").add_all(got, expected, 1e-3).check()
            taken += files[models[target].param, models[target].bin]
    return taken


@pytest.mark.parametrize("spec", SPECS, ids=[s.type for s in SPECS])
def test_an_op_at_another_size(spec: nb.OpSpec) -> None:
    samples = [s for s in spec.samples() if s.draw not in ("integer", "index") and s.inputs]
    for sample in samples if len(samples) < 3 else (samples[0], samples[len(samples) // 2]):
        tried = zip(*map(others_of_input, sample.inputs), strict=True)
        laters = []
        for later in dict.fromkeys(tried):
            try:
                graph_of(sample.build, later, any_shape=False)
            except SURPRISES:
                continue  # not this size
            same_rank = all(len(a) == len(b) for a, b in zip(later, sample.inputs, strict=True))
            if same_rank and later != sample.inputs:
                laters.append(later)
        check(sample.build, sample.inputs, laters)


def rms(g: nb.Graph, x: nb.Value) -> Any:
    y = nb.conv2d(g, x, CONV)[0]
    return nb.reduction(g, y * y, "ReduceMean", 4, (2, 3))


ALL, FEW = len(nb.TARGETS), 0
NETS: list[tuple[Callable[..., Any], int]] = [
    (rms, ALL),
    (lambda g, x: nb.crop(g, nb.conv2d(g, x, CONV), [0], [8], [1]), ALL),
    (lambda g, x: nb.pad(g, nb.conv2d(g, x, CONV), left=1), ALL),
    (lambda g, x: nb.pad(g, nb.conv2d(g, x, CONV), left=-1, bottom=-2), ALL),
    (lambda g, x: nb.upfirdn2d(g, nb.conv2d(g, x, CONV), TAPS, up=2, padding=(2, 1, 2, 1), gain=4), ALL),
    (lambda g, x: nb.filtered_lrelu(g, nb.conv2d(g, x, CONV), TAPS, TAPS, None, 2, 2, (4, 3, 4, 3)), ALL),
    (lambda g, x: nb.group_norm(g, nb.conv2d(g, x, CONV), nn.GroupNorm(2, 4)), ALL),
    (lambda g, x: nb.adaptive_avg_pool2d(g, nb.conv2d(g, x, CONV), 2), ALL),
    (lambda g, x: nb.adaptive_avg_pool2d(g, nb.conv2d(g, x, CONV), (None, 2)), ALL),
    (lambda g, x: nb.adaptive_max_pool2d(g, nb.conv2d(g, x, CONV), (3, None)), ALL),
    (lambda g, x: nb.interpolate(g, nb.conv2d(g, x, CONV), scale_factor=0.5, mode="bilinear"), ALL),
    (lambda g, x: nb.reshape(g, nb.conv2d(g, x, CONV), (1, 4, -1)), ALL),
    (lambda g, x: nb.conv2d(g, x, CONV)[:, :8, :6], ALL),
    (lambda g, x: nb.conv2d(g, x, CONV)[1:3, 1:, :-2], ALL),
    (lambda g, x: nb.conv2d(g, x, CONV)[..., -3:, -1], ALL),
    (lambda g, x: nb.conv2d(g, x, CONV)[1, -2], ALL),
    (lambda g, x: nb.reshape(g, nb.reshape(g, nb.conv2d(g, x, CONV), (1, 4, -1)), (1, 2, -1)), ALL),
    (lambda g, x: nb.coordconcat(g, nb.conv2d(g, x, CONV)), ALL - 1),  # its numbers are a constant on `stock`
]


@pytest.mark.parametrize(("build", "targets"), NETS)
@pytest.mark.parametrize("later", [(3, 12, 6), (3, 9, 8), (3, 5, 7)])
def test_what_follows_an_open_size(build: Callable[..., Any], targets: int, later: tuple[int, ...]) -> None:
    """Behind a convolution, so that it is not the input itself whose size is open."""
    assert check(build, ((3, 8, 8),), [(later,)]) == targets


@pytest.mark.parametrize("later", [(3, 1, 2), (3, 2, 9), (3, 12, 4)])
@pytest.mark.parametrize("key", ["-3:", "-4:-1", "-1:", ":-1"])
def test_a_part_that_begins_before_an_axis_begins_where_it_does(key: str, later: tuple[int, ...]) -> None:
    """As Python clamps; ncnn's Crop would read before its input."""
    begin, end = (int(n) if n else None for n in key.split(":"))
    part = (Ellipsis, slice(begin, end))
    assert check(lambda g, x: nb.conv2d(g, x, CONV)[part], ((3, 8, 8),), [(later,)]) == ALL


def test_a_part_counted_from_the_end_of_what_is_known_is_one_layer() -> None:
    g = nb.Graph()
    y = nb.conv2d(g, g.input("x", (3, 8, 8), any_shape=True), CONV)[0]
    assert y[-3:].producer is not None
    assert [n.spec.type for n in g.nodes] == ["Convolution", "Crop"]
    with pytest.raises(nb.BuildError, match="one size only"):
        y[:, -7:5]


@pytest.mark.parametrize(
    "build",
    [
        lambda g, x: nb.interpolate(g, x, scale_factor=0.5, mode="bilinear", recompute_scale_factor=True),
        lambda g, x: nb.slice(g, x, 3, 2),
        lambda g, x: x[:, ::8],
    ],
)
def test_a_call_that_computes_with_the_size_of_today_is_refused(build: Callable[..., Any]) -> None:
    graph_of(build, ((3, 8, 8),), any_shape=False)
    with pytest.raises(nb.BuildError, match="holds for one size only") as caught:
        graph_of(build, ((3, 8, 8),), any_shape=True)
    assert caught.value.op in ("interpolate", "slice", "operator []") and caught.value.fix


def test_a_lowering_that_computes_with_the_size_of_today_names_the_op() -> None:
    g = graph_of(lambda g, x: nb.coordconcat(g, x), ((3, 8, 8),), any_shape=True)
    with pytest.raises(nb.BuildError, match=r"CoordConcat .*one size only.*got x0.*any_shape") as caught:
        nb.compile_graph(g, "stock")
    assert caught.value.op == "CoordConcat"


def test_noise_of_one_row_is_noise_of_one_column_as_well() -> None:
    """AddNoise counts the numbers of its plane: it takes [1, 2] for a picture of two rows and one column."""
    g = nb.Graph()
    x, styles = g.input("x", (5, 1, 2), any_shape=True), g.input("styles", (5,))
    weight = nb.F4DOp1D(g, [nb.shell(g, [], np.ones((1, 5, 3, 3), np.float32)), styles], 1, "Mul")
    plane = nb.really_reshape(g, nb.shell(g, [], np.ones((1, 1, 1, 2), np.float32)), (1, 2))
    y = nb.AddNoise(g, [nb.Fconv2d(g, [x, weight], 1, 1), plane])
    assert y[0].open and {(1, 2, 1)} <= set(y[0].others)
    g.output("y", y)
    with pytest.raises(nb.BuildError, match="holds for one size only"):
        nb.compile_graph(g, "fused")  # the layer that would do it all is made for one size
    model = nb.compile_graph(g, "reference")
    for shape in ((5, 1, 2), (5, 2, 1)):
        given = {"x": np.ones(shape, np.float32), "styles": np.ones(5, np.float32)}
        assert run_emitted(model, given, ["y"])["y"].shape == (1, *shape[1:])


def test_a_file_that_says_no_size_but_hints(tmp_path: Path) -> None:
    """Id 30 says the shapes of one run; the Input says none."""
    path = tmp_path / "a.param"
    path.write_text(
        "7767517\n5 6\nInput in0 0 1 in0 -23330=4,3,8,8,3\nConvolution c 1 1 in0 y 0=4 1=1 6=12\nSplit s 1 2 y a b\n"
        "BinaryOp sq 2 1 a b q 0=2\nReduction mean 1 1 q out0 0=3 1=0 -23303=2,-1,-2 5=1\n"
    )
    path.with_suffix(".bin").write_bytes(bytes(4) + np.arange(12, dtype=np.float32).tobytes())
    x = {"in0": np.random.default_rng(0).standard_normal((3, 12, 6)).astype(np.float32)}
    expected = Net(path, path.with_suffix(".bin")).run(x, ["out0"])
    for target in TARGETS:
        model = nb.compile_graph(nb.load(path, path.with_suffix(".bin")), target)
        Report(target).add_all(run_emitted(model, x, ["out0"]), expected, 1e-5).check()


def test_where_a_size_is_open_and_where_it_is_not() -> None:
    g = nb.Graph()
    x = g.input("x", (3, 8, 8), any_shape=True)
    y = nb.conv2d(g, x, CONV)[0]
    assert x.open and y.open
    assert all(shape[0] == 4 for shape in y.others)  # the channels are the convolution's
    assert not nb.reduction(g, y, "ReduceMean", 4, (2, 3))[0].open  # a vector of 4
    assert not nb.adaptive_avg_pool2d(g, y, 1)[0].open
    assert not nb.really_reshape(g, y, (16, 16))[0].open  # 256 numbers and no others
    part = nb.crop(g, y, [0], [3], [1])[0]
    assert {shape[1] for shape in part.others} == {2, 3}  # of two rows these are two, and no half of 8 shows it
    assert {shape[0] for shape in part.others} == {4}
    assert not nb.crop(g, y, [1], [3], [0])[0][:, :1, :1].open  # all channels are known, and a row is one
    flat = nb.really_reshape(g, nb.reduction(g, y, "ReduceMean", 4, (2, 3)), (2, 2))
    assert not nb.diag(g, flat)[0].open
    assert nb.diag(g, nb.crop(g, nb.squeeze(g, y[:1], 1), [0], [3], [0]))[0].open
    w = g.input("w", (5,))
    assert not w.open and not nb.abs(g, w)[0].open


def test_without_the_other_sizes_it_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the comparison at another size sees what a pass would do."""
    monkeypatch.setattr("ncnn_builder.ir.others_of_input", lambda shape: ())
    assert openness.others_of_input((3,))
    with pytest.raises(nb.ParityError, match="differ"):
        check(rms, ((3, 8, 8),), [((3, 12, 6),)], ("stock",))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 7])
def test_halves_of_an_open_axis_are_refused_whatever_the_size_of_today(width: int) -> None:
    """Sizes of which none has halves do not say that it is not cut."""
    with pytest.raises(nb.BuildError, match="holds for one size only"):
        graph_of(lambda g, x: nb.glu(g, nb.pad(g, x, left=width % 2)), ((3, 4, width),), any_shape=True)
