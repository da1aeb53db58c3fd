"""The rules of lint about words, parameters and types. A rule is a function: Net -> findings."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator

from ..emit.binary_types import TYPES
from ..emit.syntax import HINTS, LONGEST_NUMBER, MASK, Entry, Line, is_float
from ..emit.text import INT_BITS, declaration, mistaken, value_of
from ..opspec import OpSpec, Param, registry
from .finding import Finding, Severity, at
from .net import Net

Rule = Callable[[Net], Iterator[Finding]]
RULES: dict[str, Rule] = {}
"""Id -> rule, in the order in which they are declared."""

OLD_DIGITS = 15
"""Characters of a number that ncnn read before it took 127."""
KNOWN_FEATURES = 0xFF


def rule(name: str) -> Callable[[Rule], Rule]:
    """Function decorator: put a rule into the table. Its docstring says what it is about."""

    def put(function: Rule) -> Rule:
        assert name not in RULES and function.__doc__
        RULES[name] = function
        return function

    return put


def declared(net: Net) -> Iterator[tuple[Line, OpSpec]]:
    """Lines whose type has a declaration."""
    for line in net.file.lines:
        spec = declaration(line)
        if spec is not None:
            yield line, spec


def entries(net: Net) -> Iterator[tuple[Line, OpSpec, Param, Entry]]:
    """Parameters that their layer reads."""
    for line, spec in declared(net):
        by_id = {p.id: p for p in spec.params}
        for entry in line.entries:
            if entry.id in by_id:
                yield line, spec, by_id[entry.id], entry


@rule("syntax")
def syntax(net: Net) -> Iterator[Finding]:
    """What cannot be read as a .param file: ncnn stops there."""
    owners = {line.number: line for line in net.file.lines}
    for p in net.file.problems:
        yield at(p.token, p.rule, "error", p.what, "ncnn stops reading here", p.fix or "", owners.get(p.token.line))


@rule("wrong-counts")
def wrong_counts(net: Net) -> Iterator[Finding]:
    """The numbers of layers and blobs in the second line."""
    if net.file.counts is None or any(p.rule in ("counts", "short-line", "bad-count") for p in net.file.problems):
        return
    have = (len(net.file.lines), net.file.blobs(net.file.lines))
    ignored = net.file.lines[int(net.file.counts[0].text) :]
    for token, count, kind in zip(net.file.counts, have, ("layers", "blobs"), strict=True):
        stated = int(token.text)
        if stated == count:
            continue
        harmless = kind == "blobs" and stated >= net.file.blobs(net.file.read_lines())
        why = "ncnn makes room for blobs that there are not" if harmless else "ncnn fails to load the file"
        if kind == "blobs" and ignored and harmless:
            continue  # of the layers that ncnn reads
        if kind == "layers" and stated < count:
            why = f"ncnn reads {stated} layers and ignores the rest"
            harmless = all(line.type.text == "Noop" for line in ignored)
        severity: Severity = "warning" if harmless else "error"
        yield at(token, "wrong-counts", severity, f"the file has {count} {kind}, not {stated}", why, f"Write {count}")


@rule("unknown-type")
def unknown_type(net: Net) -> Iterator[Finding]:
    """A layer type that neither ncnn nor the registry has."""
    known = {name for name, spec in registry.items() if not spec.composite} | set(TYPES)
    for line in net.file.lines:
        if line.type.text in known:
            continue
        near = difflib.get_close_matches(line.type.text, known, 3, 0.7)
        near += [name for name in known if name.lower() == line.type.text.lower() and name not in near]
        # a slip of the pen, or the name of a layer that a program brings
        slip = any(difflib.SequenceMatcher(None, n.lower(), line.type.text.lower()).ratio() > 0.85 for n in near)
        yield at(
            line.type,
            "unknown-type",
            "error" if slip else "warning",
            "ncnn has no layer of this type",
            "loading fails unless the program registers a layer of this name",
            f"Did you mean {' or '.join(near)}?" if near else "Register the layer, or declare it as an op",
            line,
        )


@rule("stale-id")
def stale_id(net: Net) -> Iterator[Finding]:
    """A parameter id that the layer does not read."""
    for line, spec in declared(net):
        known = {p.id for p in spec.params} | spec.left_out.keys() | {HINTS, MASK}
        for entry in line.entries:
            if entry.id not in known:
                said = ", ".join(f"{p.id} {p.name}" for p in sorted(spec.params, key=lambda p: p.id or 0))
                yield at(
                    entry.token,
                    "stale-id",
                    "warning",
                    f"the layer does not read id {entry.id}",
                    "ncnn ignores it without a word: the value has no effect",
                    f"Remove it. The layer reads {said or 'nothing'}",
                    line,
                )


@rule("repeated-id")
def repeated_id(net: Net) -> Iterator[Finding]:
    """An id that the line has twice."""
    for line in net.file.lines:
        for entry in line.entries:
            if line.entry(entry.id) is not entry:
                what = f"id {entry.id} stands in this line again"
                yield at(entry.token, "repeated-id", "warning", what, "the last one counts", "Remove this one", line)


@rule("float-as-int")
def float_as_int(net: Net) -> Iterator[Finding]:
    """A float written without point and exponent."""
    for line, spec, param, entry in entries(net):
        item = next((t for t in entry.items if not is_float(t.text)), None)
        mixed = mistaken(param, entry) == INT_BITS
        if param.kind not in ("float", "floats") or item is None or (mistaken(param, entry) and not mixed):
            continue
        if param.bits and not mixed and not meant_as_numbers(param, entry):
            continue  # the bits of floats, which is what the layer reads
        wrong = mixed or param.bits
        who = "ncnn takes" if wrong else "older versions of ncnn take"
        yield at(
            item,
            "float-as-int",
            "error" if wrong else "warning",
            f"{param.name} of {spec.in_files} is a float, and is written as an int",
            f"{who} the bits of the int for a float: 2 becomes 2.8e-45",
            f"Write {float(item.text):.1f}",
            line,
        )


def meant_as_numbers(param: Param, entry: Entry) -> bool:
    """Whether ints in an array whose bits are read as floats make none as they are: 2 is 2.8e-45."""
    return any(not v.is_integer() for v in value_of(param, entry))


@rule("int-as-float")
def int_as_float(net: Net) -> Iterator[Finding]:
    """An int written with a point or an exponent."""
    for line, spec, param, entry in entries(net):
        if param.kind not in ("int", "ints") or entry.form == "text":
            continue
        item = next((t for t in entry.items if is_float(t.text)), None)
        if item is not None:
            why = (
                "ncnn takes the bits of the float for an int"
                if param.kind == "ints"
                else "ncnn takes the default instead"
            )
            what = f"{param.name} of {spec.in_files} is an int, and is written as a float"
            whole = float(item.text).is_integer()
            fix = f"Write {float(item.text):.0f}" if whole else "Write a whole number"
            yield at(item, "int-as-float", "error", what, why, fix, line)


@rule("wrong-form")
def wrong_form(net: Net) -> Iterator[Finding]:
    """A number where the layer reads an array, an array where it reads a number, a text for either."""
    for line, spec, param, entry in entries(net):
        array = param.kind in ("ints", "floats")
        if entry.form == ("array" if array else "number"):
            continue
        what = f"{param.name} of {spec.in_files}: {mistaken(param, entry)}"
        fix = (
            f"Write -{23300 + entry.id}=1,{entry.items[0].text}"
            if array and entry.form == "number"
            else "Write one number"
        )
        yield at(entry.token, "wrong-form", "error", what, "ncnn takes the default instead, without a word", fix, line)


@rule("long-number")
def long_number(net: Net) -> Iterator[Finding]:
    """A number of more characters than ncnn's scanner took for many years."""
    for line in net.file.lines:
        for entry in line.entries:
            for item in entry.items if entry.form != "text" else ():
                if len(item.text) > OLD_DIGITS:
                    yield at(
                        item,
                        "long-number",
                        "warning",
                        f"the number has {len(item.text)} characters",
                        f"older versions of ncnn read {OLD_DIGITS}, and take the rest for something else;"
                        f" this one reads {LONGEST_NUMBER}",
                        "Nine digits hold a float32: write it like 1.23456789e-01",
                        line,
                    )


@rule("mask-as-data")
def mask_as_data(net: Net) -> Iterator[Finding]:
    """Id 31 with a value that is hardly a feature mask."""
    for line in net.file.lines:
        entry = line.entry(MASK)
        if entry is None:
            continue
        value = int(entry.items[0].text) if entry.form == "number" and not is_float(entry.items[0].text) else -1
        old = line.type.text == "FconvTranspose2d" and line.entry(NUM_INPUT) is None
        if old or not 0 <= value <= KNOWN_FEATURES:
            yield at(
                entry.token,
                "mask-as-data",
                "error",
                "id 31 holds data" if old else "id 31 holds what is no feature mask",
                "id 31 of every layer is ncnn's feature mask: its bits switch off fp16, bf16, int8, Vulkan, sgemm,"
                " Winograd and threads, and the layer does not see the number",
                "Remove it: the number of input channels follows from the weight"
                if old
                else "Give the parameter another id",
                line,
            )


@rule("old-axes")
def old_axes(net: Net) -> Iterator[Finding]:
    """Reduction without 5=1 and Softmax without 1=1: files of an ncnn that numbered axes otherwise."""
    for line in net.file.lines:
        known = OLD_AXES.get(line.type.text)
        if known is None:
            continue
        axes, flag = line.entry(known[0]), line.entry(known[1])
        if flag is not None and flag.form == "number" and flag.items[0].text.lstrip("+0"):
            continue
        needs = axes is not None and (bool(axes.items) if line.type.text == "Reduction" else axes.items[0].text != "0")
        if axes is not None and needs:
            yield at(
                axes.token,
                "old-axes",
                "error",
                f"the axes of a {line.type.text} without {known[1]}=1",
                'ncnn refuses the file as "too old": once, the axes of a Reduction counted the batch, and a Softmax'
                " meant another one",
                f"Number the axes from 0, outermost first, without the batch, and add {known[1]}=1",
                line,
            )


NUM_INPUT = 17
"""Id of FconvTranspose2d. Without it the weight is in ncnn's order, [out, in, kh, kw], as the predecessor has it."""

OLD_AXES = {"Reduction": (3, 5), "Softmax": (0, 1)}
"""Type -> ids of its axes, and of what says that they are numbered as today."""
