"""The numbers of layer types, which binary files hold, and the products that ops count."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
from net_files import CUSTOM_TYPES
from parity_support import build

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


COUNTS = {"Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise", "FconvTranspose2d"}
COUNTS |= {"InnerProduct", "MatMul", "Fmatmul", "ModulatedConv2d", "ToRGB", "Upfirdn2d", "FilteredLrelu"}


@pytest.mark.parametrize("name", sorted(nb.registry))
def test_every_op_counts_its_products(name: str) -> None:
    spec, seen = nb.registry[name], 0
    for sample in spec.samples():
        for node in build(sample)[0].nodes:
            if node.spec is spec:
                macs = spec.macs([v.shape for v in node.inputs], [v.shape for v in node.outputs], node.params)
                assert isinstance(macs, int) and macs >= 0
                seen = max(seen, macs)
    if name in COUNTS:
        assert seen > 0
