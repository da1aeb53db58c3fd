"""The choice of forms: as much time or bytes saved as the budget bears, measured as a whole, again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import BuildError
from .budget import Measured
from .forms import COMPUTED
from .plan import Candidate, Planner

HALVINGS, TRIALS = 7, 40
WORTH = 0.05
"""A layer that gains less of its own time than this may as well gain nothing."""


@dataclass
class Found:
    """choice: layer -> form, of those not in fp32. measured: on the calibration data. tried: nets that were run.
    unseen: on held-out data. slower: int8 was given up, as the whole net was no faster with it."""

    choice: dict[str, str]
    measured: Measured
    tried: int = 0
    unseen: Measured | None = None
    slower: bool = False


def gain(candidate: Candidate, aim: str) -> float:
    if aim == "size":
        return float(candidate.bytes)
    return candidate.seconds if candidate.seconds > WORTH * candidate.before else 0.0


def search(planner: Planner, candidates: Sequence[Candidate]) -> Found:
    """The best choice that keeps the budget on the calibration data.

    First the most that fits into some sum of the errors measured alone, for sums found by halving, each net measured as
    a whole; then, one by one, what may still come. For time, what is left of the budget goes into bytes that cost no
    time.

    Raises BuildError where no layer can leave fp32 within the budget: it says the best that can be reached.
    """
    aim = planner.wish.aim
    candidates = [c for c in candidates if not _worse(c, candidates)] if aim == "size" else candidates
    useful = [c for c in candidates if gain(c, aim) > 0 or (aim == "time" and c.form not in COMPUTED and c.bytes > 0)]
    if not useful:
        raise BuildError("no layer has another form that gains anything", argument="--aim", got=aim)
    best_alone = min(useful, key=lambda c: c.spent)
    if best_alone.spent * planner.strictness > 1:
        raise BuildError(
            "nothing reaches this budget",
            argument="--budget",
            expected=planner.budget.text,
            got=f"{planner.budget.told(best_alone.error)} at best, with {best_alone.layer} alone in {best_alone.form}",
            fix="Ask for less, or leave the net as it is",
        )
    found = Found({}, planner.base)
    _grow(planner, [c for c in useful if gain(c, aim) > 0], found, lambda c: gain(c, aim))
    if aim == "time":
        before, after = planner.whole_seconds(found.choice)
        if found.choice and after >= before:
            planner.tell("all together are no faster than the net as it is: no int8")
            found.choice, found.measured, found.slower = {}, planner.base, True
        rest = [c for c in useful if c.form not in COMPUTED and c.layer not in found.choice]
        _grow(planner, rest, found, lambda c: float(c.bytes))
    if not found.choice:
        raise BuildError(
            "nothing reaches this budget together",
            argument="--budget",
            expected=planner.budget.text,
            got=f"{planner.budget.told(best_alone.error)} at best",
        )
    return found


def _worse(candidate: Candidate, candidates: Sequence[Candidate]) -> bool:
    """Whether a layer computed in few bits has a table that is nearly as small, nearer, and no slower."""
    return candidate.form in COMPUTED and any(
        c.layer == candidate.layer
        and c.form == "table"
        and c.spent <= candidate.spent
        and candidate.bytes <= (1 + WORTH) * c.bytes
        and candidate.seconds <= WORTH * candidate.before
        for c in candidates
    )


def _grow(planner: Planner, candidates: Sequence[Candidate], found: Found, worth: Callable[[Candidate], float]) -> None:
    """Add to the choice what the budget bears."""
    if not candidates:
        return
    base = dict(found.choice)

    def fits(choice: Mapping[str, str]) -> bool:
        measured = planner.measured(choice)
        found.tried += 1
        planner.tell(f"trying {len(choice)} layers: {planner.budget.told(measured)}")
        if planner.budget.spent(measured, planner.base) * planner.strictness > 1:
            return False
        found.choice, found.measured = dict(choice), measured
        return True

    low, high = (
        0.0,
        2 * sum(max(c.spent for c in candidates if c.layer == name) for name in {c.layer for c in candidates}),
    )
    everything = packed(candidates, high, worth)
    if fits({**base, **everything}):
        low = high
    else:
        low, high = 0.0, min(high, 4.0)
        seen = [everything]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            choice = packed(candidates, middle, worth)
            if choice in seen and low > 0:
                high = middle
                continue
            seen.append(choice)
            if choice and fits({**base, **choice}):
                low = middle
            else:
                high = middle
    order = sorted(candidates, key=lambda c: (-worth(c) / (c.spent + 1e-9), c.layer, c.form))
    trials = 0
    for c in order:
        now = found.choice.get(c.layer)
        better = now is None or worth(c) > max(
            (worth(d) for d in candidates if (d.layer, d.form) == (c.layer, now)), default=0.0
        )
        if better and trials < TRIALS and c.spent * planner.strictness <= 1:
            trials += 1
            fits({**found.choice, c.layer: c.form})


def packed(candidates: Sequence[Candidate], allowed: float, worth: Callable[[Candidate], float]) -> dict[str, str]:
    """Layer -> form: the most worth for errors that sum up to no more than allowed, step by step the best ratio."""
    choice: dict[str, Candidate] = {}
    left = allowed
    while True:
        best, ratio = None, 0.0
        for c in candidates:
            now = choice.get(c.layer)
            more, cost = worth(c) - (worth(now) if now else 0.0), c.spent - (now.spent if now else 0.0)
            if more > 0 and cost <= left and more / max(cost, 1e-12) > ratio:
                best, ratio = c, more / max(cost, 1e-12)
        if best is None:
            return {name: c.form for name, c in choice.items()}
        now = choice.get(best.layer)
        left -= best.spent - (now.spent if now else 0.0)
        choice[best.layer] = best
