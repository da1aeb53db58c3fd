"""Styles from files (W+), cutoff and weight: on the command line and in Model."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import pixels, write_bundle, write_seed

from runtime import InputError, Model, SeedError
from runtime.manifest import load_manifest
from runtime.recipe import read_recipe
from runtime.run import main
from runtime.seeds import Seed, read_latent

Z = np.random.RandomState(1).randn(6)
PLUS = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_bundle(tmp_path)
    write_seed(tmp_path / "1.bin", Z)
    np.savez(tmp_path / "projected_w.npz", w=PLUS[None])
    np.save(tmp_path / "w.npy", PLUS[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ">f4"])
@pytest.mark.parametrize("array", [PLUS, PLUS[None], PLUS[0], PLUS[:1], np.asfortranarray(PLUS)])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_styles_from_files(place: Path, kind: str, array: np.ndarray, dtype: str) -> None:
    values = array.astype(dtype, order="K")
    path = place / f"s.{kind}"
    if kind == "npy":
        np.save(path, values)
    else:
        np.savez_compressed(path, w=values, other=np.array(["text"]))
    what, w = read_latent(Seed(str(path)), load_manifest("tiny"))
    assert what == "w" and w.dtype == np.float32 and w.shape in ((4,), (3, 4))
    np.testing.assert_array_equal(w, np.squeeze(values.astype(np.float32), tuple(i for i in (0,) if len(array) == 1)))


@pytest.mark.parametrize("trunc", [1, 0.6])
@pytest.mark.parametrize("cutoff", [None, 0, 2, 3])
def test_a_style_is_taken_wherever_a_seed_is(place: Path, trunc: float, cutoff: int | None) -> None:
    model = Model("tiny")
    options = [f"trunc={trunc}", *([] if cutoff is None else [f"cutoff={cutoff}"])]
    plus, seed = model.truncate(PLUS, trunc, cutoff), model.mapping(Z, trunc, cutoff=cutoff)
    assert main(["mode=image", "projected_w.npz", *options]) == 0
    np.testing.assert_array_equal(pixels("image.png"), model.image(plus))
    assert main(["mode=image", "1.bin", *options]) == 0
    np.testing.assert_array_equal(pixels("image.png"), model.image(seed))
    assert main(["mode=mix", "1.bin", "projected_w.npz", "styles=0,2", "weight=0.25", *options]) == 0
    np.testing.assert_array_equal(pixels("mix.png"), model.image(seed, plus, [0.25, 0, 0.25]))
    w_avg = np.load("tiny.npz")["mean"]
    np.testing.assert_allclose(model.w_avg, w_avg, atol=1e-6)
    count = 3 if cutoff is None else cutoff
    want = np.concatenate([w_avg + trunc * (PLUS[:count] - w_avg), PLUS[count:]])
    np.testing.assert_allclose(plus, want, atol=1e-6)


def test_a_video_between_a_seed_and_a_style(place: Path) -> None:
    av = pytest.importorskip("av", reason="the extra [video] is not installed")
    assert main(["mode=a2b", "1.bin", "projected_w.npz", "w.npy", "frames=2"]) == 0
    with av.open("a2b.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_labels_are_for_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path, c_dim=2)
    np.save(tmp_path / "w.npy", PLUS)
    monkeypatch.chdir(tmp_path)
    assert main(["mode=image", "w.npy", "trunc=0.5"]) == 0  # a style needs no label
    np.testing.assert_array_equal(pixels("image.png"), Model("tiny").image(Model("tiny").truncate(PLUS, 0.5)))


def npy(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def stored(**entries: bytes) -> bytes:
    return zipped(zipfile.ZIP_STORED, **entries)


def zipped(kind: int = zipfile.ZIP_DEFLATED, **entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def promise(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


class Executed:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


BAD = [
    ("a.npy", b"", "not a whole .npy file"),
    ("a.npy", b"hello", "not a whole .npy file"),
    ("a.npy", npy(PLUS)[:-1], "it ends after 47 bytes of 48"),
    ("a.npy", npy(PLUS.T), r"not a style of this model; expected floats of \[3, 4\] or \[4\]; got float32 of \[4, 3\]"),
    ("a.npy", npy(np.stack([PLUS, PLUS])), r"got float32 of \[2, 3, 4\]"),
    ("a.npy", npy(np.ones((3, 4), np.int64)), "got int64"),
    ("a.npy", npy(np.full((3, 4), np.nan, np.float32)), "NaN"),
    ("a.npy", npy(np.full((3, 4), 1e300)), "too large"),
    ("a.npy", npy(np.array([Executed()], object), allow_pickle=True), "got object"),
    ("a.npy", promise("(1000000000000, 1000000)"), r"got float32 of \[1000000000000, 1000000\]"),
    ("a.npy", promise("(3, __import__('os'))"), "not a whole .npy file"),
    ("a.npz", b"PK", "not a whole .npz file"),
    ("a.npz", zipped(z=npy(PLUS)), "the file has no entry w; expected w; got z"),
    ("a.npz", zipped(), "got nothing"),
    ("a.npz", zipped(w=promise("(1000000000000,)") + bytes(1 << 20)), "not a style of this model"),
    ("a.npz", zipped(w=npy(PLUS))[:-30], "not a whole .npz file"),
    ("a.npz", zipped(w=npy(PLUS).replace(b"NUMPY", b"NUMPX")), "not a whole .npz file"),
    ("a.npz", stored(w=npy(PLUS)).replace(npy(PLUS)[-4:], b"\0\0\0\0"), "not a whole .npz file.*CRC"),
    ("none.npz", None, "no such file"),
]


@pytest.mark.parametrize(("name", "data", "says"), BAD)
def test_bad_files(place: Path, name: str, data: bytes | None, says: str) -> None:
    if data is not None:
        Path(name).write_bytes(data)
    with pytest.raises(SeedError, match=says):
        read_latent(Seed(str(name)), load_manifest("tiny"))
    assert main(["mode=image", name]) == 2
    assert not Path("executed").exists() and not Path("image.png").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mode=image", "1.bin", "cutoff=4"], "cutoff= is out of range; expected 0 to 3; got 4"),
        (["mode=image", "1.bin", "cutoff=-1"], "cutoff= is not a fitting number"),
        (["mode=mix", "1.bin", "1.bin", "weight=1.5"], "weight= is out of range; expected 0 to 1; got 1.5"),
        (["mode=mix", "1.bin", "1.bin", "weight=x"], "weight= is not a number"),
        (["mode=image", "1.bin", "weight=1"], "weight= belongs to mode=mix"),
    ],
)
def test_bad_commands(place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("cutoff", [-1, 4, 1.5, True, "2"])
def test_bad_cutoff(place: Path, cutoff: Any) -> None:
    model = Model("tiny")
    for call in (lambda: model.mapping(Z, 0.5, cutoff=cutoff), lambda: model.truncate(PLUS, 0.5, cutoff)):
        with pytest.raises(InputError, match="cutoff is out of range; expected 0 to 3"):
            call()


def test_blend(place: Path) -> None:
    """Styles as sums of seeds; whole seeds are those of mode=mix with styles=, to the byte."""
    model = Model("tiny")
    a, b, c = (np.broadcast_to(model.truncate(w, 0.5), (3, 4)) for w in (model.mapping(Z), PLUS, model.w_avg))
    seeds = ["mode=mix", "1.bin", "projected_w.npz", "w_avg", "trunc=0.5"]
    assert main([*seeds, "blend=0:c,1:b0.25+c-1.5", "out=three.png"]) == 0
    want = np.array([c[0], a[1] + np.float32(0.25) * (b[1] - a[1]) - np.float32(1.5) * (c[1] - a[1]), a[2]])
    np.testing.assert_array_equal(pixels("three.png"), model.image(want))
    assert read_recipe("three.png")["blend"] == "0:c,1:b0.25+c-1.5"
    assert main(["mode=mix", "1.bin", "projected_w.npz", "blend=1-2:b", "out=two.png"]) == 0
    assert main(["mode=mix", "1.bin", "projected_w.npz", "styles=1-2", "out=styles.png"]) == 0
    np.testing.assert_array_equal(pixels("two.png"), pixels("styles.png"))


def test_bad_blends(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, says in (
        ("0-1", "blend= is not a list of styles"),
        ("0:b+", "blend= is not a list of styles"),
        ("0:b1e9", "blend= is not a list of styles"),
        ("0:b9", "blend= is out of range; expected -4 to 4; got 0:b9"),
        ("0:b12345.5", "blend= is out of range; expected -4 to 4; got 0:b12345.5"),
        ("0-9999999:b", "blend= is out of range; expected styles 0 to "),
        ("0:b,0-1:b", "blend= needs each style once"),
        ("1-0:b", "blend= needs each style once"),
        ("0:a", "blend= has a seed too many"),
        ("0:b+b", "blend= has a seed too many"),
        ("0:c", "blend= asks for seed c; expected at most b"),
        ("2-3:b", "blend= is out of range; expected styles 0 to 2; got 3"),
    ):
        assert main(["mode=mix", "1.bin", "w.npy", f"blend={text}"]) == 2
        assert says in capsys.readouterr().err, text
    assert main(["mode=mix", "1.bin", "w.npy", "blend=0:b", "weight=1"]) == 2
    assert main(["mode=mix", "1.bin", "w.npy", "w.npy"]) == 2, "three seeds need blend="
    assert "mode=mix has a wrong number of seeds; expected 2 seeds; got 3" in capsys.readouterr().err


def test_stops(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A video through sums of seeds: at its stops it is what blend= makes."""
    seeds = ["1.bin", "projected_w.npz", "w_avg"]
    assert main(["mode=a2b", *seeds, "stops=b/a/0:c,1:b0.25+c0.5", "frames=2", "out=frames/", "-q"]) == 0
    names = sorted(path.name for path in Path("frames").glob("*.png"))
    assert len(names) == 5
    for name, blend in ((names[0], "0-2:b"), (names[4], "0:c,1:b0.25+c0.5")):
        assert main(["mode=mix", *seeds, f"blend={blend}", "out=x.png", "-q"]) == 0
        np.testing.assert_array_equal(pixels(Path("frames") / name), pixels("x.png"))
    assert main(["mode=image", "1.bin", "out=x.png", "-q"]) == 0
    np.testing.assert_array_equal(pixels(Path("frames") / names[2]), pixels("x.png"))
    assert read_recipe(f"frames/{names[1]}")["stops"] == "b/a/0:c,1:b0.25+c0.5"
    for text, says in (
        ("a", "stops= has one stop"),
        ("a/d", "stops= asks for seed d; expected at most c"),
        ("a/0-3:b", "stops= is out of range; expected styles 0 to 2; got 3"),
        ("a//b", "stops= is not a list of styles"),
    ):
        assert main(["mode=a2b", *seeds, f"stops={text}", "out=none/"]) == 2
        assert says in capsys.readouterr().err, text
    assert not Path("none").exists()
