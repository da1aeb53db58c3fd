"""What the doctor's pages have in common: their style, and the chart of the error along a net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

STYLE = """
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


class Point(NamedTuple):
    """A result of a net: the tolerance that it needs in the net, and alone, where that is known."""

    name: str
    in_net: float
    alone: float | None


def page(title: str, parts: Sequence[str]) -> str:
    """A page that needs nothing else: no links, no scripts."""
    title = escape(title)
    head = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>",
    ]
    return "\n".join([*head, *parts, "</body></html>", ""])


def chart(points: Sequence[Point], tolerance: float, alone: str) -> str:
    """On a logarithmic scale; what cannot be compared stands at the top. alone: what the blue points are."""
    width, height, left, bottom, top = 1000, 260, 56, 24, 12
    numbers = [n for p in points for n in (p.in_net, p.alone) if n is not None]
    finite = [math.log10(n) for n in [*numbers, tolerance] if math.isfinite(n) and n > 0] or [-4.0]
    low, high = math.floor(min(finite)) - 0.2, math.ceil(max(finite)) + 0.2

    def x(i: int) -> float:
        return left + (width - left - 12) * (i + 0.5) / len(points)

    def y(number: float) -> float:
        log = high if not math.isfinite(number) else max(math.log10(number), low) if number > 0 else low
        return top + (height - top - bottom) * (high - log) / (high - low)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="error along the net">']
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{left}" x2="{width - 12}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e3e7ec"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">1e{power}</text>')
    at = y(tolerance)
    parts.append(
        f'<line x1="{left}" x2="{width - 12}" y1="{at:.1f}" y2="{at:.1f}" stroke="#d1373f" stroke-dasharray="5 4"/>'
    )
    parts.append(f'<text x="{width - 14}" y="{at - 4:.1f}" text-anchor="end">tolerance</text>')
    line = " ".join(f"{x(i):.1f},{y(p.in_net):.1f}" for i, p in enumerate(points))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#e07b27" stroke-width="1.5"/>')
    for i, p in enumerate(points):
        for number, kind, where, radius in ((p.alone, "torch", "alone", 3.0), (p.in_net, "ncnn", "in the net", 3.5)):
            if number is not None:
                needed = f"{number:.1e}" if math.isfinite(number) else "cannot be compared"
                spot = f'cx="{x(i):.1f}" cy="{y(number):.1f}" r="{radius}"'
                text = f"{escape(p.name)}: {needed} {where}"
                parts.append(f'<circle class="{kind}" {spot}><title>{text}</title></circle>')
    parts.append(f'<text x="{left}" y="{height - 6}">orange: in the net; blue: {escape(alone)}</text></svg>')
    return "".join(parts)
