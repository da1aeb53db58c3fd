"""What a checkpoint's bytes say of a generator."""

from __future__ import annotations

from typing import Any, NamedTuple

from stylegan._torch import Tensor

State = dict[str, Tensor]


class Parts(NamedTuple):
    """What a file says: family and init_kwargs, None where it does not say them; the state; what else is to be said.

    inferred: init_kwargs are, from the shapes of tensors of another layout.
    """

    family: str | None
    init_kwargs: dict[str, Any] | None
    state: State
    notes: tuple[str, ...] = ()
    inferred: bool = False
