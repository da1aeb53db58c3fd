"""Pages in Chinese keep commands, code, pictures, links and figures of those in English; every link leads somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)#]+)\)")
ABOVE = runpy.run_path(str(ROOT / "docs/conf.py"))["ABOVE"]
SITE = [f"docs/{page}.md" for page in ABOVE]
"""What the site has above the pages: its text is that of files above docs/."""
DOCS = sorted({str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md")} - set(SITE))
PAGES = ["README.md", *DOCS]
TRANSLATED = sorted(page.replace(".zh.md", ".md") for page in [*PAGES, "README.zh.md"] if page.endswith(".zh.md"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def chinese(name: str) -> str:
    return name.replace(".md", ".zh.md")


def commands(name: str) -> list[str]:
    """Code in the order of the file; that of one paragraph sorted, because languages order words differently."""
    found: list[str] = []
    whole = text(name)
    for paragraph in re.split(r"\n\n|\n(?=\|)", FENCE.sub("\n\n", whole)):
        found += sorted(SPAN.findall(paragraph))
    return found + FENCE.findall(whole)


def figures(name: str) -> list[str]:
    """Every number with a decimal point, a unit or an exponent, in the order of size."""
    number = re.compile(r"\d+\.\d+|\d+ MB|\d+e-\d+")
    return sorted(number.findall(FENCE.sub("", SPAN.sub("", text(name)))))


def test_what_is_translated() -> None:
    assert {"README.md", "docs/commands.md", "docs/predecessor.md", "docs/targets.md"} <= set(TRANSLATED)


@pytest.mark.parametrize("page", TRANSLATED)
def test_translations_are_equal(page: str) -> None:
    assert commands(chinese(page)) == commands(page)
    assert figures(chinese(page)) == figures(page)
    for target in LINK.findall(text(page)):
        assert (
            target == Path(chinese(page)).name
            or target in text(chinese(page))
            or chinese(target) in text(chinese(page))
        )


@pytest.mark.parametrize("page", [*PAGES, "README.zh.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    """To files, or to headings of the same page."""
    for target in LINK.findall(text(page)):
        assert target.startswith("http") or (ROOT / page).parent.joinpath(target).exists(), target
    headings = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text(page), re.M)}
    assert headings.issuperset(re.findall(r"\]\(#([^)]+)\)", FENCE.sub("", text(page))))


def test_the_site_leads_to_every_page() -> None:
    """`make docs` says so as well, as a warning."""
    contents = [line for fence in FENCE.findall(text("docs/index.md")) for line in fence.splitlines()[4:-1]]
    assert sorted(f"docs/{name}.md" for name in contents) == sorted([*DOCS, *SITE[1:]])


@pytest.mark.parametrize("page", [*DOCS, *ABOVE.values()])
def test_links_of_the_site_lead_to_pages_of_it(page: str) -> None:
    """`make docs` says so as well, of what it reads anew."""
    links = (ROOT.joinpath(page).parent.joinpath(target).resolve() for target in LINK.findall(text(page)))
    assert {link for link in links if link.suffix == ".md"} <= {ROOT / name for name in [*DOCS, *ABOVE.values()]}


def test_the_readme_is_short() -> None:
    """It sells, and leads to docs/, where options and tables are."""
    assert max(len(text(name).splitlines()) for name in ("README.md", "README.zh.md")) <= 120


@pytest.mark.parametrize(
    "page, change",
    [
        ("docs/predecessor.md", ("mode=w_avg", "mode=avg")),
        ("docs/predecessor.md", ("styles=7-13", "styles=7-12")),
        ("README.md", ("make demo", "make")),
    ],
)
def test_a_changed_command_is_found(page: str, change: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = text(chinese(page))
    assert change[0] in original
    monkeypatch.setitem(globals(), "text", lambda name: original.replace(*change) if "zh" in name else text_of(name))
    assert commands(page) != commands(chinese(page))


text_of = text
