"""`python -m ncnn_builder draw`: a picture of a net, grouped by module and coloured by cost."""

from __future__ import annotations

import math
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import BuildError
from .cost import LayerCost, NetCost
from .net import Net
from .show import count, memory, shape_text

HELP = "pip install 'ncnn-builder[draw]', or install Graphviz; -o NET.dot writes its input without either"


def dot(net: Net, found: NetCost) -> str:
    """The net in Graphviz's language: a node per layer, a cluster per module, an edge per blob.

    The more of the net's products a layer has, the redder it is, on a logarithmic scale.
    """
    most = max((c.macs or 0 for c in found.layers), default=0)
    lines = [
        "digraph net {",
        '  graph [rankdir=TB, fontname="sans-serif", nodesep=0.25, ranksep=0.3, newrank=true];',
        '  node [shape=box, style="filled,rounded", fontname="sans-serif", fontsize=10, margin="0.1,0.05"];',
        '  edge [fontname="sans-serif", fontsize=8, color="#666666", arrowsize=0.6];',
    ]
    lines += _cluster(found.layers, most)
    place = {id(layer): i for i, layer in enumerate(net.layers)}
    for i, layer in enumerate(net.layers):
        for blob in layer.inputs:
            producer, shape = net.producers.get(blob), shape_text(net.shape(blob))
            label = f"label={_quoted(shape)}, tooltip={_quoted(f'{blob} {shape}')}"
            if producer is None:
                lines.append(f'  {_quoted(blob)} [shape=plaintext, style=""];')
                lines.append(f"  {_quoted(blob)} -> n{i} [{label}];")
            else:
                lines.append(f"  n{place[id(producer)]} -> n{i} [{label}];")
    return "\n".join([*lines, "}"]) + "\n"


def _cluster(layers: Sequence[LayerCost], most: int) -> list[str]:
    """The nodes, in clusters that stand in each other as the modules do."""
    tree: dict[str, object] = {}
    for i, layer in enumerate(layers):
        branch = tree
        for part in layer.module.split(".") if layer.module else ():
            inner = branch.setdefault(f"module {part}", {})
            assert isinstance(inner, dict)
            branch = inner
        branch[f"layer {i}"] = layer
    return list(_written(tree, "", most, 1))


def _written(tree: dict[str, object], path: str, most: int, depth: int) -> Iterator[str]:
    space = "  " * depth
    for key, value in tree.items():
        kind, _, name = key.partition(" ")
        if isinstance(value, LayerCost):
            yield f"{space}n{name} [{_node(value, most)}];"
        elif isinstance(value, dict):
            assert kind == "module"
            inner = f"{path}.{name}" if path else name
            yield f"{space}subgraph {_quoted(f'cluster_{inner}')} {{"
            yield f'{space}  label={_quoted(name)}; tooltip={_quoted(inner)}; style=rounded; color="#bbbbbb";'
            yield from _written(value, inner, most, depth + 1)
            yield f"{space}}}"


def _node(layer: LayerCost, most: int) -> str:
    shapes = " ".join(map(shape_text, layer.shapes))
    costs = [f"{count(layer.macs)} MACs"] if layer.macs else []
    costs += [f"{count(layer.parameters)} parameters"] if layer.parameters else []
    told = "\n".join([f"{layer.type} {layer.name}", shapes, *costs, f"{memory(layer.blob_bytes)} of blobs"])
    if layer.type == "Split":
        return f'shape=point, width=0.08, label="", tooltip={_quoted(told)}'
    label = "\n".join([layer.type, *costs])
    return f'label={_quoted(label)}, tooltip={_quoted(told)}, fillcolor="{colour(layer.macs, most)}"'


def colour(macs: int | None, most: int) -> str:
    """From white, for nothing, to red for the most, in the hue, saturation and value that Graphviz takes."""
    if not macs or not most:
        return "#ffffff" if macs is not None else "#eeeeee"
    share = math.log10(1 + 999 * macs / most) / 3
    return f"{0.13 * (1 - share):.3f} {0.08 + 0.72 * share:.3f} 1.000"


def _quoted(text: str) -> str:
    """A string of Graphviz's language; its new lines are centred ones."""
    plain = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def render(source: str, form: str) -> bytes:
    """A picture of Graphviz's input: form svg, png or pdf.

    Raises BuildError where there is neither the pygraphviz package nor the program `dot`, or where it fails.
    """
    try:
        import pygraphviz
    except ImportError:
        return _by_program(source, form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fonts and the like
        try:
            picture: bytes = pygraphviz.AGraph(string=source).draw(format=form, prog="dot")
        except (OSError, ValueError, RuntimeError) as error:
            raise BuildError("Graphviz could not draw the net", got=str(error)[:200]) from None
    return picture


def _by_program(source: str, form: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise BuildError("drawing needs Graphviz, and neither the pygraphviz package nor `dot` is there", fix=HELP)
    done = subprocess.run([program, f"-T{form}"], input=source.encode(), capture_output=True)
    if done.returncode:
        raise BuildError("Graphviz could not draw the net", got=done.stderr.decode(errors="replace")[:200])
    return done.stdout


FORMS = ("svg", "png", "pdf", "dot")


def drawn(net: Net, found: NetCost, out: Path) -> bytes:
    """What goes into the file `out`, by its ending. Raises BuildError for another ending, and as render()."""
    form = out.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise BuildError(
            "unknown kind of picture", argument="-o", expected=", ".join(f".{f}" for f in FORMS), got=out.name
        )
    source = dot(net, found)
    return source.encode() if form == "dot" else render(source, form)
