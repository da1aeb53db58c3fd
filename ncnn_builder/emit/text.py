"""The text of a .param file, and its reader. Format: ncnn's src/net.cpp and src/paramdict.cpp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..builder import filled
from ..errors import EmitError, ReadError
from ..ir import Shape
from ..opspec import Kind, OpSpec, Param, registry
from .foreign import QUANTISED, Foreign, foreign, quantised
from .layers import SURPRISES, Layer
from .syntax import HINTS, MAGIC, MASK, OLD_ARRAY, Entry, Line, ParamFile, Token, is_float, parse

__all__ = ["MAGIC", "read_layers", "read_param", "write_param"]


def write_param(layers: list[Layer]) -> str:
    """The whole text. Every parameter of a declaration is written: ncnn's defaults are never relied upon."""
    blobs = sum(len(layer.outputs) for layer in layers)
    lines = [MAGIC, f"{len(layers)} {blobs}"]
    for layer in layers:
        parts = [
            f"{layer.spec.in_files:<24} {layer.name:<24} {len(layer.inputs)} {len(layer.outputs)}",
            *layer.inputs,
            *layer.outputs,
        ]
        if isinstance(layer.spec, Foreign):
            parts += layer.spec.verbatim
        else:
            params = sorted(layer.spec.params, key=lambda p: p.id or 0)
            parts += [_write(p, layer.params[p.name], layer) for p in params]
            parts += [f"{MASK}={layer.mask}"] if layer.mask else []
        lines.append(" ".join(parts))
    return "\n".join(lines) + "\n"


def _write(param: Param, value: Any, layer: Layer) -> str:
    if param.kind in ("ints", "floats"):
        scalar = _int if param.kind == "ints" else _float
        return f"{OLD_ARRAY - (param.id or 0)}={','.join([str(len(value)), *(scalar(v, param, layer) for v in value)])}"
    return f"{param.id}={(_int if param.kind == 'int' else _float)(value, param, layer)}"


def _int(value: int, param: Param, layer: Layer) -> str:
    if not -(2**31) <= value < 2**31:
        raise EmitError("a parameter does not fit 32 bits", node=layer.name, argument=param.name, got=value)
    return str(value)


def _float(value: float, param: Param, layer: Layer) -> str:
    """Nine digits, which is exact for float32; always with point and exponent, or ncnn takes it for an int."""
    single = float(np.float32(value))
    if not math.isfinite(single):
        raise EmitError("a parameter is not a finite float32", node=layer.name, argument=param.name, got=value)
    return f"{single:.8e}"  # 15 characters at most, which is what older versions of ncnn read


def read_param(text: str, what: str = "param") -> list[Layer]:
    """Layers without weights, of a text that ends as ours do; all else as read_layers()."""
    if not text.endswith("\n"):
        raise ReadError(f"{what}: not a whole param file", expected=f"{MAGIC} and a last newline", got=text[:40])
    return read_layers(parse(text), what)


def read_layers(file: ParamFile, what: str = "param", *, lenient: bool = False) -> list[Layer]:
    """Layers without weights, each with its declaration and all parameters of it.

    A layer that no declaration is for, or that has parameters which its declaration leaves out, is kept word for word
    (see foreign.py). Raises ReadError for a file that is malformed, with counts that ncnn does not take (more blobs
    than there are is no harm), with a parameter that its layer does not have or that is of another kind. lenient: such
    a parameter is taken as ncnn takes it: it is ignored; and the counts are not looked at.
    """
    if file.problems and not (lenient and file.counts):
        first = file.problems[0]
        raise error_at(what, first.token, first.what, fix=first.fix)
    if not lenient:
        _check_counts(file, what)
    return [_layer(line, what, lenient) for line in (file.lines if lenient else file.read_lines())]


def _check_counts(file: ParamFile, what: str) -> None:
    assert file.counts is not None
    layers, blobs = (int(t.text) for t in file.counts)
    lost = [line for line in file.lines[layers:] if line.type.text != "Noop"]
    made = sum(len(line.outputs) for line in file.read_lines())
    if layers > len(file.lines) or blobs < made or lost:
        got, counts = " ".join(t.text for t in file.counts), f"{len(file.lines)} {file.blobs(file.lines)}"
        raise error_at(what, file.counts[0], "wrong counts", expected=counts, got=got)


def error_at(what: str, token: Token, message: str, **fields: Any) -> ReadError:
    """The error of a place in a file. what: the file."""
    fields.setdefault("got", token.text[:80] or None)
    return ReadError(f"{what}, line {token.line}, column {token.column}: {message}", **fields)


def declaration(line: Line) -> OpSpec | None:
    """What the registry has for this layer; for one with quantised weights, the int8 form of it."""
    spec = registry.get(line.type.text)
    if spec is None or spec.composite:
        return None
    if spec.type not in QUANTISED:
        return spec
    row = QUANTISED[spec.type]
    term = line.entry(row.id)
    if term is None or is_number(term, 0):
        return spec
    known = term.form == "number" and not is_float(term.items[0].text) and row.knows(int(term.items[0].text))
    return quantised(spec) if known else None


def _layer(line: Line, what: str, lenient: bool) -> Layer:
    spec = declaration(line)
    shapes = hints(line)
    mask = _mask(line, what, lenient)
    layer = Layer(
        spec or foreign(line.type.text, None, {}, {}, _verbatim(line), shapes or [()] * len(line.outputs)),
        line.name.text,
        [t.text for t in line.inputs],
        [t.text for t in line.outputs],
        {},
        mask=mask,
        hints=shapes,
        line=line,
    )
    if spec is None:
        return layer
    given = _params(spec, line, what, lenient)
    try:
        layer.params = filled(spec, **given)
    except SURPRISES as error:  # a default that follows from a number which makes no sense
        raise error_at(what, line.type, f"the parameters of {spec.in_files} make no sense: {error}", fix=LINT) from None
    if any(e.id in spec.left_out and not is_number(e, spec.off_at.get(e.id, 0)) for e in line.entries):
        keep_words(layer, shapes or [()] * len(line.outputs))
    return layer


def keep_words(layer: Layer, shapes: Sequence[Shape]) -> None:
    """From here on the layer is what its line says, word for word. shapes: of its outputs, () where not known."""
    line, spec = layer.line, layer.spec
    assert line is not None
    extra = {
        e.id: e.items[0].text if e.form == "text" else value_of(_extra_param(e), e)
        for e in line.entries
        if e.id in spec.left_out
    }
    layer.spec = foreign(line.type.text, spec, layer.params, extra, _verbatim(line), shapes)
    layer.params = {}


def _extra_param(entry: Entry) -> Param:
    """What a parameter that no declaration describes is read as: what it is written as."""
    floats = any(is_float(t.text) for t in entry.items)
    kind: Kind = "float" if floats else "int"
    return Param("", entry.id, f"{kind}s" if entry.form == "array" else kind, "")  # type: ignore[arg-type]


def is_number(entry: Entry, value: int) -> bool:
    """Whether the entry is this number; 0, with few exceptions, is off where a declaration leaves a parameter out."""
    return entry.form == "number" and float(entry.items[0].text) == value


def _verbatim(line: Line) -> list[str]:
    return [entry.token.text for entry in line.entries if entry.id != HINTS]


def _params(spec: OpSpec, line: Line, what: str, lenient: bool) -> dict[str, Any]:
    by_id = {p.id: p for p in spec.params}
    params = {}
    for entry in line.entries:
        param = by_id.get(entry.id)
        if param is None:
            known = entry.id in (HINTS, MASK) or entry.id in spec.left_out or entry.id in spec.unread
            if not known and not lenient:
                raise error_at(what, entry.token, f"{spec.in_files} has no such parameter", fix=LINT)
            continue
        wrong = mistaken(param, entry)
        if wrong is None or (lenient and wrong == INT_BITS):
            params[param.name] = value_of(param, entry)
        elif not lenient:
            raise error_at(what, entry.token, f"{param.name} of {spec.in_files}: {wrong}", fix=LINT)
    return params


LINT = "`python -m ncnn_builder lint` says more, `fix` can often repair it"
INT_BITS = "ints and floats are mixed in this array, and ncnn takes the bits of some for the others"


def mistaken(param: Param, entry: Entry) -> str | None:
    """What is wrong with an entry for this parameter; floats that are all written as ints are right."""
    array = param.kind in ("ints", "floats")
    if entry.form == "text":
        return "a text, where the layer reads a number"
    if array != (entry.form == "array"):
        return f"{'a number' if array else 'an array'}, where the layer reads {'an array' if array else 'a number'}"
    floats = [is_float(t.text) for t in entry.items]
    if param.kind in ("int", "ints") and any(floats):
        return "a float, where the layer reads an int"
    if param.kind == "floats" and len({*floats}) == 2 and (entry.old_array or not floats[0]):
        return INT_BITS  # where NN=a,b begins with a float, ncnn reads floats
    return None


def value_of(param: Param, entry: Entry) -> Any:
    """The value as ncnn has it: two floats of other digits are one where float32 has one for both."""
    scalar: Any = int if param.kind in ("int", "ints") else _single
    if param.bits and entry.items and not any(is_float(t.text) for t in entry.items):
        return tuple(float(v) for v in np.array([int(t.text) for t in entry.items], np.int32).view(np.float32))
    values = tuple(scalar(t.text) for t in entry.items)
    return values if param.kind in ("ints", "floats") else values[0]


@lru_cache(1 << 12)
def _single(word: str) -> float:
    return float(np.float32(float(word)))


def _mask(line: Line, what: str, lenient: bool) -> int:
    entry = line.entry(MASK)
    if entry is None:
        return 0
    if entry.form != "number" or is_float(entry.items[0].text):
        if lenient:
            return 0
        raise error_at(what, entry.token, "id 31 is ncnn's feature mask, an int", fix=LINT)
    return int(entry.items[0].text)


def hints(line: Line) -> list[Shape] | None:
    """The shapes of the outputs as id 30 says them: for each the number of dimensions, then w, h, (d,) c."""
    entry = line.entry(HINTS)
    if entry is None or entry.form != "array" or not line.outputs or len(entry.items) % len(line.outputs):
        return None
    if any(is_float(t.text) for t in entry.items):
        return None
    numbers, step = [int(t.text) for t in entry.items], len(entry.items) // len(line.outputs)
    if step not in (4, 5):
        return None
    shapes: list[Shape] = []
    for at in range(0, len(numbers), step):
        dims, w, h, *rest = numbers[at : at + step]
        inner: dict[int, Shape] = {1: (w,), 2: (h, w), 3: (rest[-1], h, w)}
        if step == 5:
            inner[4] = (rest[-1], rest[0], h, w)
        shape = inner.get(dims, ())
        shapes.append(shape if all(n > 0 for n in shape) else ())
    return shapes
