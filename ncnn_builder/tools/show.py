"""`python -m ncnn_builder show`: the table of a net's layers, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..emit.layers import Layer
from ..ir import Shape
from .cost import LayerCost, NetCost, by_module, total
from .net import Net

_UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


def table(net: Net, found: NetCost, modules: bool = False, depth: int | None = None) -> str:
    """A row per layer, or per module, and the totals."""
    if modules:
        head = ["module", "layers", "MACs", "parameters", "weights", "blobs"]
        rows = [_module_row(path, layers, net.has_bin) for path, layers in by_module(found.layers, depth).items()]
        left = 1
    else:
        head = ["type", "name", "output", "MACs", "parameters", "weights", "blobs"]
        rows = [_layer_row(layer) for layer in found.layers]
        left = 3
    return "\n".join([*_aligned([head, *rows], left), "", *_totals(net, found)])


def _layer_row(layer: LayerCost) -> list[str]:
    return [
        layer.type,
        layer.name,
        " ".join(map(shape_text, layer.shapes)),
        count(layer.macs),
        count(layer.parameters),
        memory(layer.weight_bytes) if layer.weight_bytes else "",
        memory(layer.blob_bytes),
    ]


def _module_row(path: str, layers: Sequence[LayerCost], weights: bool) -> list[str]:
    def of(numbers: list[int | None], text: Any) -> str:
        known = [n for n in numbers if n is not None]
        return str(text(total(known))) + ("+?" if len(known) < len(numbers) else "")

    return [
        path or "-",
        str(len(layers)),
        of([c.macs for c in layers], count),
        count(sum(c.parameters for c in layers)),
        of([c.weight_bytes for c in layers if c.parameters], memory) if weights else "",
        of([c.blob_bytes for c in layers], memory),
    ]


def _totals(net: Net, found: NetCost) -> list[str]:
    least = "at least " if found.unknown else ""
    rows = [
        f"{len(found.layers)} layers, {len(net.shapes.blobs)} blobs",
        f"MACs        {least}{count(found.macs) or 0} ({found.macs})",
        f"parameters  {count(found.parameters) or 0} ({found.parameters})",
    ]
    if net.has_bin:
        rows.append(f"weights     {memory(found.weight_bytes)} in the .bin")
    peak = "unknown" if found.peak_bytes is None else memory(found.peak_bytes)
    rows.append(f"blobs       {least}{memory(found.blob_bytes)} in all; peak {peak} in light mode, without workspaces")
    if found.unknown:
        rows.append(f"{found.unknown} layers of unknown cost: say the shapes of open inputs with --shape BLOB=C,H,W")
    return rows


def _aligned(rows: list[list[str]], left: int) -> list[str]:
    """Columns, the first `left` of them flush left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def shape_text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "?"


def count(number: int | None) -> str:
    """A number with three digits and a unit; nothing for 0, which most layers have."""
    if number is None:
        return "?"
    for unit, letter in _UNITS:
        if number >= unit:
            return f"{number / unit:.3g} {letter}" if number < 1000 * unit else f"{number / unit:.0f} {letter}"
    return str(number) if number else ""


def memory(number: int | None) -> str:
    """Bytes with a unit."""
    if number is None:
        return "?"
    for unit, letter in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= unit:
            return f"{number / unit:.2f} {letter}"
    return f"{number} B"


def said(layer: Layer) -> str:
    """The parameters as a line of text; those of a layer that is kept word for word as its words."""
    words = getattr(layer.spec, "verbatim", ())
    told = [*map(str, words), *(f"{name}={_short(value)}" for name, value in layer.params.items())]
    return " ".join(told) + (f" mask={layer.mask}" if layer.mask else "")


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_short, value[:8]))}{', ...' if len(value) > 8 else ''}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def as_json(net: Net, found: NetCost) -> dict[str, Any]:
    """Everything as what JSON can hold; null for what is not known."""
    return {
        "file": net.path,
        "layers": [
            {
                "type": c.type,
                "name": c.name,
                "module": c.module,
                "reads": layer.inputs,
                "writes": layer.outputs,
                "said": said(layer),
                "outputs": [list(s) or None for s in c.shapes],
                "macs": c.macs,
                "parameters": c.parameters,
                "weight_bytes": c.weight_bytes,
                "blob_bytes": c.blob_bytes,
            }
            for layer, c in zip(net.layers, found.layers, strict=True)
        ],
        "macs": found.macs,
        "parameters": found.parameters,
        "weight_bytes": found.weight_bytes if net.has_bin else None,
        "blob_bytes": found.blob_bytes,
        "peak_bytes": found.peak_bytes,
        "unknown_layers": found.unknown,
    }
