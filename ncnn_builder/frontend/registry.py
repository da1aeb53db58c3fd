"""How an operator of torch becomes functions of the DSL: converters, found by the operator's name.

A converter is written for one operator, or for several of one meaning, in one of two ways.

``converts``: for operators that compute each sample of a batch alone (convolutions, pooling, an operator of your own).
Tensors come as Values of ``rank`` dimensions, as the DSL takes them: the batch in front is taken care of. What is no
tensor comes as torch has it, constants (weights, buffers, whatever does not depend on the inputs) as torch.Tensor.
Returns a Value, or a list of them.

``on_tensors``: for operators that mean torch's axes (permute, softmax, cat). Tensors come as layout.Tensor, which knows
torch's shape and order of axes, and may be any layout in memory; see layout.py and blobs.py. What is annotated as
layout.Tensor is one, even of a constant. Returns a layout.Tensor, a constant torch.Tensor, or a tuple of them.

Both get (g, node, *arguments): the graph, the call (see Call), and the operator's arguments in the order of its schema,
defaults filled in. An argument that the function does not take has to be at its default, else the call is refused. A
converter refuses by raising BuildError, best by ops.common.need(): where and which operator is filled in by the walk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import BuildError

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """The call of an operator that is being converted.

    operator  its name, as in ``aten.conv2d.default``
    shapes    torch's shape of each result
    dtypes    of each result
    used      whether anybody takes each result, where there are several
    spread    whether all that take it broadcast it against a tensor that has the result's shape
    """

    operator: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]
    used: tuple[bool, ...] = (True,)
    spread: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the first result."""
        return self.shapes[0]

    @property
    def dtype(self) -> Any:
        return self.dtypes[0]


@dataclass(frozen=True)
class Converter:
    """function: see above; rank: dimensions of a sample, None where the whole tensor but its batch is one; tensors:
    whether it takes layout.Tensor; whole: names of arguments that have no batch, such as a weight that is computed."""

    function: Callable[..., Any]
    rank: int | None
    tensors: bool
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missing:
    """What a converter returns in place of a result that ncnn does not have: an error as soon as somebody takes it:
    this one, if there is one."""

    why: str
    error: BuildError | None = None


CONVERTERS: dict[str, Converter] = {}
"""``aten.add`` (every overload) or ``aten.add.Tensor`` (this one) -> its converter."""


def converts(*operators: Any, rank: int | None = None, whole: tuple[str, ...] = ()) -> Callable[[_F], _F]:
    """Decorator: this function (g, node, *arguments) converts calls of these operators; Values, sample by sample.

    operators: of torch.ops, or their names: ``torch.ops.mylib.warp.default``, ``"mylib.warp"`` (all of its overloads).
    rank: how many dimensions a sample has; a tensor of one more has the batch in front. None: every tensor has a batch
    in front, unless it is a vector. whole: names of the function's arguments that are no samples, such as weights: they
    come as Values of all their dimensions. A later registration replaces an earlier one, those of this package too.

        @nb.converts(torch.ops.mylib.warp.default)
        def warp(g, node, x, flow):
            return nb.grid_sample(g, [x, flow])
    """
    return _put(operators, rank, tensors=False, whole=whole)


def on_tensors(*operators: Any) -> Callable[[_F], _F]:
    """Decorator: this function (g, node, *arguments) converts calls of these operators; layout.Tensors."""
    return _put(operators, None, tensors=True)


def _put(
    operators: tuple[Any, ...], rank: int | None, *, tensors: bool, whole: tuple[str, ...] = ()
) -> Callable[[_F], _F]:
    def put(function: _F) -> _F:
        for name in map(name_of, operators):
            known = CONVERTERS.get(name)
            if known is None or _is_ours(known.function) or not _is_ours(function):
                CONVERTERS[name] = Converter(function, rank, tensors, whole)
        return function

    return put


def _is_ours(function: Callable[..., Any]) -> bool:
    """Ours come when the first module is captured, and take no user's place who has registered before."""
    return function.__module__.startswith(f"{__package__}.")


def name_of(operator: Any) -> str:
    """``aten.add.Tensor`` of an operator of torch.ops, or of this text."""
    name = str(operator).removeprefix("torch.ops.")
    if name.count(".") not in (1, 2) or " " in name:
        raise BuildError("not an operator", got=operator, expected="one of torch.ops, or a name like aten.add.Tensor")
    return name


def converter_of(operator: Any) -> Converter | None:
    """The converter of this overload, or of all overloads; None where there is none."""
    name = key_of(operator)
    return None if name is None else CONVERTERS[name]


def key_of(operator: Any, registry: Mapping[str, Any] = CONVERTERS) -> str | None:
    """Under which name of the registry the converter stands."""
    name = str(operator)
    return next((n for n in (name, name.rpartition(".")[0]) if n in registry), None)
