"""Directions by factorisation and by main axes: against the weights and styles of the faces' nets, move= and edit=."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from runtime_nets import pixels, write_bundle

from runtime import InputError, Model
from runtime.batch import main as batch
from runtime.directions import main as find
from runtime.edits import read_directions
from runtime.factorisation import directions, style_weights
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
        ("faces", ["move=100:1"], "a direction that there is not; expected 0 to 15; got 100"),
        ("faces", ["move=1:1", "move_styles=10"], "move_styles= is out of range; expected 0 to 9; got 10"),
        ("faces", ["move_styles=1"], "move_styles= is about move="),
        ("tiny", ["move=1:1"], "does not say which blobs its affine layers make"),
    ):
        assert main(["mode=image", f"model={model_name}", "seeds=1", "out=x.png", *arguments]) == 2
        assert says in capsys.readouterr().err, arguments
    with pytest.raises(InputError, match="no layer reads these styles"):
        directions(model, [])


def run(*arguments: str) -> int:
    return main([*arguments, "model=faces", "-q"])


def test_directions_as_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found, written, read, and taken by every mode; a picture's own command makes it again."""
    monkeypatch.chdir(tmp_path)
    model = Model("faces", threads=1)
    pca = ["model=faces", "samples=300", "seed=4", "count=5", "layers=1-3", "out=pca.npz", "-q"]
    assert find(pca) == 0
    assert "  0  deviation" in capsys.readouterr().out
    w = np.stack([model.mapping(z) for z in np.random.RandomState(4).randn(300, 512)]).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(w.T, bias=True))
    found = read_directions("pca.npz", 10, 128)
    assert found.styles == (1, 2, 3) and found.vectors.shape == (5, 1, 128)
    lengths = np.linalg.norm(found.vectors[:, 0], axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(values[::-1][:5]), rtol=1e-4)
    along = np.abs((found.vectors[:, 0] / lengths[:, None] * vectors[:, ::-1].T[:5]).sum(1))
    np.testing.assert_allclose(along, 1, atol=1e-3)
    assert find(["model=faces", "method=sefa", "layers=0-2", "out=sefa.npz", "-q"]) == 0
    np.testing.assert_array_equal(read_directions("sefa.npz", 10, 128).vectors[:, 0], directions(model, range(3)))

    a, b = (np.array(np.broadcast_to(model.mapping(np.random.RandomState(i).randn(512)), (10, 128))) for i in (1, 2))
    for style in (a, b):
        style[1:4] += np.float32(2.5) * found.vectors[3, 0] - found.vectors[0, 0]
    edited = "edit=pca.npz:3:+2.5,pca.npz:0:-1"
    assert run("mode=image", "seeds=1", edited, "out=a.png") == 0
    assert np.abs(pixels("a.png").astype(int) - model.image(a)).max() <= 1
    said = read_recipe("a.png")
    assert said["edit"] == edited[5:] and said["edit_sha256"] == found.sha256
    assert main([*shlex.split(said["command"])[3:], "out=again.png", "-q"]) == 0
    np.testing.assert_array_equal(pixels("again.png"), pixels("a.png"))
    assert run("mode=mix", "seeds=1,2", "styles=2-5", edited, "out=m.png") == 0
    mixed = np.where(np.isin(np.arange(10), range(2, 6))[:, None], b, a)
    assert np.abs(pixels("m.png").astype(int) - model.image(mixed)).max() <= 1
    assert run("mode=grid", "rows=1", "cols=2", "styles=2-5", edited, "out=g.png") == 0
    assert np.abs(pixels("g.png")[64:, 64:].astype(int) - model.image(mixed)).max() <= 1
    assert run("mode=a2b", "seeds=1,2", "frames=2", edited, "out=frames") == 0
    assert np.abs(pixels("frames/00002.png").astype(int) - model.image(b)).max() <= 1
    np.save("all:of,them.npy", np.ones((1, 10, 128)) * np.arange(10)[:, None] / 40)
    assert run("mode=image", "seeds=1", "edit=all:of,them.npy:0:1,sefa.npz:1:.5", "layers=8-9", "out=b.png") == 0
    c = np.array(np.broadcast_to(model.mapping(np.random.RandomState(1).randn(512)), (10, 128)))
    c[8:] += np.float32([[8 / 40], [9 / 40]]) + np.float32(0.5) * directions(model, range(3))[1]
    assert np.abs(pixels("b.png").astype(int) - model.image(c)).max() <= 1
    made = ["seeds=1-2", "model=faces", edited, "workers=1", "-q"]
    assert batch([*made, "out=many"]) == 0
    np.testing.assert_array_equal(pixels("many/00000/seed0001.png"), pixels("a.png"))
    # A file that changed is another edit: frames and pictures that are there are not gone on with.
    assert find([*pca[:2], "seed=5", *pca[3:]]) == 0
    assert run("mode=a2b", "seeds=1,2", "frames=2", edited, "out=frames") == 2
    assert "frames" in capsys.readouterr().err
    assert batch([*made, "out=many"]) == 2 == batch([*made[:2], "layers=0", "out=more"])
    assert "layers= is about edit=" in capsys.readouterr().err


def test_wrong_directions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    good = np.ones((2, 128), np.float32)
    np.save("good.npy", good)
    np.save("thin.npy", good[:, :5])
    np.save("whole.npy", good.astype(int))
    np.save("nan.npy", good * np.nan)
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    np.savez("other.npz", w=good)
    np.savez("style.npz", directions=good, styles=np.array([10]))
    np.savez("styles.npz", directions=good, styles=good)
    with zipfile.ZipFile("lzma.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("directions.npy", bytes(1000))
    packed = bytearray(Path("lzma.npz").read_bytes())
    packed[48] = 0xFF  # of the filter
    Path("lzma.npz").write_bytes(packed)
    Path("cut.npy").write_bytes(Path("good.npy").read_bytes()[:-4])
    Path("cut.npz").write_bytes(Path("other.npz").read_bytes()[:-40])
    Path("text.txt").write_text("x")
    Path("dir.npy").mkdir()
    image = ("mode=image", "seeds=1", "out=x.png")
    for edit, more, says in (
        ("good.npy", (), "edit= is not a list of directions in files; expected FILE:DIRECTION:HOW_FAR"),
        ("good.npy:0:x", (), "edit= is not a number"),
        ("good.npy:0:1,", (), "edit= is not a list"),
        ("good.npy:2:1", (), "a direction that there is not; expected 0 to 1; got 2"),
        ("good.npy:99999:1", (), "a direction that there is not; expected 0 to 1; got 99999"),
        (f"good.npy:{'9' * 20}:1", (), "edit= has a number that is too large; expected at most 18 digits; got 9999"),
        ("good.npy:0:1", ("layers=0-1000000",), "layers= is out of range; expected 0 to 9; got 1000000"),
        ("good.npy:0:1", ("layers=10",), "layers= is out of range; expected 0 to 9; got 10"),
        ("none.npz:0:1", (), "no such file"),
        ("dir.npy:0:1", (), "the file cannot be read"),
        ("text.txt:0:1", (), "not a file of directions; expected .npz or .npy"),
        (
            "thin.npy:0:1",
            (),
            "not directions of this model; expected floats of [K, 128] or [K, 10, 128]; got float32",
        ),
        ("whole.npy:0:1", (), "got int64 of"),
        ("nan.npy:0:1", (), "NaN, infinite or too large"),
        ("lzma.npz:0:1", (), "not a whole .npz file"),
        ("objects.npy:0:1", (), "not a whole .npy file"),
        ("cut.npy:0:1", (), "not a whole .npy file"),
        ("cut.npz:0:1", (), "not a whole .npz file"),
        ("other.npz:0:1", (), "no entry directions; expected directions; got w"),
        ("style.npz:0:1", (), "moves styles that the model has not"),
        ("styles.npz:0:1", (), "not a whole .npz file"),
    ):
        assert run(*image, f"edit={edit}", *more) == 2, edit
        assert says in capsys.readouterr().err, edit
    assert run(*image, "layers=0") == 2 and "layers= is about edit=" in capsys.readouterr().err
    write_bundle(tmp_path)
    for arguments, says in (
        (["x"], "an argument that is no key=value"),
        (["method=svd"], "method= is none of its words; expected pca or sefa"),
        (["layers=10"], "layers= is out of range; expected 0 to 9"),
        (["count=129"], "count= is out of range; expected 1 to 128"),
        (["samples=5"], "samples= is not a fitting number"),
        (["method=sefa", "seed=1"], "seed= is about method=pca"),
        (["class=1"], "class= is given, but the model has no labels"),
        (["out=x.npy"], "out=x.npy: unknown kind of file"),
        (["out=no/x.npz"], "there is no directory no"),
    ):
        assert find([*arguments, "model=faces", "-q"]) == 2, arguments
        assert says in capsys.readouterr().err, arguments
    assert find(["method=sefa", "model=tiny"]) == 2
    assert "does not say which blobs" in capsys.readouterr().err
    assert not Path("directions.npz").exists() and not Path("x.png").exists()
