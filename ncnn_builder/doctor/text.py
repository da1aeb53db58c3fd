"""A diagnosis as text: rows as they come, and what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parity import Comparison
from ..parity.subgraph import module_of

if TYPE_CHECKING:
    from .diagnose import Diagnosis, ModuleResult

WIDTH = 48
COLUMNS = f"{'':5}{'module':<{WIDTH}} {'in the net':>10} {'alone':>10}   (tolerance needed)"


def header(d: Diagnosis) -> str:
    return f"{d.name}, target {d.target}, options {d.options}, tolerance {d.tolerance:.2g}"


def row(m: ModuleResult) -> str:
    """One line: mark, path, tolerance needed in the chain and alone."""
    end = f"   {remark(m)}" if remark(m) else ""
    return f"{mark(m):<5}{m.path:<{WIDTH}} {needed(m.chained):>10} {needed(m.isolated):>10}{end}"


def mark(m: ModuleResult) -> str:
    if m.chained.ok:
        return "ok"
    return "BAD" if m.isolated is not None and not m.isolated.ok else "bad"


def needed(c: Comparison | None) -> str:
    if c is None:
        return "-"
    return "none" if c.problem else f"{c.required:.1e}"


def remark(m: ModuleResult) -> str:
    problems = [m.isolated.problem if m.isolated else None, None if m.chained.ok else m.chained.problem, m.note]
    return next((p for p in problems if p), "")


def conclusion(d: Diagnosis) -> str:
    """What the rows mean: culprit, cause, cure."""
    lines = [header(d)]
    if d.skipped:
        lines.append(f"not compared, for torch has no such modules: {', '.join(d.skipped)}")
    if d.equal:
        lines.append(
            f"equal: {len(d.modules)} results, the largest difference needs {d.required:.1e} of {d.tolerance:.2g}"
        )
    else:
        bad = sum(not m.ok for m in d.modules)
        alone = [m.isolated for m in d.modules if d.culprit and module_of(m.path) == d.culprit]
        which = "that is wrong by itself " if any(c is not None and not c.ok for c in alone) else ""
        lines.append(f"different: {bad} of {len(d.modules)} results; the first module {which}is {d.culprit}")
    if d.cause:
        lines.append(f"cause: {d.cause.kind}: {d.cause.what}")
        if d.cause.source:
            lines.append(f"line:  {d.cause.source}")
    if d.cure:
        lines += _cure(d)
    elif d.cause and d.cause.kind == "option":
        words = ", ".join(d.cause.switches)
        lines.append(f"cure:  no mask of layers is enough; turn off {words} in the net's options")
    lines.append(f"took {d.seconds:.1f} s")
    return "\n".join(lines)


def _cure(d: Diagnosis) -> list[str]:
    cure = d.cure
    assert cure is not None
    names = ", ".join(f'"{f}"' for f in cure.features)
    count = "1 layer" if len(cure.layers) == 1 else f"{len(cure.layers)} layers"
    lines = [f"cure:  31={cure.mask} on {count}: with nb.without(g, {names}): ... around"]
    if 2 * len(cure.layers) > cure.of:
        switches = ", ".join(d.cause.switches) if d.cause else ""
        lines = [
            f"cure:  turn off {switches} in the net's options: {count} of {cure.of} would need the mask 31={cure.mask}"
        ]
    lines += [f"         {layer.type} {layer.name}, {layer.source}" for layer in cure.layers[:8]]
    if len(cure.layers) > 8:
        lines.append(f"         and {len(cure.layers) - 8} more")
    before, after = cure.seconds_before * 1e3, cure.seconds_after * 1e3
    lines.append(
        f"       verified: the net then needs {cure.required:.1e} of {d.tolerance:.2g};"
        f" a run takes {after:.2f} ms instead of {before:.2f} ms"
    )
    return lines


def as_text(d: Diagnosis) -> str:
    return "\n".join([COLUMNS, *map(row, d.modules), conclusion(d)])
