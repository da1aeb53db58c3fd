"""Layers of ncnn that crash, or read what is not theirs, unless their inputs are looked at first.

Without the checks a third of the refused cases ends the interpreter. The others return numbers from foreign memory, or
fail inside ncnn without saying why.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtime_nets import write_net

from runtime import LayerError, Net, ParamError

Shapes = tuple[tuple[int, ...], ...]


def net_of(folder: Path, line: str, weights: int = 0) -> Net:
    """A net of this layer alone, with inputs a, b, ... and that many weights of 0, tags among them."""
    count = int(line.split()[2])
    inputs = [f"Input in_{name} 0 1 {name}" for name in "abcdef"[:count]]
    return Net(*write_net(folder, *inputs, line, data=bytes(4 * weights)), threads=2)


def run(net: Net, shapes: Shapes) -> dict[str, np.ndarray]:
    arrays = (np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 7 for shape in shapes)
    return net.run(dict(zip("abcdef", arrays, strict=False)))


ATTENTION = "0=8 1=2 2=64"  # 8 numbers in 2 heads; 4 tags, 4 matrices and 4 biases
MHA = 4 + 4 * 64 + 4 * 8
SDPA = ((4, 5, 6), (2, 7, 6), (2, 7, 3))  # 4 heads share 2 groups
DEFORM, VOLUME, DEPTHWISE = 1 + 72, 1 + 108, 1 + 108

# (the layer, its weights, inputs that it takes, inputs that it cannot take)
LAYERS: list[tuple[str, int, Shapes, list[Shapes]]] = [
    ("LayerNorm l 1 1 a y 0=60", 120, ((8, 3, 4, 5),), [((8, 3, 4, 6),), ((8, 4, 5),), ((5,),)]),
    (f"MultiHeadAttention l 1 1 a y {ATTENTION}", MHA, ((5, 8),), [((5, 6),), ((5, 80000),), ((2, 5, 8),), ((8,),)]),
    (f"MultiHeadAttention l 2 1 a b y {ATTENTION} 3=4 4=4", 4 + 2 * 64 + 2 * 32 + 4 * 8, ((5, 8), (7, 4)),
     [((5, 8), (7, 3)), ((5, 4), (7, 4)), ((5, 8), (7, 8))]),
    (f"MultiHeadAttention l 3 1 a b c y {ATTENTION}", MHA, ((5, 8), (7, 8), (7, 8)),
     [((5, 8), (50000, 8), (7, 8)), ((5, 8), (7, 8), (7, 9)), ((5, 8), (7, 8), (1, 7, 8))]),
    (f"MultiHeadAttention l 2 1 a b y {ATTENTION} 5=1", MHA, ((5, 8), (5, 5)),
     [((500, 8), (1, 1)), ((5, 8), (3, 5, 5)), ((5, 8), (5,)), ((5, 8), (5, 4)), ((5, 8), (4, 5))]),
    (f"MultiHeadAttention l 2 1 a b y {ATTENTION} 5=1", MHA, ((5, 8), (2, 5, 5)), [((5, 8), (2, 4, 5))]),
    ("SDPA l 3 1 a b c y", 0, SDPA,
     [((2, 5, 6), (3, 7, 6), (3, 7, 3)), ((3, 5, 6), (2, 7, 6), (2, 7, 3)), ((4, 5, 4000), *SDPA[1:]),
      (SDPA[0], (2, 60000, 6), SDPA[2]), (SDPA[0], SDPA[1], (1, 7, 3)), ((6,), (6,), (6,))]),
    ("SDPA l 3 1 a b c y", 0, ((5, 6), (7, 6), (7, 3)), [((5, 6), (7, 6), (1, 1, 7, 3))]),
    ("SDPA l 4 1 a b c d y 5=1", 0, (*SDPA, (5, 7)),
     [(*SDPA, (1, 1)), (*SDPA, (7, 5)), (*SDPA, (3, 5, 7)), (*SDPA, (35,))]),
    ("SDPA l 4 1 a b c d y 5=1", 0, (*SDPA, (4, 5, 7)), [(*SDPA, (2, 5, 7))]),
    ("RotaryEmbed l 3 1 a b c y 0=0", 0, ((2, 5, 4), (6, 2), (6, 2)),
     [((1, 4000000, 4), (5, 2), (5, 2)), ((2, 5, 4), (5, 2), (1,)), ((2, 5, 4), (5, 1), (5, 1)),
      ((2, 5, 4), (5, 4), (5, 2)), ((2, 5, 5), (5, 2), (5, 2)), ((4,), (1, 2), (1, 2))]),
    ("RotaryEmbed l 3 1 a b c y 0=0", 0, ((2, 5, 4), (5, 4), (5, 4)), [((2, 5, 4), (5, 8), (5, 8))]),
    ("RotaryEmbed l 3 1 a b c y 0=1", 0, ((2, 5, 4), (5, 2), (5, 2)),
     [((1, 1, 20000000), (5, 2), (5, 2)), ((2, 5, 4), (5, 4), (5, 4))]),
    ("DeformableConv2D l 2 1 a b y 0=4 1=3 6=72", DEFORM, ((2, 6, 7), (18, 4, 5)),
     [((2, 600, 700), (2, 598, 698)), ((2, 600, 700), (18, 1, 1)), ((5000, 6, 7), (18, 4, 5)),
      ((2, 1, 1), (18, 4, 5)), ((2, 6, 7), (18, 20)), ((6, 7), (18, 4, 5))]),
    ("DeformableConv2D l 3 1 a b c y 0=4 1=3 6=72", DEFORM, ((2, 6, 7), (18, 4, 5), (9, 4, 5)),
     [((2, 600, 700), (18, 598, 698), (1, 1, 1)), ((2, 6, 7), (18, 4, 5), (9, 20))]),
    ("CopyTo l 2 1 a b y 0=1 1=2", 0, ((4, 5), (2, 3)),
     [((4, 5), (4000, 5000)), ((4, 5), (3, 3)), ((4, 5), (2, 5)), ((4, 5), (2,)), ((4, 5), (9, 2, 3))]),
    ("CopyTo l 2 1 a b y 2=1", 0, ((3, 4, 5), (2, 4, 5)), [((2, 4, 5), (2, 4, 4)), ((2, 4, 5), (900, 4, 5))]),
    ("CopyTo l 2 1 a b y 13=1", 0, ((3, 4, 5, 6), (3, 3, 5, 6)), [((3, 4, 5, 6), (3, 4, 5, 5))]),
    ("CopyTo l 2 1 a b y -23309=2,-2,1 -23311=2,0,-1", 0, ((4, 5), (2, 3)), [((4, 5), (3, 3)), ((4, 5), (2, 5))]),
    ("Convolution3D l 1 1 a y 0=2 1=3 6=108", VOLUME, ((2, 5, 6, 7),),
     [((400000, 3, 3, 3),), ((1, 5, 6, 7),), ((2, 6, 7),), ((2, 1, 6, 7),)]),
    ("ConvolutionDepthWise3D l 1 1 a y 0=4 1=3 6=108 7=4", DEPTHWISE, ((4, 5, 6, 7),),
     [((400000, 3, 3, 3),), ((1, 5, 6, 7),), ((4, 2, 6, 7),)]),
    ("Deconvolution3D l 1 1 a y 0=2 1=3 6=108", VOLUME, ((2, 5, 6, 7),), [((90000, 5, 6, 7),), ((2, 6, 7),)]),
    ("DeconvolutionDepthWise3D l 1 1 a y 0=4 1=3 6=108 7=4", DEPTHWISE, ((4, 5, 6, 7),),
     [((400000, 3, 3, 3),), ((1, 5, 6, 7),)]),
    ("Pooling3D l 1 1 a y 1=3", 0, ((2, 5, 6, 7),), [((2, 2, 6, 7),), ((2, 6, 7),)]),
    ("ROIPooling l 2 1 a b y 0=2 1=2", 0, ((2, 6, 7), (4,)), [((2, 6, 7), (1,)), ((2, 6, 7), (4, 1, 1)), ((7,), (4,))]),
    ("PSROIPooling l 2 1 a b y 0=2 1=2 3=2", 0, ((8, 6, 7), (4,)), [((8, 6, 7), (1,)), ((7, 6, 7), (4,))]),
    ("ROIAlign l 2 1 a b y 0=2 1=2", 0, ((2, 6, 7), (1, 4)), [((2, 6, 7), (1,)), ((2, 3, 6, 7), (4,))]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "weights", "good", "bad"), LAYERS, ids=[row[0] for row in LAYERS])
def test_inputs_that_do_not_fit(tmp_path: Path, line: str, weights: int, good: Shapes, bad: list[Shapes]) -> None:
    net = net_of(tmp_path, line, weights)
    for shapes in bad:
        with pytest.raises(LayerError, match=rf"layer l \({line.split()[0]}\)") as caught:
            run(net, shapes)
        assert caught.value.expected and caught.value.reason is None, "refused by us, before ncnn sees it"
        assert caught.value.got == ", ".join(str(list(shape)) for shape in shapes)
    assert np.isfinite(run(net, good)["y"]).all()


@pytest.mark.parametrize("mode", range(4))
def test_many_rows_are_pooled(tmp_path: Path, mode: int) -> None:
    """The bound is of what is padded, not of what could be with other parameters."""
    net = net_of(tmp_path, f"Pooling1D l 1 1 a y 0=1 1=1 2=2 3=1 5={mode}", 0)
    assert run(net, ((12000, 3),))["y"].shape == (12000, 2 if mode >= 2 else 3)


# Layers whose parameters no input can satisfy.
PARAMETERS = [
    ("Convolution3D l 1 1 a y 0=2 1=3 6=108 4=1 24=-3", VOLUME, ((2, 5, 6, 7),), "a bad padding of -3"),
    ("Convolution3D l 1 1 a y 0=2 1=3 6=108 4=-233 24=1", VOLUME, ((2, 5, 6, 7),), "automatic in part"),
    ("Convolution3D l 1 1 a y 0=2 1=3 6=108 4=-233 3=1 13=9", VOLUME, ((2, 8, 8, 8),), "would cut its input"),
    ("Convolution l 1 1 a y 0=3 1=3 6=54 4=1 14=-233", 1 + 54, ((2, 5, 6),), "automatic in part"),
    ("Deconvolution l 1 1 a y 0=3 1=3 6=54 4=1 14=-233", 1 + 54, ((2, 5, 6),), "automatic in part"),
    ("Deconvolution1D l 1 1 a y 0=3 1=3 6=18 4=1 15=-233", 1 + 18, ((2, 6),), "automatic in part"),
    ("Deconvolution l 1 1 a y 0=3 1=3 6=54 4=-233 20=50 21=50", 1 + 54, ((2, 5, 6),), "smaller than the size"),
    ("Deconvolution1D l 1 1 a y 0=3 1=3 6=18 4=-233 20=50", 1 + 18, ((2, 6),), "smaller than the size"),
    ("Convolution l 1 1 a y 0=3 1=3 6=54 4=-233 3=1 13=9", 1 + 54, ((2, 8, 8),), "would cut its input"),
    ("Convolution3D l 1 1 a y 0=2 1=3 6=108 2=100000000", VOLUME, ((2, 5, 6, 7),), "a bad dilation"),
    ("Convolution3D l 1 1 a y 0=2 1=1 6=4 4=65536", 1 + 4, ((2, 1, 1, 1),), "too large"),
    ("Deconvolution3D l 1 1 a y 0=2 1=3 6=108 4=100", VOLUME, ((2, 5, 6, 7),), "an impossible size of -191"),
    ("Deconvolution3D l 1 1 a y 0=2 1=3 6=108 18=-100", VOLUME, ((2, 5, 6, 7),), "a bad output padding"),
    ("Deconvolution3D l 1 1 a y 0=2 1=3 6=108 4=-233 25=1000", VOLUME, ((2, 5, 6, 7),), "smaller than the size"),
    ("Deconvolution3D l 1 1 a y 0=4 1=1 6=4 3=65536", 1 + 4, ((1, 3000, 3000, 2),), "too large"),
    ("DeformableConv2D l 2 1 a b y 0=4 1=3 6=72 4=-233", DEFORM, ((2, 6, 7), (18, 4, 5)), "an automatic padding"),
    ("Pooling3D l 1 1 a y 1=2 3=3 23=-3", 0, ((2, 5, 6, 7),), "a bad padding of -3"),
    ("Pooling3D l 1 1 a y 1=2 2=2000000000", 0, ((2, 5, 6, 7),), "too large"),
    ("Pooling3D l 1 1 a y 1=1 5=2 21=3 2=2 22=1", 0, ((2, 4, 4, 4),), "would cut its input"),
    ("Pooling3D l 1 1 a y 7=1 8=2000 18=1 28=1", 0, ((1, 1, 1, 2000000),), "too large"),
    ("ROIPooling l 2 1 a b y 0=-2 1=-2", 0, ((2, 6, 7), (4,)), "an impossible size of -2 by -2"),
    ("PSROIPooling l 2 1 a b y 0=65536 1=65536 3=65536", 0, ((8, 6, 7), (4,)), "an impossible size"),
    ("CopyTo l 2 1 a b y 0=100000000", 0, ((4, 5), (2, 3)), "reaches outside"),
    ("CopyTo l 2 1 a b y 1=-10000000", 0, ((4, 5), (2, 3)), "reaches outside"),
    ("CopyTo l 2 1 a b y -23309=1,1", 0, ((2, 4, 5), (1, 2, 3)), "too few starts; expected 3"),
    ("CopyTo l 2 1 a b y -23309=1,0 -23311=1,3", 0, ((4, 5), (2, 3)), "starts along axis 3"),
]


@pytest.mark.parametrize(("line", "weights", "shapes", "says"), PARAMETERS, ids=[row[0] for row in PARAMETERS])
def test_parameters_that_do_not_fit(tmp_path: Path, line: str, weights: int, shapes: Shapes, says: str) -> None:
    with pytest.raises(LayerError, match=says) as caught:
        run(net_of(tmp_path, line, weights), shapes)
    assert caught.value.expected and caught.value.reason is None, "refused by us, before ncnn sees it"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"MultiHeadAttention l 1 1 a y {ATTENTION} 5=1", "takes 2 to 4 inputs and makes 1 outputs"),
        (f"MultiHeadAttention l 4 1 a b c d y {ATTENTION}", "takes 1 to 3 inputs"),
        (f"MultiHeadAttention l 1 3 a y u v {ATTENTION}", "the line has 1 and 3"),
        (f"MultiHeadAttention l 3 3 a b c y u v {ATTENTION} 7=1", "keeps keys and values"),
        (f"MultiHeadAttention l 1 1 a y {ATTENTION} 7=1", "keeps keys and values"),
        ("SDPA l 3 1 a b c y 5=1", "takes 4 inputs and makes 1 outputs"),
        ("SDPA l 4 1 a b c d y", "takes 3 inputs"),
        ("SDPA l 5 3 a b c d e y u v 7=1", "keeps keys and values"),
        ("SDPA l 3 1 a b c y 7=1", "keeps keys and values"),
    ],
)
def test_attention_with_the_wrong_inputs_is_not_loaded(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(ParamError, match=rf"layer l \({line.split()[0]}\).*{says}"):
        net_of(tmp_path, line, MHA)


# ROIAlign looks where the values of its second input say.

ALIGN = "ROIAlign l 2 1 a b y 0=2 1=3"
INSIDE = [[0, 0, 7, 6], [1, 1, 3, 3], [-0.5, 0, 6.5, 6], [6, 5, 6, 5], [5, 4, 1, 1]]
OUTSIDE = [[0, 0, 700, 6], [0, 0, 7, 1e9], [-1e9, 0, 7, 6], [0, 0, 3e38, 6], [0, -500, 7, 500], [0, 0, 7, np.inf]]


@pytest.mark.parametrize("roi", INSIDE)
@pytest.mark.parametrize("keys", ["", " 4=1", " 3=2", " 5=1", " 5=1 4=1 3=2"])
def test_a_region_inside_its_picture(tmp_path: Path, roi: list[float], keys: str) -> None:
    # Each number is its row and column, so that what a bin averages tells where it looked.
    rows, columns = np.mgrid[:6, :7]
    y = net_of(tmp_path, ALIGN + keys).run({"a": np.stack([rows, columns]), "b": np.array(roi)})["y"]
    assert y.shape == (2, 3, 2) and (y >= 0).all() and (y[0] <= 5).all() and (y[1] <= 6).all()


@pytest.mark.parametrize("roi", OUTSIDE)
@pytest.mark.parametrize("keys", [" 3=2", " 3=2 4=1"])
def test_a_region_outside_its_picture(tmp_path: Path, roi: list[float], keys: str) -> None:
    net = net_of(tmp_path, ALIGN + keys)
    with pytest.raises(LayerError, match=r"layer l \(ROIAlign\): its region reaches outside its input"):
        net.run({"a": np.ones((2, 6, 7)), "b": np.array(roi)})


@pytest.mark.parametrize("keys", [" 5=1", " 3=100000"])
def test_a_region_of_too_many_samples(tmp_path: Path, keys: str) -> None:
    with pytest.raises(LayerError, match="too many samples"):
        net_of(tmp_path, ALIGN + keys).run(
            {"a": np.ones((2, 6, 7)), "b": np.array([0, 0, 5, 5]) * 1e4 ** ("5=1" in keys)}
        )


def test_a_region_is_scaled(tmp_path: Path) -> None:
    net = net_of(tmp_path, f"{ALIGN} 2=6.25000000e-02 3=2")
    picture = {"a": np.ones((2, 6, 7))}
    np.testing.assert_array_equal(net.run({**picture, "b": np.array([0, 0, 112, 96])})["y"], np.ones((2, 3, 2)))
    with pytest.raises(LayerError, match="reaches outside"):
        net.run({**picture, "b": np.array([0, 0, 1120, 96])})
