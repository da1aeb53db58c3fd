"""The differential fuzz of the compiler: a short run, and whether it finds and shrinks what is planted."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz_graphs import calls_layers, calls_numbers, calls_samples, calls_shapes, calls_sizes
from fuzz_graphs.__main__ import run
from fuzz_graphs.compare import REACHED, TARGETS, Case, Checker, Failure, Wanted, own, scratch, wheel
from fuzz_graphs.generate import program_of
from fuzz_graphs.maker import Call, Maker, Refused
from fuzz_graphs.meaning import meaning
from fuzz_graphs.program import Input, Program, Step, build, draw
from fuzz_graphs.report import reached
from fuzz_graphs.respell import SPELLINGS, respell
from fuzz_graphs.shrink import shrink
from fuzz_graphs.worker import case_of, forked

import ncnn_builder as nb
from ncnn_builder.open_shapes import evaluated
from ncnn_builder.passes import fold_scales, fuse_activation
from ncnn_builder.sizes import names_of
from ncnn_builder.targets import stock

SHORT = 40


def test_a_short_run_finds_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """A finding here is shrunk: its text is a program that shows the fault. `python -m tests.fuzz_graphs` goes on."""
    counts, findings = run(0, SHORT, 1, None)
    assert not findings, capfd.readouterr().out
    assert counts["graphs"] == SHORT
    assert counts["results compared"] > 10 * SHORT
    assert counts["results that say nothing"] < counts["results compared"] / 10
    # The table of what was reached shows what was not.
    assert "never reached: nothing" not in reached(counts)
    everything = counts + Counter(f"{REACHED}{target} {op}" for target in TARGETS for op in calls_samples.OPS)
    everything += Counter(f"{REACHED}respelled {name}" for name in SPELLINGS)
    assert "never reached: nothing" in reached(everything)
    del everything[f"{REACHED}stock Flip"]
    assert "never reached: Flip on stock\n" in reached(everything)


def test_a_seed_is_always_the_same_case() -> None:
    assert case_of(11) == case_of(11) and case_of(11) != case_of(12)
    assert program_of(5).source() == program_of(5).source()


def test_what_is_printed_builds_the_same_graph() -> None:
    for seed in range(0, 30, 3):
        program = program_of(seed)
        namespace: dict[str, Any] = {}
        exec(compile(program.source(), "printed", "exec"), namespace)
        assert _without_places(namespace["g"]) == _without_places(build(program)[0])


def _without_places(g: nb.Graph) -> list[str]:
    return [f"{n.spec.type} {[v.shape for v in n.inputs]} {n.params}" for n in g.nodes]


@pytest.mark.parametrize("op", calls_samples.OPS)
def test_every_op_of_the_registry_comes(op: str) -> None:
    import random

    for seed in range(40):
        maker = Maker(random.Random(seed))
        try:
            calls_samples.sample_of(maker, op)
        except Refused:
            continue
        if any(node.spec.type == op for node in maker.g.nodes):
            return
    pytest.fail(f"no graph with {op}: it needs a draw of its own, or a reason in NEVER")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_changes_the_text_and_not_the_numbers(spelling: str) -> None:
    changed = 0
    with scratch() as folder:
        param, weights = Path(folder, "a.param"), Path(folder, "a.bin")
        for seed in range(40):
            program = program_of(seed)
            graph = build(program)[0]
            if any(n.spec.custom or n.spec.composite for n in graph.nodes) or program.sizes:
                continue
            model = nb.compile_graph(graph)
            text = respell(model.param, seed, [spelling])
            if text == model.param:
                continue
            changed += 1
            inputs, results = draw(program.inputs, "normal", seed), []
            for each in (model.param, text):
                param.write_text(each)
                weights.write_bytes(model.bin)
                results.append(wheel(param, weights)(inputs, list(graph.outputs)))
            for name in graph.outputs:
                assert np.array_equal(results[0][name], results[1][name], equal_nan=True), text
    assert changed


# -- what is planted is found, and shrunk to a few nodes -----------------------------------------------------------


def found(*calls: Call, most: int = 200) -> tuple[Case, Failure]:
    """The first failure among graphs of these calls, shrunk."""
    with scratch() as folder:
        checker = Checker({"wheel": wheel}, Path(folder))
        for seed in range(most):
            case = Case(program_of(seed, [(1.0, call) for call in calls]), seed, ("normal",), ())
            failure = checker.check(case)
            if failure is not None:
                return shrink(case, failure, checker.check, 20)
    pytest.fail(f"{most} graphs, and the fault was not found")


def ops(case: Case) -> list[str]:
    return [node.spec.type for node in build(case.program)[0].nodes]


def test_a_wrong_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = fuse_activation._fused

    def wrong(node: nb.Node) -> Any:
        known = right(node)
        return (1, ()) if known and known[0] == 2 else known  # a ReLU's slope is lost

    monkeypatch.setattr(fuse_activation, "_fused", wrong)
    case, failure = found(calls_layers.conv, calls_layers.matrix, calls_numbers.activation)
    assert failure.kind == "wrong" and len(ops(case)) <= 3 and "ReLU" in ops(case)


def test_a_wrong_fold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = fold_scales.affine

    def wrong(node: nb.Node | None) -> Any:
        known = right(node)
        return known and (known[0], 0.0)  # an addend is lost

    monkeypatch.setattr(fold_scales, "affine", wrong)
    case, failure = found(calls_layers.conv, calls_numbers.scalar)
    assert failure.kind == "wrong" and len(ops(case)) <= 3


def test_a_wrong_lowering_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(nb.TARGETS["stock"], "Up2", stock.up(3))
    case, failure = found(calls_shapes.zeros, calls_numbers.scalar)
    assert failure.where.startswith("stock") and "Up2" in ops(case) and len(ops(case)) <= 3


def test_a_size_that_a_lowering_bakes_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of named sizes: a shape is seen where the lowering takes place."""

    def resized(new: nb.Graph, node: nb.Node, inputs: list[nb.Value]) -> Any:
        return nb.interpolate(new, inputs[0], size=tuple(map(at_least, node.outputs[0].shape[1:])))

    monkeypatch.setitem(nb.TARGETS["stock"], "Interp/sized", resized)
    case, failure = found(calls_sizes.resized_like)
    assert failure.kind == "compile" and "takes a size for known that is open" in failure.text, failure.text
    assert ops(case) == ["Interp/sized"] and any(i.named for i in case.program.inputs)


def test_a_number_that_a_lowering_bakes_from_a_size_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shape shows it, and at the least size it is right: the other sizes are compared as well."""

    def mean(new: nb.Graph, node: nb.Node, inputs: list[nb.Value]) -> Any:
        x, p = inputs[0], node.params
        if p["operation"] != 3 or len(p["axes"]) != 1 or p["reduce_all"] or not p["version"]:
            return None
        total = nb.really_reduction(new, x, "ReduceSum", p["axes"], bool(p["keepdims"]))[0]
        return [total * (p["coeff"] / at_least(x.shape[p["axes"][0]]))]

    monkeypatch.setitem(nb.TARGETS["stock"], "Reduction", mean)
    case, failure = found(calls_layers.reduction)
    assert failure.kind == "wrong" and failure.where.startswith("stock") and "inputs of {" in failure.text, failure.text
    assert set(ops(case)) == {"Reduction"} and any(i.named for i in case.program.inputs)


def test_an_error_of_an_open_graph_that_is_not_for_its_sizes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def flipped(new: nb.Graph, node: nb.Node, inputs: list[nb.Value]) -> Any:
        if inputs[0].open:
            raise nb.BuildError("broken")

    monkeypatch.setitem(nb.TARGETS["stock"], "Flip", flipped)
    case, failure = found(calls_shapes.flip)
    assert failure.kind == "compile" and "broken" in failure.text and ops(case) == ["Flip"]


def at_least(size: int) -> int:
    return evaluated(size, {n.name: n.least for n in names_of(size)})


@pytest.mark.parametrize(("op", "call"), [("Softmax", calls_layers.softmax), ("GroupNorm", calls_layers.norms)])
def test_a_wrong_reference_is_found(op: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    right = nb.registry[op].reference
    monkeypatch.setattr(type(nb.registry[op]), "reference", lambda self, *a: [right(*a)[0] * 1.001])
    case, failure = found(call, calls_numbers.activation)
    assert failure.kind == "wrong" and ops(case) == [op]


def test_an_error_that_is_no_build_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise AssertionError("broken")

    monkeypatch.setattr(type(nb.registry["Flip"]), "infer", broken)
    case, failure = found(calls_shapes.flip, calls_numbers.scalar)
    assert failure.kind == "build" and "AssertionError: broken" in failure.text and len(case.program.steps) == 1


def test_a_runtime_that_dies_is_a_finding() -> None:
    def dies(param: Path, weights: Path) -> Any:
        if "Flip" in param.read_text():
            os.kill(os.getpid(), signal.SIGKILL)
        return wheel(param, weights)

    steps = (Step(("v0",), "nb.abs(g, x0)"), Step(("v1",), "nb.flip(g, v0, 1)"), Step(("v2",), "v1 + 1.0"))
    case = Case(Program((Input("x0", (3, 4)),), steps, ("v2",)), 1, ("normal",))
    with scratch() as folder:
        checker = Checker({"wheel": dies}, Path(folder))
        check: Callable[[Case], Failure | None] = lambda case: forked(checker.check, case)
        failure = check(case)
        assert failure is not None and failure.kind == "crash" and "signal 9" in failure.text
        small, _ = shrink(case, failure, check, 20)
        assert ops(small) == ["Flip"]
        assert check(replace(case, program=replace(case.program, outputs=("v0",)).tidy())) is None


def test_what_cannot_be_compared_is_not() -> None:
    """A difference of equal numbers says nothing; a sum says all."""
    inputs = (Input("x0", (4,)),)
    steps = (Step(("v0",), "x0 * 1.25"), Step(("v1",), "x0 / 0.8"), Step(("v2",), "v0 - v1"), Step(("v3",), "v0 + v1"))
    program = Program(inputs, steps, ("v2", "v3"))
    expected = meaning(build(program)[0], draw(inputs, "normal", 1), 1)
    assert expected["y0"].allowed is None
    assert expected["y1"].allowed is not None and expected["y1"].allowed < 1e-3


def test_more_draws_are_made_before_a_result_is_called_wrong() -> None:
    """Of one number, few draws are far off."""
    inputs = (Input("x0", (1,), draw="positive"),)
    program = Program(inputs, (Step(("v0",), "nb.activation(g, x0 * 1.25, 'relu')"),), ("v0",))
    case, graph = Case(program, 3, ("normal",)), build(program)[0]
    x = draw(inputs, "normal", 3)
    few = Wanted("", x, meaning(graph, x, 3), graph, 3)
    first, last = few.results["y0"].allowed, few.once_more("y0").allowed
    assert first is not None and last is not None and first * 1.05 < last < first * 4
    for error, kind in (((first + last) / 2, None), (last * 1.1, "wrong")):

        def off(*files: Path, error: float = error) -> Any:
            return lambda inputs, blobs: {k: v + error for k, v in own(*files)(inputs, blobs).items()}

        with scratch() as folder:
            failure = Checker({"runtime": off}, Path(folder)).check(case)
        assert (failure and failure.kind) == kind


def test_equal_numbers_are_off_by_equal_errors() -> None:
    """And no sum over them averages those out, nor the roundings in their own sum. Others are not let off."""
    norm = "nb.layer_norm(g, x0, nn.LayerNorm((256,), 1.0)) + 1.0"
    steps = (Step(("v0",), norm), Step(("v1",), "nb.reduction(g, v0, 'ReduceSum', 3, (1, 2))"))
    program = Program((Input("x0", (8, 256)),), steps, ("v0", "v1"))
    graph, grown = build(program)[0], {}
    numbers = {"equal": np.full((8, 256), 40.0, np.float32), "normal": draw(program.inputs, "normal", 1)["x0"]}
    for kind, array in numbers.items():
        wanted = Wanted("", {"x0": array}, meaning(graph, {"x0": array}, 1), graph, 1)
        for name in ("y0", "y1"):
            first, last = wanted.results[name].allowed, wanted.once_more(name).allowed
            assert first is not None and last is not None
            grown[kind, name] = last / first
    assert 2 < grown["equal", "y0"] < 8 < grown["equal", "y1"] and grown["normal", "y0"] < 1.5, grown


def test_what_is_no_number_times_nothing_is_not_compared() -> None:
    """Zeros are put between an input's numbers and a filter keeps those alone: 0 * NaN, or no term at all."""
    steps = (
        Step(("v0",), "nb.rsqrt(g, x0 - x0) * 0.0"),
        Step(("v1",), "nb.Upfirdn2d(g, v0, w(0, 1), 2, 2, (-1, 0, -1, 0))"),
    )
    program = Program((Input("x0", (1, 2, 2)),), steps, ("v1",))
    assert meaning(build(program)[0], draw(program.inputs, "normal", 1), 1)["y0"].allowed is None


def test_a_wave_that_cancels_is_on_no_side_of_a_step() -> None:
    """Imaginary parts of the first and the last frequency are 0, or what is left of it in float32."""
    steps = (Step(("v0",), "sample(g, 'Spectrogram', 5, x0)"), Step(("v1",), "nb.threshold(g, v0)"))
    program = Program((Input("x0", (20,)),), steps, ("v0", "v1"))
    graph = build(program)[0]
    expected = meaning(graph, draw(program.inputs, "normal", 1), 1)
    assert graph.nodes[0].params["power"] == 0 and (expected["y0"].numbers == 0).any()
    assert expected["y0"].allowed is not None and expected["y1"].allowed is None


def test_halves_below_the_normal_ones_may_be_none() -> None:
    """ncnn keeps them or not, by where in a row they lie."""
    inputs = (Input("x0", (3,)),)
    program = Program(
        inputs, (Step(("v0",), "nb.cast(g, nb.cast(g, x0, 'float32', 'float16'), 'float16', 'float32')"),), ("v0",)
    )
    g = build(program)[0]
    small = meaning(g, {"x0": np.full(3, 5e-5, np.float32)}, 1)["y0"]
    beside = meaning(g, {"x0": np.array([5e-5, 1, 2], np.float32)}, 1)["y0"]
    assert small.allowed is None and beside.allowed is not None and 2**-16 < beside.allowed < 2**-10


def test_what_a_smaller_program_raises_is_no_end_of_shrinking() -> None:
    """torch's own error, of a module that was shrunk to no groups."""
    steps = (Step(("v0",), "nb.group_norm(g, x0, module(0, nn.GroupNorm, 0, 4))"),)
    case = Case(Program((Input("x0", (4, 3)),), steps, ("v0",)), 1, ("normal",))
    failure = Failure("wrong", "stock on the wheel", "")
    assert shrink(case, failure, lambda case: failure, 20)[0].program.steps


def test_boxes_of_equal_scores_are_not_compared() -> None:
    inputs = (Input("x0", (16, 4, 5)),)
    program = Program(inputs, (Step(("v0",), "sample(g, 'Yolov3DetectionOutput', 0, x0)"),), ("v0",))
    g = build(program)[0]
    said = {kind: meaning(g, draw(inputs, kind, 3), 1)["y0"].allowed for kind in ("normal", "mixed", "large")}
    assert said["normal"] is not None and said["mixed"] is None and said["large"] is None


def test_a_shape_that_a_lowering_settles_is_the_only_one_that_the_file_takes() -> None:
    pytest.importorskip("runtime")
    from runtime.errors import InputError

    def lax(param: Path, weights: Path) -> Any:
        run = own(param, weights)

        def anything(inputs: Any, blobs: Any) -> Any:
            try:
                return run(inputs, blobs)
            except InputError:
                return {}

        return anything

    inputs = (Input("x0", (3, 4), open=True), Input("x1", (3, 4), open=True), Input("x2", (3,)))
    steps = (Step(("v0",), "nb.StyleMixingSwitcher(g, [x0, x1, x2], 1)"),)
    case = Case(Program(inputs, steps, ("v0",), sizes=({"x0": (3, 6), "x1": (3, 6)},)), 1, ("normal", "large"))
    with scratch() as folder:
        checker = Checker({"runtime": own}, Path(folder))
        assert checker.check(case) is None and checker.counts["sizes that the file refuses"] == 1
        failure = Checker({"runtime": lax}, Path(folder)).check(case)
        assert failure is not None and "states the shape" in failure.text and failure.where == "stock on the runtime"
