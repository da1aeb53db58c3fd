"""`python tests/measure_ops.py [ops] [operators]`: runs every sample of every op, and of every converter of torch's
operators, and writes what was measured into docs/ops.md and docs/operators.md."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import torch
from parity_support import measured_error

import ncnn_builder as nb
from ncnn_builder import docs
from ncnn_builder.frontend import table
from ncnn_builder.frontend.check import against_torch, feeds_of
from ncnn_builder.frontend.samples import FAMILIES, of
from ncnn_builder.parity import compare, wheel_results

warnings.simplefilter("ignore")


def measure_ops() -> None:
    """For each op type the largest error over its samples, on the target that keeps the op, rounded up."""
    torch.manual_seed(0)
    found = {}
    for spec in nb.registry.values():
        if not spec.off:
            found[spec.type] = table.rounded_up(max(measured_error(spec, sample) for sample in spec.samples()))
    docs.PAGE.write_text(docs.page(found))


def measure_operators() -> None:
    """For each converter the largest error over its samples, on the ncnn wheel, rounded up."""
    shown, errors = [], []
    for family in FAMILIES:
        nets = [(sample, *table.sampled(sample)) for sample in of(family)]
        feeds = [feeds_of(net, sample.tensors()) for sample, net, _ in nets]
        jobs = [
            (nb.compile_graph(net.graph, "stock"), feed, [p.name for p in net.outputs])
            for (_, net, _), feed in zip(nets, feeds, strict=True)
        ]
        for (sample, net, what), got in zip(nets, wheel_results(jobs), strict=True):
            assert not isinstance(got, str), f"{sample.id}: {got}"
            triples = against_torch(net, sample.module(), sample.tensors(), got)
            error = max(compare(p.name, array, want, sample.tolerance).required for p, array, want in triples)
            shown.append((family, sample, what))
            errors.append((family, sample, dict.fromkeys(what, error)))
    worst = {name: max(error for _, error in each) for name, each in table.reached_by(errors).items()}
    table.PAGE.write_text(table.page(shown, {name: table.rounded_up(error) for name, error in worst.items()}))


MEASURES = {"ops": (measure_ops, docs.PAGE), "operators": (measure_operators, table.PAGE)}


def main(names: Sequence[str]) -> None:
    for name in names or MEASURES:
        measure, page = MEASURES[name]
        measure()
        sys.stdout.write(f"{page}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
