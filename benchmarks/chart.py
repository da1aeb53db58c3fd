"""The charts that the README and docs show: bars of one comparison, lines of a sweep, a training. matplotlib draws."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import OURS

ACCENT, GREY, INK = "#d1495b", "#9aa5b1", "#2b2f36"
# Lines need to be told apart: ours in the accent colour, the peers in these.
PEERS = ("#6c7a89", "#2e86ab", "#b08900", "#5b8c5a")


def try_to_draw(draw: Callable[[], None], png: Path) -> None:
    """Draw, or say in one line that matplotlib is missing."""
    try:
        draw()
    except ModuleNotFoundError as error:
        print(f'no chart: {error.name} is not installed (pip install -e ".[bench]")', file=sys.stderr)
        return
    print(f"written: {png}")


def _figure(height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("agg")  # no display
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8.4, height), dpi=120)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "bottom", "left"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure: Any, png: Path) -> None:
    from matplotlib import pyplot

    png.parent.mkdir(parents=True, exist_ok=True)
    # No version and no date in the file: equal numbers give equal files.
    figure.savefig(png, bbox_inches="tight", pad_inches=0.12, facecolor="white", metadata={"Software": None})
    pyplot.close(figure)


def bars(result: dict[str, Any], png: Path) -> None:
    """Horizontal bars, the fastest on top, ours in the accent colour; those that failed are named below."""
    rows = sorted((r for r in result["contenders"] if r["median_s"] is not None), key=lambda r: r["median_s"])
    failed = [r["name"] for r in result["contenders"] if r["median_s"] is None]
    figure, axes = _figure(1.1 + 0.36 * max(len(rows), 1))
    for i, row in enumerate(rows):
        ours = row["name"].startswith(OURS)
        axes.barh(i, row["median_s"], height=0.68, color=ACCENT if ours else GREY)
        text = f" {row['median_s']:.2f} s, {row['peak_mb']:.0f} MB"
        axes.text(row["median_s"], i, text, va="center", color=INK, fontsize=10, weight="bold" if ours else "normal")
    axes.set_yticks(range(len(rows)), [r["name"] for r in rows], fontsize=10)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_weight("bold" if row["name"].startswith(OURS) else "normal")
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(x=0.25, y=0.02)
    title = f"{result['cfg']}: seconds a picture and peak memory"
    axes.set_title(title, loc="left", fontsize=11.5, color=INK, weight="bold")
    foot = f"{result['threads']} threads, {result['machine']['cpu']}, fp32, batch 1, median of {result['rounds']}"
    if failed:
        foot += f"\nmade no picture: {', '.join(failed)}"
    axes.set_xlabel(foot, loc="left", fontsize=8.5, color="#5a6270")
    _save(figure, png)


def lines(whole: dict[str, Any], png: Path) -> None:
    """Seconds against resolution or threads, both axes logarithmic."""
    figure, axes = _figure(3.8)
    at = [point["at"] for point in whole["points"]]
    names = [row["name"] for row in whole["points"][0]["contenders"]]
    peers = iter(PEERS * len(names))
    for i, name in enumerate(names):
        ours = name.startswith(OURS)
        times = [point["contenders"][i]["median_s"] for point in whole["points"]]
        known = [(x, y) for x, y in zip(at, times, strict=True) if y is not None]
        if not known:
            continue
        x, y = zip(*known, strict=True)
        colour = ACCENT if ours else next(peers)
        axes.plot(x, y, "o-", color=colour, linewidth=2.4 if ours else 1.6, markersize=5)
        text = f"  {name}, {y[-1]:.2f} s"
        axes.text(x[-1], y[-1], text, va="center", color=colour, fontsize=10, weight="bold" if ours else "normal")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(at, [str(n) for n in at])
    axes.minorticks_off()
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    axes.set_xlabel(whole["by"], color=INK)
    axes.set_ylabel("seconds a picture", color=INK)
    axes.set_title(f"{whole['cfg']} by {whole['by']}", loc="left", fontsize=11.5, color=INK, weight="bold")
    _save(figure, png)


CURVES = {  # name in the log: name in the chart, colour
    "Loss/G/loss": ("loss of the generator", ACCENT),
    "Loss/D/loss": ("loss of the discriminator", "#2e86ab"),
    "Loss/scores/real": ("score of real pictures", "#5b8c5a"),
    "Loss/scores/fake": ("score of generated pictures", "#b08900"),
}


def curves(log: list[dict[str, Any]], title: str, png: Path, points: int = 150) -> None:
    """Losses and scores against thousands of pictures, as means over `points` stretches of the log."""
    figure, axes = _figure(3.8)
    size = max(1, len(log) // points)
    stretches = [log[i : i + size] for i in range(0, len(log), size)]
    for name, (label, colour) in CURVES.items():
        known = [[line for line in stretch if name in line] for stretch in stretches]
        x = [sum(line["pictures"] for line in found) / len(found) / 1000 for found in known if found]
        y = [sum(line[name] for line in found) / len(found) for found in known if found]
        axes.plot(x, y, color=colour, linewidth=1.6)
        axes.text(x[-1], y[-1], f"  {label}", va="center", color=colour, fontsize=10)
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    axes.set_xlabel("thousand pictures", color=INK)
    axes.set_title(title, loc="left", fontsize=11.5, color=INK, weight="bold")
    _save(figure, png)
