"""A failing case as a person wants it: what is wrong, and code that shows it."""

from __future__ import annotations

import ncnn_builder as nb

from .compare import Case, Failure
from .program import build


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
