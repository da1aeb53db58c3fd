"""Layers that compute a size when the net runs: ncnn's shape expressions, of the sizes of their own and other inputs.

Reshape (id 6), Interp (9) and Crop (19, 20, 21) take them. An open size is written by the names in it, and each name by
a size of a blob that says it: one of the layer's own input, else of an input of the net. Such a layer is kept word for
word, so that no pass has to know the form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...builder import append
from ...errors import BuildError
from ...foreign import Foreign
from ...ir import Array, Graph, Params, Shape, Value
from ...open_shapes import solved
from ...opspec import spec_of
from ...sizes import Floor, Name, Size, least, names_of, terms_of
from ..common import functional, need
from .expression import evaluate

_ABSENT = -233
_MOST_BLOBS = 10
"""An expression names a blob by one digit."""


class Sized(Foreign):
    """A layer with expressions. word -> id of each, in `extra`."""

    base: ClassVar[Any]

    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        found: list[Shape] | None = self.base.as_read(inputs, self.given, self.extra, 1)
        assert found is not None
        return found

    def reference(self, inputs: Sequence[Any], params: Params, weights: Mapping[str, Any]) -> list[Any]:
        x, *_ = inputs
        (shape,) = self.infer([tuple(v.shape) for v in inputs], {}, {})
        if self.base.type == "Reshape":
            return [x.reshape(shape)]
        if self.base.type == "Crop":
            said = [tuple(evaluate(self.extra[i], [tuple(v.shape) for v in inputs])) for i in (19, 20, 21)]
            ranges = self.base.ranges(tuple(x.shape), dict(zip(("starts", "ends", "axes"), said, strict=True)))
            return [x[tuple(slice(a, b) for a, b in ranges)]]
        mode = {1: "nearest", 2: "bilinear", 3: "bicubic"}[self.given["resize_type"]]
        corners = {} if mode == "nearest" else {"align_corners": bool(self.given["align_corner"])}
        rows = x.ndim == 2
        size = (1, shape[-1]) if rows else shape[1:]
        y = functional().interpolate((x[:, None] if rows else x)[None], size=size, mode=mode, **corners)[0]
        return [y[:, 0] if rows else y]


def reshape_to(g: Graph, x: Value, shape: Sequence[int]) -> Value:
    """x in this shape, of which several sizes are open."""
    return _append(g, "Reshape", x, {6: shape[::-1]}, dict.fromkeys("whcd", _ABSENT))


def resize_to(g: Graph, x: Value, size: tuple[int, int], params: Params) -> Value:
    """x (C, H, W) or (C, W), resized as the parameters of Interp say, to this height and width."""
    return _append(g, "Interp", x, {9: size[::-1]}, params)


def crop_to(g: Graph, x: Value, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> Value:
    """x[starts:ends] along these axes, some of which begin or end at an open size."""
    return _append(g, "Crop", x, {19: starts, 20: ends, 21: axes}, dict.fromkeys(("starts", "ends", "axes"), ()))


def _append(g: Graph, kind: str, x: Value, sizes: Mapping[int, Sequence[int]], given: Params) -> Value:
    base = spec_of(kind)
    names = names_of(*(n for numbers in sizes.values() for n in numbers))
    inputs, words = _sources(g, x, names)
    texts = {i: ",".join(written(n, words) for n in numbers) for i, numbers in sizes.items()}
    plain = [f"{p.id}={_number(given[p.name])}" for p in base.params if p.kind in ("int", "float")]
    fields: dict[str, Any] = {
        "__doc__": f"ncnn's {kind} with a size that it computes.",
        "type": f"{kind}/sized",
        "written": kind,
        "base": base,
        "given": dict(given),
        "extra": texts,
        "verbatim": (*plain, *(f'{i}="{text}"' for i, text in texts.items())),
        "shapes": [()],
    }
    spec: Foreign = type("Sized", (Sized,), fields)()
    return append(g, spec, inputs)[0]


def _number(value: Any) -> str:
    return f"{value:.8e}" if isinstance(value, float) else str(value)


def _sources(g: Graph, x: Value, names: Sequence[Name]) -> tuple[list[Value], dict[str, str]]:
    """The inputs of the layer, x first, and how each name is written by the sizes of these."""
    inputs, words = [x], {}
    for name in names:
        value, axis = _source(g, inputs, name)
        if value not in inputs:
            inputs.append(value)
        words[name.name] = _solved(f"{inputs.index(value)}{_letter(value.shape, axis)}", value.shape[axis], name)
    need(len(inputs) <= _MOST_BLOBS, "more sizes than an expression has blobs for", got=[str(n) for n in names])
    return inputs, words


def _source(g: Graph, nearest: Sequence[Value], name: Name) -> tuple[Value, int]:
    """A value, and which of its axes says this name: of these, of the inputs of the net, of any; the name alone first.

    Whole numbers are read by their like only, so an input of them says none.
    """
    for values in (nearest, g.inputs, [v for node in g.nodes for v in node.outputs]):
        usable = [v for v in values if not any(reader.spec.integer_input for reader, _ in v.uses)]
        found = [(v, i) for v in usable for i, n in enumerate(v.shape) if _says(n, name)]
        if found:
            return next((each for each in found if each[0].shape[each[1]] == _alone(name)), found[0])
    raise BuildError("no blob says an open size when the net runs", argument=name.name, got=[v.name for v in g.inputs])


def _alone(name: Name) -> int:
    return Size((((name,), 1),))


def _says(n: int, name: Name) -> bool:
    return isinstance(n, Size) and solved(n, name, n) is not None


def _solved(word: str, n: int, name: Name) -> str:
    """The name, where `word` is k * name + c."""
    terms = dict(terms_of(n))
    factor, more = terms[(name,)], terms.get((), 0)
    text = word if not more else f"-({word},{more})" if more > 0 else f"+({word},{-more})"
    return text if factor == 1 else f"//({text},{factor})"


def _letter(shape: Shape, axis: int) -> str:
    return {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(shape)][axis]


def written(n: int, words: Mapping[str, str]) -> str:
    """The expression of a size, where the names are written so."""
    if not isinstance(n, Size):
        return str(n)
    parts: list[tuple[int, str]] = []
    for atoms, count in terms_of(n):
        factors = [_atom(atom, words) for atom in atoms] + ([str(abs(count))] if abs(count) != 1 or not atoms else [])
        text = factors[0]
        for factor in factors[1:]:
            text = f"*({text},{factor})"
        parts.append((count, text))
    parts.sort(key=lambda part: part[0] < 0)  # what is taken away last
    text = parts[0][1] if parts[0][0] > 0 else f"neg({parts[0][1]})"
    for count, part in parts[1:]:
        text = f"{'+' if count > 0 else '-'}({text},{part})"
    return text


def _atom(atom: Name | Floor, words: Mapping[str, str]) -> str:
    if isinstance(atom, Name):
        return words[atom.name]
    above, below = atom.numerator, atom.denominator
    low = least(above)
    if low is None:
        raise BuildError("a size that may be negative, which ncnn rounds otherwise", got=str(atom))
    if low < 0 and not isinstance(below, Size):  # ncnn rounds to zero: divide what is positive, and take off again
        more = -(low // below)
        return f"-(//({written(above + more * below, words)},{below}),{more})"
    need(low >= 0, "a size that may be negative, which ncnn rounds otherwise", got=str(atom))
    return f"//({written(above, words)},{written(below, words)})"
