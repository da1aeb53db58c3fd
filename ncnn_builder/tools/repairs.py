"""What `fix` does: each repair keeps the numbers that the net makes, or makes it loadable in the only possible way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ..builder import filled
from ..emit.foreign import undeclared
from ..emit.layers import Layer
from ..emit.predecessor import is_predecessors
from ..emit.shapes import broadcast
from ..emit.syntax import HINTS, MASK, OLD_ARRAY, Entry, is_float
from ..emit.text import declaration, mistaken
from ..opspec import OpSpec, Param, registry, spec_of
from .draft import Draft, Row, row_of
from .net import Net
from .rules import NUM_INPUT, OLD_AXES, OLD_DIGITS, meant_as_numbers

Axes = Literal["with-batch", "without-batch"]


@dataclass(frozen=True)
class Options:
    """old_axes: how axes are numbered in Reduction and Softmax layers that do not say; None: unknown."""

    old_axes: Axes | None = None


Repair = Callable[[Draft, Net, Options], None]
"""Changes the draft of a net; it says what it did to draft.done."""


def parameters(draft: Draft, net: Net, options: Options) -> None:
    """Ids that nobody reads and hints that are wrong go; numbers get the form that every ncnn reads."""
    for row, layer in zip(draft.rows, net.layers, strict=True):
        assert row.line is not None
        spec, kept = declaration(row.line), []
        for entry in row.line.entries:
            word = entry.token.text
            reason = _superfluous(entry, row, layer, spec, net)
            if reason:
                draft.did(row, f"removed {word}: {reason}")
                continue
            param = None if spec is None else next((p for p in spec.params if p.id == entry.id), None)
            better = _rewritten(entry, param)
            if better != word:
                draft.did(row, f"{word} is written {better}")
            kept.append(better)
        row.entries = kept


def _superfluous(entry: Entry, row: Row, layer: Layer, spec: OpSpec | None, net: Net) -> str:
    assert row.line is not None
    if row.line.entry(entry.id) is not entry:
        return f"id {entry.id} stands in the line again, and the last one counts"
    if entry.id == HINTS and any(net.wrong_hints(layer)):
        return "the hint does not say the shape that the blob has"
    if entry.id == MASK and row.type == "FconvTranspose2d" and row.line.entry(NUM_INPUT) is None:
        return "the number of input channels, which follows from the weight; ncnn takes it for a mask of features"
    if spec is None or entry.id in spec.left_out or entry.id in (HINTS, MASK):
        return ""
    known = {p.id for p in spec.params}
    return "" if entry.id in known else f"the layer does not read id {entry.id}"


def _rewritten(entry: Entry, param: Param | None) -> str:
    """The entry with floats as floats, and with numbers that are not too long; as it is where it is of another kind."""
    if entry.form == "text" or (param is not None and (entry.form == "array") != (param.kind in ("ints", "floats"))):
        return entry.token.text
    kinds = {is_float(t.text) for t in entry.items}
    if param is not None and param.bits and kinds == {False} and not meant_as_numbers(param, entry):
        return entry.token.text  # the bits of floats, which is what the layer reads
    floats = param is not None and param.kind in ("float", "floats")
    if param is not None and not floats and mistaken(param, entry):
        return entry.token.text
    if not (floats and False in kinds) and all(len(t.text) <= OLD_DIGITS for t in entry.items):
        return entry.token.text
    if kinds == {True, False} and not floats:
        return entry.token.text
    items = [f"{float(t.text):.8e}" if floats or is_float(t.text) else str(int(t.text)) for t in entry.items]
    if entry.form == "number":
        return f"{entry.id}={items[0]}"
    return f"{OLD_ARRAY - entry.id}={','.join([str(len(items)), *items])}"


def layer_names(draft: Draft, net: Net, options: Options) -> None:
    """A layer whose name an earlier one has gets a numbered one."""
    seen: set[str] = set()
    for row in draft.rows:
        if row.name in seen:
            old, row.name = row.name, draft.fresh(row.name)
            draft.did(row, f"it was the second {old}")
        seen.add(row.name)


def constants(draft: Draft, net: Net, options: Options) -> None:
    """A layer that only holds constants loses its inputs, as the predecessor's Shell had one."""
    for row in draft.rows:
        spec = registry.get(row.type)
        if spec is None or spec.composite or spec.arity != (0, 0) or row.type == "Input" or not row.inputs:
            continue
        splits = [draft.producer(blob) for blob in row.inputs]
        if any(p is None or p.type != "Split" for p in splits):
            continue  # its input would become an output of the net
        for split, blob in zip(splits, row.inputs, strict=True):
            assert split is not None
            split.outputs.remove(blob)
        draft.did(row, f"it takes no input: {', '.join(row.inputs)} removed")
        row.inputs = []
    for row in [r for r in draft.rows if r.type == "Split"]:
        if len(row.outputs) == 1 and _bypassed(draft, row):
            draft.did(row, "one reader is left: removed")
            draft.rows.remove(row)


def _bypassed(draft: Draft, split: Row) -> bool:
    """The one reader of a Split reads what the Split reads; an output of the net stays one."""
    if split.line is None or len(split.line.outputs) == 1:
        return False
    for row, i in draft.readers(split.outputs[0]):
        row.inputs[i] = split.inputs[0]
        return True
    return False


def axes(draft: Draft, net: Net, options: Options) -> None:
    """Reduction and Softmax say how their axes are numbered, where it is known: of the predecessor's files it is."""
    if options.old_axes is None and is_predecessors(row.name for row in draft.rows):
        options = replace(options, old_axes="without-batch")
    for row in draft.rows:
        if row.type not in OLD_AXES or row.line is None:
            continue
        number, flag = OLD_AXES[row.type]
        entry, said = row.line.entry(number), row.line.entry(flag)
        if entry is None or (said is not None and said.items[0].text.lstrip("+0")):
            continue
        if entry.form == "text" or any(is_float(t.text) for t in entry.items):
            continue
        old = [int(t.text) for t in entry.items]
        shape = net.shape(row.inputs[0]) if row.inputs else ()
        new = _axes(row.type, old, len(shape), options)
        if new is None or (row.type == "Softmax" and old == [0]) or not old:
            continue
        word = f"{number}={new[0]}"
        if entry.form == "array":
            word = f"{OLD_ARRAY - number}={','.join(map(str, [len(new), *new]))}"
        row.entries = [word if w == entry.token.text else w for w in row.entries if not w.startswith(f"{flag}=")]
        row.entries.append(f"{flag}=1")
        draft.did(row, f"the axes {old} are {new} without the batch: {flag}=1 added")


def _axes(kind: str, old: list[int], rank: int, options: Options) -> list[int] | None:
    """The axes as today's ncnn numbers them; None where it is not known how these are numbered."""
    if kind == "Reduction" and (all(a < 0 for a in old) or options.old_axes == "without-batch"):
        return old  # counted from the end, with or without the batch
    batch = [a - 1 if a > 0 else a for a in old]
    if kind == "Softmax" and rank in (1, 2):
        return old  # the old one was wrong for three dimensions only
    if kind == "Reduction" and 0 in old:
        return old  # nothing can be reduced over the batch
    if kind == "Reduction" and rank and max(old) == rank:
        return batch  # there is no such axis otherwise
    return {"with-batch": batch, "without-batch": old, None: None}[options.old_axes]


def order(draft: Draft, net: Net, options: Options) -> None:
    """Layers that make a blob come before those that read it, if no weight changes its place in the .bin for it."""
    made = {name for row in draft.rows for name in row.outputs}
    ready: set[str] = set()
    rest, ordered = list(draft.rows), []
    while rest:
        row = next((r for r in rest if all(b in ready or b not in made for b in r.inputs)), None)
        if row is None:
            return  # a circle
        rest.remove(row)
        ordered.append(row)
        ready.update(row.outputs)
    heavy = {
        id(row)
        for row, layer in zip(draft.rows, net.layers, strict=True)
        if layer.spec.weights or undeclared(layer.spec)
    }
    if [id(r) for r in ordered if id(r) in heavy] != [id(r) for r in draft.rows if id(r) in heavy]:
        return
    moved = [r for r, old in zip(ordered, draft.rows, strict=True) if r is not old]
    if moved:
        draft.done.append(f"{len(moved)} layers are in another order: what makes a blob comes before what reads it")
        draft.rows = ordered


def fan_out(draft: Draft, net: Net, options: Options) -> None:
    """A Split stands between a blob and its readers."""
    readers_of: dict[str, list[tuple[Row, int]]] = {}
    for row in draft.rows:
        for i, blob in enumerate(row.inputs):
            readers_of.setdefault(blob, []).append((row, i))
    for row in list(draft.rows):
        for blob in row.outputs:
            readers = readers_of.get(blob, [])
            if len(readers) < 2:
                continue
            copies = [draft.fresh(f"{blob}/split_{i}") for i in range(len(readers))]
            for (reader, i), copy in zip(readers, copies, strict=True):
                reader.inputs[i] = copy
            split = Row("Split", draft.fresh(f"{blob}/split"), [blob], copies, [])
            draft.insert_behind(row, split)
            draft.did(row, f"{blob} has {len(readers)} readers: a Split is behind it")


def broadcasts(draft: Draft, net: Net, options: Options) -> None:
    """A Reshape says what ncnn makes of an input with fewer dimensions, where numpy would make something else."""
    for row, layer in zip(list(draft.rows), net.layers, strict=True):
        shapes = [net.shape(b) for b in layer.inputs]
        wide = broadcast(layer, shapes) if len(shapes) == 2 and all(shapes) else None
        if wide is None:
            continue
        low = 0 if len(shapes[0]) < len(shapes[1]) else 1
        if (1,) * (len(wide[low]) - len(shapes[low])) + shapes[low] == wide[low]:
            continue  # what everybody expects
        name = draft.fresh(f"{row.name}/reshape")
        dims = dict(zip({1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(wide[low])], wide[low], strict=True))
        spec = spec_of("Reshape")
        reshape = row_of(Layer(spec, name, [row.inputs[low]], [name], filled(spec, **dims)))
        draft.rows.insert(next(i for i, r in enumerate(draft.rows) if r is row), reshape)
        row.inputs[low] = name
        draft.did(row, f"a Reshape makes {list(wide[low])} of {list(shapes[low])} before it")


REPAIRS: tuple[Repair, ...] = (parameters, layer_names, constants, axes, order, fan_out, broadcasts)
"""In the order in which they are done; each sees the file as the one before left it."""
