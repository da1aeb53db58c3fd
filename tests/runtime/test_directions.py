"""Directions by closed-form factorisation: against the weights as they lie in the faces' net, and move=."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtime_nets import pixels, write_bundle

from runtime import InputError, Model
from runtime.directions import directions, style_weights
from runtime.recipe import read_recipe
from runtime.run import main


def test_directions_are_those_of_the_weights() -> None:
    """The blobs of the layers Shell are the weights of affine layers; the definition, by singular vectors."""
    model = Model("faces", threads=1)
    read = style_weights(model)
    assert [len(rows) for rows in read] == [128, 256, 128, 256, 64, 128, 32, 64, 16, 16]
    blob = "synthesis.b4.conv1.affine/Shell_1:0"
    inputs = {"ws0": np.zeros(128), "ws1": np.zeros(128), "mixing": np.zeros(10)}
    weight = model.synthesis_net.run(inputs, [blob])[blob].reshape(128, 128)
    np.testing.assert_allclose(read[0], weight, atol=1e-5)
    found = directions(model, [0])
    unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    want = np.linalg.svd(unit.astype(np.float64))[2][:16]
    np.testing.assert_allclose(np.abs((found * want).sum(1)), 1, atol=1e-4)
    assert (found[np.arange(16), np.abs(found).argmax(1)] > 0).all()
    assert np.abs(directions(model, range(10)) - found).max() > 0.1


def test_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(tmp_path)
    monkeypatch.chdir(tmp_path)
    model = Model("faces", threads=1)
    a, b = (np.array(np.broadcast_to(model.mapping(np.random.RandomState(i).randn(512)), (10, 128))) for i in (1, 2))
    found = directions(model, range(3))
    for w in (a, b):
        w[:3] += np.float32(2.5) * found[0] - found[15]
    assert main(["mode=image", "model=faces", "seeds=1", "move=0:2.5,15:-1", "move_styles=0-2", "out=a.png", "-q"]) == 0
    assert np.abs(pixels("a.png").astype(int) - model.image(a)).max() <= 1
    assert (pixels("a.png") != model.image(model.mapping(np.random.RandomState(1).randn(512)))).any()
    assert read_recipe("a.png")["move"] == "0:2.5,15:-1"
    moved = ["move=0:2.5,15:-1", "move_styles=0-2", "-q"]
    assert main(["mode=mix", "model=faces", "seeds=1,2", "styles=2-5", "out=m.png", *moved]) == 0
    mixed = np.where(np.isin(np.arange(10), range(2, 6))[:, None], b, a)
    assert np.abs(pixels("m.png").astype(int) - model.image(mixed)).max() <= 1
    for model_name, arguments, says in (
        ("faces", ["move=1"], "move= is not a list of directions"),
        ("faces", ["move=1:x"], "move= is not a number"),
        ("faces", ["move=1:1,1:2"], "move= is not a list of directions"),
        ("faces", ["move=16:1"], "a direction that there is not; expected 0 to 15; got 16"),
        ("faces", ["move=1:1", "move_styles=10"], "move_styles= is out of range; expected 0 to 9; got 10"),
        ("faces", ["move_styles=1"], "move_styles= is about move="),
        ("tiny", ["move=1:1"], "does not say which blobs its affine layers make"),
    ):
        assert main(["mode=image", f"model={model_name}", "seeds=1", "out=x.png", *arguments]) == 2
        assert says in capsys.readouterr().err, arguments
    with pytest.raises(InputError, match="no layer reads these styles"):
        directions(model, [])
