"""Every sample of every converter on the ncnn wheel against torch, and every converter reached by a sample."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder import compile_graph
from ncnn_builder.frontend import CONVERTERS
from ncnn_builder.frontend.capture import Captured
from ncnn_builder.frontend.check import against_torch, feeds_of
from ncnn_builder.frontend.samples import FAMILIES, Sample, of
from ncnn_builder.frontend.table import PAGE, UNTRIED, Shown, families, measured_in, page, reached_by, sampled
from ncnn_builder.parity import compare, wheel_results

CASES = [(family, sample) for family in FAMILIES for sample in of(family)]
PINNED = torch.__version__.split("+")[0] in re.findall(
    r"^torch==([\d.]+)", (Path(__file__).parents[2] / "constraints.txt").read_text(), re.MULTILINE
)
IDS = [f"{family}-{sample.id}" for family, sample in CASES]


def test_ids_are_unique():
    assert len(set(IDS)) == len(IDS)


Result = tuple[Captured | Exception, Any]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, shared: Path) -> Callable[[str], dict[str, Result]]:
    """Family -> id -> (net, what ncnn gave) or what failed, of its selected samples, which one process runs."""
    chosen = {item.callspec.id for item in request.session.items if item.function is test_sample}

    @cache
    def of_family(family: str) -> dict[str, Result]:
        done: dict[str, Any] = {}
        jobs: dict[str, Any] = {}
        for name, (own, sample) in zip(IDS, CASES, strict=True):
            if own == family and name in chosen:
                try:
                    net, shown = sampled(sample)
                    keep(shared, IDS.index(name), shown)
                    model = compile_graph(net.graph, "stock")
                    jobs[name] = (model, feeds_of(net, sample.tensors()), [p.name for p in net.outputs])
                    done[name] = net
                except Exception as error:  # of this sample only
                    done[name] = error
        answers = dict(zip(jobs, wheel_results(list(jobs.values())), strict=True)) if jobs else {}
        return {name: (net, answers.get(name)) for name, net in done.items()}

    return of_family


def keep(shared: Path, number: int, shown: dict[str, Shown]) -> None:
    """What a sample shows of the converters that it reaches, for whichever worker asks for all."""
    path = shared / f"converters-{number}"
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps({name: (each.functions, each.layers) for name, each in shown.items()}))
    beside.replace(path)


@pytest.fixture(scope="module")
def shown(shared: Path) -> list[tuple[str, Sample, dict[str, Shown]]]:
    """Of every sample, as the tests of samples have kept it; one that nobody has captured yet is captured here."""
    found = []
    for number, (family, sample) in enumerate(CASES):
        path = shared / f"converters-{number}"
        if not path.exists():
            keep(shared, number, sampled(sample)[1])
        kept = json.loads(path.read_text())
        found.append((family, sample, {name: Shown(tuple(f), tuple(t)) for name, (f, t) in kept.items()}))
    return found


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_sample(number: int, results: Callable[[str], dict[str, Result]]) -> None:
    family, sample = CASES[number]
    net, got = results(family)[IDS[number]]
    if isinstance(net, Exception):
        raise net
    assert not isinstance(got, str), f"{got}\n{net.graph}"
    for port, array, want in against_torch(net, sample.module(), sample.tensors(), got):
        comparison = compare(port.name, array, want, sample.tolerance)
        assert comparison.ok, f"{comparison}\n{net.graph}"


def test_every_converter_has_a_sample(shown: list[tuple[str, Sample, dict[str, Shown]]]) -> None:
    used = {name for _, _, each in shown for name in each}
    untried = sorted({name for members in families().values() for name in members} - used - UNTRIED.keys())
    assert not untried, f"no sample reaches {', '.join(untried)}"


@pytest.mark.skipif(not PINNED, reason="docs/operators.md is of the torch that constraints.txt pins")
def test_the_page_is_current(shown: list[tuple[str, Sample, dict[str, Shown]]]) -> None:
    text = PAGE.read_text()
    measured = measured_in(text)
    assert text == page(shown, measured), "run `python -m ncnn_builder.docs operators`"
    for name, each in reached_by(shown).items():
        if name in measured:  # else an operator of another test
            assert float(measured[name]) <= 10 * max(sample.tolerance for sample, _ in each), name
    unmeasured = {name for members in families().values() for name in members} - measured.keys() - UNTRIED.keys()
    assert not unmeasured, "run `python tests/measure_ops.py operators`"


def test_what_a_sample_shows() -> None:
    """Functions and layers of the operator's own, and what the layout needs only where an operator always needs it."""
    x = Sample("x", lambda x: F.conv2d(F.relu(x), torch.ones(2, 3, 1, 1)).permute(0, 2, 1, 3) * 2, ((1, 3, 4, 4),))
    net, shown = sampled(x)
    assert shown["aten.conv2d"] == Shown(("conv2d",), ("Convolution",))
    assert shown["aten.permute"] == Shown((), ())
    assert set(shown) == {"aten.relu", "aten.conv2d", "aten.permute", "aten.mul"}
    assert all(":" in node.source for node in net.graph.nodes)
    (row,) = [line for line in page([("convolution", x, shown)], {}).splitlines() if line.startswith("| `aten.conv2d`")]
    assert row == "| `aten.conv2d` | `conv2d` | [Convolution](ops.md#convolution) | 1 | 2e-5 | - |"


def test_an_operator_of_a_users_is_not_on_the_page() -> None:
    before = page([], {})
    nb.converts("mylib.warp")(lambda g, node, x: x)
    try:
        assert page([], {}) == before
    finally:
        del CONVERTERS["mylib.warp"]
