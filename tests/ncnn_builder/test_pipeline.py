"""The pipeline as a whole: what runs where, random chains keep their numbers, a broken pass is noticed, the dump."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parity_support import run_emitted
from pass_support import graph_of, inputs_of, numbers

import ncnn_builder as nb
from ncnn_builder import pipeline
from ncnn_builder.emit.compile import emit_graph
from ncnn_builder.ops.convolutions.conv import static_conv
from ncnn_builder.ops.stock import inner_product
from ncnn_builder.parity import Report
from ncnn_builder.pipeline import (
    BUILT,
    LOWERED,
    ORACLE,
    Pass,
    but_the_oracle,
    lower_and_optimise,
    only,
    run_passes,
)

# -- what runs where ------------------------------------------------------------------------------------------------


def test_the_oracle_is_what_the_author_wrote() -> None:
    assert {each.name for each in (*BUILT, *LOWERED) if each.on(ORACLE)} == {"dead_code"}
    for target in nb.TARGETS:
        if target != ORACLE:  # all of those that are for every target
            assert all(each.on(target) for each in (*BUILT, *LOWERED) if each.on is but_the_oracle)


def test_a_pass_may_be_for_some_targets_only() -> None:
    ran: list[str] = []

    def note(g: nb.Graph) -> nb.Graph:
        ran.append("note")
        return g

    g = graph_of(lambda g, x: nb.abs(g, x), (3,))
    passes = [Pass("note", note, only("fused"))]
    run_passes(g, passes, "reference")
    assert ran == []
    run_passes(g, passes, "fused")
    assert ran == ["note"]


def test_every_pass_is_documented_and_found_by_its_name() -> None:
    for each in (*BUILT, *LOWERED):
        module = __import__(f"ncnn_builder.passes.{each.name}", fromlist=["x"])
        assert each.run is getattr(module, each.name)
        assert {"before:", "after:"} <= set((module.__doc__ or "").split())
        assert "xact" in module.__doc__


# -- random chains --------------------------------------------------------------------------------------------------

SIZE = st.sampled_from([-2.0, -1.0, -0.3, 0.0, 0.5, 1.0, 1.5])
STEPS: dict[str, Callable[[nb.Graph, nb.Value, float], Any]] = {
    "mul": lambda g, x, a: nb.MulConstant(g, x, a, 0.0),
    "affine": lambda g, x, a: nb.MulConstant(g, x, 0.7, a),
    "times": lambda g, x, a: nb.binaryOp(g, [x, a], "Mul"),
    "plus": lambda g, x, a: nb.binaryOp(g, [x, a], "Add"),
    "from": lambda g, x, a: nb.binaryOp(g, [x, a], "RSub"),
    "by": lambda g, x, a: nb.binaryOp(g, [x, a or 1.0], "Div"),
    "channels": lambda g, x, a: nb.binaryOp(g, [x, _vector(g, a)], "Mul"),
    "offsets": lambda g, x, a: nb.binaryOp(g, [x, *nb.MulConstant(g, _vector(g, a), 0.5)], "Add"),
    "clamp": lambda g, x, a: nb.clamp(g, x, min(a, 0.5), 1.0 + abs(a)),
    "relu": lambda g, x, a: nb.activation(g, x, "relu"),
    "leaky": lambda g, x, a: nb.activation(g, x, "leaky_relu", {"negative_slope": a}),
    "conv": lambda g, x, a: static_conv(g, x, _weight(a), np.full(4, a, np.float32), padding=1),
    "held": lambda g, x, a: nb.Fconv2d(g, [x, *nb.shell(g, [], _weight(a))], padding=1),
    "fir": lambda g, x, a: nb.upfirdn2d(g, x, np.array([1, 2, 1]) / 4, padding=1, gain=a or 1.0),
    "act": lambda g, x, a: nb.bias_act(g, x, None, "lrelu", clamp=abs(a) + 0.1),
    "biased": lambda g, x, a: nb.bias_act(g, x, np.full(4, a), "lrelu"),
    "there and back": lambda g, x, a: nb.really_reshape(g, nb.really_reshape(g, x, (60,)), (4, 3, 5)),
    "swap": lambda g, x, a: nb.really_permute(g, nb.really_permute(g, x, (0, 2, 1)), (0, 2, 1)),
}


def _vector(g: nb.Graph, a: float) -> nb.Value:
    return nb.shell(g, [], (np.arange(4, dtype=np.float32) * a - 0.5).reshape(4, 1, 1, 1), None, 3)[0]


def _weight(a: float) -> np.ndarray:
    return (np.random.default_rng(int(a * 10) + 40).standard_normal((4, 4, 3, 3)) / 6).astype(np.float32)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), SIZE), min_size=1, max_size=7),
    st.sets(st.integers(0, 6), max_size=2),
    st.sets(st.integers(0, 6), max_size=1),
)
def test_random_chains_keep_their_numbers(
    steps: list[tuple[str, float]], tapped: set[int], read_twice: set[int]
) -> None:
    g = nb.Graph("chain")
    x = g.input("x", (4, 3, 5))
    extra = []
    for i, (name, a) in enumerate(steps):
        with g.scope(f"step{i}"):
            x = nb.check_bottom_names(STEPS[name](g, x, a))[0]
            if i in tapped:
                g.tap(x)
            if i in read_twice:
                extra += nb.abs(g, x)
    for i, value in enumerate([x, *extra]):
        g.output(f"y{i}", value)
    inputs = inputs_of(g)
    before = numbers(g, inputs)
    if any(not np.abs(v).max() for v in before.values()):
        return  # all zero: there is nothing to be relative to
    for target in nb.TARGETS:
        after = lower_and_optimise(g, target)
        Report(target).add_all(numbers(after, inputs), before, 2e-5).check()
        got = run_emitted(emit_graph(after), inputs, list(g.outputs))
        Report(f"{target} on ncnn").add_all(got, {n: before[n] for n in g.outputs}, 3e-5).check()


# -- controls: a pass that is wrong is noticed ----------------------------------------------------------------------


def _spoiled(each: Pass) -> Pass:
    """The pass, and a thousandth more on the first parameter or weight of what it made."""

    def run(g: nb.Graph) -> nb.Graph:
        after = each.run(g)
        for node in after.nodes if after is not g else ():
            if node.made_by == f"pass {each.name}":
                floats = [k for k, v in node.params.items() if isinstance(v, float) and v not in (0.0, -1.0)]
                if floats:
                    node.params = {**node.params, floats[0]: node.params[floats[0]] * 1.001}
                    break
                if node.weights:
                    node.weights = {k: w * np.float32(1.001) for k, w in node.weights.items()}
                    for value in node.outputs:
                        value.data = None if value.data is None else value.data * np.float32(1.001)
                    break
        return after

    return dataclasses.replace(each, run=run)


GENERAL = sorted({each.name for each in (*BUILT, *LOWERED) if each.on is but_the_oracle})
"""The passes of every target; those for one target have their own tests."""


def _network_of_everything() -> nb.Graph:
    """A graph in which every one of the GENERAL passes has something to do, but those of ROWS and PARTS."""

    def build(g: nb.Graph, x: nb.Value, s: nb.Value) -> list[nb.Value]:
        length = nb.rsqrt(g, nb.really_reduction(g, nb.square(g, s), "ReduceSum", (0,), True), 1e-3)
        s = nb.binaryOp(g, [s, *length], "Mul")[0]  # sum_of_squares
        s = nb.MulConstant(g, s, 0.8)[0]  # fold_gains
        x = nb.MulConstant(g, nb.MulConstant(g, x, 2.0, 0.1), 0.6, -0.2)[0]  # merge_elementwise
        x = nb.bias_act(g, x, None, "tanh", gain=1.5)[0]
        x = nb.MulConstant(g, static_conv(g, x, _weight(0.5), padding=1), 0.7)[0]  # fold_scales
        w, b = nb.shell(g, [], _weight(1.0), np.arange(4))  # trim_shells, static_weights
        x = nb.BiasAct(g, [*nb.Fconv2d(g, [x, w], padding=1), b], "lrelu")[0]
        x = nb.Fconv2d_depthwise(
            g, [x, *nb.shell(g, [], np.broadcast_to(np.float32([[1, 2, 1]]) / 4, (4, 1, 1, 3)))], groups=4
        )[0]  # raise_upfirdn2d
        m = nb.F4DOp1D(g, [*nb.shell(g, [], _weight(1.5)), s], 1, "Mul")  # raise_modulation
        x = nb.Fconv2d(g, [x, *m], padding=1)[0]
        x = nb.activation(g, x, "leaky_relu", {"negative_slope": 0.9})[0]  # raise_bias_act
        half = nb.sqrt(g, nb.shell(g, [], np.full((1, 1, 1, 1), 0.25), None, 3))  # constant_folding
        x = nb.binaryOp(g, [x, *half], "Mul")[0]
        taps = np.broadcast_to(np.float32([[1, 3], [2, 1]]) / 7, (4, 1, 2, 2))
        wide = nb.Fconv2d_depthwise(g, [*nb.pad(g, nb.up2(g, x), 1, 0, 1, 0), *nb.shell(g, [], taps * 4)], groups=4)
        wide = nb.BiasAct(g, wide, "lrelu", 0.3, 1.2)
        x = nb.down2(g, nb.Fconv2d_depthwise(g, [*wide, *nb.shell(g, [], taps)], groups=4))[0]  # raise_filtered_lrelu
        x = nb.pad(g, x[:, :2, :2], 1, 0, 0, 1)[0]  # fold_padding
        x = nb.activation(g, static_conv(g, x, _weight(2.0)), "leaky_relu", {"negative_slope": 0.2})[
            0
        ]  # fuse_activation
        least = nb.binaryOp(g, [*nb.reduction(g, x, "ReduceL2", 4, (1,), keepdim=True), 1e3], "Max")
        x = nb.binaryOp(g, [x, *least], "Div")[0]  # raise_norms
        return nb.really_reshape(g, nb.really_reshape(g, nb.MulConstant(g, x, 1.0), (4,)), (2, 2))  # no_ops

    g = graph_of(build, (4, 3, 5), (4,))
    mean = next(node for node in g.nodes if node.spec.type == "Reduction")
    mean.params = {**mean.params, "axes": (-1,)}  # canonical: as a file may have it
    return g


def _linear(g: nb.Graph, x: nb.Value, out: int, seed: int = 0) -> nb.Value:
    weight = np.random.default_rng(seed).standard_normal((out, x.shape[1])).astype(np.float32)
    return inner_product(g, x, weight / 2, None)


def _rows_of_everything() -> nb.Graph:
    """A graph for the passes of ROWS."""

    def build(g: nb.Graph, x: nb.Value) -> Any:
        mean = nb.really_reduction(g, nb.square(g, x), "ReduceMean", (1,), True)
        root = nb.unaryOp(g, nb.binaryOp(g, [*mean, 0.5], "Add"), "rsqrt")
        x = nb.binaryOp(g, [x, *root], "Mul")[0]  # raise_row_norms
        flat = [nb.really_reshape(g, _linear(g, x, 8, i), (3, 2, 4)) for i in range(3)]
        heads = [nb.really_permute(g, value, (1, 0, 2))[0] for value in flat]
        scores = nb.binaryOp(g, [*nb.matmul(g, heads[:2], transpose_b=True), 0.5], "Mul")
        y = nb.matmul(g, [*nb.softmax(g, scores, dim=-1), heads[2]])  # raise_attention, fuse_attention
        x = _linear(g, nb.really_reshape(g, nb.really_permute(g, y, (1, 0, 2)), (3, 8))[0], 8)
        turned = [nb.really_permute(g, _linear(g, x, 5), (1, 0)) for _ in range(2)]  # rows_by_gemm, share
        return nb.binaryOp(g, [*turned[0], *nb.unaryOp(g, turned[1], "tanh")], "Mul")

    return graph_of(build, (3, 8))


def _parts_of_everything() -> nb.Graph:
    """A graph for the passes of PARTS."""

    def build(g: nb.Graph, x: nb.Value) -> Any:
        every_second = lambda i, j: nb.max_pool2d(g, x[:, i : i + 5, j : j + 3], 1, 2)[0]
        parts = [every_second(i, j) for j in (0, 1) for i in (0, 1)]
        x = static_conv(g, nb.concat(g, parts, 1), _weight(0.5), padding=1)  # raise_reorg
        x = nb.really_reshape(g, x, (3, 2, 4))[0]
        crossed = nb.concat(g, [*nb.unaryOp(g, x[..., 2:], "neg"), x[..., :2]], 3)
        angles = np.arange(6).reshape(3, 1, 2)
        cos, sin = (nb.memorydata(g, np.tile(make(angles), 2))[0] for make in (np.cos, np.sin))
        terms = [nb.binaryOp(g, [v, by], "Mul")[0] for v, by in ((x, cos), (crossed[0], sin))]
        y = nb.binaryOp(g, terms, "Add")[0]  # raise_rotary
        return [nb.binaryOp(g, [y[..., :2], *nb.unaryOp(g, y[..., 2:], "tanh")], "Mul")[0]]  # crops_to_slice

    return graph_of(build, (1, 6, 4))


PARTS = {"raise_rotary", "raise_reorg", "crops_to_slice"}
ROWS = {"raise_row_norms", "raise_attention", "fuse_attention", "rows_by_gemm", "share"}


def test_every_pass_has_something_to_do_in_these_networks() -> None:
    fired: set[str] = set()
    for g in (_network_of_everything(), _rows_of_everything(), _parts_of_everything()):
        lower_and_optimise(g, "fused", lambda name, a, b: fired.add(name) if a is not b else None)
        nb.compile_graph(g, "fused")
        inputs = inputs_of(g)
        expected = run_emitted(nb.compile_graph(g, ORACLE), inputs, ["y0"])
        Report("fused").add_all(run_emitted(nb.compile_graph(g, "fused"), inputs, ["y0"]), expected, 2e-5).check()
    assert fired >= set(GENERAL)


NO_NUMBERS = {"no_ops", "canonical", "share", "crops_to_slice"}
"""Passes that only move them."""


@pytest.mark.parametrize("name", sorted(set(GENERAL) - NO_NUMBERS))
def test_a_broken_pass_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for stage, passes in (("BUILT", BUILT), ("LOWERED", LOWERED)):
        spoiled = tuple(_spoiled(each) if each.name == name else each for each in passes)
        monkeypatch.setattr(pipeline, stage, spoiled)
    make = _rows_of_everything if name in ROWS else _parts_of_everything if name in PARTS else _network_of_everything
    g = make()
    inputs = inputs_of(g)
    expected = run_emitted(nb.compile_graph(g, ORACLE), inputs, ["y0"])
    got = run_emitted(nb.compile_graph(g, "fused"), inputs, ["y0"])
    with pytest.raises(nb.ParityError, match="differ"):
        Report("control").add_all(got, expected, 2e-5).check()


def test_a_pass_that_moves_a_tap_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def steal(g: nb.Graph) -> nb.Graph:
        g.taps["a"] = next(n for n in g.nodes if n.spec.type == "Square").outputs[0]
        return g

    g = nb.Graph()
    with g.scope("a"):
        y = nb.abs(g, nb.square(g, g.input("x", (3,))))
        g.tap(*nb.MulConstant(g, y, 2.0))
    g.output("y", y)
    expected = numbers(g, inputs_of(g))
    with pytest.raises(nb.ParityError, match="tap a"):
        Report("tap").add_all(numbers(steal(g), inputs_of(g)), expected, 1e-5).check()


# -- the dump -------------------------------------------------------------------------------------------------------


def test_the_graph_is_written_before_and_after_every_step(tmp_path: Path) -> None:
    g = _network_of_everything()
    nb.compile_graph(g, "fused", dump=tmp_path / "d")
    names = sorted(p.name for p in (tmp_path / "d" / "pass").iterdir())
    assert names[0] == "00_built.txt"
    assert (tmp_path / "d/pass/00_built.txt").read_text() == f"{g}\n"
    steps = sorted({n.partition(".")[0] for n in names[1:]})
    assert [s[3:] for s in steps] == [*(p.name for p in BUILT), "lower_to_fused", *(p.name for p in LOWERED)]
    for step in steps:
        kinds = {n.removeprefix(f"{step}.") for n in names if n.startswith(f"{step}.")}
        assert kinds - {"refused.txt"} in ({"before.txt", "after.txt"}, {"unchanged.txt"})
    assert "01_dead_code.unchanged.txt" in names
    after = (tmp_path / "d/pass/03_constant_folding.after.txt").read_text()
    assert "by pass constant_folding" in after and "Sqrt" not in after
    first = {p.name: p.read_bytes() for p in (tmp_path / "d" / "pass").iterdir()}
    nb.compile_graph(g, "fused", dump=str(tmp_path / "e"))
    assert first == {p.name: p.read_bytes() for p in (tmp_path / "e" / "pass").iterdir()}


def test_nothing_is_left_of_an_earlier_dump(tmp_path: Path) -> None:
    nb.compile_graph(_network_of_everything(), "fused", dump=tmp_path)
    (tmp_path / "pass" / "mine.txt").write_text("kept")
    nb.compile_graph(graph_of(lambda g, x: nb.abs(g, x), (3,)), "reference", dump=tmp_path)
    names = sorted(p.name for p in (tmp_path / "pass").iterdir())
    after_lowering = ["02_lower_to_reference.after.txt", "02_lower_to_reference.before.txt"]
    unchanged = ["01_dead_code.unchanged.txt", "03_dead_code.unchanged.txt"]
    assert names == ["00_built.txt", unchanged[0], *after_lowering, unchanged[1], "mine.txt"]


def test_the_graph_is_written_where_a_pass_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(g: nb.Graph) -> nb.Graph:
        after = nb.Graph(g.name)
        after.output("y", nb.abs(after, after.input("x", (3,))))
        after.nodes[0].outputs[0].shape = (4,)
        return after

    monkeypatch.setattr(pipeline, "LOWERED", (Pass("spoil", spoil),))
    with pytest.raises(nb.VerifyError, match="after pass spoil"):
        nb.compile_graph(graph_of(lambda g, x: nb.abs(g, x), (3,)), "fused", dump=tmp_path)
    assert any("spoil.after" in p.name for p in (tmp_path / "pass").iterdir())


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(nb.EmitError, match="cannot write"):
        nb.compile_graph(graph_of(lambda g, x: nb.abs(g, x), (3,)), dump=tmp_path / "file")
