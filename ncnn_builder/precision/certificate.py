"""What was chosen, why, and what it costs, as JSON and as a page that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from .budget import Budget, Measured
from .forms import COMPUTED, Int8
from .int8 import is_int8
from .measures import Errors, errors_of
from .net_files import Blobs, NetFiles
from .plan import Planner
from .search import Found, gain

SCHEMA = 1
NO_WEIGHTS = "it has no weights"


@dataclass(frozen=True)
class Facts:
    """net: as it was; made: as it is written; right, got: blobs of both on held-out data; seconds, bytes: before and
    after."""

    net: NetFiles
    made: NetFiles
    planner: Planner
    found: Found
    machine: str
    seen_hash: str
    held_hash: str
    seen: int
    held: int
    right: Sequence[Blobs]
    got: Sequence[Blobs]
    seconds: Mapping[str, float]
    bytes: tuple[int, int]
    command: str = ""
    data: str | None = None
    pixels: Mapping[str, Any] | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)


def certificate(f: Facts) -> dict[str, Any]:
    """The facts as JSON holds them. No time of day and no measurement that a second run would make anew is in it."""
    assert f.found.unseen is not None
    return {
        "schema": SCHEMA,
        "net": str(f.net.path),
        "net_sha256": dict(f.source),
        "sha256": dict(f.sha256),
        "command": f.command,
        "data": f.data,
        "pixels": f.pixels,
        "budget": f.planner.budget.text,
        "threads": f.planner.threads,
        "machine": f.machine,
        "calibration": {"samples": f.seen, "sha256": f.seen_hash, **_measured(f.planner.budget, f.found.measured)},
        "held_out": {"samples": f.held, "sha256": f.held_hash, **_measured(f.planner.budget, f.found.unseen)},
        "seconds": dict(f.seconds),
        "bytes": {"before": f.bytes[0], "after": f.bytes[1]},
        "nets_tried": f.found.tried,
        "layers": [_layer(f, i) for i, la in enumerate(f.made.layers) if la.spec.type not in ("Input", "Split")],
    }


def _measured(budget: Budget, m: Measured) -> dict[str, Any]:
    return {
        "told": budget.told(m),
        "metric": m.metric,
        "outputs": {name: e.as_json() for name, e in m.outputs.items()},
    }


def _layer(f: Facts, number: int) -> dict[str, Any]:
    layer = f.made.layers[number]
    form = f.found.choice.get(layer.name, "fp32")
    alone = f.planner.alone_of(layer.name)
    blob = layer.outputs[0] if layer.outputs else ""
    accumulated: Errors | None = None
    if blob and all(blob in r for r in (*f.right, *f.got)):
        accumulated = errors_of([g[blob] for g in f.got], [r[blob] for r in f.right])
    least, most = f.planner.calibration.ranges.get(f.planner.net.source(blob), (0.0, 0.0)) if blob else (0.0, 0.0)
    said: dict[str, Any] = {
        "name": layer.name,
        "type": layer.spec.in_files,
        "form": form,
        "why": why(f, layer.name, form),
        "range": [least, most],
        "mask": layer.mask,
        "alone": {
            c.form: {"spent": c.spent, "told": f.planner.budget.told(c.error), "seconds": c.seconds, "bytes": c.bytes}
            for c in alone
        },
        "accumulated": None if accumulated is None else accumulated.as_json(),
    }
    factor = f.planner.calibration.rescaled.get(layer.name)
    if factor is not None:
        said["rescaled"] = factor
    if is_int8(layer):
        int8 = f.planner.calibration.int8.get(layer.name, Int8())
        end = f.planner.calibration.ends.get(f.planner.net.source(layer.inputs[0])) if layer.inputs else None
        said["int8"] = {
            "input_scale": int8.input_scale,
            "rule": None if end is None else end[0],
            "handed_on": "output_scale" in layer.weights,
            "bias_corrected": int8.correction is not None,
        }
    return said


def why(f: Facts, name: str, form: str) -> str:
    """One sentence for the form of a layer."""
    own = {c.form: c for c in f.planner.alone_of(name)}
    if form != "fp32":
        c = own[form]
        saved = f"{c.bytes} bytes" + (f" and {1e3 * c.seconds:.3g} ms" if c.seconds > 0 else "")
        return f"saves {saved}, and alone spends {100 * c.spent:.2g} % of the budget"
    slow = [own[form] for form in COMPUTED if form in own and gain(own[form], "time") <= 0]
    if slow and f.planner.wish.aim == "time":
        c = max(slow, key=lambda one: one.seconds)
        return f"{c.form} is no faster here: {1e3 * (c.before - c.seconds):.3g} ms beside {1e3 * c.before:.3g} ms"
    if "int8" in own and f.found.slower:
        return "the whole net is no faster with int8 here"
    if own:
        least = min(own.values(), key=lambda c: c.spent)
        return f"{least.form} alone spends {100 * least.spent:.3g} % of the budget, too much beside the others"
    if not f.planner.layers[name].weights:
        return NO_WEIGHTS
    reasons = f.planner.possible[name]
    return reasons.get("int8") or next((r for r in reasons.values() if r), "no other form was asked for")


def page_name(name: str, said: dict[str, Any], page: str) -> dict[str, bytes]:
    """The files of the certificate."""
    return {f"{name}.json": json.dumps(said, indent=1).encode() + b"\n", f"{name}.html": page.encode()}


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em; color: #1c2733 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 1.8em }
pre { background: #f3f5f8; padding: .6em 1em; white-space: pre-wrap; overflow-wrap: anywhere }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .15em .7em; border-bottom: 1px solid #e3e7ec; vertical-align: top }
td.n, th.n { text-align: right } td.n, th.n, .nowrap { white-space: nowrap }
td.name { min-width: 15em; overflow-wrap: anywhere } td.why { min-width: 18em } .wide { overflow-x: auto }
.int8, .block8, .block6, .block4 { color: #0b6e4f; font-weight: 600 }
.fp16, .bf16, .table { color: #2458b8; font-weight: 600 } .fp32 { color: #66758a }
.big { display: flex; gap: 2.5em; flex-wrap: wrap }
.big b { display: block; font-size: 1.5em } .big span { color: #556 }
svg { width: 100%; min-width: 42em; height: auto } svg text { font: 11px system-ui, sans-serif; fill: #556 }
"""


def html(c: Mapping[str, Any], name: str) -> str:
    """The certificate as a page: what was gained, what was lost by every measure, the error along the net."""
    title = f"{escape(name)}: certificate"
    time, size = c["seconds"], c["bytes"]
    big = [
        (c["held_out"]["told"], f"on held-out data; budget {c['budget']}"),
        (
            f"{1e3 * time['before']:.3g} → {1e3 * time['after']:.3g} ms",
            f"a run, {c['threads']} thread{'s' if c['threads'] > 1 else ''}",
        ),
        (
            f"{size['before'] / 1e6:.3g} → {size['after'] / 1e6:.3g} MB",
            f"both files, {100 * size['after'] / size['before']:.3g} %",
        ),
    ]
    facts = "".join(f"<div><b>{escape(a)}</b><span>{escape(b)}</span></div>" for a, b in big)
    shown = [la for la in c["layers"] if la["why"] != NO_WEIGHTS]
    rows = "".join(map(_row, shown))
    others = len(c["layers"]) - len(shown)
    return f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{_STYLE}</style></head>
<body><h1>{title}</h1><div class="big">{facts}</div>
<h2>Errors of the outputs</h2><div class="wide">{_errors(c)}</div>
<h2>Error along the net</h2><p>In the finished net, on held-out data, relative to the largest magnitude of each result;
green is computed in few bits, blue weights of 16 or 8 bits, grey float32.</p>
<div class="wide">{_chart(c["layers"])}</div>
<h2>Layers</h2><div class="wide"><table><tr><th>layer</th><th>type</th><th>form</th><th class="n">range</th>
<th class="n">spent alone</th><th class="n">accumulated</th><th>why</th></tr>{rows}</table></div>
<p>{others} more layers have no weights, and stay float32. int8 → hands its result on as int8.</p>
<h2>Made by</h2><pre>{escape(c["command"])}</pre>
<p>Times: of {escape(c["machine"])}. Data:
{c["calibration"]["samples"]} samples {escape(c["calibration"]["sha256"][:16])}, held out
{c["held_out"]["samples"]} samples {escape(c["held_out"]["sha256"][:16])}; SHA-256 of the net
{escape(c["sha256"]["bin"][:16])}, of the original {escape(c["net_sha256"]["bin"][:16])}.
<code>python -m ncnn_builder verify {escape(name)}</code> measures it again.</p></body></html>
"""


def _errors(c: Mapping[str, Any]) -> str:
    names = ("max", "relative", "cosine", "psnr", "sqnr")
    rows = ""
    for said, data in (("calibration", c["calibration"]), ("held out", c["held_out"])):
        for output, e in data["outputs"].items():
            cells = "".join(f'<td class="n">{_number(e[k])}</td>' for k in names)
            rows += f"<tr><td>{said}</td><td>{escape(output)}</td>{cells}</tr>"
    heads = "".join(f'<th class="n">{k}</th>' for k in names)
    return f"<table><tr><th>data</th><th>output</th>{heads}</tr>{rows}</table>"


def _number(value: float | None) -> str:
    return "inf" if value is None else f"{value:.6g}"


def _row(la: Mapping[str, Any]) -> str:
    own = la["alone"].get(la["form"])
    spent = f"{100 * own['spent']:.2g} %" if own else ""
    accumulated = la["accumulated"]["relative"] if la["accumulated"] else None
    told = escape(la["why"])
    if la["mask"]:
        told += f"; masked (31={la['mask']})"
    if "rescaled" in la:
        told += f"; its result times {la['rescaled']:g}, which the next layer takes back, so that fp16 holds it"
    form = la["form"] + (" →" if la.get("int8", {}).get("handed_on") else "")
    return (
        f'<tr><td class="name">{escape(la["name"])}</td><td>{escape(la["type"])}</td>'
        f'<td class="{la["form"]} nowrap">{form}</td>'
        f'<td class="n">{la["range"][1]:.3g}</td><td class="n">{spent}</td>'
        f'<td class="n">{"" if accumulated is None else f"{accumulated:.1e}"}</td>'
        f'<td class="why">{told}</td></tr>'
    )


def _chart(layers: Sequence[Mapping[str, Any]]) -> str:
    colours = {
        "fp16": "#2458b8",
        "bf16": "#2458b8",
        "table": "#2458b8",
        "fp32": "#9aa7b8",
        **dict.fromkeys(COMPUTED, "#0b6e4f"),
    }
    width, height, left = 1000, 180, 60
    values = [la["accumulated"]["relative"] or 0.0 if la["accumulated"] else 0.0 for la in layers]
    top = max([*values, 1e-6]) * 1.05
    bar = (width - left) / max(len(layers), 1)
    parts = [f'<svg viewBox="0 0 {width} {height + 16}" role="img" aria-label="error of each layer">']
    for part in (0.0, 0.5, 1.0):
        y = height - part * (height - 12) / 1.05
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e7ec"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{part * top / 1.05:.1e}</text>')
    for i, (la, value) in enumerate(zip(layers, values, strict=True)):
        h = value / top * (height - 12)
        box = f'x="{left + i * bar:.1f}" y="{height - h:.1f}" width="{max(bar - 1, 0.5):.1f}" height="{h:.1f}"'
        label = f"{escape(la['name'])}: {value:.1e}, {la['form']}"
        parts.append(f'<rect {box} fill="{colours[la["form"]]}"><title>{label}</title></rect>')
    return "".join([*parts, "</svg>"])
