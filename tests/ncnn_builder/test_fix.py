"""Repairs: what they write loads on ncnn, lints clean, and makes the same numbers; and what it cannot know stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from net_files import binary_param, floats, lines_of, net_files
from pass_support import normal

import ncnn_builder as nb
from ncnn_builder.emit.syntax import parse
from ncnn_builder.tools.cli import main
from ncnn_builder.tools.fix import fix
from ncnn_builder.tools.lint import lint
from ncnn_builder.tools.net import net_of, read_net
from ncnn_builder.tools.repairs import Options
from runtime import Net

X = "Input x 0 1 x 0=4 1=3 2=2"


def fixed(text: str, **options: object) -> tuple[str, list[str]]:
    result = fix(parse(text), "net", options=Options(**options))
    assert fix(parse(result.text), "net").done == [], "a repaired file needs no repair"
    return result.text, result.done


def test_a_clean_file_stays_as_it_is() -> None:
    text = f"7767517\n2 2\n{X}\nReLU   r 1 1 x y  0=1.0e-1\n"
    assert fixed(text) == (text, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ReLU r 1 1 x y 0=2", "0=2.00000000e+00"),
        ("ReLU r 1 1 x y 0=0.5 7=3", "0=0.5"),
        ("ReLU r 1 1 x y 0=0.1 0=0.5", "0=0.5"),
        ("ReLU r 1 1 x y 0=0.50000000000000000", "0=5.00000000e-01"),
        ("ReLU r 1 1 x y 0=0.5 -23330=4,3,1,1,1", "0=0.5"),
        ("Crop r 1 1 x y 9=1, 10=3, 11=+00000000000000002,", "9=1, 10=3, -23311=1,2"),
    ],
)
def test_parameters(old: str, new: str, tmp_path: Path) -> None:
    text, done = fixed(lines_of(X, old))
    assert " ".join(text.splitlines()[3].split()[6:]) == new and len(done) == 1
    files = net_files(tmp_path, text)
    assert lint(read_net(files[0])) == []
    inputs = {"x": normal(2, 3, 4)}
    after = Net(*files).run(inputs)["y"]
    if " 0=0.1 0=" not in old:  # which our runtime does not take
        assert np.array_equal(Net(*net_files(tmp_path, lines_of(X, old))).run(inputs)["y"], after)


def test_an_array_of_floats_written_as_ints() -> None:
    layer = "InnerProduct f 1 1 x y 0=1 2=24 9=3 -23310=2,-1,1"
    assert "-23310=2,-1.00000000e+00,1.00000000e+00" in fixed(lines_of(X, layer))[0]


def test_counts(tmp_path: Path) -> None:
    text, done = fixed(f"7767517\n7 9\n{X}\nReLU r 1 1 x y\n")
    assert text.splitlines()[1] == "2 2" and done == ["line 2: the counts are 2 2, not 7 9"]


def test_fan_out_and_names(tmp_path: Path) -> None:
    text, done = fixed(lines_of(X, "ReLU r 1 1 x a 0=0.1", "ReLU r 1 1 x b 0=0.2", "BinaryOp s 2 1 a b y 0=0"))
    assert len(done) == 3  # a Split, a name, the counts
    files = net_files(tmp_path, text)
    assert lint(read_net(*files)) == []
    x = normal(2, 3, 4)
    want = np.where(x > 0, 2 * x, np.float32(0.1) * x + np.float32(0.2) * x)
    assert np.allclose(Net(*files).run({"x": x})["y"], want, atol=1e-6)


def test_order(tmp_path: Path) -> None:
    text, done = fixed(lines_of("ReLU s 1 1 a y", "ReLU r 1 1 x a 0=0.5", X))
    assert [line.split()[1] for line in text.splitlines()[2:]] == ["x", "r", "s"] and len(done) == 1
    assert lint(read_net(net_files(tmp_path, text)[0])) == []


def test_an_order_that_moves_weights_is_left() -> None:
    a, b = "InnerProduct a 1 1 y z 0=1 2=24", "InnerProduct b 1 1 x y 0=24 2=576"
    text = lines_of(X, a, b)
    assert fixed(text) == (text, [])
    circle = lines_of(X, "BinaryOp c 2 1 x q w", "ReLU d 1 1 w q")
    assert fixed(circle) == (circle, [])


@pytest.mark.parametrize("v", [(2,), (2, 3)])
def test_implicit_broadcasting(v: tuple[int, ...], tmp_path: Path) -> None:
    said = " ".join(f"{i}={n}" for i, n in enumerate(reversed(v)))
    old = lines_of(X, f"Input v 0 1 v {said}", "BinaryOp b 2 1 v x y 0=1")
    text, done = fixed(old)
    assert len(done) == 2 and "a Reshape makes" in done[0]
    inputs = {"x": normal(2, 3, 4), "v": normal(*v)}
    before, after = (Net(*net_files(tmp_path, t)).run(inputs)["y"] for t in (old, text))
    assert np.array_equal(before, after)
    assert lint(read_net(tmp_path / "net.param")) == []


@pytest.mark.parametrize(
    ("layer", "options", "want"),
    [
        ("Reduction r 1 1 x y 1=0 -23303=1,0", None, "-23303=1,0 5=1"),  # nobody reduces over the batch
        ("Reduction r 1 1 x y 1=0 -23303=2,2,3", None, "-23303=2,1,2 5=1"),  # three dimensions have no axis 3
        ("Reduction r 1 1 x y 1=0 -23303=1,-1", None, "-23303=1,-1 5=1"),
        ("Reduction r 1 1 x y 1=0 -23303=1,1 5=0", None, "-23303=1,1 5=0"),  # who knows
        ("Reduction r 1 1 x y 1=0 -23303=1,1", "with-batch", "-23303=1,0 5=1"),
        ("Reduction r 1 1 x y 1=0 3=1,", "without-batch", "-23303=1,1 5=1"),
        ("Reduction r 1 1 x y 1=1", None, "1=1"),
        ("Softmax r 1 1 x y 0=1", None, "y 0=1"),
        ("Softmax r 1 1 x y 0=1", "with-batch", "0=0 1=1"),
        ("Softmax r 1 1 x y 0=2", "without-batch", "0=2 1=1"),
    ],
)
def test_axes(layer: str, options: str | None, want: str) -> None:
    text, _ = fix(parse(lines_of(X, layer)), "net", options=Options(options)).text, None
    assert text.splitlines()[3].endswith(want)
    left = [f.rule for f in lint(net_of(parse(text), "net")) if f.rule != "shape-mismatch"]
    assert left == (["old-axes"] if want.endswith(("5=0", "y 0=1")) else [])


def test_a_softmax_of_a_vector() -> None:
    text, _ = fixed(lines_of("Input x 0 1 x 0=4 1=3", "Softmax s 1 1 x y 0=1"))
    assert text.splitlines()[3].endswith("0=1 1=1")


@pytest.mark.parametrize("line", ["ReLU r 1", "ReLU r 1 1 x y 40=1", "ReLU r 2 1 x y"])
def test_a_line_that_cannot_be_read_is_not_guessed_at(line: str) -> None:
    with pytest.raises(nb.ReadError, match=r"net, line 4, column .*: this cannot be repaired"):
        fix(parse(lines_of(X, line, blobs=2)), "net")


# -- the command line -------------------------------------------------------------------------------------------------


def test_nothing_is_written_unless_it_is_said_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = lines_of(X, "ReLU r 1 1 x y 0=2")
    param, _ = net_files(tmp_path, old)
    assert main(["fix", str(param)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("fixed: ReLU r: 0=2 is written 0=2.00000000e+00\n") and "nothing is written" in out
    assert param.read_text() == old and sorted(p.name for p in tmp_path.iterdir()) == ["net.bin", "net.param"]
    assert main(["fix", str(param), "-o", str(tmp_path / "new" / "out.param")]) == 0
    assert param.read_text() == old and "2.00000000e+00" in (tmp_path / "new" / "out.param").read_text()
    assert main(["fix", str(param), "--in-place"]) == 0
    assert param.read_text() == (tmp_path / "new" / "out.param").read_text()
    capsys.readouterr()
    assert main(["fix", str(param)]) == 0 and capsys.readouterr().out == "nothing to repair\n"


def test_what_is_left_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    param, _ = net_files(tmp_path, lines_of(X, "Relu r 1 1 x y 0=2.0"))
    assert main(["fix", str(param)]) == 1
    assert "left:  line 4: Relu r: ncnn has no layer of this type [unknown-type]" in capsys.readouterr().out
    param.write_text("7767517\n1 1\nInput x\n")
    assert main(["fix", str(param), "--in-place"]) == 2
    assert "cannot be repaired" in capsys.readouterr().err and param.read_text().endswith("Input x\n")


def test_a_binary_param_becomes_a_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    param, _ = net_files(tmp_path, binary_param(lines_of(X, "ReLU r 1 1 x y 0=2.0 5=1")))
    assert main(["fix", str(param), "--in-place"]) == 2
    assert main(["fix", str(param), "-o", str(tmp_path / "t.param")]) == 0
    assert (tmp_path / "t.param").read_text().endswith("ReLU_1                   1 1 blob_0 blob_1 0=2.00000000e+00\n")


def test_weights_stay_where_they_were(tmp_path: Path) -> None:
    """A repaired file belongs to the same .bin."""
    text = lines_of("Input x 0 1 x 0=5", "InnerProduct f 1 1 x y 0=2 2=10 7=1", "ReLU r 1 1 y z 0=2")
    files = net_files(tmp_path, fixed(text)[0], bytes(4) + floats(np.arange(10)))
    x = normal(5)
    y = np.arange(10, dtype=np.float32).reshape(2, 5) @ x
    assert np.allclose(Net(*files).run({"x": x})["z"], np.where(y > 0, y, 2 * y), atol=1e-5)
