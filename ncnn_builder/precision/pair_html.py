"""The diagnosis of a pair as one page that needs nothing else."""

from __future__ import annotations

from html import escape

from ..doctor.page import Point, chart, page
from .measures import Errors
from .pair import LayerResult, PairDiagnosis
from .pair_text import conclusion, mark, needed


def as_html(d: PairDiagnosis) -> str:
    """What was found, the error along the net, and a row for each layer."""
    verdict = "equal" if d.equal else "different"
    points = [Point(r.name, r.in_net.relative, r.alone.relative if r.alone else None) for r in d.layers]
    heads = "".join(
        f'<th class="n">{h}</th>' for h in ("in the net", "alone", "largest difference", "PSNR, dB", "cosine")
    )
    rows = "".join(_row(r, d) for r in d.layers)
    nets = (("first", d.first), ("second", d.second), ("options", d.options), ("tolerance", f"{d.tolerance:g}"))
    return page(
        f"ncnn_builder doctor: {d.second}",
        [
            "<table>",
            *(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in nets),
            "</table>",
            f'<h2>{verdict}</h2><pre class="{verdict}">{escape(conclusion(d))}</pre>',
            "<h2>Error along the net</h2>",
            "<p>The largest difference of each result, relative to its largest magnitude.</p>",
            chart(points, d.tolerance, "alone, on what the first net has there") if points else "",
            f"<h2>Layers</h2><table><thead><tr><th></th><th>layer</th><th>type</th>{heads}</tr></thead>",
            f"<tbody>{rows}</tbody></table>",
        ],
    )


def _row(r: LayerResult, d: PairDiagnosis) -> str:
    kind = mark(r, d.tolerance)
    first = ' style="background: #fdf0f0"' if d.culprit is not None and r.name == d.culprit.name else ""
    cells = (needed(r.in_net), needed(r.alone), *_more(r.in_net))
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    return f'<tr{first}><td class="{kind}">{kind}</td><td>{escape(r.name)}</td><td>{escape(r.type)}</td>{numbers}</tr>'


def _more(e: Errors) -> tuple[str, str, str]:
    return (f"{e.max:.3g}", f"{e.psnr:.1f}", f"{e.cosine:.6f}") if e.finite else ("not finite", "", "")
