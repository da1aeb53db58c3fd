"""The differential fuzz of the compiler: whether it finds and shrinks what is planted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fuzz_graphs import calls_layers, calls_numbers, calls_shapes
from fuzz_graphs.compare import Case, Checker, Failure, scratch, wheel
from fuzz_graphs.generate import program_of
from fuzz_graphs.maker import Call
from fuzz_graphs.meaning import meaning
from fuzz_graphs.program import Input, Program, Step, build, draw
from fuzz_graphs.shrink import shrink
from fuzz_graphs.worker import case_of, forked

import ncnn_builder as nb


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


def test_a_wrong_reference_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = nb.registry["Softmax"].reference
    monkeypatch.setattr(type(nb.registry["Softmax"]), "reference", lambda self, *a: [right(*a)[0] * 1.001])
    case, failure = found(calls_layers.softmax, calls_numbers.activation)
    assert failure.kind == "wrong" and ops(case) == ["Softmax"]


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
