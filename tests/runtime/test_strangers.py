"""What a stranger has made is read and shown, and does nothing else."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from runtime_nets import write_bundle, write_seed

import ncnn_builder.strangers
import runtime.strangers
from ncnn_builder.__main__ import main as tools
from ncnn_builder.doctor.load_model import read_arrays
from ncnn_builder.errors import BuildError
from runtime import BundleError, Model, SeedError
from runtime.manifest import load_manifest
from runtime.modes import newest_model
from runtime.picture_files import FORMATS, MOST_PIXELS, NotAPicture, opened
from runtime.run import main
from runtime.seeds import read_style
from runtime.strangers import open_regular, printable, read_regular
from stylegan.dataset.picture_files import PictureError, open_picture

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(hello) print showpage\n%%EOF\n"
ESCAPES = "all is well\x1b[2K\rno\x1b]0;TITLE\x07\nnote          forged\x9b31m\u202egnp.exe\u200b"


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return path


def test_the_two_packages_read_and_show_alike() -> None:
    ours, theirs = (
        Path(module.__file__ or "").read_text().split('"""', 2)[2]
        for module in (runtime.strangers, ncnn_builder.strangers)
    )
    assert ours == theirs


def test_printable() -> None:
    for text in ("plain", "Zoë 猫, 5 µm", "a\nb\tc"):
        assert printable(text) == text
    shown = printable(ESCAPES, keep="")
    assert shown.isprintable() and shown.startswith(r"all is well\x1b[2K\rno\x1b]0;TITLE\x07\nnote")
    assert r"\x9b31m\u202egnp.exe\u200b" in shown
    assert printable("\ud800\udcff") == r"\ud800\udcff", "halves of surrogates, which print() raises for"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    fifo = tmp_path / "x.json"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="regular file"):
            open_regular(path)
    (tmp_path / "y").write_bytes(b"12345")
    assert read_regular(tmp_path / "y", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_regular(tmp_path / "y", 4)


def test_a_pipe_among_the_models_is_passed_by(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").symlink_to("/dev/zero")
    path = write_bundle(tmp_path)
    assert newest_model(tmp_path) == path
    with pytest.raises(BundleError, match=r"a\.json: the manifest cannot be read.*no regular file"):
        load_manifest(tmp_path / "a")
    os.mkfifo(tmp_path / "s.bin")
    os.mkfifo(tmp_path / "s.npz")
    for seed in ("s.bin", "s.npz"):
        with pytest.raises(SeedError, match="no regular file"):
            read_style(tmp_path / seed, 3, 4)
    assert tools(["lint", str(tmp_path / "s.bin")]) == 2


# Pictures


@pytest.mark.parametrize("kind", FORMATS)
def test_the_kinds_that_are_meant(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.of.any.name"
    Image.new("RGB", (5, 4), (10, 200, 30)).save(path, kind)
    with opened(path) as image:
        assert image.size == (5, 4)
    assert open_picture(io.BytesIO(path.read_bytes())).size == (5, 4)


def test_no_picture_starts_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands EPS to Ghostscript: one that leaves a trace stands first in the path."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "x.png").write_bytes(EPS)
    with pytest.raises(PictureError, match="no known kind"):
        open_picture(tmp_path / "x.png")
    assert main(["mode=info", str(tmp_path / "x.png")]) == 2
    assert not (tmp_path / "started").exists()
    with Image.open(tmp_path / "x.png") as control, pytest.raises(OSError):
        control.load()  # without us it is
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICNS", "PCX"])
def test_other_kinds_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    Image.new("RGB", (16, 16)).save(path, kind)
    with pytest.raises(NotAPicture, match="no known kind: PNG, JPEG"), opened(path):
        pass


def png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_pictures_have_a_largest_size(tmp_path: Path) -> None:
    side = int(MOST_PIXELS**0.5)
    with opened(io.BytesIO(png(side, side))) as image:
        assert image.size == (side, side)
    for width, height in ((side + 1, side + 1), (2**31 - 1, 2**31 - 1), (MOST_PIXELS + 1, 1)):
        with pytest.raises(NotAPicture), opened(io.BytesIO(png(width, height))):
            pass


# Text of files on the terminal


def plain(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


def test_what_a_picture_says_is_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = PngInfo()
    for key, value in (("mode", "mix"), ("model", "x"), ("command", ESCAPES)):
        said.add_itxt(f"ncnn-builder {key}", value)
    Image.new("RGB", (4, 4)).save(tmp_path / "e.png", pnginfo=said)
    assert main(["mode=info", str(tmp_path / "e.png")]) == 0
    shown = capsys.readouterr().out
    assert plain(shown) and r"\x1b[2K" in shown and "\nnote          forged" not in shown
    assert [line.split()[0] for line in shown.splitlines()] == ["picture", "mode", "model", "command", "note"]


def test_layers_and_blobs_of_nets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "r\x1b[31m\x07\x9b2J"
    lines = ["7767517", "2 2", "Input in 0 1 x 0=4", f"ReLU {name} 1 1 x y\x1b]0;T\x07 0=\x1b[2K"]
    (tmp_path / "a.param").write_text("\n".join(lines) + "\n")
    (tmp_path / "a.bin").write_bytes(b"")
    (tmp_path / "b.param").write_text("\n".join(lines).replace("\x1b[2K", "0") + "\n")
    (tmp_path / "b.bin").write_bytes(b"")
    a, b = str(tmp_path / "a.param"), str(tmp_path / "b.param")
    for arguments in (["lint", a], ["lint", b], ["show", a], ["show", b], ["diff", a, b], ["diff", b, b], ["fix", a]):
        tools(arguments)
        out, err = capsys.readouterr()
        assert plain(out) and plain(err) and out + err, arguments


def test_a_checkpoints_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    from stylegan.inspect import main as inspect

    torch.save({"synthesis.\x1b[31m\x07": torch.zeros(1)}, tmp_path / "x.pt")
    assert inspect([str(tmp_path / "x.pt")]) == 2
    out, err = capsys.readouterr()
    assert plain(out) and plain(err) and err


# Manifests


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["files"].update({"/dev/zero": {"bytes": 0, "sha256": ""}}), "'files' has a bad key"),
        (lambda d: d["files"].update({"../../etc/passwd": {"bytes": 1, "sha256": ""}}), "'files' has a bad key"),
        (lambda d: d["files"].update({"a\0b": {"bytes": 1, "sha256": ""}}), "'files' has a bad key"),
        (lambda d: d["files"].update({"\ud800": {"bytes": 1, "sha256": ""}}), "'files' has a bad key"),
        (lambda d: d["graphs"]["mapping"].update(param="a\0b"), "mapping.param' has a bad value"),
        (lambda d: d["graphs"]["mapping"].update(param="\ud800"), "mapping.param' has a bad value"),
        (lambda d: d.update(name="a\x1b[31m"), "'name' has a bad value"),
        (lambda d: d["weights"].update(source="a\nb"), "'weights.source' has a bad value"),
        (lambda d: d.update(z_dim=10**8), "'z_dim' has a bad value; expected a whole number from 0 to 1048576"),
        (lambda d: d.update(num_ws=2**62), "'num_ws' has a bad value"),
        (lambda d: d.update(num_ws=2**20, w_dim=2**20), "'num_ws' and 'w_dim' are too large together"),
        (lambda d: d.update(z_dim=2**20), "sizes and the input z of its mapping graph disagree"),
        (lambda d: d.update(num_ws=4), "sizes and the input mixing of its synthesis graph disagree"),
        (lambda d: d.update(w_dim=5), "sizes and the input ws0 of its synthesis graph disagree"),
        (lambda d: d.update(c_dim=2), "the input c of its mapping graph disagree; expected .2.; got no such input"),
        (lambda d: d["graphs"]["synthesis"]["inputs"].update(mixing=[2**62]), "inputs.mixing' has a bad value"),
        (lambda d: d["graphs"]["synthesis"]["inputs"].update(x=[1, 1, 1, 1, 1]), "inputs.x' has a bad value"),
        (lambda d: d["files"]["tiny_mapping.bin"].update(bytes=2**63), "bytes' has a bad value"),
        (
            lambda d: (d.update(z_dim=2**20), d["graphs"]["mapping"]["inputs"].update(z=[2**20])),
            "the input z of the mapping net has not the shape of the manifest; expected .1048576.; got .6.",
        ),
    ],
)
def test_manifests_that_ask_for_what_is_not_theirs(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    path = rewrite(write_bundle(tmp_path), change)
    with pytest.raises(BundleError, match=says) as caught:
        Model(path)
    assert str(caught.value).isprintable()


def test_a_listed_file_that_is_a_pipe(tmp_path: Path) -> None:
    path = write_bundle(tmp_path)
    rewrite(path, lambda d: d["files"].update({"pipe": {"bytes": 0, "sha256": ""}}))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match=r"cannot be read.*no regular file"):
        Model(path)


def test_a_manifest_that_never_ends(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b" " * (2**24 + 1))
    with pytest.raises(BundleError, match="more than 16777216 bytes"):
        load_manifest(tmp_path / "m")


def test_paths_that_are_no_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Names of files are bytes."""
    place = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(place)
    model = Path(os.fsdecode(place)) / "tiny"
    write_bundle(model.parent)
    write_seed(model.parent / "1.bin", np.random.RandomState(1).randn(6))
    environment = {**os.environ, "PYTHONUTF8": "1"}
    for arguments, code in (
        ([f"model={model}", "mode=image", f"{model.parent}/1.bin", f"out={model.parent}/x.png"], 0),
        ([f"model={model}x", "mode=image", "1"], 2),
        (["mode=info", f"{model.parent}/1.bin"], 2),
    ):
        command = [sys.executable, "-m", "runtime.run", *arguments]
        done = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path)
        assert done.returncode == code and b"Traceback" not in done.stderr, done
    assert (model.parent / "x.png").exists()


# Archives that unpack to more than they should


def npz(entries: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()


def header(shape: tuple[int, ...], version: int = 1, length: int | None = None) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
    text += b" " * (16 - len(text) % 16) + b"\n"
    size = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + text


@pytest.mark.parametrize(
    "entry",
    [
        header((3, 4), 2, 600_000_000) + b" " * 600_000,
        header((2**40, 4)),
        header((3, 4)) + b"\0" * 47,
        header((-3, 4)) + b"\0" * 48,
        b"\x93NUMPY\x02\x00" + (9000).to_bytes(4, "little") + b"(" * 9000,
        b"\x93NUMPY\x01\x00",
        b"",
    ],
)
def test_styles_are_read_no_further_than_they_are_theirs(tmp_path: Path, entry: bytes) -> None:
    for name, content in (("w.npz", npz({"w.npy": entry})), ("w.npy", entry)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SeedError):
            read_style(tmp_path / name, 3, 4)
    good = header((3, 4), 2) + np.arange(12, dtype=np.float32).tobytes()
    (tmp_path / "w.npz").write_bytes(npz({"w.npy": good}))
    np.testing.assert_array_equal(read_style(tmp_path / "w.npz", 3, 4), np.arange(12).reshape(3, 4))


BOMB = """
import resource, sys
from runtime.seeds import read_style

try:
    read_style(sys.argv[1], 3, 4)
except Exception as error:
    print(error, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """A header of 200 MB, which 200 KB hold: numpy reads it before it says that it is too long."""
    size = 200_000_000
    head = b"\x93NUMPY\x02\x00" + size.to_bytes(4, "little")
    peaks = []
    for name, entry in (("bomb", head + b" " * size), ("good", b"")):
        (tmp_path / f"{name}.npz").write_bytes(npz({"w.npy": entry}))
        command = [sys.executable, "-c", BOMB, str(tmp_path / f"{name}.npz")]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]))
    assert (tmp_path / "bomb.npz").stat().st_size < 1_000_000
    assert peaks[0] < peaks[1] + 50_000, "kilobytes"


def test_inputs_of_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "inputs.npz"
    np.savez_compressed(path, x=np.zeros(1000, np.float32))
    assert read_arrays(path)["x"].shape == (1000,)
    monkeypatch.setattr("ncnn_builder.doctor.load_model.MOST_BYTES", 1000)
    with pytest.raises(BuildError, match="more than 1000"):
        read_arrays(path)
