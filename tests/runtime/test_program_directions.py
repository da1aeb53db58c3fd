"""The program stylegan: what it refuses of blend=, edit=, move= and zoom=, and files of directions that are damaged."""

from __future__ import annotations

import random
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_support import network
from PIL import Image
from program_support import call, check_refused, cpp_build, listing, nets
from runtime_nets import write_bundle, write_seed

from runtime.edits import read_directions
from runtime.errors import SeedError
from stylegan.export import export_generator

WS, W = 3, 4  # of the bundle


@pytest.fixture(scope="module")
def program() -> Path:
    return cpp_build("prefix/bin/stylegan")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with a model, and seeds 1.bin, 2.bin."""
    write_bundle(tmp_path)
    for i in (1, 2):
        write_seed(tmp_path / f"{i}.bin", np.random.RandomState(i).randn(6))
    return tmp_path


def mode(number: int, *rest: object, seeds: int = 1) -> list[object]:
    return [number, 6, WS, 1.0, *["1.bin", "2.bin", "1.bin"][:seeds], *nets("tiny"), *rest]


WORDS: list[tuple[list[object], str]] = [
    *(
        (mode(0, word), f"{word.split('=')[0]}= {says}")
        for word, says in (
            ("edit=", "has no value"),
            ("edit=d.npy", "is not a list of directions in files; expected FILE:DIRECTION:HOW_FAR"),
            ("edit=d.npy:0", "is not a list of directions in files"),
            ("edit=d.npy:0:", "is not a list of directions in files"),
            ("edit=:0:1", "is not a list of directions in files"),
            ("edit=d.npy:0:1,", "is not a list of directions in files"),
            ("edit=d.npy:-1:1", "is not a list of directions in files"),
            ("edit=d.npy:0:x", "is not a number; expected such as edit=faces_pca.npz:3:+2.5; got 'x'"),
            ("edit=d.npy:0:1e99", "is not a number"),
            ("move=1", "is not a list of directions; expected such as move=0:2.5,3:-1; got '1'"),
            ("move=1:1,1:2", "is not a list of directions"),
            ("move=1:nan", "is not a number"),
            ("layers=0", "is about edit=; expected edit=; got no edit="),
            ("move_styles=0", "is about move="),
            ("blend=0:b", "belongs to mode 1; got mode 0"),
            ("zoom=0", "is out of range; expected 0.01 to 100"),
            ("zoom=x", "is not a number"),
            ("rotate=1e7", "is out of range"),
            ("translate=1", "is not two numbers"),
            ("translate=1,2000", "is out of range; expected -1000 to 1000 widths"),
        )
    ),
    (mode(0, "zoom=1", "zoom=2"), "zoom= is given twice"),
    (mode(0, "zoom=1"), "tiny_synthesis.param: rotate=, translate= and zoom= need the input 'transform', which the"),
    (mode(0, "move=0:1"), "the net does not say which blobs its affine layers make"),
    (mode(0, "move=0:1", "move_styles=3"), "move_styles= is out of range; expected 0 to 2; got 3"),
    (mode(0, "edit=d.npy:2:1"), "d.npy: edit= asks for a direction that there is not; expected 0 to 1; got 2"),
    (mode(0, "edit=d.npy:99999999999:1"), "asks for a direction that there is not; expected 0 to 1; got 2147483647"),
    (mode(0, "edit=d.npy:0:1", "layers=1-3"), "layers= is out of range; expected 0 to 2; got 3"),
    (mode(0, "edit=d.npy:0:1", "layers=2-1"), "layers= is not a list of styles"),
    (mode(0, "edit=d.npy:0:1", "layers=99999999999"), "layers= is out of range"),
    (mode(0, "edit=d.npy:0:3e38"), "the picture is not finite"),
    *(
        (mode(1, f"blend={value}", seeds=2), f"blend= {says}")
        for value, says in (
            ("0", "is not a list of styles and what they take; expected such as blend=0-6:b,7:b0.3+c0.2"),
            ("0:b+", "is not a list of styles"),
            ("0:1", "is not a list of styles"),
            ("0:b1e0", "is not a list of styles"),
            ("0:a", "has a seed too many"),
            ("0:b+b", "has a seed too many"),
            ("0:b5", "is out of range; expected -4 to 4"),
            ("0-1:b,1:b", "needs each style once"),
            ("1-0:b", "is not a list of styles"),
            ("3:b", "is out of range; expected styles 0 to 2; got 3"),
            ("0:c", "asks for seed c; expected at most b"),
        )
    ),
    (mode(1, "blend=0:b"), "the argument NAME_synthesis.bin is missing"),
    (mode(1, 0, "blend=0:b", seeds=2), "STYLE and blend= say the same thing; expected one of them; got '0'"),
    (mode(1, "zom=1", seeds=2), "STYLE is not a fitting number; expected a whole number, 0 to 2; got 'zom=1'"),
]


def test_wrong_words(program: Path, place: Path) -> None:
    np.save(place / "d.npy", np.ones((2, W), np.float32))
    before = listing(place)
    for arguments, message in WORDS:
        assert message in check_refused(call(program, place, *arguments)), arguments
        assert listing(place) == before, arguments
    assert call(program, place, *mode(0, "edit=d.npy:0:1", "layers=0-2")).returncode == 0, "the control"


def test_an_open_transform_says_what_to_do(program: Path, tmp_path: Path) -> None:
    export_generator(network("t"), tmp_path / "b", transform_input=True, seeds=[1])
    arguments = [0, 16, 16, 1.0, "seeds/1.bin", *nets()]
    said = check_refused(call(program, tmp_path, *arguments))
    assert "input 'transform', which nothing is given for" in said and "zoom=1 leaves the picture as it is" in said
    assert call(program, tmp_path, *arguments, "zoom=1").returncode == 0


def saved(array: Any) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def zipped(packed: bool = False, **arrays: Any) -> bytes:
    file = BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


def test_wrong_files(program: Path, place: Path) -> None:
    good = np.ones((2, W), np.float32)
    whole, packed = zipped(directions=good), zipped(True, directions=np.zeros((100, W)))
    directory = whole.rindex(b"PK\1\2")
    header = saved(good)
    files: list[tuple[str, bytes, str]] = [
        ("a.txt", b"x", "not a file of directions; expected .npz or .npy"),
        ("a.npy", b"", "not a whole .npy file; reason: it has not the magic word"),
        ("a.npy", saved(good[:, :3]), "not directions of this model; expected floats of [K, 4] or [K, 3, 4]; got"),
        ("a.npy", saved(np.ones((2, 2, W))), "not directions of this model"),
        ("a.npy", saved(good[:0]), "not directions of this model"),
        ("a.npy", saved(np.float32(1)), "not directions of this model"),
        ("a.npy", saved(good.astype(int)), "or [K, 3, 4]; got int64 of [2, 4]"),
        ("a.npy", saved(good * np.nan), "numbers that are NaN, infinite or too large"),
        ("a.npy", saved(good.astype(float) * 1e300), "numbers that are NaN, infinite or too large"),
        ("a.npy", saved(np.array([{}], object)), "not a whole .npy file; reason: numbers of the type |O"),
        ("a.npy", saved(np.zeros(2, "f4,i4")), "it holds records, not numbers"),
        ("a.npy", saved(good.astype(complex)), "numbers of the type <c16"),
        ("a.npy", saved(np.ones((5000, W), "f2")), "bytes for an array of another size"),
        ("a.npy", header[:-4], "28 bytes for an array of another size"),
        ("a.npy", header + b"x", "33 bytes for an array of another size"),
        ("a.npy", header.replace(b"(2, 4)", b"(2,999999999)"), "bytes for a larger array"),
        ("a.npy", header.replace(b"'shape'", b"'shap_'"), "its header has a wrong key"),
        ("a.npy", header[:8] + b"\xff\xff" + header[10:], "a header of 65535 bytes"),
        ("a.npy", header[:6] + b"\3\0" + header[8:], "version (3, 0) of the format"),
        ("a.npz", b"", "not a whole .npz file; reason: File is not a zip file"),
        ("a.npz", zipped(w=good, x=good), "the file has no entry directions; expected directions; got w, x"),
        ("a.npz", zipped(directions=good, styles=np.array([3])), "the file moves styles that the model has not"),
        ("a.npz", zipped(directions=good, styles=np.array([-1])), "the file moves styles that the model has not"),
        ("a.npz", zipped(directions=good, styles=good), "are no list of whole numbers; got float32 of [2, 4]"),
        ("a.npz", whole[:-30], "File is not a zip file"),
        ("a.npz", whole[:directory] + whole[directory + 1 :], "its directory lies outside"),
        ("a.npz", whole[: directory + 10] + b"\x0e\0" + whole[directory + 12 :], "by a method other than stored and"),
        ("a.npz", whole[: directory + 8] + b"\1\0" + whole[directory + 10 :], "directions.npy is encrypted"),
        ("a.npz", whole.replace(b"\0\0\x80\x3f", b"\0\0\x81\x3f", 1), "directions.npy has another checksum"),
        ("a.npz", packed.replace(packed[70:74], b"\xff\xff\xff\xff", 1), "directions.npy cannot be unpacked"),
    ]  # fmt: skip
    size = packed.rindex(b"PK\1\2") + 24
    lying = packed[:size] + struct.pack("<I", 100 << 20) + packed[size + 4 :]
    files.append(("a.npz", lying, "directions.npy cannot be of its size"))
    for name, data, message in files:
        (place / name).write_bytes(data)
        before = listing(place)
        said = check_refused(call(program, place, *mode(0, f"edit={name}:0:1")))
        assert said.startswith(f"error: {name}: ") and message in said, (said, message)
        assert listing(place) == before
    (place / "dir.npz").mkdir()
    assert "it is no regular file" in check_refused(call(program, place, *mode(0, "edit=dir.npz:0:1")))
    assert "none.npz: no such file" in check_refused(call(program, place, *mode(0, "edit=none.npz:0:1")))
    with (place / "large.npy").open("wb") as file:
        file.truncate((1 << 27) + 1)
    assert "more than 134217728 bytes" in check_refused(call(program, place, *mode(0, "edit=large.npy:0:1")))


def test_damaged_files(program: Path, place: Path) -> None:
    """A picture or one message; what the program takes is what Python takes of it."""
    array = np.random.RandomState(0).randn(2, WS, W)
    wholes = [
        (".npy", saved(array.astype("<f4"))),
        (".npz", zipped(directions=array[:, 0], styles=np.array([0, 2]))),
        (".npz", zipped(True, directions=np.asfortranarray(array.astype("<f2")), about=np.array("text"))),
    ]
    taken = 0
    for number in range(150):
        rng = random.Random(number)
        suffix, whole = wholes[number % 3]
        data = bytearray(whole)
        for _ in range(rng.choice([0, 1, 1, 2])):
            place_of = rng.randrange(len(data))
            kind = rng.randrange(4)
            if kind == 0:
                del data[place_of:]
                data += b"\0"
            elif kind == 1:
                data[place_of] = rng.randrange(256)
            elif kind == 2:
                data[place_of : place_of + 4] = struct.pack("<I", rng.choice([0, 1, 0xFFFFFFFF, 0x7FFFFFFF]))
            else:
                at = max(data.find(b"{"), 0)
                data[min(at + rng.randrange(60), len(data) - 1)] = rng.choice(b"0123456789'(),{} <>=fiuOTF")
        name = f"damaged{suffix}"
        (place / name).write_bytes(data)
        done = call(program, place, *mode(0, f"edit={name}:0:1"))
        try:
            read_directions(str(place / name), WS, W)
        except SeedError:
            assert done.returncode == 2, f"case {number}: taken, but not by Python"
        if done.returncode:
            check_refused(done)
        else:
            taken += 1
            with Image.open(place / "image.png") as picture:
                picture.load()
    assert 30 < taken < 130
