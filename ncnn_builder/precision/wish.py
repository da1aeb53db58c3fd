"""What is wished for of a net of fewer bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import BuildError
from .budget import Budget
from .calibrate import METHODS
from .forms import FORMS

AIMS = ("time", "size")


@dataclass(frozen=True)
class Wish:
    """What quantize_net() takes beside the net, its data and where the files go; see there."""

    budget: Budget
    aim: str = "time"
    forms: tuple[str, ...] = FORMS
    methods: tuple[str, ...] = METHODS
    equalise: bool = True
    correct: bool = True
    threads: int = 1

    @classmethod
    def parse(
        cls, budget: str, aim: str, forms: Sequence[str] | None, methods: Sequence[str] | None, **others: bool | int
    ) -> Wish:
        """forms, methods: None is all. Raises BuildError for what is not known."""
        if aim not in AIMS:
            raise BuildError("bad aim", argument="aim", expected=list(AIMS), got=aim)
        forms, methods = FORMS if forms is None else tuple(forms), METHODS if methods is None else tuple(methods)
        for name, given, known in (("forms", forms, FORMS), ("methods", methods, METHODS)):
            if not given or not set(given) <= set(known):
                raise BuildError(f"bad {name}", argument=name, expected=list(known), got=list(given))
        return cls(Budget.parse(budget), aim, forms, methods, **others)  # type: ignore[arg-type]

    def words(self) -> list[str]:
        """The options of the command `quantize` that say the same."""
        words = [f"--budget {self.budget.text}", f"--aim {self.aim}", f"--threads {self.threads}"]
        words += [f"--forms {','.join(self.forms)}"] if self.forms != FORMS else []
        words += [f"--methods {','.join(self.methods)}"] if self.methods != METHODS else []
        words += [] if self.equalise else ["--no-equalise"]
        return words + ([] if self.correct else ["--no-correction"])
