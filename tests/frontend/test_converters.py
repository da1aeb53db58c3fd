"""Every sample of every converter on the ncnn wheel against torch, and every converter reached by a sample."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ncnn_builder import compile_graph
from ncnn_builder.frontend import CONVERTERS
from ncnn_builder.frontend.capture import Captured, captured
from ncnn_builder.frontend.check import against_torch, feeds_of
from ncnn_builder.frontend.complex_numbers import COMPLEX
from ncnn_builder.frontend.samples import FAMILIES, of
from ncnn_builder.parity import compare, wheel_results

CASES = [(family, sample) for family in FAMILIES for sample in of(family)]
IDS = [f"{family}-{sample.id}" for family, sample in CASES]


def test_ids_are_unique():
    assert len(set(IDS)) == len(IDS)


Result = tuple[Captured | Exception, Any]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Result]]:
    """Family -> id -> (net, what ncnn gave) or what failed, of its selected samples, which one process runs."""
    chosen = {item.callspec.id for item in request.session.items if item.function is test_sample}

    @cache
    def of_family(family: str) -> dict[str, Result]:
        done: dict[str, Any] = {}
        jobs: dict[str, Any] = {}
        for name, (own, sample) in zip(IDS, CASES, strict=True):
            if own == family and name in chosen:
                try:
                    net = captured(sample.module(), sample.tensors())
                    model = compile_graph(net.graph, "stock")
                    jobs[name] = (model, feeds_of(net, sample.tensors()), [p.name for p in net.outputs])
                    done[name] = net
                except Exception as error:  # of this sample only
                    done[name] = error
        answers = dict(zip(jobs, wheel_results(list(jobs.values())), strict=True)) if jobs else {}
        return {name: (net, answers.get(name)) for name, net in done.items()}

    return of_family


def keep(shared: Path, number: int, net: Captured) -> set[str]:
    """The converters that the net of a sample was made by, for whichever worker asks which are reached."""
    path = shared / f"converters-{number}"
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text("\n".join(sorted(net.converters)))
    beside.replace(path)
    return net.converters


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_sample(number: int, results: Callable[[str], dict[str, Result]], shared: Path) -> None:
    family, sample = CASES[number]
    net, got = results(family)[IDS[number]]
    if isinstance(net, Exception):
        raise net
    keep(shared, number, net)
    assert not isinstance(got, str), f"{got}\n{net.graph}"
    for port, array, want in against_torch(net, sample.module(), sample.tensors(), got):
        comparison = compare(port.name, array, want, sample.tolerance)
        assert comparison.ok, f"{comparison}\n{net.graph}"


def test_every_converter_has_a_sample(shared: Path) -> None:
    """By what the tests above have kept; a sample that nobody has captured yet is captured here."""
    used: set[str] = set()
    for number, (_, sample) in enumerate(CASES):
        kept = shared / f"converters-{number}"
        if kept.exists():
            used.update(kept.read_text().splitlines())
        else:
            used |= keep(shared, number, captured(sample.module(), sample.tensors()))
    ours = {name for name, converter in CONVERTERS.items() if "ncnn_builder" in converter.function.__module__}
    ours |= {f"complex {name}" for name in COMPLEX}
    untried = sorted(ours - used - OTHER_TORCH)
    assert not untried, f"no sample reaches {', '.join(untried)}"


OTHER_TORCH = {
    *(f"complex aten.{n}" for n in ("_unsafe_view", "alias", "contiguous", "detach", "resolve_conj", "resolve_neg")),
    *(f"complex aten.{n}" for n in ("flatten", "reshape", "squeeze", "clone")),
    "aten.rnn_relu.input",  # refused, whatever it is called with: test_refusals has it
    # Operators that torch.export of this torch rewrites, and that others leave.
    *("aten._unsafe_view", "aten._reshape_alias", "aten.view_copy", "aten.permute_copy", "aten.unsqueeze_copy"),
    *("aten.squeeze_copy", "aten.lift_fresh", "aten.lift_fresh_copy", "aten.alias", "aten._to_copy"),
    *("aten._softmax", "aten._log_softmax", "aten.diagonal_copy", "aten.select_copy", "aten.slice_copy"),
    *("aten.unbind_copy", "aten.split_with_sizes_copy", "aten.div.Scalar_mode", "aten.bitwise_and.Scalar"),
    *("aten.bitwise_or.Scalar", "aten.bitwise_xor.Scalar", "aten.clamp_max.Tensor", "aten.clamp_min.Tensor"),
    *("aten._unsafe_index.Tensor", "aten._unsafe_index_put"),
    *("aten.norm.Scalar", "aten.norm.ScalarOpt_dim", "aten.norm.ScalarOpt_dim_dtype"),
    *(f"aten.{n}.{o}" for n in ("std", "var", "std_mean", "var_mean") for o in ("dim", "default", "correction")),
}
