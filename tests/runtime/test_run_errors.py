"""What a net refuses to run: bad arrays, unknown blobs, layers that would read outside their inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtime_nets import param_text, raw, tagged, write_net

from runtime import BlobError, InputError, LayerError, NcnnError, Net, OptionError

ONES = np.ones


@pytest.fixture
def net(tmp_path: Path) -> Net:
    return Net(*write_net(tmp_path, "Input in 0 1 x 0=7 1=5 2=3", "Square square 1 1 x pixels"))


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "no value is given for input 'x'"),
        ({"x": ONES((3, 5, 7)), "u": ONES(1)}, "the net has no input 'u'; expected x"),
        ({"x": ONES((3, 7, 5))}, r"wrong shape; expected \[3, 5, 7\]; got \[3, 7, 5\]"),
        ({"x": ONES(105)}, r"wrong shape.*got \[105\]"),
        ({"x": ONES((1, 1, 3, 5, 7))}, r"wrong number of dimensions; expected 1 to 4"),
        ({"x": np.float32(1)}, "no dimensions"),
        ({"x": np.full((3, 5, 7), np.nan)}, "holds NaN; expected numbers; got NaN at element 0 of 105"),
        ({"x": ONES((3, 5, 7)) * 1j}, "real numbers; got complex128"),
        ({"x": np.full((3, 5, 7), None)}, "real numbers; got object"),
        ({"x": np.full((3, 5, 7), "1")}, "real numbers"),
        ({"x": [[1, 2], [3]]}, "cannot be made into an array"),
        ({"x": np.full((3, 5, 7), 1e300)}, "too large for float32"),
    ],
)
def test_bad_inputs(net: Net, inputs: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        net.run(inputs)


@pytest.mark.parametrize("inputs", [None, [ONES((3, 5, 7))], "x", {3: ONES((3, 5, 7))}])
def test_inputs_that_are_no_dict(net: Net, inputs: object) -> None:
    with pytest.raises(InputError, match="inputs must be a dict from names to arrays"):
        net.run(inputs)


def test_empty_inputs(tmp_path: Path) -> None:
    free = Net(*write_net(tmp_path, "Input in 0 1 x", "Square square 1 1 x y"))
    for shape in [(0,), (3, 0), (2, 0, 4)]:
        with pytest.raises(InputError, match="is empty"):
            free.run({"x": np.zeros(shape)})
    with pytest.raises(InputError, match="wrong number of dimensions"):
        free.run({"x": np.zeros((1, 1, 1, 1, 0))})


def test_infinity_is_a_number(net: Net) -> None:
    assert np.isinf(net.run({"x": np.full((3, 5, 7), -np.inf)})["pixels"]).all()


def test_unknown_blobs(net: Net) -> None:
    x = {"x": ONES((3, 5, 7))}
    with pytest.raises(BlobError, match=r"'pixel'.*inputs: x; outputs: pixels. Did you mean pixels?"):
        net.run(x, ["pixel"])
    with pytest.raises(BlobError, match="no blob is called 'zzzzzz'") as caught:
        net.run(x, ["zzzzzz"])
    assert caught.value.fix is None
    for outputs in (3, [3], ["pixels", None], b"pixels"):
        with pytest.raises(BlobError, match="outputs must be a list of names"):
            net.run(x, outputs)
    with pytest.raises(BlobError, match="a list of names"):
        net.run(x, "pixels")
    assert net.run(x, []) == {}


@pytest.mark.parametrize("threads", [0, -1, 100000, True, np.True_, 1.5, "2", np.float64(2), np.int64(0), ONES((3, 3))])
def test_bad_threads(tmp_path: Path, threads: object) -> None:
    with pytest.raises(OptionError, match="a bad number of threads; expected 1 to 1024; got ") as caught:
        Net(*write_net(tmp_path, "Input in 0 1 x", "Square square 1 1 x y"), threads=threads)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("threads", [np.int64(2), np.uint8(2)])
def test_threads_of_numpy(tmp_path: Path, threads: int) -> None:
    assert Net(*write_net(tmp_path, "Input in 0 1 x", "Square square 1 1 x y"), threads=threads).threads == 2


def weights(*counts: int) -> bytes:
    return b"".join(tagged(ONES(n)) if i == 0 else raw(ONES(n)) for i, n in enumerate(counts))


# (layer, its weights, a shape that it takes, shapes that it cannot take)
CHANNELS = [
    ("Convolution l 1 1 x y 0=4 1=3 5=1 6=108", weights(108, 4), (3, 5, 6), [(4, 5, 6), (2, 5, 6), (3, 2, 6), (3, 30)]),
    ("Convolution l 1 1 x y 0=4 1=1 6=12", weights(12), (3,), [(4,), (2, 3)]),
    ("ConvolutionDepthWise l 1 1 x y 0=4 1=3 6=36 7=4", weights(36), (4, 5, 6), [(3, 5, 6), (8, 5, 6)]),
    ("Deconvolution l 1 1 x y 0=4 1=3 3=2 6=108", weights(108), (3, 5, 6), [(4, 5, 6), (3, 5)]),
    ("DeconvolutionDepthWise l 1 1 x y 0=4 1=3 6=36 7=4", weights(36), (4, 5, 6), [(2, 5, 6)]),
    ("Convolution1D l 1 1 x y 0=4 1=3 6=36", weights(36), (3, 9), [(4, 9), (3, 2), (3, 3, 3)]),
    ("InnerProduct l 1 1 x y 0=4 1=1 2=24", weights(24, 4), (6,), [(7,), (5,), (2, 2, 2)]),
    ("BatchNorm l 1 1 x y 0=3", raw(ONES(12)), (3, 4, 4), [(4, 4, 4), (2, 3), (1,)]),
    ("Scale l 1 1 x y 0=3", raw(ONES(3)), (3, 4, 4), [(4, 4, 4)]),
    ("PReLU l 1 1 x y 0=3", raw(ONES(3)), (3, 4, 4), [(4, 4, 4)]),
    ("Bias l 1 1 x y 0=3", raw(ONES(3)), (3, 4, 4), [(4, 4, 4)]),
    ("InstanceNorm l 1 1 x y 0=3", raw(ONES(6)), (3, 4, 4), [(4, 4, 4)]),
    ("GroupNorm l 1 1 x y 0=2 1=4", raw(ONES(8)), (4, 3, 3), [(6, 3, 3)]),
    ("LayerNorm l 1 1 x y 0=5", raw(ONES(10)), (3, 5), [(3, 6), (5, 3)]),
    ("LSTM l 1 1 x y 0=2 1=24", weights(24) + weights(8) + weights(16), (4, 3), [(4, 5), (4, 3, 1)]),
    ("PixelShuffle l 1 1 x y 0=2", b"", (8, 3, 3), [(6, 3, 3), (8, 3)]),
    ("ShuffleChannel l 1 1 x y 0=2", b"", (4, 3, 3), [(3, 3, 3)]),
    ("Pooling l 1 1 x y 0=0 1=3 5=1", b"", (2, 4, 4), [(2, 2, 4), (4, 4)]),
    ("Reshape l 1 1 x y 0=-1 1=4", b"", (3, 4), [(3, 5), (7,)]),
    ("Reshape l 1 1 x y 0=3 1=4", b"", (12,), [(13,), (11,)]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "data", "good", "bad"), CHANNELS, ids=[row[0].split()[0] for row in CHANNELS])
def test_a_wrong_shape_is_refused_before_the_layer_reads(
    tmp_path: Path, line: str, data: bytes, good: tuple[int, ...], bad: list[tuple[int, ...]]
) -> None:
    net = Net(*write_net(tmp_path, "Input in 0 1 x", line, data=data))
    assert np.isfinite(net.run({"x": ONES(good)})["y"]).all()
    for shape in bad:
        with pytest.raises(LayerError, match=r"net.param:4: layer l \(") as caught:
            net.run({"x": ONES(shape)})
        assert caught.value.layer == "l" and str(list(shape)) in str(caught.value)
    net.run({"x": ONES(good)})


TWO = [
    ("BinaryOp l 2 1 a b y 0=0", ((3, 4), (3, 4)), ((3, 4), (3, 5))),
    ("BinaryOp l 2 1 a b y 0=2", ((2, 3, 4), (2, 1, 1)), ((2, 3, 4), (3, 1, 1))),
    ("BinaryOp l 2 1 a b y 0=2", ((2, 3, 4), (2,)), ((2, 3, 4), (3,))),
    ("Eltwise l 2 1 a b y 0=1", ((3, 4), (3, 4)), ((3, 4), (4, 3))),
    ("Concat l 2 1 a b y 0=0", ((3, 4), (5, 4)), ((3, 4), (3, 5))),
    ("Concat l 2 1 a b y 0=1", ((3, 4), (3, 5)), ((3, 4), (3,))),
    ("MatMul l 2 1 a b y 0=0", ((3, 4), (4, 2)), ((3, 4), (3, 2))),
    ("Gemm l 2 1 a b y", ((3, 4), (4, 2)), ((3, 4), (5, 2))),
    ("Convolution l 2 1 a b y 0=0 1=0 19=1", ((2, 5, 5), (3, 2, 3, 3)), ((4, 5, 5), (3, 2, 3, 3))),
    ("Deconvolution l 2 1 a b y 0=0 1=0 28=1", ((2, 5, 5), (2, 3, 3, 3)), ((3, 5, 5), (2, 3, 3, 3))),
]


@pytest.mark.parametrize(("line", "good", "bad"), TWO)
def test_inputs_that_do_not_fit_each_other(
    tmp_path: Path, line: str, good: tuple[tuple[int, ...], ...], bad: tuple[tuple[int, ...], ...]
) -> None:
    net = Net(*write_net(tmp_path, "Input in_a 0 1 a", "Input in_b 0 1 b", line))
    assert net.run({"a": ONES(good[0]), "b": ONES(good[1])})["y"].size
    with pytest.raises(LayerError, match=r"net.param:5: layer l"):
        net.run({"a": ONES(bad[0]), "b": ONES(bad[1])})


def test_a_slice_beyond_its_input(tmp_path: Path) -> None:
    net = Net(*write_net(tmp_path, "Input in 0 1 x", "Slice l 1 2 x a b -23300=2,3,-233 1=0"))
    assert net.run({"x": ONES(5)})["b"].shape == (2,)
    with pytest.raises(LayerError, match="reaches outside"):
        net.run({"x": ONES(3)})


def test_a_custom_layer_says_why(tmp_path: Path) -> None:
    net = Net(*write_net(tmp_path, "Input in_a 0 1 a", "Input in_b 0 1 b", "Input in_t 0 1 t",
                         "Lerp mix 3 1 a b t y"))  # fmt: skip
    np.testing.assert_allclose(net.run({"a": [0, 0], "b": [2, 4], "t": [0.5]})["y"], [1, 2])
    with pytest.raises(LayerError, match=r"net.param:6: layer mix \(Lerp\).*\[2\], \[3\]") as caught:
        net.run({"a": [0, 0], "b": [1, 2, 3], "t": [0.5]})
    assert caught.value.reason
    assert caught.value.reason.startswith("Lerp mix")


def test_a_failure_leaves_the_net_usable_and_stderr_empty(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = Net(*write_net(tmp_path, "Input in 0 1 x", "Interp up 1 1 x y 0=1 1=1.00000000e+05 2=1.00000000e+05"))
    with pytest.raises(LayerError, match="layer up"):
        net.run({"x": ONES((3, 200, 200))})
    assert net.memory[1] == 0
    assert capfd.readouterr() == ("", "")


def test_numbers_of_other_sizes_do_not_reach_float_layers(tmp_path: Path) -> None:
    files = write_net(tmp_path, "Input in 0 1 x", "Quantize q 1 1 x i 0=1", "Square s 1 1 i y", data=raw(ONES(1)))
    with pytest.raises(LayerError, match="8-bit numbers; expected float32"):
        Net(*files).run({"x": ONES((2, 3, 4))})


def test_errors_keep_their_parts(tmp_path: Path) -> None:
    param, bin_ = write_net(tmp_path, "Input in 0 1 x")
    param.write_text(param_text("Input in 0 1 x").replace("Input", "Nope"))
    with pytest.raises(NcnnError) as caught:
        Net(param, bin_)
    error = caught.value
    assert (error.file, error.line, error.layer, error.layer_type) == (str(param), 3, "in", "Nope")
    assert str(error).startswith(f"{param}:3: layer in (Nope): unknown layer type")
