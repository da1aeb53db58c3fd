"""The README in Chinese keeps the commands, code, pictures, links and figures of the one in English."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)#]+)\)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """Code in the order of the file; that of one paragraph sorted, because languages order words differently."""
    found: list[str] = []
    whole = text(name)
    for paragraph in re.split(r"\n\n|\n(?=\|)", FENCE.sub("\n\n", whole)):
        found += sorted(SPAN.findall(paragraph))
    return found + FENCE.findall(whole)


def test_commands_are_equal() -> None:
    english, chinese = commands("README.md"), commands("README.zh.md")
    assert len(english) > 150
    assert chinese == english


def test_pictures_and_links_are_equal() -> None:
    english, chinese = (set(LINK.findall(text(name))) for name in ("README.md", "README.zh.md"))
    assert english - {"README.zh.md"} == chinese - {"README.md"}
    for target in english | chinese:
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_figures_are_equal() -> None:
    """Every number with a decimal point, a unit or an exponent, in the order of the tables."""
    number = re.compile(r"\d+\.\d+|\d+ MB|\d+e-\d+")
    english, chinese = (
        sorted(number.findall(FENCE.sub("", SPAN.sub("", text(name))))) for name in ("README.md", "README.zh.md")
    )
    assert english == chinese


@pytest.mark.parametrize("change", [("mode=w_avg", "mode=avg"), ("styles=7-13", "styles=7-12"), ("make demo", "make")])
def test_a_changed_command_is_found(change: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = text("README.zh.md")
    assert change[0] in original
    monkeypatch.setitem(globals(), "text", lambda name: original.replace(*change) if "zh" in name else text_of(name))
    assert commands("README.md") != commands("README.zh.md")


text_of = text
