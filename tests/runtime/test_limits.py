"""Nets of a few lines that ended the interpreter, ran for ever, or wrote into other blobs: each is refused by name.

What they share is that ncnn believes what a file says of sizes, axes and weights. Limits of the op's declaration stand
before it (ncnn_builder/limits.py), at load where they are about the file alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import raw, tagged, write_net

from runtime import LayerError, Net, ParamError
from runtime.errors import NcnnError, WeightsError

Shape = tuple[int, ...]
INT8 = b"\x38\x4b\x0d\x00"


def net_of(folder: Path, line: str, data: bytes = b"") -> Net:
    inputs = [f"Input in_{name} 0 1 {name}" for name in "abcdef"[: int(line.split()[2])]]
    return Net(*write_net(folder, *inputs, line, data=data), threads=2)


def run(net: Net, *shapes: Shape) -> dict[str, np.ndarray]:
    return net.run({n: np.ones(s, np.float32) for n, s in zip("abcdef", shapes, strict=False)})


# What no input can satisfy: (the layer, its weights, what is expected)
AT_LOAD = [
    ("MemoryData l 0 1 y 0=65536 1=65536", bytes(64), "max(w, 1) * max(h, 1)"),
    ("MemoryData l 0 1 y 0=2147483647 1=2147483647 2=4", bytes(64), "<= int_max"),
    ("MemoryData l 0 1 y 0=-4 1=-4", bytes(64), "min(w, h, c, d) >= 0"),
    ("Gemm l 1 1 a y 5=1 7=1 8=65536 9=65536", bytes(64), "max(constant_n, 1) * max(constant_k, 1)"),
    ("Gemm l 1 1 a y 4=3 7=2 8=2 9=2", bytes(64), "constant_a in (0, 1)"),
    ("Gemm l 1 1 a y 5=-1 7=2 8=2 9=2", bytes(64), "constant_b in (0, 1)"),
    ("Scale l 2 1 a b y 0=-233 1=1", b"", "size != -233 or bias_term == 0"),
    ("Embed l 1 1 a y 0=4 1=1000000 3=8", tagged(np.ones(8)), "weight_data_size == num_output * input_dim"),
    ("LRN l 1 1 a y 0=0 1=2147483647", b"", "1 <= local_size <= 65535"),
    ("LRN l 1 1 a y 0=1 1=0", b"", "1 <= local_size"),
    ("Spectrogram l 1 1 a y 0=2147483647", b"", "1 <= n_fft"),
    ("Spectrogram l 1 1 a y 0=3", b"", "hoplen >= 1"),
    ("Fold l 1 1 a y 1=3 2=100000 20=8", b"", "1 <= dilation_w <= 65536"),
    ("PriorBox l 1 1 a y -23300=1,1.00000000e+00 9=-233 10=-233", b"", "len(aspect_ratios) >= 1"),
    ("PriorBox l 1 1 a y -23300=1,1.00000000e+00 9=-233", b"", "len(inputs) == 2"),
    ("DetectionOutput l 3 1 a b c y 0=0", b"", "num_class == -233 or num_class >= 1"),
    ("Proposal l 3 1 a b c y 3=-5", b"", "after_nms_topN >= 1"),
    ("Cast l 1 1 a y 0=2 1=3", b"", "type_from"),
    ("Dequantize l 1 1 a y 0=-1", b"", "scale_data_size >= 1"),
    ("GroupNorm l 1 1 a y 0=3 1=8", bytes(64), "channels % group == 0"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "data", "expected"), AT_LOAD, ids=[row[0] for row in AT_LOAD])
def test_parameters_that_no_input_fits(tmp_path: Path, line: str, data: bytes, expected: str) -> None:
    with pytest.raises(ParamError, match=rf"layer l \({line.split()[0]}\)") as caught:
        net_of(tmp_path, line, data)
    assert expected in str(caught.value) and caught.value.got


DETECT = "DetectionOutput l 3 1 a b c y 0=2 4=2.0"
PROPOSE = ((18, 3, 4), (36, 3, 4), (3,))
RESIZE = "Interp l 1 1 a y 0=2"

# (the layer, its weights, inputs that it takes, inputs that it cannot take)
AT_RUN: list[tuple[str, bytes, tuple[Shape, ...], list[tuple[Shape, ...]]]] = [
    ("Fold l 1 1 a y 1=1 11=2 20=1 21=2", b"", ((2, 1),), [((2, 40),), ((3, 1),), ((2, 2, 1),)]),
    ("Unfold l 1 1 a y 1=3", b"", ((2, 3, 4),), [((2, 2, 4),), ((1, 2, 3, 4),)]),
    ("Spectrogram l 1 1 a y 0=8 5=0", b"", ((8,),), [((7,),), ((2, 8),)]),
    ("Spectrogram l 1 1 a y 0=8", b"", ((5,),), [((4,),)]),
    ("InverseSpectrogram l 1 1 a y 0=8", b"", ((5, 4, 2),), [((4, 4, 2),), ((5, 4, 1),), ((5, 1, 2),), ((5, 8),)]),
    ("Reduction l 1 1 a y 0=0 1=0 -23303=2,0,2 5=1", b"", ((2, 3, 4),), [((3, 4),)]),
    ("Reduction l 1 1 a y 0=0 1=0 -23303=1,-3 5=1", b"", ((2, 3, 4),), [((3, 4),)]),
    ("Flip l 1 1 a y -23300=1,-4", b"", ((2, 2, 3, 4),), [((3, 4),), ((2, 3, 4),)]),
    (DETECT, b"", ((8,), (4,), (2, 8)), [((7,), (4,), (2, 8)), ((8,), (3,), (2, 8)), ((8,), (4,), (1, 8))]),
    ("Proposal l 3 1 a b c y 5=0", b"", PROPOSE,
     [((17, 3, 4), *PROPOSE[1:]), (PROPOSE[0], (35, 3, 4), (3,)), (PROPOSE[0], (36, 3, 3), (3,)),
      (*PROPOSE[:2], (2,))]),
    ("Einsum l 2 1 a b y -23300=9,105,107,44,107,106,45,62,105,106", b"", ((2, 3), (3, 2)),
     [((2, 3), (2, 2)), ((2,), (3, 2)), ((1, 2, 3), (3, 2))]),
    ("Einsum l 1 1 a y -23300=2,105,105", b"", ((3, 3),), [((3, 4),), ((3,),), ((1, 3, 3),)]),
    (f"{RESIZE} 9=\"*(0w,2),0h\"", b"", ((2, 3, 4),), [((2, 2, 3, 4),)]),
    ("Interp l 1 1 a y 3=3 4=4", b"", ((2, 3, 4),), [((2, 3, 5),)]),
    ("Crop l 1 1 a y -23309=1,1 -23310=1,3 -23311=1,0", b"", ((5,),), [((1,),)]),
    ("Crop l 1 1 a y -23309=1,1 -23310=1,3", b"", ((5,),), [((5, 5),)]),
    ("Crop l 1 1 a y 0=3 3=2", b"", ((6,),), [((3,),)]),
    ("Crop l 2 1 a b y 0=1", b"", ((4, 5), (4, 2)), [((4, 5), (4, 5000)), ((4, 5), (5, 2))]),
    ("Tile l 1 1 a y 0=0 1=65536", b"", ((3,),), [((65536,),)]),
    ("GridSample l 2 1 a b y 0=1 1=1", b"", ((2, 3, 4), (2, 2, 2)), [((2, 3, 4), (2, 2, 1)), ((2, 3, 4), (4, 2))]),
    ("Softmax l 1 1 a y 0=2 1=1", b"", ((2, 3, 4),), [((3, 4),)]),
    ("Permute l 1 1 a y 0=3", b"", ((2, 3, 4),), [((3, 4),)]),
    ("Pooling1D l 1 1 a y 1=3", b"", ((2, 3),), [((2, 2),), ((1, 2, 3),)]),
    ("Gemm l 2 1 a b y", b"", ((2, 3), (3, 2)), [((3,), (3, 2)), ((8,), (8, 2))]),
    ("Reorg l 1 1 a y 0=2", b"", ((1, 2, 2),), [((1, 1, 2),)]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "data", "good", "bad"), AT_RUN, ids=[row[0] for row in AT_RUN])
def test_inputs_that_do_not_fit(
    tmp_path: Path, line: str, data: bytes, good: tuple[Shape, ...], bad: list[tuple[Shape, ...]]
) -> None:
    net = net_of(tmp_path, line, data)
    for shapes in bad:
        with pytest.raises(LayerError, match=rf"layer l \({line.split()[0]}\)") as caught:
            run(net, *shapes)
        assert caught.value.expected, "refused by us, before ncnn sees it"
        assert caught.value.got == ", ".join(str(list(shape)) for shape in shapes)
    run(net, *good)


EXPRESSIONS = ['"1w,0h"', '"//(0w,0),0h"', '"+"', '"*(0w)"', '"//(-2147483648,-1),1"', '"w0"', '"-(0w,9),1"', '"()"',
               '"0w,0h,0c"', '"*(0w,1000000),*(0h,1000000)"']  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_that_have_no_value(tmp_path: Path, expression: str) -> None:
    with pytest.raises(NcnnError, match=r"layer l \(Interp\)"):
        run(net_of(tmp_path, f"{RESIZE} 9={expression}"), (2, 3, 4))


def test_expressions_that_have_one(tmp_path: Path) -> None:
    assert run(net_of(tmp_path, f'{RESIZE} 9="*(0w,2),//(0h,2)"'), (2, 3, 4))["y"].shape == (2, 1, 8)
    assert run(net_of(tmp_path, 'Reshape l 1 1 a y 6="*(0w,0h),0c"'), (2, 3, 4))["y"].shape == (2, 12)
    crop = 'Crop l 1 1 a y 19="1" 20="-(0w,1)" 21="2"'
    assert run(net_of(tmp_path, crop), (2, 3, 4))["y"].shape == (2, 3, 2)


@pytest.mark.parametrize("parameter", ["2=2", "2=2.0", "2=1000000"])
def test_a_float_that_is_written_as_an_integer_is_that_number(tmp_path: Path, parameter: str) -> None:
    net = net_of(tmp_path, f"ROIAlign l 2 1 a b y 0=2 1=2 {parameter} 3=2")
    with pytest.raises(LayerError, match="its region reaches outside its input"):
        net.run({"a": np.ones((2, 6, 7)), "b": np.array([0, 0, 6, 5], np.float32)})


def test_an_integer_that_is_written_as_a_float_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParamError, match=r"num_output >= 1.*got num_output=4"):
        net_of(tmp_path, "InnerProduct l 1 1 a y 0=4.0 2=8", tagged(np.ones(8)))


@pytest.mark.parametrize(
    ("line", "count"),
    [("InnerProduct l 1 1 a y 0=4 2=64", 64), ("Convolution l 1 1 a y 0=4 1=1 6=64", 64),
     ("Deconvolution l 1 1 a y 0=4 1=1 6=64", 64), ("Embed l 1 1 a y 0=8 1=8 3=64", 64),
     ("Gemm l 1 1 a y 3=1 5=1 7=1 8=8 9=8", 64)],
)  # fmt: skip
def test_int8_weights_without_scales(tmp_path: Path, line: str, count: int) -> None:
    with pytest.raises(WeightsError, match=r"layer l \(\w+\): a weight is int8, and the layer has no scales"):
        net_of(tmp_path, line, INT8 + bytes(count))


def test_int8_weights_with_scales(tmp_path: Path) -> None:
    data = INT8 + np.full(8, 64, np.int8).tobytes() + raw(np.full(2, 64.0)) + raw(np.full(1, 32.0))
    y = run(net_of(tmp_path, "InnerProduct l 1 1 a y 0=2 2=8 8=2", data), (4,))["y"]
    np.testing.assert_allclose(y, [4, 4], rtol=0.05)


@pytest.mark.parametrize(
    "line",
    ["Dequantize l 1 1 q y 0=1", "Concat l 1 1 q y 0=0", "Slice l 1 1 q y -23300=1,-233", "Permute l 1 1 q y 0=1",
     "Reshape l 1 1 q y 0=-1", "Crop l 1 1 q y 0=1 3=-233"],
)  # fmt: skip
def test_eight_bits_where_ncnn_takes_them_for_more(tmp_path: Path, line: str) -> None:
    lines = ["Input in 0 1 a", "Quantize q 1 1 a q 0=1", line]
    net = Net(*write_net(tmp_path, *lines, data=raw(np.ones(2 if "Dequantize" in line else 1))), threads=1)
    with pytest.raises(LayerError, match=r"layer l .*x.bits"):
        net.run({"a": np.ones((8, 16), np.float32)})


def test_a_file_alone_changes_no_other_blob(tmp_path: Path) -> None:
    lines = ["Input i1 0 1 b", "Input i2 0 1 a", "BinaryOp B 1 1 b v 0=0 1=1 2=0.000000e+00"]
    for far in (16, 16384, 16416):
        with pytest.raises(NcnnError, match=r"layer F \(Fold\)"):
            net = Net(
                *write_net(tmp_path, *lines, f"Fold F 1 1 a y 1=1 11=2 12={far} 13={far + 1} 20=1 21=1"), threads=1
            )
            net.run({"b": np.ones(16), "a": np.array([[1], [1e6]])})


def test_what_ncnn_runs_is_run(tmp_path: Path) -> None:
    """Forms that limits are near to, and must let pass."""
    forms: list[tuple[str, bytes, Any, Shape]] = [
        ("LRN l 1 1 a y 0=0 1=101", b"", (3, 4, 5), (3, 4, 5)),
        ("Softmax l 1 1 a y 0=2 1=1", b"", (5,), (5,)),
        ("Reduction l 1 1 a y 0=0 1=1 -23303=1,3 5=1", b"", (2, 3), (1,)),
        ("Tile l 1 1 a y -23302=3,2,1,2", b"", (3, 4), (2, 3, 8)),
        ("Reshape l 1 1 a y 0=0 1=-1", b"", (2, 3, 4), (6, 4)),
        ("Unfold l 1 1 a y 1=3 4=-233", b"", (2, 4, 4), (18, 16)),
        ("Padding l 1 1 a y 0=1 4=0 5=1", b"", (3, 4), (4, 4)),
        ("Crop l 1 1 a y 0=1 1=1 3=-233 4=2 5=-233", b"", (2, 5, 5), (2, 2, 4)),
        ("ExpandDims l 1 1 a y", b"", (3, 4), (3, 4)),
    ]
    for line, data, given, expected in forms:
        assert run(net_of(tmp_path, line, data), given)["y"].shape == expected, line
