"""Every sample of every converter on the ncnn wheel against torch, and every converter reached by a sample."""

from __future__ import annotations

import pytest

from ncnn_builder import compile_graph
from ncnn_builder.frontend import CONVERTERS
from ncnn_builder.frontend.capture import captured
from ncnn_builder.frontend.check import against_torch, feeds_of
from ncnn_builder.frontend.complex_numbers import COMPLEX
from ncnn_builder.frontend.samples import FAMILIES, of
from ncnn_builder.parity import compare, wheel_results

CASES = [(family, sample) for family in FAMILIES for sample in of(family)]
IDS = [f"{family}-{sample.id}" for family, sample in CASES]


def test_ids_are_unique():
    assert len(set(IDS)) == len(IDS)


@pytest.fixture(scope="module")
def results(request):
    """Id -> (net, what ncnn gave) or what failed, of the selected samples: the wheel runs in one process for all."""
    chosen = {item.callspec.id for item in request.session.items if item.function is test_sample}
    done, jobs = {}, {}
    for name, (_, sample) in zip(IDS, CASES, strict=True):
        if name in chosen or not chosen:
            try:
                net = captured(sample.module(), sample.tensors())
                model = compile_graph(net.graph, "stock")
                jobs[name] = (model, feeds_of(net, sample.tensors()), [p.name for p in net.outputs])
                done[name] = net
            except Exception as error:  # of this sample only
                done[name] = error
    answers = dict(zip(jobs, wheel_results(list(jobs.values())), strict=True))
    return {name: (net, answers.get(name)) for name, net in done.items()}


@pytest.mark.parametrize(("family", "sample"), CASES, ids=IDS)
def test_sample(family, sample, results):
    net, got = results[f"{family}-{sample.id}"]
    if isinstance(net, Exception):
        raise net
    assert not isinstance(got, str), f"{got}\n{net.graph}"
    for port, array, want in against_torch(net, sample.module(), sample.tensors(), got):
        comparison = compare(port.name, array, want, sample.tolerance)
        assert comparison.ok, f"{comparison}\n{net.graph}"


def test_every_converter_has_a_sample(request, results):
    """Of those selected samples that there are, all: so it runs where all of them run."""
    if len(results) < len(CASES):
        return
    used = {name for net, _ in results.values() if not isinstance(net, Exception) for name in net.converters}
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
