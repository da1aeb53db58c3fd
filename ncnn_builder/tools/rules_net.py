"""The rules of lint about how layers hang together: names, readers, shapes, weights."""

from __future__ import annotations

from collections.abc import Iterator

from ..emit.foreign import undeclared
from ..emit.layers import Layer
from ..emit.shapes import broadcast
from ..emit.syntax import HINTS, Token
from ..emit.wiring import wiring
from ..ops.arithmetic.binary import BINARY
from .finding import Finding, Severity, at
from .net import Net
from .rules import rule

_WIRING: dict[str, tuple[Severity, str]] = {
    "duplicate-layer": ("warning", "programs that look for a layer by its name find the first"),
    "duplicate-blob": ("error", "who reads the blob gets the first, whatever was meant"),
    "no-producer": ("warning", "ncnn takes it for an input of the net, which a program has to feed"),
    "order": ("error", "ncnn takes it for an input of the net, and what is made later for another blob"),
    "fan-out": ("error", "ncnn frees a blob, or works in it, when its one reader has run"),
}


@rule("wiring")
def names_and_readers(net: Net) -> Iterator[Finding]:
    """Names that are there twice, blobs without producer, before their producer, or with two readers."""
    owners = {line.number: line for line in net.file.lines}
    for p in wiring(net.file.lines):
        severity, why = _WIRING[p.rule]
        yield at(p.token, p.rule, severity, p.what, why, p.fix or "", owners[p.token.line])


@rule("implicit-broadcast")
def implicit_broadcast(net: Net) -> Iterator[Finding]:
    """A BinaryOp whose inputs have different numbers of dimensions."""
    for layer in net.layers:
        shapes = [net.shape(b) for b in layer.inputs]
        wide = broadcast(layer, shapes) if all(shapes) else None
        if wide is None or layer.line is None:
            continue
        low = 0 if len(shapes[0]) < len(shapes[1]) else 1
        numpy = (1,) * (len(wide[low]) - len(shapes[low])) + shapes[low]
        same = numpy == wide[low]
        yield at(
            layer.line.inputs[low],
            "implicit-broadcast",
            "note" if same else "warning",
            f"inputs {list(shapes[0])} and {list(shapes[1])} have different numbers of dimensions",
            f"ncnn makes {list(wide[low])} of {list(shapes[low])}"
            + (
                ", as numpy does"
                if same
                else f", where numpy makes {list(numpy)}; the rule has changed between versions"
            ),
            f"Put a Reshape to {list(wide[low])} before it",
            layer.line,
        )


@rule("shape-mismatch")
def shape_mismatch(net: Net) -> Iterator[Finding]:
    """Inputs that do not fit the layer, as far as shapes are known."""
    for layer, reason in net.shapes.problems:
        if layer.line is not None and net.unread is None:
            why = "the layer fails, or reads what it should not"
            yield at(layer.line.name, "shape-mismatch", "warning", reason, why, "", layer.line)


@rule("nonsense")
def nonsense(net: Net) -> Iterator[Finding]:
    """Layers that ncnn computes wrongly at ordinary numbers, as they stand here."""
    for layer in net.layers:
        where = "" if layer.spec.foreign else layer.spec.nonsense(layer.params)
        if where and layer.line is not None and not _guarded(net, layer):
            what = f"this {layer.spec.in_files} gives nonsense for some inputs"
            fix = "Export it anew with ncnn_builder, which makes it of other layers, or keep such numbers from it"
            yield at(layer.line.type, "nonsense", "warning", what, where, fix, layer.line)


def _guarded(net: Net, layer: Layer) -> bool:
    """Whether the layer before keeps such numbers from it, as the DSL's forms have it: x - max(x), a limited base."""
    before = net.producers.get(layer.inputs[0]) if layer.inputs else None
    if before is None or before.spec.foreign:
        return False
    if layer.spec.type == "Reduction":
        return before.spec.type == "BinaryOp" and BINARY[before.params["op"]] == "Sub"
    limited = before.spec.type in ("Clip", "Clamp") and before.params["min"] > 0
    return layer.spec.type == "BinaryOp" and BINARY[layer.params["op"]] == "Pow" and limited


@rule("wrong-hint")
def wrong_hint(net: Net) -> Iterator[Finding]:
    """A shape hint (id 30) that says something else than follows from the inputs."""
    for layer in net.layers:
        entry = layer.line.entry(HINTS) if layer.line else None
        for name, hint in net.wrong_hints(layer):
            if entry is not None:
                what = f"the hint says {list(hint)} of {name}, and it is {list(net.shape(name))}"
                why = "Vulkan prepares the layer for the shape of the hint"
                yield at(entry.token, "wrong-hint", "warning", what, why, "Remove id 30", layer.line)


@rule("dead-layer")
def dead_layer(net: Net) -> Iterator[Finding]:
    """A constant or an input that nobody reads, and a layer without outputs."""
    if any(p.rule in ("short-line", "bad-count") for p in net.file.problems):
        return  # the reader may stand in a line that is not understood
    for layer in net.layers:
        line, read = layer.line, any(b in net.consumers for b in layer.outputs)
        if line is None or read or (layer.inputs and layer.outputs) or line.type.text == "Noop":
            continue  # a Noop that makes nothing silences blobs
        what = "nobody reads this input" if line.type.text == "Input" else "nobody reads what this layer makes"
        why = (
            "a program may feed it, and nothing changes" if line.type.text == "Input" else "it takes memory for nothing"
        )
        yield at(line.name, "dead-layer", "warning", what, why, "Remove the layer, and its weights", line)


@rule("bin-size")
def bin_size(net: Net) -> Iterator[Finding]:
    """A .bin file that is shorter or longer than the layers need."""
    if net.unread is not None:
        layer, error = net.unread
        assert layer.line is not None
        what = "the .bin file ends before the weights of this layer do"
        what += f": {error.argument}, {error.expected}, got {error.got}"
        if error.expected is None:
            what = str(error.what)
        why = "ncnn fails to load it, or computes with what happens to be in memory"
        yield at(layer.line.name, "bin-size", "error", what, why, "Is it the .bin of this .param?", layer.line)
    elif net.left:
        strange = [layer for layer in net.layers if undeclared(layer.spec)]
        last = net.file.lines[-1] if net.file.lines else None
        token = last.name if last else Token("", 1, 1)
        what = f"{net.left} bytes of the .bin file belong to no layer"
        why = "the weights of some layer are read from a wrong place, or the file is another net's"
        if strange:
            why = f"perhaps {strange[0].spec.in_files}, which no op declares, has weights"
        severity: Severity = "warning" if strange else "error"
        yield at(token, "bin-size", severity, what, why, "Is it the .bin of this .param?", last)
