"""Random programs. A call picks values that fit it among those that are there, and says a line; what the DSL refuses
or what would leave the range in which numbers can be compared is not taken."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from . import calls_layers, calls_numbers, calls_samples, calls_shapes, calls_sizes, sized  # noqa: F401  (they fill CALLS)
from .maker import CALLS, Broken, Call, Maker, Refused, shape_of
from .program import Input, Program, Shape

DEEPEST = 10
ANY, NAMED = 0.1, 0.5
"""Below the one an input is of any shape, above the other it has open sizes."""
ORDERED = sorted(CALLS, key=lambda each: (each[1].__module__, each[1].__qualname__))
"""Whatever was imported first: a case follows from its seed alone."""


def try_calls(maker: Maker, calls: Sequence[tuple[float, Call]], wanted: int) -> None:
    """Calls until so many steps stand."""
    weights = [weight for weight, _ in calls]
    for _ in range(wanted * 6):
        if len(maker.steps) >= wanted:
            return
        with contextlib.suppress(Refused):  # what a call that failed half-way left is a program as well
            maker.rng.choices(calls, weights)[0][1](maker)


def program_of(seed: int, calls: Sequence[tuple[float, Call]] = ORDERED) -> Program:
    """The program of a seed, made of these calls."""
    rng = random.Random(seed)
    kind = rng.random()
    named = [sized.drawn(rng, shape_of(rng, 3, 3, 3, 2, 1, 4))] if kind > NAMED else []
    maker = Maker(rng, open_input=kind < ANY, named=named)
    if maker.open_input:
        maker.input(maker.any_shape(3, 3, 3, 2))
    elif named:
        maker.input(maker.open_shape())
    more = (0, 0, 0, 1) if named else (0, 1, 1, 2) if maker.inputs else (1, 1, 2, 2, 3)
    for _ in range(rng.choice(more)):
        maker.input(maker.any_shape())
    try:
        try_calls(maker, calls, rng.randint(3, DEEPEST))
    except Broken:
        return Program(tuple(maker.inputs), tuple(maker.steps), maker.steps[-1].names).tidy()
    return finished(maker)


def finished(maker: Maker) -> Program:
    """The program with outputs, taps and other sizes."""
    rng = maker.rng
    if not maker.steps:
        maker.do(f"nb.abs(g, {next(iter(maker.values))})")
    read = {name for step in maker.steps for name in step.reads}
    made = [name for step in maker.steps for name in step.names]
    leaves = [name for name in made if name not in read]
    outputs = list(leaves)
    if rng.random() < 0.3:  # something that is read inside as well
        outputs += rng.sample(made, min(len(made), rng.randint(1, 2)))
    if rng.random() < 0.05:
        outputs += [rng.choice(made)]
    outputs = list(dict.fromkeys(outputs)) if rng.random() < 0.9 else outputs
    taps = tuple(rng.sample(made, min(len(made), rng.randint(1, 2)))) if rng.random() < 0.3 else ()
    program = Program(tuple(maker.inputs), tuple(maker.steps), tuple(outputs), taps, tuple(maker.sizes[1:]))
    if any(i.open for i in maker.inputs):
        program = replace(program, sizes=tuple(_other_sizes(rng, maker.inputs)))
    return program.tidy()


def _other_sizes(rng: random.Random, inputs: Iterable[Input]) -> list[dict[str, Shape]]:
    """Two more sizes of the open inputs: the channels stay."""
    found = []
    for _ in range(2):
        found.append(
            {
                i.name: (i.shape[0], *(max(1, n + rng.choice((-2, -1, 1, 2, 3, n))) for n in i.shape[1:]))
                for i in inputs
                if i.open
            }
        )
    return found
