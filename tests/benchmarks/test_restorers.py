"""The table of restorers: what its rows say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import trials
from benchmarks.restorers.__main__ import TABLE, main
from benchmarks.restorers.networks import NETWORKS
from benchmarks.restorers.page import CORRECT, page

ROWS = {
    "A": {"purpose": "SR", "sizes": "any", "error": 1e-6, "layers": 7},
    "B": {"purpose": "SR", "sizes": "one", "error": 2e-6, "layers": 9, "not_open": f"a | bar_{'of words ' * 99}end"},
    "C": {"failed": "not built"},
}


def test_a_row_for_each_network():
    text = page(ROWS)
    assert "2 of 3 convert within 1e-3: 1 for pictures of any size, 0 for any up to a\nbound" in text
    whole = ["| A | SR | any | 1e-06 | 7 |", "| B | SR | one | 2e-06 | 9 |", "| C |  | none |  |  |"]
    whys = ["- C: not built", f"- B: a \\| bar\\_{'of words ' * 99}end"]
    assert [line for line in text.splitlines() if line in (*whole, *whys)] == whole + whys
    assert "\nNot tried yet: Compact, " in text


def test_the_page_is_that_of_the_results():
    rows = json.loads(TABLE.results.read_text())
    assert TABLE.document.read_text() == page(rows)
    assert list(rows) == [n for n in NETWORKS if n in rows]
    assert all(row["error"] <= CORRECT for row in rows.values() if "error" in row)


def test_nothing_is_written_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a trial that is interrupted the rows that were made; the page only with results that are everybody's."""
    results, names = tmp_path / "rows.json", list(NETWORKS)[:3]
    results.write_text(json.dumps({names[2]: ROWS["A"]}))
    before = results.read_text(), TABLE.document.read_text()

    def tried(trial: object, name: str) -> dict[str, object]:
        assert (results.read_text(), TABLE.document.read_text()) == before
        if name == names[1]:
            raise KeyboardInterrupt
        return dict(ROWS["B"])

    monkeypatch.setattr(trials, "apart", tried)
    with pytest.raises(KeyboardInterrupt):
        trials.try_all(TABLE, names, results)
    assert json.loads(results.read_text()) == {names[0]: ROWS["B"], names[2]: ROWS["A"]}
    with pytest.raises(SystemExit):
        main(["--page", "--json", str(tmp_path / "none.json")])
    assert "there are no results in" in capsys.readouterr().err
    assert TABLE.document.read_text() == before[1]
