"""What follows the inputs of any shape: the shape that every value would have if those inputs had another one.

An input of any shape has at run time a shape that nobody knows now, and so has all that is computed of it: until an op
makes a certain size of every size, as global pooling does, or takes one size only, as a matrix product does of the
columns of its input. What is made for the sizes of today must not take the place of what works for all. Whether it
does is not argued but tried: shape rules are asked for other shapes, one axis twice as long, a little longer, shorter,
longer by a number that keeps its halves, thirds and quarters whole, one axis more or less, or two exchanged. The shapes
that a value has then are Value.others; a value that has always the same has none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .errors import BuildError

if TYPE_CHECKING:
    from .ir import Array, Params, Shape, Value
    from .opspec import OpSpec

SURPRISES = (BuildError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""How a shape rule says no; it has been asked for what no author has called it with."""


def others_of_input(shape: Shape) -> tuple[Shape, ...]:
    """The other shapes in which an input of any shape is tried."""
    rank = len(shape)
    if not rank:
        return ()
    tried: list[Shape] = []
    for axis in range(-1, -5, -1):
        for factor, more, share in ((2, 0, 1), (1, 1, 1), (1, 1, 2), (1, 12, 1)):
            sizes = ((n * factor + more) // share if i - rank == axis else n for i, n in enumerate(shape))
            tried.append(tuple(sizes))
    tried.append((2, *shape) if rank < 4 else shape)
    tried.append(shape[1:] if rank > 1 else shape)
    tried.append((*shape[:-2], *shape[:-3:-1]))  # a plane of one row is one of one column for who counts its numbers
    return tuple(tried)


def others_of(
    spec: OpSpec, inputs: Sequence[Value], params: Params, weights: Mapping[str, Array], shapes: Sequence[Shape]
) -> list[tuple[Shape, ...]]:
    """For each output the shapes that it has where the inputs have their others; none where it is always `shapes`.

    Where the op does not take the other shapes it is never run with them, so what comes behind it need not know them.
    """
    count = max((len(v.others) for v in inputs), default=0)
    if not count:
        return [()] * len(shapes)
    if spec.foreign:  # its shape rule is what a file says
        return [others_of_input(shape) for shape in shapes]
    tried = []
    for i in range(count):
        given = [v.others[i] if v.others else v.shape for v in inputs]
        found = list(shapes)
        if any(s != v.shape for s, v in zip(given, inputs, strict=True)):
            with contextlib.suppress(*SURPRISES):
                found = spec.infer(given, params, weights)
            if len(found) != len(shapes) or any(n < 1 for shape in found for n in shape):
                found = list(shapes)
            if found == list(shapes) and all(len(s) == len(v.shape) for s, v in zip(given, inputs, strict=True)):
                cut = spec.cut_short([v.shape for v in inputs], given, params)
                for k, axes in enumerate(cut):
                    found[k] = tuple(max(1, n - 1) if a in axes else n for a, n in enumerate(shapes[k]))
        tried.append(found)
    by_output = [tuple(found[k] for found in tried) for k in range(len(shapes))]
    return [others if any(o != shape for o in others) else () for others, shape in zip(by_output, shapes, strict=True)]
