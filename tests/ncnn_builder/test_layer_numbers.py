"""The numbers of layer types, which binary files hold, and the products that ops count."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from net_files import CUSTOM_TYPES
from parity_support import build
from torch.utils.flop_counter import FlopCounterMode

import ncnn_builder as nb
from ncnn_builder.emit.binary_types import TYPES

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = sorted((Path.home() / ".cache" / "ncnn-builder" / "sources").glob("ncnn-1.0.20261020.tar.gz"))


@pytest.mark.skipif(not ARCHIVES, reason="the pinned source of ncnn is not in the cache: it was given by -Dncnn_DIR")
def test_types_have_the_numbers_of_ncnns_list() -> None:
    with tarfile.open(ARCHIVES[0]) as archive:
        member = next(m for m in archive if m.name.endswith("/src/CMakeLists.txt"))
        file = archive.extractfile(member)
        assert file is not None
        listed = re.findall(r"^ncnn_add_layer\((\w+)", file.read().decode(), re.MULTILINE)
    assert listed == list(TYPES)


def test_our_layers_are_registered_in_the_order_of_their_names() -> None:
    text = (ROOT / "custom_layers" / "CMakeLists.txt").read_text()
    listed = re.search(r"set\(CUSTOM_LAYERS\n(.*?)\)", text, re.DOTALL)
    assert listed is not None and listed.group(1).split() == CUSTOM_TYPES


OTHERWISE = {
    "Einsum": "torch does products of one number, and of three operands, another way",
    **dict.fromkeys(("FilteredLrelu", "ToRGB", "Upfirdn2d"), "the reference multiplies the zeros that it inserts"),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), "torch's counter passes over a matrix times a vector"),
    "ModulatedConv2d": "the reference modulates the weight, and the layer multiplies W^2 by s^2",
    "Proposal": "its reference wants boxes that have a size",
}
LAYERS = [name for name, spec in sorted(nb.registry.items()) if not spec.composite]


@pytest.mark.parametrize("name", LAYERS)
def test_every_op_counts_its_products_as_torch_does(name: str) -> None:
    spec = nb.registry[name]
    rng = torch.Generator().manual_seed(1)
    for sample in spec.samples()[:8]:
        for node in (n for n in build(sample)[0].nodes if n.spec is spec):
            macs = spec.macs([v.shape for v in node.inputs], [v.shape for v in node.outputs], node.params)
            assert isinstance(macs, int) and macs >= 0
            if name in OTHERWISE:
                continue
            inputs = [torch.rand(v.shape, generator=rng) for v in node.inputs]
            weights = {k: torch.from_numpy(w) for k, w in node.weights.items()}
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                spec.reference(inputs, node.params, weights)
            assert 2 * macs == counter.get_total_flops(), sample.id


def macs_of(build: Callable[[nb.Graph], Any], op_type: str) -> int:
    g = nb.Graph()
    build(g)
    (node,) = (n for n in g.nodes if n.spec.type == op_type)
    return node.spec.macs([v.shape for v in node.inputs], [v.shape for v in node.outputs], node.params)


def test_products_by_hand() -> None:
    line = np.float32([1, 3, 3, 1]) / 8
    up = lambda g: nb.Upfirdn2d(g, g.input("x", (3, 5, 6)), line, (2, 2), (1, 1), (2, 1, 2, 1), False, 4.0)
    assert macs_of(up, "Upfirdn2d") == 3 * 10 * 12 * (2 + 2)  # of four taps, two meet a zero
    square = np.outer(line, line)
    down = lambda g: nb.Upfirdn2d(g, g.input("x", (3, 8, 6)), square, (1, 1), (2, 2), (1, 1, 1, 1), False, 1.0)
    assert macs_of(down, "Upfirdn2d") == 3 * 4 * 3 * 16
    lstm = torch.nn.LSTM(5, 4)
    assert macs_of(lambda g: nb.lstm(g, g.input("x", (3, 5)), lstm), "LSTM") == 3 * 4 * 4 * (5 + 4)
    einsum = lambda g: nb.einsum(g, [g.input("a", (3, 5)), g.input("b", (5, 4))], "ij,jk->ik")
    assert macs_of(einsum, "Einsum") == 3 * 5 * 4
