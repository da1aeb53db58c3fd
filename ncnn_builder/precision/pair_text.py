"""The diagnosis of a pair as lines of text, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .measures import Errors
from .pair import LayerResult, PairDiagnosis

COLUMNS = f"{'':4} {'layer':<32} {'type':<20} {'in the net':>10} {'alone':>10}"


def needed(errors: Errors | None) -> str:
    """The tolerance that would have been needed."""
    return "" if errors is None else f"{errors.relative:.1e}" if errors.finite else "not finite"


def mark(result: LayerResult, tolerance: float) -> str:
    """ok; bad: off in the net; BAD: off alone."""
    worst = max(result.in_net.relative, result.alone.relative if result.alone else 0.0)
    return "ok" if worst <= tolerance else "BAD" if result.alone and result.alone.relative > tolerance else "bad"


def row(result: LayerResult, tolerance: float) -> str:
    kind = mark(result, tolerance)
    return (
        f"{kind:4} {result.name:<32} {result.type:<20} {needed(result.in_net):>10} {needed(result.alone):>10}".rstrip()
    )


def conclusion(d: PairDiagnosis) -> str:
    return "\n".join(_conclusion(d))


def _conclusion(d: PairDiagnosis) -> Iterator[str]:
    yield from (f"note: {note}" for note in d.notes)
    if d.unmatched:
        more = f" and {len(d.unmatched) - 3} more" if len(d.unmatched) > 3 else ""
        yield f"note: without a counterpart: {', '.join(d.unmatched[:3])}{more}"
    if d.here is not None:
        yield f"note: on this machine the outputs need {needed(d.here)}"
    said = f"the outputs need {needed(d.outputs)} of {d.tolerance:.0e}"
    if d.outputs.finite:
        said += (
            f" (largest difference {d.outputs.max:.3g}, PSNR {d.outputs.psnr:.1f} dB, cosine {d.outputs.cosine:.6f})"
        )
    yield f"{'equal' if d.equal else 'different'}: {said}"
    if d.culprit is not None:
        yield f"first:  {d.culprit.type} {d.culprit.name}, alone {needed(d.culprit.alone) or 'not known'}"
        yield from (f"cause:  {cause.what} [{cause.kind}]" for cause in d.causes)
    if d.cure is None:
        if d.sought:
            yield "cure:   none that was tried: " + (
                "no mask turns this off" if d.first == d.second else "no layer of the first net can take its place"
            )
        return
    c = d.cure
    how = f"31={c.mask} (without {', '.join(c.features)}) for" if c.what == "mask" else "the first net's"
    shown = ", ".join(c.layers[:6]) + (f" and {len(c.layers) - 6} more" if len(c.layers) > 6 else "")
    yield f"cure:   {how} {shown}: the outputs need {needed(c.error)}"
    price = f"{c.bytes[1] - c.bytes[0]:+d} bytes"
    if c.seconds[0]:
        price += f", {1e3 * c.seconds[0]:.2f} ms before and {1e3 * c.seconds[1]:.2f} ms after, here"
    yield f"price:  {len(c.layers)} of {len(d.layers)} layers, {price}"


def as_json(d: PairDiagnosis) -> dict[str, Any]:
    def one(result: LayerResult) -> dict[str, Any]:
        alone = None if result.alone is None else result.alone.as_json()
        return {"name": result.name, "type": result.type, "in_net": result.in_net.as_json(), "alone": alone}

    cure = None
    if d.cure is not None:
        cure = {**vars(d.cure), "error": d.cure.error.as_json()}
    return {
        "first": d.first,
        "second": d.second,
        "options": d.options,
        "tolerance": d.tolerance,
        "equal": d.equal,
        "outputs": d.outputs.as_json(),
        "culprit": None if d.culprit is None else d.culprit.name,
        "causes": [vars(cause) for cause in d.causes],
        "cure": cure,
        "here": None if d.here is None else d.here.as_json(),
        "notes": d.notes,
        "unmatched": d.unmatched,
        "layers": [one(result) for result in d.layers],
    }
