"""The site that `make docs` builds of these pages with Sphinx and MyST; it opens at build/docs/index.html."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ABOVE = {
    "index": "README.md",
    "index.zh": "README.zh.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
"""Pages of the site, and the file above docs/ whose text they are."""

project = html_title = "ncnn-builder"
extensions = ["myst_parser"]
html_theme = "furo"
html_copy_source = False
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "misc.highlighting_failure"]  # headings that skip a level; code that is no program


def _linked(match: re.Match[str], folder: Path) -> str:
    """A link of a page in `folder` as the site has it: folders are no pages of it, so the words stay alone."""
    words, target = match.groups()
    path = (folder / target).resolve()
    name = path.name if path.parent == ROOT else ""
    for page, file in ABOVE.items():
        if name == file:
            return f"[{words}]({page}.md)"
    return words if path.is_dir() else f"[{words}]({target.removeprefix('docs/')})"


def _read(app: Any, page: str, source: list[str]) -> None:
    folder = ROOT if page in ABOVE else ROOT / "docs"
    text = (ROOT / ABOVE[page]).read_text(encoding="utf-8") if page in ABOVE else source[0]
    # Between the brackets: words without brackets. In front of them: no `!`, but pictures move with their page as well.
    text = re.sub(r"\[([^\[\]]*)\]\(([^)#:\s]+)\)", lambda match: _linked(match, folder), text)
    source[0] = text + "\n\n" + source[0] if page in ABOVE else text


def setup(app: Any) -> None:
    app.connect("source-read", _read)
