"""docs/ops.md is what the declarations say, and every op and function is in it."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

import ncnn_builder as nb
from ncnn_builder import docs
from ncnn_builder.frontend import table

torch.manual_seed(0)
NO_LAYER = {"split"}  # gives the same Value several times


@pytest.fixture(scope="module")
def text() -> str:
    return docs.PAGE.read_text()


def test_the_page_is_current(text: str) -> None:
    fresh = docs.page(docs.measured_in(text))
    assert text == fresh, "run `python -m ncnn_builder.docs`"


def test_every_op_that_runs_was_measured(text: str) -> None:
    measured = docs.measured_in(text)
    assert measured.keys() == {name for name, spec in nb.registry.items() if not spec.off}, "run tests/measure_ops.py"
    for name, figure in measured.items():
        assert float(figure) <= 10 * nb.registry[name].tolerance.fp32, name


def test_every_function_is_there(text: str) -> None:
    made = dict(re.findall(r"^#### `(\w+)\(.*\n(?:(?!#).*\n)*?Makes (.*)\.$", text, re.MULTILINE))
    assert made.keys() == set(nb.functions)
    assert {name for name, ops in made.items() if ops == "nothing"} == NO_LAYER


def test_a_changed_declaration_is_seen(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = nb.registry["ELU"]

    def section(page: str) -> str:
        return page.split("### ELU\n")[1].split("\n## ")[0].split("\n### ")[0].strip()

    monkeypatch.setattr(docs, "registry", {"ELU": spec})
    measured = docs.measured_in(text)
    assert section(docs.page(measured)) == section(text)
    monkeypatch.setattr(type(spec), "params", (nb.Param("alpha", 0, "float", "another meaning", 0.1),))
    assert section(docs.page(measured)) != section(text)


def test_a_figure_is_rounded_up_to_a_power_of_ten() -> None:
    assert [table.rounded_up(e) for e in (0.0, 1e-7, 1.1e-7, 9.9e-7, 0.5, 3.0)] == [
        "0",
        "1e-7",
        "1e-6",
        "1e-6",
        "1e0",
        "1e1",
    ]


def test_the_command_keeps_what_was_measured() -> None:
    """It writes the same page again: figures come from the page itself."""
    before = docs.PAGE.read_bytes()
    done = subprocess.run([sys.executable, "-m", "ncnn_builder.docs", "ops"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert docs.PAGE.read_bytes() == before


def test_a_trace_names_the_authors_call_first() -> None:
    sample = nb.Sample("s", ((4, 6),), lambda g, x: nb.permute(g, x, (0, 2, 1)))
    ((calls, node),) = docs.traced(sample)
    assert calls == ("permute", "really_permute") and node.spec.type == "Permute"
    held = nb.Sample("s", ((3,),), lambda g, x: nb.memorydata(g, np.ones(3)))
    assert docs.traced(held)[0][0] == ("memorydata",)
