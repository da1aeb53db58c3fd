"""Diagnoses as one page that needs nothing else: no links, no scripts from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ..parity.subgraph import module_of
from .diagnose import Diagnosis, ModuleResult
from .page import Point, chart, page
from .pictures import histograms, is_map, is_picture, pictures
from .text import conclusion, mark, needed, remark


def as_html(found: Sequence[Diagnosis]) -> str:
    """The page: for each diagnosis what was found, the error along the network, the table, and the tensors."""
    return page(f"ncnn_builder doctor: {found[0].name}", [_section(d) for d in found])


def _section(d: Diagnosis) -> str:
    verdict = "equal" if d.equal else "different"
    rows = "".join(_row(m) for m in d.modules)
    points = [Point(m.path, m.chained.required, m.isolated.required if m.isolated else None) for m in d.modules]
    return f"""<h2>target {escape(d.target)}: {verdict}</h2>
<pre class="{verdict}">{escape(conclusion(d))}</pre>
<h3>Error along the network</h3>
{chart(points, d.tolerance, "alone, on torch's inputs")}
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
