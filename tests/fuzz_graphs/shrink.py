"""The smallest program that still fails: fewer steps, outputs, inputs, smaller numbers and shapes."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from ncnn_builder.sizes import is_open

from .compare import Case, Failure
from .program import Input, Program, Shape, Step, build

Check = Callable[[Case], "Failure | None"]


def shrink(case: Case, failure: Failure, check: Check, seconds: float = 60.0) -> tuple[Case, Failure]:
    """The case made smaller while it fails in the same way, and how it fails then; for so long of processor time."""
    end = _spent() + seconds
    again = True
    while again and _spent() < end:
        again = False
        for smaller in _smaller(case):
            if _spent() > end:
                break
            found = check(smaller) if _builds(smaller.program, failure) else None
            if found is not None and _alike(found, failure):
                case, failure, again = smaller, found, True
                break
    return case, failure


def _spent() -> float:
    """Processor time of this process and of its forks: a busy machine shrinks as far as an idle one."""
    return sum(os.times()[:4])


def _alike(found: Failure, wanted: Failure) -> bool:
    """One cause shows as a wrong number or a wrong shape, and in a smaller graph perhaps on an earlier target."""
    numbers = ("wrong", "shape")
    return found.signature == wanted.signature or (found.kind in numbers and wanted.kind in numbers)


def _builds(program: Program, failure: Failure) -> bool:
    """Whether the DSL takes it. (Where the fault is an error of the DSL, that is for the check to say.)"""
    if failure.kind == "build":
        return True
    try:
        build(program)
    except Exception:  # of the DSL, of torch's modules, of Python: a smaller program need not make sense
        return False
    return True


def _smaller(case: Case) -> Iterator[Case]:
    """Cases that are smaller, the boldest first."""
    program = case.program
    for i in range(len(case.draws)):
        if len(case.draws) > 1:
            yield replace(case, draws=case.draws[:i] + case.draws[i + 1 :])
    if case.draws != ("normal",):
        yield replace(case, draws=("normal",))
    for one in case.spellings:
        yield replace(case, spellings=tuple(s for s in case.spellings if s != one))
    for smaller in _programs(program):
        tidy = smaller.tidy()
        if tidy.outputs and tidy.weight < program.weight:
            yield replace(case, program=tidy)


def _programs(program: Program) -> Iterator[Program]:
    if program.taps:
        yield replace(program, taps=())
        for name in program.taps:
            yield replace(program, taps=tuple(t for t in program.taps if t != name))
    if len(program.outputs) > 1:
        for name in program.outputs:
            yield replace(program, outputs=(name,))
        for i in range(len(program.outputs)):
            yield replace(program, outputs=program.outputs[:i] + program.outputs[i + 1 :])
    for step in program.steps[:-1]:  # all that comes later goes
        for name in step.names:
            yield replace(program, outputs=(name,), taps=())
    for size in program.sizes:
        if len(program.sizes) > 1:
            yield replace(program, sizes=(size,))
    if any(i.open for i in program.inputs) and not program.sizes:
        yield replace(program, inputs=tuple(replace(i, open=False) for i in program.inputs))
    if any(i.named for i in program.inputs):
        yield replace(program, inputs=tuple(replace(i, named=()) for i in program.inputs), sizes=())
    yield from _without_steps(program)
    yield from _other_inputs(program)
    yield from _simpler_steps(program)


def _without_steps(program: Program) -> Iterator[Program]:
    """A step gone: its value is another of the same shape, or an input of its own."""
    try:
        _, values = build(program)
    except Exception:
        return
    for at, step in enumerate(program.steps):
        for name in step.names:
            shape = values[name].shape
            for other in sorted(step.reads):
                if values[other].shape == shape:
                    yield _replaced(program, at, name, other)
            fresh = Input(f"x{90 + at}", shape)
            if fresh.name not in values and len(step.names) == 1 and not is_open(shape):
                yield _replaced(replace(program, inputs=(*program.inputs, fresh)), at, name, fresh.name)


def _replaced(program: Program, at: int, name: str, other: str) -> Program:
    """The program whose steps behind `at`, outputs and taps read `other` for `name`."""

    def renamed(text: str) -> str:
        tree = ast.parse(text, mode="eval")
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == name:
                node.id = other
        return ast.unparse(tree)

    later = tuple(replace(s, text=renamed(s.text)) if name in s.reads else s for s in program.steps[at + 1 :])
    here = program.steps[at]
    outputs = tuple(dict.fromkeys(other if o == name else o for o in program.outputs))
    taps = tuple(dict.fromkeys(other if t == name else t for t in program.taps))
    return replace(
        program, steps=(*program.steps[:at], here, *later), outputs=outputs, taps=tuple(t for t in taps if t[0] == "v")
    )


def _other_inputs(program: Program) -> Iterator[Program]:
    for i, one in enumerate(program.inputs):
        for axis, n in enumerate(one.named):  # a name less
            if isinstance(n, str):
                named = (*one.named[:axis], one.shape[axis], *one.named[axis + 1 :])
                fewer = replace(one, named=named if any(isinstance(n, str) for n in named) else ())
                yield replace(program, inputs=(*program.inputs[:i], fewer, *program.inputs[i + 1 :]))
        for shape in _shapes(one.shape) if not one.named else ():
            inputs = (*program.inputs[:i], replace(one, shape=shape), *program.inputs[i + 1 :])
            yield replace(program, inputs=inputs)


def _shapes(shape: Shape) -> Iterator[Shape]:
    for axis, n in enumerate(shape):
        for less in dict.fromkeys((1, 2, n // 2, n - 1)):
            if 0 < less < n:
                yield (*shape[:axis], less, *shape[axis + 1 :])


def _simpler_steps(program: Program) -> Iterator[Program]:
    for at, step in enumerate(program.steps):
        for text in _texts(step.text):
            yield replace(program, steps=(*program.steps[:at], Step(step.names, text), *program.steps[at + 1 :]))


def _texts(text: str) -> Iterator[str]:
    """The expression with one number simpler, or one argument gone."""
    tree = ast.parse(text, mode="eval")
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.Call):
            for i in range(len(node.keywords)):
                kept = node.keywords[:]
                del node.keywords[i]
                yield ast.unparse(tree)
                node.keywords = kept
            if len(node.args) > 2:
                kept_args = node.args[:]
                node.args = node.args[:-1]
                yield ast.unparse(tree)
                node.args = kept_args
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and node.value is not None:
            value = node.value
            for simpler in _numbers(value):
                node.value = simpler
                yield ast.unparse(tree)
            node.value = value


def _numbers(value: float) -> Iterator[float]:
    if isinstance(value, bool):
        if value:
            yield False
    elif isinstance(value, int):
        yield from (n for n in dict.fromkeys((0, 1, 2, value // 2, value - 1)) if 0 <= n < value)
    else:
        yield from (
            x for x in (0.0, 1.0, 0.5) if len(str(x)) < len(str(value)) or (value not in (0.0, 1.0) and x != value)
        )
