"""Every type of layer that ncnn runs in int8: ncnn's numbers are those of a model in whole numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from int8_model import predicted
from net_files import floats, lines_of, net_files
from precision_nets import TAG, all_int8, convolutions, samples

from ncnn_builder.emit.foreign import QUANTISED
from ncnn_builder.precision.int8 import as_blocks, as_int8, can_be_blocks, can_be_int8
from ncnn_builder.precision.net_files import loaded, ran, read_net_files
from ncnn_builder.precision.plan import handed_on

RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def weights(*parts: tuple[int, int]) -> bytes:
    """Each (numbers, 1 where a tag stands before them)."""
    return b"".join((TAG if tagged else b"") + floats(normal(count) / 3) for count, tagged in parts)


CASES: dict[str, tuple[str, bytes, np.ndarray, float]] = {
    # the layer, its weights, its input, what the largest difference may be beside the largest magnitude
    "Convolution 1x1": ("Convolution q 1 1 x y 0=12 1=1 5=1 6=60", weights((60, 1), (12, 0)), normal(5, 6, 7), 1e-6),
    "Convolution 3x3 stride 2": (
        "Convolution q 1 1 x y 0=12 1=3 3=2 4=1 5=1 6=540", weights((540, 1), (12, 0)), normal(5, 9, 7), 1e-6),
    "Convolution by Winograd": (
        "Convolution q 1 1 x y 0=16 1=3 4=1 5=1 6=1728", weights((1728, 1), (16, 0)), normal(12, 9, 7), 1e-6),
    "ConvolutionDepthWise 3x3": (
        "ConvolutionDepthWise q 1 1 x y 0=6 1=3 4=1 5=1 6=54 7=6", weights((54, 1), (6, 0)), normal(6, 9, 7), 1e-6),
    # ncnn takes _mm_rcp_ps for 1 / scale where it packs eight channels: 12 bits
    "ConvolutionDepthWise 5x5 packed": (
        "ConvolutionDepthWise q 1 1 x y 0=8 1=5 4=2 5=1 6=200 7=8", weights((200, 1), (8, 0)), normal(8, 9, 7), 5e-4),
    "ConvolutionDepthWise of groups": (
        "ConvolutionDepthWise q 1 1 x y 0=6 1=3 4=1 5=1 6=108 7=3", weights((108, 1), (6, 0)), normal(6, 9, 7), 1e-6),
    "InnerProduct": ("InnerProduct q 1 1 x y 0=9 1=1 2=207", weights((207, 1), (9, 0)), normal(23), 1e-6),
    "Gemm": (
        "Gemm q 1 1 x y 3=1 4=0 5=1 6=1 7=0 8=9 9=75 10=4", weights((675, 1), (9, 1)), normal(7, 75), 1e-5),
    "Embed": ("Embed q 1 1 x y 0=9 1=20 2=0 3=180", weights((180, 1)), np.arange(5) * 3, 1e-6),
    "RNN": ("RNN q 1 1 x y 0=8 1=40", weights((40, 1), (8, 1), (64, 1)), normal(6, 5), 3e-3),
    "GRU": ("GRU q 1 1 x y 0=8 1=120", weights((120, 1), (32, 1), (192, 1)), normal(6, 5), 3e-3),
    "LSTM": ("LSTM q 1 1 x y 0=8 1=160", weights((160, 1), (32, 1), (256, 1)), normal(6, 5), 3e-3),
    "MultiHeadAttention": (
        "MultiHeadAttention q 1 1 x y 0=8 1=2 2=64 3=8 4=8 5=0 6=5.0e-1",
        weights(*[(64, 1), (8, 0)] * 4), normal(6, 8), 1e-2),
}  # fmt: skip


def test_ncnn_computes_what_the_model_says(tmp_path: Path) -> None:
    assert {name.split()[0] for name in CASES} == set(QUANTISED)
    wrong = {}
    rows = [(name, *case, 0) for name, case in CASES.items()]
    rows += [(f"{name} in blocks", *CASES[name], bits) for name in ("Gemm", "MultiHeadAttention") for bits in (8, 6, 4)]
    for name, line, data, x, tolerance, bits in rows:
        shape = " ".join(f"{k}={n}" for k, n in zip((0, 1, 2), x.shape[::-1], strict=False))
        net = read_net_files(net_files(tmp_path, lines_of(f"Input x 0 1 x {shape}", line), data)[0])
        layer = net.layers[1]
        assert can_be_int8(layer) is None
        made = as_int8(layer, 100 / float(np.abs(x).max()))  # nothing is cut off, and not all steps are used
        if bits:
            assert can_be_blocks(layer) is None
            made = as_blocks(layer, bits, 32)
        again = read_net_files(net_files(tmp_path, *_files(net.with_layers([net.layers[0], made])))[0])
        got = ran(again, loaded(again, threads=1), {"x": x})["y"]
        expected = predicted(again.layers[1], [x])
        plain = ran(net, loaded(net, threads=1), {"x": x})["y"]
        size = np.abs(expected).max()
        found = float(np.abs(got - expected).max() / size)
        lost = float(np.abs(plain - expected).max() / size)
        if not (found <= tolerance and lost > 1e-3 and lost < (0.3 if bits == 4 else 0.1) and (found * 2 < lost)):
            wrong[name, bits] = (found, lost)
    assert wrong == {}


def _files(net: object) -> tuple[str, bytes]:
    from ncnn_builder.precision.net_files import encoded

    text, data = encoded(net)  # type: ignore[arg-type]
    return text.decode(), data


def test_handing_on_as_int8_changes_nothing_but_the_last_digits(tmp_path: Path) -> None:
    data = samples()
    net = all_int8(convolutions(tmp_path), data)
    fused = handed_on(net)
    terms = [la.params[la.spec.term] for la in fused.layers if hasattr(la.spec, "term")]  # type: ignore[attr-defined]
    assert terms == [102, 101, 102, 2, 2]
    one, other = (ran(n, loaded(n, threads=1), data[0])["out"] for n in (net, fused))
    assert np.abs(one - other).max() < 2e-3 * np.abs(one).max()
    blob = ran(fused, loaded(fused, threads=1), data[0], ["b1"])["b1"]  # int8, in the units that it stands for
    plain = convolutions(tmp_path)
    assert np.abs(blob - ran(plain, loaded(plain, threads=1), data[0], ["b1"])["b1"]).max() < 0.05 * np.abs(blob).max()


@pytest.mark.parametrize(
    "line, data, why",
    [
        ("Convolution q 1 1 x y 0=2 1=3 4=1 6=54 18=1.0e0", weights((54, 1)), "pads with a number"),
        ("Pooling q 1 1 x y 0=0 1=2", b"", "no int8 form of Pooling"),
        ("Convolution q 1 1 x y 0=2 1=3 4=1 6=54", TAG + floats(np.full(54, np.inf)), "not finite"),
    ],
)
def test_what_cannot_be(line: str, data: bytes, why: str, tmp_path: Path) -> None:
    net = read_net_files(net_files(tmp_path, lines_of("Input x 0 1 x 0=8 1=8 2=3", line), data)[0])
    assert why in str(can_be_int8(net.layers[1]))
