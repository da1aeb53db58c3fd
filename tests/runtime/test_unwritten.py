"""No byte of an output comes from before: every layer type writes all of its outputs, or the run is an error."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from parity_support import build, draw, named
from runtime_nets import write_net

import ncnn_builder as nb
from ncnn_builder.parity.runner import loaded
from runtime import BlobError, LayerError, NcnnError, Net

OPTIONS = ({"threads": 1}, {"threads": 2, "packing": False, "sgemm": False, "winograd": False})


@pytest.mark.parametrize("spec", [spec for spec in nb.registry.values() if not spec.off], ids=lambda spec: spec.type)
def test_every_layer_writes_all_of_its_outputs(spec: nb.OpSpec) -> None:
    """guard=True marks every fresh word: one that is left is an error, one that was read makes another number."""
    for number, sample in enumerate(spec.samples()):
        inputs, options, seen = named(draw(sample)), OPTIONS[number % 2], ""
        for target in ("reference", "fused"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = nb.compile_graph(build(sample)[0], target)
            if model.param == seen:
                continue
            seen = model.param
            plain, guarded = loaded(model, Net, **options), loaded(model, Net, guard=True, **options)
            try:
                want = plain.run(inputs)
            except BlobError:  # packed numbers, which are no array
                with pytest.raises(BlobError):
                    guarded.run(inputs)
                continue
            again, got = plain.run(inputs), guarded.run(inputs)
            for name, values in want.items():
                if values.tobytes() == again[name].tobytes():  # else it draws its numbers anew
                    assert got[name].tobytes() == values.tobytes(), f"{sample.id}, {target}, {options}: {name}"


@pytest.mark.parametrize("guard", [False, True])
def test_a_layer_that_writes_nothing(tmp_path: Path, guard: bool) -> None:
    files = write_net(
        tmp_path,
        "Input in_a 0 1 a",
        "Input in_b 0 1 b",
        "BinaryOp s 1 1 b t 0=2 1=1 2=1.00000000e+00",
        "Interp r 1 1 a y 3=6 4=6",  # does not say how
    )
    try:
        net = Net(*files, threads=1, guard=guard)
    except NcnnError:  # seen at once: so much the better
        return
    net.run({"b": np.full(64, 1234, np.float32)}, ["t"])
    for shape in ((1, 2, 2), (3, 200, 200)):
        with pytest.raises(LayerError, match=r"layer r \(Interp\)"):
            net.run({"a": np.zeros(shape, np.float32)}, ["y"])
