"""Forms of files that the DSL never writes and ncnn runs: they load, keep their text, and compute what they did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from net_files import floats, lines_of, net_files
from parity_support import run_emitted
from pass_support import normal

import ncnn_builder as nb
from ncnn_builder.tools.fix import fix
from ncnn_builder.tools.lint import lint
from ncnn_builder.tools.net import read_net
from runtime import Net

X = "Input x 0 1 x 0=6 1=5 2=4"
V = "Input x 0 1 x 0=4"


def weights(*sizes: int) -> bytes:
    """Of layers whose weight has a tag and that have no bias."""
    return b"".join(bytes(4) + floats(normal(n)) for n in sizes)


FORMS: dict[str, tuple[tuple[str, ...], bytes, tuple[int, ...]]] = {
    "reshape: the rest": ((X, "Reshape r 1 1 x y 0=-1 1=6"), b"", (6, 20)),
    "reshape: as it is": ((X, "Reshape r 1 1 x y 0=0 1=-1"), b"", (20, 6)),
    "reshape: an expression": ((X, 'Reshape r 1 1 x y 6="*(0w,0h),0c"'), b"", (4, 30)),
    "reshape: of two blobs": ((X, "Input z 0 1 z 0=3 1=8", 'Reshape r 2 1 x z y 6="1w,//(0c,2),-1"'), b"", (20, 2, 3)),
    "convolution of a vector": ((V, "Convolution c 1 1 x y 0=3 1=1 6=12 9=1"), weights(12), (3,)),
    "convolution, SAME above": ((X, "Convolution c 1 1 x y 0=3 1=3 3=2 4=-233 6=108"), weights(108), (3, 3, 3)),
    "convolution, SAME below": ((X, "Convolution c 1 1 x y 0=3 1=2 3=3 4=-234 6=48"), weights(48), (3, 2, 2)),
    "grouped, SAME": ((X, "ConvolutionDepthWise c 1 1 x y 0=4 1=3 4=-233 6=36 7=4"), weights(36), (4, 5, 6)),
    "1-D, SAME": (("Input x 0 1 x 0=7 1=4", "Convolution1D c 1 1 x y 0=3 1=3 3=2 4=-233 6=36"), weights(36), (3, 4)),
    "transposed, a size": (
        (X, "Deconvolution c 1 1 x y 0=3 1=3 3=2 4=-233 6=108 20=12 21=10"),
        weights(108),
        (3, 10, 12),
    ),
    "map into InnerProduct": ((X, "InnerProduct f 1 1 x y 0=3 2=360"), weights(360), (3,)),
    "pooling, SAME above": ((X, "Pooling p 1 1 x y 0=1 1=3 2=2 5=2"), b"", (4, 3, 3)),
    "pooling, SAME below": ((X, "Pooling p 1 1 x y 1=3 2=2 5=3"), b"", (4, 3, 3)),
    "pooling, one side": ((X, "Pooling p 1 1 x y 0=1 7=1 8=2 18=-233"), b"", (4, 5, 2)),
    "interp of a vector": ((V, "Interp i 1 1 x y 0=2 3=2 4=3"), b"", (4, 2, 3)),
    "interp of a matrix": (("Input x 0 1 x 0=5 1=4", "Interp i 1 1 x y 0=2 2=2.0"), b"", (4, 10)),
    "interp like another": ((X, "Input z 0 1 z 0=3 1=8 2=1", "Interp i 2 1 x z y 0=1 5=1"), b"", (4, 8, 3)),
    "interp, an expression": ((X, 'Interp i 1 1 x y 0=2 9="*(0w,2),0h"'), b"", (4, 5, 12)),
    "interp, half a size": ((X, "Interp i 1 1 x y 0=1 1=3.0 2=2.0 3=11 4=0"), b"", (4, 15, 12)),
    "crop by sizes": ((X, "Crop c 1 1 x y 0=1 1=2 2=1 3=4 4=-233 5=2"), b"", (2, 3, 4)),
    "crop from the end": ((X, "Crop c 1 1 x y 0=1 3=-233 4=-233 5=-233 6=2 8=1"), b"", (3, 5, 3)),
    "crop like another": ((X, "Input z 0 1 z 0=3 1=2", "Crop c 2 1 x z y 0=1"), b"", (4, 2, 3)),
    "crop, every axis": ((X, "Crop c 1 1 x y -23309=3,1,0,2 -23310=3,3,-1,-233"), b"", (2, 4, 4)),
    "crop, axes from the end": ((X, "Crop c 1 1 x y 9=1, 10=4, 11=-1,"), b"", (4, 5, 3)),
    "crop, expressions": ((X, 'Crop c 1 1 x y 19="1" 20="-(0w,1)" 21="2"'), b"", (4, 5, 4)),
    "squeeze by switches": (("Input x 0 1 x 0=6 1=1 2=4", "Squeeze s 1 1 x y 0=1 1=1"), b"", (4, 6)),
    "squeeze, not 1": ((X, "Squeeze s 1 1 x y -23303=2,0,-1"), b"", (4, 5, 6)),
    "expand nothing": ((X, "ExpandDims e 1 1 x y"), b"", (4, 5, 6)),
    "expand from the end": ((X, "ExpandDims e 1 1 x y -23303=1,-1"), b"", (4, 5, 6, 1)),
    "silence": ((X, "Slice s 1 2 x a b -23300=2,1,-233", "Noop n 1 0 b", "ReLU r 1 1 a y"), b"", (1, 5, 6)),
    "two layers of one name": ((X, "ReLU r 1 1 x a", "ReLU r 1 1 a y"), b"", (4, 5, 6)),
    "a layer of the name of an input": (
        ("MemoryData x 0 1 m 0=6 21=1", X, "BinaryOp b 2 1 x m y 0=2"),
        floats(normal(6)),
        (4, 5, 6),
    ),
    "two spellings of one float": ((X, "Clip c 1 1 x y 0=-0.2 1=-2.00000003e-01"), b"", (4, 5, 6)),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_is_kept_and_computes_what_it_did(name: str, tmp_path: Path) -> None:
    lines, data, shape = FORMS[name]
    files = net_files(tmp_path, lines_of(*lines), data)
    g = nb.load(*files)
    assert g.outputs["y"].shape == shape
    inputs = {v.name: normal(*v.shape) for v in g.inputs}
    want = Net(*files).run(inputs, outputs=["y"])["y"]
    assert want.shape == shape
    for target in ("stock", "fused"):
        assert np.array_equal(run_emitted(nb.compile_graph(g, target), inputs, ["y"])["y"], want)
    copy = tmp_path / "copy.param", tmp_path / "copy.bin"
    nb.save(g, *copy)
    assert [a.read_bytes() for a in copy] == [a.read_bytes() for a in files]
    assert not [f for f in lint(read_net(*files)) if f.severity == "error" or f.rule == "shape-mismatch"]
    assert Net(*net_files(tmp_path, fix(read_net(files[0]).file, "net").text, data)).run(inputs)["y"].shape == shape


REFUSED = {
    "Reshape r 1 1 x y 0=-1 1=7": "wrong number of elements",
    "Reshape r 1 1 x y 1=3": "no width",
    'Reshape r 1 1 x y 6="1w,-1"': "there is no input 1",
    'Reshape r 1 1 x y 6="//(0w,0),-1"': "makes no sense",
    "Crop c 1 1 x y 0=1": "the second input is missing",
    "Crop c 1 1 x y 3=4 4=4 5=9 2=4": "reaches outside",
    "Interp i 1 1 x y 3=4 4=4": "ncnn writes nothing",
    "Interp i 1 1 x y 0=1 5=1": "the second input is missing",
    "Noop n 1 2 x y z": "more outputs than inputs",
    "Pooling p 1 1 x y 1=9 5=1": "larger than its padded input",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_ncnn_fails_at_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(nb.ReadError, match=REFUSED[line]):
        nb.load(*net_files(tmp_path, lines_of(X, line)))


def test_more_blobs_than_used_and_a_noop_that_is_not_read(tmp_path: Path) -> None:
    text = lines_of(X, "ReLU r 1 1 x y", blobs=9)
    assert list(nb.load(*net_files(tmp_path, text)).outputs) == ["y"]
    cut = text.replace("2 9", "2 2") + "Noop n 1 1 y z\n"  # as nanodet_m of ncnn's benchmark
    g = nb.load(*net_files(tmp_path, cut))
    assert list(g.outputs) == ["y"]
    nb.save(g, tmp_path / "copy.param", tmp_path / "copy.bin")
    assert (tmp_path / "copy.param").read_text() == cut
    (finding,) = lint(read_net(net_files(tmp_path, cut)[0]))
    assert finding.rule == "wrong-counts" and finding.severity == "warning"


BOXES = (
    "Input a 0 1 a 0=3 1=3 2=18",
    "Input b 0 1 b 0=6 1=6 2=18",
    "Yolov3DetectionOutput d 2 1 a b y 0=1 1=3 2=3.0e-01 -23304=12,20,37,49,94,73,201,143,265,153,121,280,279"
    " {mask} -23306=2,32.0,16.0",
)
BITS = "-23305=6,1077936128,1082130432,1084227584,0,1065353216,1073741824"


def test_a_mask_of_bits_is_one_of_floats(tmp_path: Path) -> None:
    """yolov3 of nihui/ncnn-assets has such a mask; the anchors here are ints, which are numbers."""
    text = lines_of(*BOXES).format(mask=BITS)
    files = net_files(tmp_path, text)
    g = nb.load(*files)
    assert g.nodes[0].params["mask"] == (3.0, 4.0, 5.0, 0.0, 1.0, 2.0) and g.nodes[0].params["biases"][0] == 20.0
    inputs = {"a": 2 * normal(18, 3, 3), "b": 2 * normal(18, 6, 6)}
    want = Net(*files).run(inputs)["y"]
    assert len(want) and np.array_equal(run_emitted(nb.compile_graph(g, "fused"), inputs, ["y"])["y"], want)
    fixed = fix(read_net(files[0]).file, "net").text
    assert BITS in fixed and np.array_equal(Net(*net_files(tmp_path, fixed)).run(inputs)["y"], want)
    assert {f.severity for f in lint(read_net(net_files(tmp_path, text)[0]))} == {"warning"}  # the anchors


def test_a_mask_of_ints_that_are_meant_as_numbers(tmp_path: Path) -> None:
    text = lines_of(*BOXES).format(mask="-23305=6,3,4,5,0,1,2")
    assert [f.severity for f in lint(read_net(net_files(tmp_path, text)[0])) if "mask of" in f.what] == ["error"]
    assert "-23305=6,3.00000000e+00,4.00000000e+00" in fix(read_net(net_files(tmp_path, text)[0]).file, "net").text


def test_a_net_that_was_changed_has_a_text_of_its_own(tmp_path: Path) -> None:
    text = lines_of(X, "ReLU   r 1 1 x y", "ReLU q 1 1 y z 0=0.5")
    files, copy = net_files(tmp_path, text), (tmp_path / "copy.param", tmp_path / "copy.bin")
    nb.save(nb.load(*files), *copy)
    assert copy[0].read_text() == text
    g = nb.load(*files)
    g.output("more", nb.square(g, g.outputs["z"]))
    nb.save(g, *copy)
    assert copy[0].read_text() != text and set(nb.load(*copy).outputs) == {"z", "more"}
