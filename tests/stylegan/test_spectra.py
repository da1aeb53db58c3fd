"""`python -m stylegan.spectra`: against closed forms and the official formula, from data, checkpoints and bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_support import small_trainer

from stylegan import export, spectra
from stylegan.training import saved


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data, a checkpoint and a bundle of the same network, of 16 x 16."""
    monkeypatch.chdir(tmp_path)
    random = np.random.RandomState(0)
    (tmp_path / "data").mkdir()
    for i in range(6):
        Image.fromarray(random.randint(0, 256, (16, 16, 3)).astype(np.uint8)).save(tmp_path / "data" / f"{i}.png")
    torch.set_num_threads(1)
    Path("net.safetensors").write_bytes(saved.network_bytes(small_trainer()))
    assert export.main(["--ckpt", "net.safetensors", "--out", "bundle", "--seeds", "1"]) == 0
    return tmp_path


def official(pictures: list[np.ndarray], mean: float, std: float) -> np.ndarray:
    """As avg_spectra.py computes it, in torch, with beta 8 and a factor of 4."""
    size = pictures[0].shape[-1]
    window = torch.kaiser_window(size, periodic=False, beta=8.0, dtype=torch.float64)
    window = window * window.square().sum().rsqrt()
    window = window.outer(window)
    total = torch.zeros(size * 4, size * 4, dtype=torch.float64)
    for picture in pictures:
        image = (torch.from_numpy(picture).double() - mean) / std * window
        image = torch.nn.functional.pad(image, [0, size * 3, 0, size * 3])
        total += torch.fft.fftn(image, dim=[1, 2]).abs().square().mean(dim=0)
    return (total / len(pictures)).numpy()


def test_closed_forms_and_the_official_formula() -> None:
    random = np.random.RandomState(1)
    noise = [random.randint(0, 256, (3, 32, 32)).astype(np.uint8) for _ in range(40)]
    mean, std = spectra.moments(lambda: iter(noise))
    assert (mean, std) == pytest.approx((np.mean(noise), np.std(noise)))
    power, size, count = spectra.average_power(lambda: iter(noise), mean, std)
    assert (power.shape, size, count) == ((128, 128), 32, 40)
    np.testing.assert_allclose(power, official(noise, mean, std), rtol=1e-9)
    assert power.mean() == pytest.approx(1, rel=0.02)  # white noise: 0 dB
    # A wave of 8 cycles along x has its power there and nowhere else.
    x = np.arange(32)
    wave = [np.rint(128 + 100 * np.cos(2 * np.pi * 8 * x / 32)).astype(np.uint8)[None, None].repeat(32, 1)]
    found, *_ = spectra.average_power(lambda: iter(wave), 128, 1)
    plane = spectra.Spectrum("wave", found, 32).decibels()
    assert plane.shape == (129, 129) and plane[0].tolist() == plane[-1].tolist()
    assert sorted(np.argwhere(plane == plane.max()).tolist()) == [[64, 32], [64, 96]]  # -8 and 8 cycles
    assert plane[64, 96] - plane[64, 64] > 60 and plane[64, 96] - plane[96, 64] > 60


def test_data_checkpoint_and_bundle(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = ["data", "net.safetensors", "bundle.json"]
    assert spectra.main([*sources, "--num", "4", "--seed", "5", "--npz", "n", "--out", "none"]) == 0
    assert "data  4 pictures of 16x16" in capsys.readouterr().out
    data, net, bundle = (spectra.read_npz(f"n/{name}.npz") for name in ("data", "net", "bundle"))
    np.testing.assert_allclose(net.power, bundle.power, rtol=0.02)  # rounding to 8 bits is all between them
    assert not np.allclose(data.power, net.power, rtol=0.5)
    G = small_trainer().G_ema
    zs = [np.random.RandomState(i).randn(1, 8).astype(np.float32) for i in range(5, 9)]
    with torch.no_grad():
        made = [G(torch.from_numpy(z), None, noise_mode="const")[0] for z in zs]
    pictures = [(img * 127.5 + 128).clamp(0, 255).to(torch.uint8).numpy() for img in made]
    mean, std = spectra.moments(spectra.of_data("data", 4, 5))
    np.testing.assert_allclose(net.power, official(pictures, mean, std), rtol=1e-9)
    # What is there already is drawn again, without the pictures.
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert spectra.main(["n/data.npz", "n/net.npz", "--out", "s.png"]) == 0
    with Image.open("s.png") as picture:
        assert picture.width > 600 and len(picture.convert("RGB").getcolors(10**6) or []) > 50
    first = Path("s.png").read_bytes()
    assert spectra.main(["n/data.npz", "n/net.npz", "--out", "s.png"]) == 0 and Path("s.png").read_bytes() == first


def test_refusals(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("bad.npz", spectrum=np.ones((4, 8)), image_size=4)
    np.savez("other.npz", spectrum=np.ones((32, 32)), image_size=8)
    np.savez("some.npz", spectrum=np.ones((64, 64)), image_size=16)
    (place / "grey").mkdir()
    Image.new("RGB", (16, 16), "grey").save("grey/0.png")
    Path("text.npz").write_text("x")
    before = sorted(path.name for path in place.iterdir())
    for arguments, message in (
        (["nowhere.zip"], "no such file"),
        (["nowhere.pkl"], "no such file"),
        (["nowhere.json", "data"], "nowhere.json"),
        (["net.safetensors"], "expected a folder or zip of pictures, or --mean and --std"),
        (["data", "--mean", "1"], "--mean and --std: expected both or none"),
        (["data", "--std", "0", "--mean", "1"], "--std 0: expected 1e-09 to 1e+09"),
        (["data", "--num", "0"], "--num 0: expected 1 to"),
        (["data", "--interp", "0"], "--interp 0: expected 1 to 16"),
        (["data", "--beta", "nan"], "--beta nan"),
        (["data", "--out", "x.txt"], "--out x.txt: expected the name of a picture"),
        (["data", "--out", "none"], "--out none: expected --npz"),
        (["data", "--out", "no/x.png"], "there is no folder no"),
        (["data", "data"], "expected names that differ"),
        (["grey"], "all of one colour"),
        (["bad.npz"], "bad.npz: no file of a spectrum: spectrum [4, 8]"),
        (["text.npz"], "text.npz: no file of a spectrum"),
        (["some.npz", "other.npz"], "expected spectra of one size, got"),
    ):
        assert spectra.main(arguments) == 2, arguments
        said = capsys.readouterr().err
        assert message in said and said.startswith("stylegan.spectra: ") and "Traceback" not in said, said
    assert sorted(path.name for path in place.iterdir()) == before
