"""The rules of lint: each fires where it should, and a clean file has none; the command line around them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from net_files import floats, lines_of, mixed, net_files
from pass_support import normal

import ncnn_builder as nb
from ncnn_builder.tools.cli import KNOWN, main
from ncnn_builder.tools.lint import lint
from ncnn_builder.tools.net import read_net

X = "Input x 0 1 x 0=4 1=3 2=2"

FIRES = [
    ("wrong-counts", f"7767517\n3 2\n{X}\nReLU r 1 1 x y\n", 2, 1, "error", "2 layers, not 3"),
    ("wrong-counts", f"7767517\n1 2\n{X}\nReLU r 1 1 x y\n", 2, 1, "error", "2 layers, not 1"),
    ("wrong-counts", f"7767517\n2 7\n{X}\nReLU r 1 1 x y\n", 2, 3, "warning", "2 blobs, not 7"),
    ("counts", f"7767517\n2 99999999\n{X}\nReLU r 1 1 x y\n", 2, 3, "error", "no number from 1 to"),
    ("short-line", lines_of(X, "ReLU r 1", blobs=1), 4, 8, "error", "a layer has a type"),
    ("bad-count", lines_of(X, "ReLU r 1 2 x y 0=0.1", blobs=1), 4, 16, "error", "names 2 blobs"),
    ("bad-count", lines_of(X, "ReLU r -1 2 x y", blobs=1), 4, 8, "error", "no number of inputs"),
    ("bad-parameter", lines_of(X, "ReLU r 1 1 x y 0=0.1.2"), 4, 18, "error", "no number that ncnn reads"),
    ("bad-parameter", lines_of(X, "ReLU r 1 1 x y 40=1"), 4, 16, "error", "ids are 0 to 31"),
    ("bad-parameter", lines_of(X, "Crop c 1 1 x y -23309=2,1"), 4, 23, "error", "wrong length: it states 2, and has 1"),
    ("long-name", lines_of(X, f"ReLU {'r' * 256} 1 1 x y"), 4, 6, "error", "255 bytes"),
    ("unknown-type", lines_of(X, "Relu r 1 1 x y"), 4, 1, "error", "no layer of this type"),
    ("stale-id", lines_of(X, "ReLU r 1 1 x y 0=0.1 5=3"), 4, 22, "warning", "does not read id 5"),
    ("repeated-id", lines_of(X, "ReLU r 1 1 x y 0=0.1 0=0.2"), 4, 16, "warning", "id 0 stands in this line again"),
    ("float-as-int", lines_of(X, "ReLU r 1 1 x y 0=2"), 4, 18, "warning", "slope of ReLU is a float"),
    (
        "float-as-int",
        lines_of("Input x 0 1 x 0=5", "InnerProduct f 1 1 x y 0=1 2=5 9=3 -23310=2,-1.0,1"),
        *(4, 50, "error", "activation_params"),
    ),
    ("int-as-float", lines_of(X, "Concat c 1 1 x y 0=1.0"), 4, 20, "error", "axis of Concat is an int"),
    ("wrong-form", lines_of(X, "ReLU r 1 1 x y 0=0.1,0.2"), 4, 16, "error", "an array, where the layer reads a number"),
    ("wrong-form", lines_of(X, "Reduction r 1 1 x y 0=0 1=0 3=1 5=1"), 4, 29, "error", "a number, where the layer"),
    ("wrong-form", lines_of(X, 'ReLU r 1 1 x y 0="a b"'), 4, 16, "error", "a text"),
    ("long-number", lines_of(X, "ReLU r 1 1 x y 0=0.12345678901234"), 4, 18, "warning", "16 characters"),
    ("mask-as-data", lines_of(X, "ReLU r 1 1 x y 31=512"), 4, 16, "error", "no feature mask"),
    (
        "mask-as-data",
        lines_of(X, "Input w 0 1 w 0=3 1=3 2=5 11=2", "FconvTranspose2d f 2 1 x w y 0=5 1=3 31=2"),
        *(5, 38, "error", "id 31 holds data"),
    ),
    ("nonsense", lines_of(X, "BinaryOp b 1 1 x y 0=6 1=1 2=3.0"), 4, 1, "warning", "gives nonsense"),
    ("nonsense", lines_of(X, "BinaryOp b 1 1 x y 0=9 1=1 2=0.0"), 4, 1, "warning", "gives nonsense"),
    ("nonsense", lines_of(X, "Softplus s 1 1 x y"), 4, 1, "warning", "gives nonsense"),
    ("nonsense", lines_of(X, "GLU s 1 1 x y 0=0"), 4, 1, "warning", "gives nonsense"),
    ("nonsense", lines_of(X, "Reduction r 1 1 x y 0=10 1=1"), 4, 1, "warning", "gives nonsense"),
    ("nonsense", lines_of(X, "HardSigmoid s 1 1 x y 0=-0.2"), 4, 1, "warning", "gives nonsense"),
    ("old-axes", lines_of(X, "Reduction r 1 1 x y 0=0 1=0 -23303=1,1"), 4, 29, "error", "without 5=1"),
    ("old-axes", lines_of(X, "Softmax s 1 1 x y 0=1"), 4, 19, "error", "without 1=1"),
    ("duplicate-layer", lines_of(X, "ReLU r 1 1 x y", "ReLU r 1 1 y z"), 5, 6, "warning", "line 4 has this name"),
    ("duplicate-blob", lines_of(X, "ReLU r 1 1 x y", "ReLU s 1 1 y y"), 5, 14, "error", "line 4 makes a blob"),
    ("no-producer", lines_of(X, "BinaryOp b 2 1 x q y", blobs=3), 4, 18, "warning", "no layer makes this blob"),
    ("order", lines_of("ReLU r 1 1 x y", X), 3, 12, "error", "line 4 makes this blob, after"),
    ("fan-out", lines_of(X, "ReLU r 1 1 x y", "ReLU s 1 1 x z"), 5, 12, "error", "line 4 reads this blob already"),
    (
        "implicit-broadcast",
        lines_of(X, "Input v 0 1 v 0=2", "BinaryOp b 2 1 x v y 0=2"),
        *(5, 18, "warning", "[2, 3, 4] and [2] have different numbers"),
    ),
    (
        "implicit-broadcast",
        lines_of(X, "Input v 0 1 v 0=4", "BinaryOp b 2 1 v x y 0=2"),
        *(5, 16, "note", "[4] and [2, 3, 4] have different numbers"),
    ),
    (
        "shape-mismatch",
        lines_of(X, "Input v 0 1 v 0=5 1=5 2=5", "BinaryOp b 2 1 v x y 0=2"),
        *(5, 10, "warning", "do not broadcast"),
    ),
    ("shape-mismatch", lines_of(X, "Concat c 1 1 x y 0=3"), 4, 8, "warning", "bad axis"),
    ("wrong-hint", lines_of(X, "ReLU r 1 1 x y -23330=4,3,4,4,2"), 4, 16, "warning", "the hint says [2, 4, 4]"),
    ("dead-layer", lines_of(X, "ReLU r 1 1 x y", "Input v 0 1 v"), 5, 7, "warning", "nobody reads this input"),
    ("dead-layer", lines_of(X, "ReLU r 1 1 x y", "MemoryData m 0 1 v 0=3"), 5, 12, "warning", "what this layer makes"),
]


@pytest.mark.parametrize(("rule", "text", "line", "column", "severity", "what"), FIRES)
def test_each_rule_fires_at_its_place(
    rule: str, text: str, line: int, column: int, severity: str, what: str, tmp_path: Path
) -> None:
    found = lint(read_net(net_files(tmp_path, text)[0]))
    (finding,) = (f for f in found if f.rule == rule)
    assert (finding.line, finding.column, finding.severity) == (line, column, severity)
    assert what in finding.what and finding.why
    others = {f.rule for f in found} - {rule, "stale-id", "shape-mismatch", "wrong-counts"}
    assert not others, "one mistake, one finding"


def test_every_rule_is_tried() -> None:
    tried = {rule for rule, *_ in FIRES} | {"bin-size"}
    assert tried == KNOWN


DENSE = lines_of("Input x 0 1 x 0=5", "InnerProduct fc 1 1 x y 0=3 1=1 2=15", "ReLU r 1 1 y z")
GOOD = bytes(4) + floats(normal(18))


@pytest.mark.parametrize(
    ("data", "column", "what"),
    [
        (GOOD[:-1], 14, "ends before the weights of this layer do: bias, 76 bytes at least, got 75"),
        (b"", 14, "weight, 4 bytes at least, got 0"),
        (GOOD + bytes(8), 6, "8 bytes of the .bin file belong to no layer"),
    ],
)
def test_a_bin_of_another_size(data: bytes, column: int, what: str, tmp_path: Path) -> None:
    (finding,) = lint(read_net(*net_files(tmp_path, DENSE, data)))
    assert finding.rule == "bin-size" and finding.column == column and what in finding.what
    assert finding.line == (5 if "belong" in what else 4)


def test_near_names() -> None:
    text = lines_of(X, "Convolutoin c 1 1 x y", "FconvTransposed2d d 1 1 y z", "Zzz q 1 1 z v")
    fixes = [f.fix for f in _lint_text(text) if f.rule == "unknown-type"]
    assert fixes[0].startswith("Did you mean Convolution") and fixes[1] == "Did you mean FconvTranspose2d?"
    assert fixes[2] == "Register the layer, or declare it as an op"


def _lint_text(text: str) -> list:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return lint(read_net(net_files(Path(folder), text)[0]))


def test_a_layer_of_ncnn_that_no_op_declares_is_no_finding() -> None:
    from ncnn_builder.emit.binary_types import TYPES

    undeclared = next((t for t in TYPES if t not in nb.registry), None)
    if undeclared is not None:
        assert _lint_text(lines_of(X, f"{undeclared} u 1 1 x y 0=1 7=2.0")) == []


# -- the command line -------------------------------------------------------------------------------------------------


def test_the_text_has_the_line_and_a_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    param, _ = net_files(tmp_path, lines_of(X, "ReLU\tr 1 1 x y 0=2"))
    assert main(["lint", str(param)]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{param}:4:18: warning: ReLU r: slope of ReLU is a float, and is written as an int [float-as-int]"
    assert out[1] == "     4 | ReLU\tr 1 1 x y 0=2"
    assert out[2] == "       |     \t            ^"
    assert out[3].startswith("  why: ") and out[4] == "  fix: Write 2.0"
    assert out[-1] == f"{param}: 2 layers, 0 errors, 1 warnings"


def test_a_long_line_is_shown_around_its_caret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blobs = " ".join(f"blob_number_{i}" for i in range(100))
    text = lines_of("Input x 0 1 x 0=4", f"Split s 1 100 x {blobs} 7=1")
    param, _ = net_files(tmp_path, text)
    assert main(["lint", str(param)]) == 1
    shown, caret = capsys.readouterr().out.splitlines()[1:3]
    assert len(shown) < 180 and shown.endswith("7=1") and shown[caret.index("^") :] == "7=1"


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    param, _ = net_files(tmp_path, lines_of(X, "ReLU r 1 1 x y 0=2"))
    assert main(["lint", str(param), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == str(param)
    (finding,) = said["findings"]
    assert finding["rule"] == "float-as-int" and (finding["line"], finding["column"], finding["length"]) == (4, 18, 1)
    assert set(finding) == {*("rule", "severity", "line", "column", "length", "type", "layer", "what", "why", "fix")}


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nb.compile_graph(mixed())
    param, data = net_files(tmp_path, model.param, model.bin)
    assert main(["lint", str(param), str(data)]) == 0
    assert capsys.readouterr().out == f"{param}: {model.layers} layers, 0 errors, 0 warnings\n"
    note, _ = net_files(tmp_path, lines_of(X, "Input v 0 1 v 0=4", "BinaryOp b 2 1 v x y 0=2"), name="note")
    assert main(["lint", str(note)]) == 0  # something to know is no mistake
    param.write_text(lines_of(X, "ReLU r 1 1 x y 0=2"))
    assert main(["lint", str(param)]) == 1 and main(["lint", str(param), "--ignore", "float-as-int"]) == 0
    capsys.readouterr()
    for bad in (
        ["lint", str(tmp_path / "no.param")],
        ["lint", str(data)],
        ["lint", str(param), "--ignore", "q"],
        ["lint", str(param), "--shape", "q=1"],
    ):
        assert main(bad) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
    for bad in (["lint"], ["lint", str(param), "--shape", "x"], ["lint", str(param), "--shape", "x=0"], ["lnit"], []):
        with pytest.raises(SystemExit) as caught:
            main(bad)
        assert caught.value.code == 2


def test_shapes_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines_of("Input x 0 1 x", "Input v 0 1 v", "BinaryOp b 2 1 x v y 0=2")
    param, _ = net_files(tmp_path, text)
    assert main(["lint", str(param)]) == 0
    assert main(["lint", str(param), "--shape", "x=2,3,4", "--shape", "v=2"]) == 1
    assert "[implicit-broadcast]" in capsys.readouterr().out


def test_it_runs_as_a_module_without_torch(tmp_path: Path) -> None:
    param, _ = net_files(tmp_path, lines_of(X, "ReLU r 1 1 x y 0=2"))
    code = f"import sys; from ncnn_builder.tools.cli import main; c = main(['lint', {str(param)!r}])"
    code += "; assert 'torch' not in sys.modules and 'runtime' not in sys.modules; sys.exit(c)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 1
    done = subprocess.run([sys.executable, "-m", "ncnn_builder", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "lint" in done.stdout


@pytest.mark.parametrize(
    "build",
    [
        lambda g, x: x**3,
        lambda g, x: x**1.5,
        lambda g, x: x**x,
        lambda g, x: nb.reduction(g, x, "ReduceLogSumExp", 4, (1,), True),
        lambda g, x: nb.activation(g, x, "softplus"),
        lambda g, x: nb.glu(g, x, 1),
    ],
)
def test_the_dsls_forms_give_no_nonsense(build: Callable[[nb.Graph, nb.Value], nb.Value], tmp_path: Path) -> None:
    g = nb.Graph()
    g.output("y", build(g, g.input("x", (2, 3, 4))))
    nb.save(g, tmp_path / "m.param", tmp_path / "m.bin", target="stock")
    assert not [f for f in lint(read_net(tmp_path / "m.param", tmp_path / "m.bin")) if f.rule == "nonsense"]
