"""Diagnoses as one page that needs nothing else: no links, no scripts from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ..parity.subgraph import module_of
from .diagnose import Diagnosis, ModuleResult
from .pictures import histograms, is_map, is_picture, pictures
from .text import conclusion, mark, needed, remark

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #1c2733 }
h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em }
pre { background: #f3f5f8; padding: .8em 1em; overflow-x: auto; border-left: 4px solid #8a97a8; white-space: pre-wrap }
pre.equal { border-color: #2a9d5c } pre.different { border-color: #d1373f }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .15em .6em; border-bottom: 1px solid #e3e7ec } td.n { text-align: right }
td.ok { color: #2a9d5c } td.bad { color: #b7791f } td.BAD { color: #d1373f; font-weight: bold }
svg { display: block; width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: #556 }
figure { margin: .6em 1em .6em 0; display: inline-block; vertical-align: top }
figcaption { color: #556; font-size: .85em }
img { image-rendering: pixelated; width: 192px; margin-right: 4px; border: 1px solid #ccd3db }
details { margin: .3em 0 } summary { cursor: pointer; font-family: ui-monospace, monospace }
details svg { width: 420px }
.torch { fill: #3d6fd9 } .ncnn { fill: #e07b27 } .both { opacity: .6 }
"""


def as_html(found: Sequence[Diagnosis]) -> str:
    """The page: for each diagnosis what was found, the error along the network, the table, and the tensors."""
    title = f"ncnn_builder doctor: {escape(found[0].name)}"
    parts = ['<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">']
    parts.append('<meta name="viewport" content="width=device-width, initial-scale=1">')
    parts.append(f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>")
    parts += [_section(d) for d in found]
    return "\n".join([*parts, "</body></html>", ""])


def _section(d: Diagnosis) -> str:
    verdict = "equal" if d.equal else "different"
    rows = "".join(_row(m) for m in d.modules)
    return f"""<h2>target {escape(d.target)}: {verdict}</h2>
<pre class="{verdict}">{escape(conclusion(d))}</pre>
<h3>Error along the network</h3>
{_chart(d)}
<h3>Tensors</h3>
<p>Blue is torch, orange ncnn. Pictures: torch, ncnn, and their difference, in which grey is none.</p>
{"".join(_tensor(m, d) for m in d.modules)}
<h3>Table</h3>
<table><thead><tr><th></th><th>module</th><th>in the net</th><th>alone</th><th></th></tr></thead>
<tbody>{rows}</tbody></table>"""


def _row(m: ModuleResult) -> str:
    return (
        f'<tr><td class="{mark(m)}">{mark(m)}</td><td>{escape(m.path)}</td><td class="n">{needed(m.chained)}</td>'
        f'<td class="n">{needed(m.isolated)}</td><td>{escape(remark(m))}</td></tr>'
    )


def _chart(d: Diagnosis) -> str:
    """The tolerance needed by each result, on a logarithmic scale; what cannot be compared stands at the top."""
    width, height, left, bottom, top = 1000, 260, 56, 24, 12
    numbers = [c.required for m in d.modules for c in (m.chained, m.isolated) if c]
    finite = [math.log10(n) for n in [*numbers, d.tolerance] if math.isfinite(n) and n > 0] or [-4.0]
    low, high = math.floor(min(finite)) - 0.2, math.ceil(max(finite)) + 0.2

    def x(i: int) -> float:
        return left + (width - left - 12) * (i + 0.5) / len(d.modules)

    def y(number: float) -> float:
        log = high if math.isinf(number) else max(math.log10(number), low) if number > 0 else low
        return top + (height - top - bottom) * (high - log) / (high - low)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="tolerance needed by module">']
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{left}" x2="{width - 12}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e3e7ec"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">1e{power}</text>')
    at = y(d.tolerance)
    parts.append(
        f'<line x1="{left}" x2="{width - 12}" y1="{at:.1f}" y2="{at:.1f}" stroke="#d1373f" stroke-dasharray="5 4"/>'
    )
    parts.append(f'<text x="{width - 14}" y="{at - 4:.1f}" text-anchor="end">tolerance</text>')
    line = " ".join(f"{x(i):.1f},{y(m.chained.required):.1f}" for i, m in enumerate(d.modules))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#e07b27" stroke-width="1.5"/>')
    for i, m in enumerate(d.modules):
        for c, kind, radius in ((m.isolated, "torch", 3.0), (m.chained, "ncnn", 3.5)):
            if c is not None:
                text = f"{escape(m.path)}: {needed(c)} {'in the net' if c is m.chained else 'alone'}"
                spot = f'cx="{x(i):.1f}" cy="{y(c.required):.1f}" r="{radius}"'
                parts.append(f'<circle class="{kind}" {spot}><title>{text}</title></circle>')
    parts.append(f'<text x="{left}" y="{height - 6}">orange: in the net; blue: alone, on torch\'s inputs</text></svg>')
    return "".join(parts)


def _tensor(m: ModuleResult, d: Diagnosis) -> str:
    """Pictures and histograms of a result; open where it is the first wrong one, or a picture."""
    parts = []
    if m.got is not None and m.got.shape == m.expected.shape:
        finite = np.where(np.isfinite(m.got), m.got, 0)
        if is_picture(m.expected) or (not m.ok and is_map(m.expected)):
            shown, text = pictures(m.expected, finite)
            names = ("torch", "ncnn", "difference")
            images = "".join(f'<img src="{uri}" alt="{name}">' for uri, name in zip(shown, names, strict=True))
            parts.append(f"<figure>{images}<figcaption>{escape(text)}</figcaption></figure>")
        parts.append(_histogram(m.expected, m.got[np.isfinite(m.got)]))
    if not parts:
        parts.append(f"<p>{escape(remark(m) or 'no numbers to show')}</p>")
    wanted = module_of(m.path) == d.culprit or m.path == d.modules[-1].path
    line = f"{mark(m)} {m.path} {list(m.expected.shape)}: {needed(m.chained)}"
    return f"<details{' open' if wanted else ''}><summary>{escape(line)}</summary>{''.join(parts)}</details>\n"


def _histogram(expected: Any, got: Any) -> str:
    theirs, ours, low, high = histograms(expected, got)
    width, height, top = 420, 110, max(*theirs, *ours, 1)
    bar = width / len(theirs)
    parts = [f'<figure><svg viewBox="0 0 {width} {height + 16}" role="img" aria-label="histogram">']
    for counts, kind in ((theirs, "torch"), (ours, "ncnn")):
        for i, count in enumerate(counts):
            if count:
                size = max(height * math.log1p(count) / math.log1p(top), 1)
                box = f'x="{i * bar:.1f}" y="{height - size:.1f}" width="{bar:.1f}" height="{size:.1f}"'
                parts.append(f'<rect class="{kind} both" {box}/>')
    parts.append(f'<text x="0" y="{height + 12}">{low:.3g}</text>')
    parts.append(f'<text x="{width}" y="{height + 12}" text-anchor="end">{high:.3g}</text></svg>')
    return "".join([*parts, "<figcaption>how often, on a logarithmic scale</figcaption></figure>"])
