"""Nets as other people's files have them, compiled for each target: the same numbers as the file itself on ncnn.

Each is a pattern that a pass or a lowering looks for, spelled as a file may spell it and the DSL does not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ncnn_builder as nb
from ncnn_builder.parity import Report
from runtime import Net

RNG = np.random.default_rng(8)
INPUT = {1: "0={0}", 2: "0={1} 1={0}", 3: "0={2} 1={1} 2={0}"}


def raw(*shape: int) -> bytes:
    return RNG.standard_normal(shape).astype(np.float32).tobytes()


def tagged(*shape: int) -> bytes:
    return b"\0\0\0\0" + raw(*shape)


def half(*shape: int) -> bytes:
    """float16 behind its tag, up to whole words."""
    data = RNG.standard_normal(shape).astype(np.float16).tobytes()
    return (0x01306B47).to_bytes(4, "little") + data + b"\0" * (-len(data) % 4)


def positive(*shape: int) -> bytes:
    return (RNG.random(shape) + 0.5).astype(np.float32).tobytes()


SQUARE = "Split s 1 2 in0 a b\nBinaryOp q 2 1 a b c 0=2\n"
CONV = "Convolution k 1 1 in0 c 0=4 1=3 4=1 6=108"
NETS: dict[str, tuple[tuple[int, ...], str, bytes]] = {
    # -- axes from the end, and everything by default
    "mean of squares, last axis": ((3, 8), f"{SQUARE}Reduction r 1 1 c out0 0=3 1=0 -23303=1,-1 4=1 5=1", b""),
    "mean of squares, two axes": ((4, 3, 8), f"{SQUARE}Reduction r 1 1 c out0 0=3 1=0 -23303=2,-1,1 5=1", b""),
    "sum of squares, factor": ((4, 3, 8), f"{SQUARE}Reduction r 1 1 c out0 1=0 2=0.5 -23303=1,-3 5=1", b""),
    "mean of squares of all": ((4, 3, 8), f"{SQUARE}Reduction r 1 1 c out0 0=3 5=1", b""),
    "mean of squares, unary": ((3, 8), "UnaryOp u 1 1 in0 c 0=4\nReduction r 1 1 c out0 0=3 1=0 -23303=1,-1 5=1", b""),
    "softmax, last axis": ((3, 4, 8), "BinaryOp m 1 1 in0 c 0=2 1=1 2=0.5\nSoftmax r 1 1 c out0 0=-1 1=1", b""),
    "concat, last axis": ((3, 4, 8), "Split s 1 2 in0 a b\nConcat r 2 1 a b out0 0=-1", b""),
    "concat of one": ((3, 4, 8), "Concat r 1 1 in0 c 0=-2\nReLU z 1 1 c out0 0=0.1", b""),
    # -- factors and activations around layers that have an activation
    "factor behind leaky relu": (
        (3, 6, 5),
        f"{CONV} 9=2 -23310=1,0.2\nBinaryOp m 1 1 c out0 0=2 1=1 2=0.5",
        tagged(108),
    ),
    "negative factor behind relu": ((3, 6, 5), f"{CONV} 9=1\nBinaryOp m 1 1 c out0 0=2 1=1 2=-0.5", tagged(108)),
    "factor behind a clip": (
        (3, 6, 5),
        f"{CONV} 9=3 -23310=2,-0.5,0.5\nBinaryOp m 1 1 c out0 0=2 1=1 2=2.0",
        tagged(108),
    ),
    "addend behind relu": ((3, 6, 5), f"{CONV} 9=1\nBinaryOp m 1 1 c out0 0=0 1=1 2=0.5", tagged(108)),
    "relu behind relu": ((3, 6, 5), f"{CONV} 9=1\nReLU z 1 1 c out0 0=0.3", tagged(108)),
    "numbers for no activation": ((3, 6, 5), f"{CONV} -23310=1,0.2\nReLU z 1 1 c out0", tagged(108)),
    "hard swish": ((3, 6, 5), f"{CONV} 9=6 -23310=2,0.2,0.5\nBinaryOp m 1 1 c out0 0=2 1=1 2=0.5", tagged(108)),
    "factor in front of a border": (
        (3, 6, 5),
        f"BinaryOp m 1 1 in0 x 0=2 1=1 2=0.5\n{CONV.replace('in0 c', 'x out0')} 18=1.5",
        tagged(108),
    ),
    "addend in front of a border": (
        (3, 6, 5),
        f"BinaryOp m 1 1 in0 x 0=0 1=1 2=0.5\n{CONV.replace('in0 c', 'x out0')}",
        tagged(108),
    ),
    "dilation, norm without eps": (
        (3, 9, 8),
        "Convolution k 1 1 in0 c 0=4 1=3 2=2 6=108\nBatchNorm n 1 1 c out0 0=4",
        tagged(108) + raw(4) + raw(4) + positive(4) + raw(4),
    ),
    "norm, eps as a whole number": (
        (3, 6, 5),
        f"{CONV} 5=1\nBatchNorm n 1 1 c out0 0=4 1=1",
        tagged(108) + raw(4) + raw(4) + raw(4) + positive(4) + raw(4),
    ),
    "scale behind groups": (
        (4, 6, 5),
        "ConvolutionDepthWise k 1 1 in0 c 0=8 1=3 6=144 7=2\nScale s 1 1 c out0 0=8 1=1",
        tagged(144) + raw(8) + raw(8),
    ),
    "scale in front of groups": (
        (4, 6, 5),
        "Scale s 1 1 in0 c 0=4\nConvolutionDepthWise k 1 1 c out0 0=8 1=3 4=1 6=144 7=2",
        raw(4) + tagged(144),
    ),
    "scale of rows behind a matrix": (
        (5, 7),
        "InnerProduct k 1 1 in0 c 0=4 1=1 2=28\nScale s 1 1 c out0 0=5 1=1",
        tagged(28) + raw(4) + raw(5) + raw(5),
    ),
    "scale of rows in front of a matrix": (
        (5, 7),
        "Scale s 1 1 in0 c 0=5\nInnerProduct k 1 1 c out0 0=4 2=28 9=1",
        raw(5) + tagged(28),
    ),
    "scale of a vector": (
        (7,),
        "Scale s 1 1 in0 c 0=7\nInnerProduct k 1 1 c d 0=5 2=35 9=2 -23310=1,0.1\nScale t 1 1 d out0 0=5",
        raw(7) + tagged(35) + raw(5),
    ),
    "output padding": (
        (3, 4, 5),
        "Deconvolution k 1 1 in0 c 0=4 1=3 3=2 4=1 5=1 6=108 18=1\nScale s 1 1 c d 0=4 1=1\nReLU z 1 1 d out0",
        tagged(108) + raw(4) + raw(4) + raw(4),
    ),
    "transposed in groups": (
        (4, 4, 5),
        "DeconvolutionDepthWise k 1 1 in0 c 0=6 1=3 3=2 6=108 7=2\nBinaryOp m 1 1 c out0 0=2 1=1 2=0.5",
        tagged(108),
    ),
    "weights in halves": (
        (3, 6, 5),
        f"{CONV}\nScale s 1 1 c out0 0=4",
        half(108) + raw(4),
    ),
    # -- constants
    "one constant, two readers": (
        (4, 3, 5),
        "MemoryData w 0 1 v 2=4 0=1 1=1\nSplit t 1 2 v v0 v1\nConvolution k 1 1 in0 c 0=4 1=1 6=16\n"
        "BinaryOp m 2 1 c v0 d 0=2\nBinaryOp n 2 1 v1 d out0 0=1",
        raw(4) + tagged(16),
    ),
    "a constant that is dividend": (
        (4, 3, 5),
        "MemoryData w 0 1 v 2=4 0=1 1=1\nConvolution k 1 1 in0 c 0=4 1=1 6=16\nSigmoid g 1 1 c d\n"
        "BinaryOp m 2 1 v d out0 0=3",
        raw(4) + tagged(16),
    ),
    "numbers on both sides": (
        (4, 3, 5),
        "BinaryOp m 1 1 in0 c 0=7 1=1 2=0.5\nBinaryOp n 1 1 c d 0=1 1=1 2=2.0\nBinaryOp o 1 1 d e 0=3 1=1 2=-4.0\n"
        "BinaryOp p 1 1 e out0 0=8 1=1 2=3.0",
        b"",
    ),
    "scalar 0 by default": ((4, 3, 5), "BinaryOp m 1 1 in0 c 1=1\nBinaryOp n 1 1 c out0 0=4 1=1", b""),
    "weighted sum": (
        (4, 3, 5),
        "Split s 1 2 in0 a b\nEltwise r 2 1 a b c 0=1 -23301=2,0.5,-2.0\nReLU z 1 1 c out0",
        b"",
    ),
    # -- forms that only files have
    "a convolution of a vector": (
        (12,),
        "Scale s 1 1 in0 x 0=12\nConvolution k 1 1 x c 0=4 1=1 6=48\nScale t 1 1 c d 0=4 1=1\nReLU z 1 1 d out0",
        raw(12) + tagged(48) + raw(4) + raw(4),
    ),
    "a matrix product of a map": (
        (2, 3, 4),
        "Scale s 1 1 in0 x 0=2\nInnerProduct k 1 1 x c 0=5 2=120\nScale t 1 1 c d 0=5 1=1\nReLU z 1 1 d out0",
        raw(2) + tagged(120) + raw(5) + raw(5),
    ),
    "a matrix product of a map, one factor": (
        (2, 3, 4),
        "BinaryOp s 1 1 in0 x 0=2 1=1 2=0.5\nInnerProduct k 1 1 x c 0=5 2=120\nBinaryOp t 1 1 c out0 0=2 1=1 2=0.5",
        tagged(120),
    ),
    "a border of the same size": (
        (3, 6, 5),
        "BinaryOp s 1 1 in0 x 0=2 1=1 2=0.5\nConvolution k 1 1 x c 0=4 1=3 3=2 4=-233 6=108\nScale t 1 1 c d 0=4\n"
        "ReLU z 1 1 d out0",
        tagged(108) + raw(4),
    ),
    "a filter with a border of the same size": (
        (4, 6, 5),
        "ConvolutionDepthWise k 1 1 in0 out0 0=4 1=3 4=-234 6=36 7=4",
        b"\0\0\0\0" + np.ones(36, np.float32).tobytes(),
    ),
    "reshapes that keep sizes": (
        (4, 3, 5),
        "Reshape m 1 1 in0 c 0=0 1=-1\nReshape n 1 1 c d 0=0 1=3 2=-1\nReshape o 1 1 d out0 0=-1",
        b"",
    ),
    "a crop by sizes in front of a filter": (
        (4, 8, 7),
        "Crop p 1 1 in0 x 0=1 1=2 2=0 3=5 4=5 5=4\nPadding q 1 1 x c 0=1 1=1 2=1 3=1\n"
        "ConvolutionDepthWise k 1 1 c out0 0=4 1=3 6=36 7=4",
        b"\0\0\0\0" + np.ones(36, np.float32).tobytes(),
    ),
    "a vector for the channels": (
        (4, 3, 5),
        "MemoryData w 0 1 v 0=4\nConvolution k 1 1 in0 c 0=4 1=1 6=16\nBinaryOp m 2 1 c v d 0=2\nReLU z 1 1 d out0",
        raw(4) + tagged(16),
    ),
    "a vector for the rows": (
        (4, 3, 5),
        "MemoryData w 0 1 v 0=5\nConvolution k 1 1 in0 c 0=4 1=1 6=16\nBinaryOp m 2 1 v c d 0=1\nReLU z 1 1 d out0",
        raw(5) + tagged(16),
    ),
    "two limits, the second below the first": (
        (4, 3, 5),
        "Clip m 1 1 in0 c 0=0.5 1=1.0\nClip n 1 1 c out0 0=-1.0 1=0.0",
        b"",
    ),
    "a reduction of nothing but factor": (
        (4, 3, 5),
        "Split s 1 2 in0 a b\nBinaryOp q 2 1 a b c 0=2\nReduction r 1 1 c d 0=3 2=-2.0\n"
        "BinaryOp m 1 1 d out0 0=2 1=1 2=3.0",
        b"",
    ),
    # -- what looks like a filter of pictures, or like nothing
    "border of each channel": (
        (4, 6, 5),
        "Padding p 1 1 in0 c 0=1 1=1 2=1 3=1 6=4\nConvolutionDepthWise k 1 1 c out0 0=4 1=3 6=36 7=4",
        raw(4) + b"\0\0\0\0" + np.ones(36, np.float32).tobytes(),
    ),
    "border of a number": (
        (4, 6, 5),
        "Padding p 1 1 in0 c 0=1 1=1 2=1 3=1 5=0.5\nConvolutionDepthWise k 1 1 c out0 0=4 1=3 6=36 7=4",
        b"\0\0\0\0" + np.ones(36, np.float32).tobytes(),
    ),
    "mirrored border": (
        (4, 6, 5),
        "Padding p 1 1 in0 c 0=1 1=1 2=1 3=1 4=2\nConvolutionDepthWise k 1 1 c out0 0=4 1=3 6=36 7=4 9=1",
        b"\0\0\0\0" + np.ones(36, np.float32).tobytes(),
    ),
    "filter with dilation and activation": (
        (4, 7, 6),
        "ConvolutionDepthWise k 1 1 in0 out0 0=4 1=3 2=2 6=36 7=4 9=2 -23310=1,0.1",
        b"\0\0\0\0" + np.ones(36, np.float32).tobytes(),
    ),
    "limits by default": ((4, 3, 5), "Clip m 1 1 in0 c\nClip n 1 1 c out0 0=-0.5", b""),
    "reshapes": ((4, 3, 5), "Reshape m 1 1 in0 c 0=-1\nReshape n 1 1 c out0 0=5 1=12", b""),
    "slices of equal shares": (
        (4, 6, 5),
        "Slice s 1 2 in0 a b -23300=2,-233,-233 1=1\nBinaryOp m 2 1 a b out0 0=1",
        b"",
    ),
    "crop of nothing": ((4, 6, 5), "Crop p 1 1 in0 c -23309=1,0 -23310=1,-233 -23311=1,1\nReLU z 1 1 c out0", b""),
}


def written(folder: Path, shape: tuple[int, ...], text: str, data: bytes) -> Path:
    lines = [f"Input in0 0 1 in0 {INPUT[len(shape)].format(*shape)}", *text.split("\n")]
    blobs = sum(int(line.split()[3]) for line in lines)
    path = folder / "read.param"
    path.write_text("\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""]))
    path.with_suffix(".bin").write_bytes(data)
    return path


@pytest.mark.parametrize("name", NETS)
def test_a_net_that_was_read(name: str, tmp_path: Path) -> None:
    shape, text, data = NETS[name]
    path = written(tmp_path, shape, text, data)
    inputs = {"in0": RNG.standard_normal(shape).astype(np.float32)}
    expected = Net(path, path.with_suffix(".bin")).run(inputs, ["out0"])
    for target in sorted(nb.TARGETS):
        g = nb.load(path, path.with_suffix(".bin"))
        saved = tmp_path / f"{target}.param"
        nb.save(g, saved, saved.with_suffix(".bin"), target=target)
        got = Net(saved, saved.with_suffix(".bin")).run(inputs, ["out0"])
        Report(f"{name}, {target}").add_all(got, expected, 1e-5).check()


@pytest.mark.parametrize("name", NETS)
def test_its_masks_stay(name: str, tmp_path: Path) -> None:
    """Every layer does without something: so does all that is made of them."""
    shape, text, data = NETS[name]
    masked = "\n".join(f"{line} 31={64 if i % 2 else 4}" for i, line in enumerate(text.split("\n")))
    path = written(tmp_path, shape, masked, data)
    g = nb.load(path, path.with_suffix(".bin"))
    for target in sorted(nb.TARGETS):
        model = nb.compile_graph(g, target)
        lines = [line for line in model.param.splitlines()[2:] if line.split()[0] not in ("Input", "Split")]
        assert all(line.split()[-1] in ("31=4", "31=64", "31=68") for line in lines), model.param
