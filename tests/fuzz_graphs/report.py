"""A failing case as a person wants it: what is wrong, and code that shows it."""

from __future__ import annotations

from collections.abc import Mapping

import ncnn_builder as nb

from .calls_samples import OPS
from .compare import REACHED, TARGETS, Case, Failure
from .program import build
from .respell import SPELLINGS


def cause(case: Case, failure: Failure) -> tuple[str, ...]:
    """What tells one fault from another, of a case that is shrunk: the failure, and the ops that are left."""
    try:
        graph, _ = build(case.program)
        ops = " ".join(sorted({node.spec.type for node in graph.nodes}))
    except Exception:  # the fault is there
        ops = ""
    return (*failure.signature, ops)


def printed(case: Case, failure: Failure, seed: int) -> str:
    """The finding as text: commented facts, then a program in the DSL that can be run."""
    facts = [
        f"seed {seed}: {failure.kind}, {failure.where}",
        failure.text,
        f"again: python -m tests.fuzz_graphs --seed {seed} --count 1",
    ]
    if case.program.sizes:
        facts.append(f"other sizes: {list(map(dict, case.program.sizes))}")
    if failure.files:
        facts += ["the file:", *failure.files.strip().splitlines()]
    first = failure.where.split(" ")[0]
    target = first if first in nb.TARGETS else "reference"
    saved = f'nb.save(g, "net.param", "net.bin", target={target!r})\n'
    return "\n".join(f"# {fact}" for fact in facts) + "\n" + case.program.source() + saved


def reached(counts: Mapping[str, int]) -> str:
    """What was done, and how many graphs had each op on each target and each spelling: a hole is to be seen."""
    done = {name: n for name, n in counts.items() if not name.startswith(REACHED)}
    by_op = {op: [counts.get(f"{REACHED}{target} {op}", 0) for target in TARGETS] for op in OPS}
    by_spelling = {name: counts.get(f"{REACHED}respelled {name}", 0) for name in SPELLINGS}
    holes = [f"{op} on {t}" for op, row in by_op.items() for t, n in zip(TARGETS, row, strict=True) if not n]
    return "\n".join(
        (
            f"graphs with each op on {', '.join(TARGETS)}:",
            *(f"  {op:<26}{' '.join(f'{n:>8}' for n in row)}" for op, row in by_op.items()),
            f"files spelled in other words: {by_spelling}",
            f"never reached: {', '.join(holes + [s for s, n in by_spelling.items() if not n]) or 'nothing'}",
            str(done),
        )
    )
