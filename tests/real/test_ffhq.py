"""examples/ffhq: the reader, and the faces beside OpenVINO's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ffhq.ir import IRError, read
from ffhq.network import load

import ncnn_builder as nb
from runtime import Net

from .packages import file, need
from .test_packages import levels

CONSTANT = '<layer id="0" name="c" type="Const"><data element_type="{}" shape="{}" offset="{}" size="{}"/></layer>'
TAKES = '<layer id="1" name="r" type="Result"/></layers><edges><edge from-layer="{}" from-port="0" to-layer="1" to-port="0"/></edges>'  # fmt: skip # noqa: E501


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "a.xml").write_text(text)
    np.arange(6, dtype=np.float32).tofile(tmp_path / "a.bin")
    return tmp_path / "a.xml"


def test_constants_are_read(tmp_path: Path) -> None:
    text = f"<net><layers>{CONSTANT.format('f32', '2, 2', 8, 16)}{TAKES.format(0)}</net>"
    constant, result = read(written(tmp_path, text))
    assert result.inputs == (constant,) and np.array_equal(constant.value, [[2, 3], [4, 5]])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><net/>', "DOCTYPE"),
        ("<net>", "no element found"),
        (f"<net><layers>{CONSTANT.format('f32', '2, 2', 12, 16)}</layers></net>", "within 24"),
        (f"<net><layers>{CONSTANT.format('f32', '2, 2', -4, 16)}</layers></net>", "within 24"),
        (f"<net><layers>{CONSTANT.format('f32', '2, 3', 0, 16)}</layers></net>", "expected 24 bytes"),
        (f"<net><layers>{CONSTANT.format('f32', '99999999999, 99999999999', 0, 16)}</layers></net>", "got 16"),
        (f"<net><layers>{CONSTANT.format('object', '2', 0, 8)}</layers></net>", "'object'"),
        (f"<net><layers>{CONSTANT.format('f32', 'x', 0, 8)}</layers></net>", "invalid literal"),
        (f"<net><layers>{TAKES.format(7)}</net>", "takes '7'"),
    ],
)
def test_what_does_not_fit_is_an_error(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(IRError, match=says):
        read(written(tmp_path, text))


@pytest.mark.real
@pytest.mark.parametrize("target", ["stock", "fused"])
def test_faces_are_those_of_openvino(target: str, tmp_path: Path) -> None:
    need("openvino")
    import openvino

    folder = file("random-face", "SynthesisNetwork.xml").parent
    mapping, synthesis = load(folder)
    z = torch.tensor(np.random.RandomState(1).randn(1, 512).astype(np.float32))
    with torch.no_grad():
        style = mapping(z)
    nb.convert(mapping, (z,), tmp_path / "m", target=target)
    nb.convert(synthesis, (style,), tmp_path / "s", target=target)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    core = openvino.Core()
    theirs = [core.compile_model(str(folder / f"{part}Network.xml"), "CPU", exact) for part in ("Mapping", "Synthesis")]
    w = theirs[0]([z.numpy()])[0]
    got = Net(tmp_path / "m.param", tmp_path / "m.bin").run({"in0": z[0].numpy()})["out0"]
    assert np.abs(got - w[0]).max() <= 1e-5 * np.abs(w).max()
    expected = theirs[1]([w])[0][0]
    picture = Net(tmp_path / "s.param", tmp_path / "s.bin", threads=2).run({"in0": got})["out0"]
    assert levels(picture, expected, -1, 1) <= 1
    assert expected.shape == (3, 1024, 1024) and expected.std() > 0.2
