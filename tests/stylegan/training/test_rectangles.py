"""Data that is not square: made by stylegan.dataset, trained on, exported, gone on with; what no network makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from training_support import KWARGS, small_settings

from runtime import Model
from stylegan import export, train
from stylegan.dataset import PictureDataset
from stylegan.dataset.__main__ import main as dataset
from stylegan.dataset.sizes import first_block
from stylegan.training import saved
from stylegan.training.discriminator import Discriminator
from stylegan.training.settings import discriminator_kwargs
from stylegan.training.trainer import Trainer

SMALL = ["--cbase", "64", "--cmax", "8", "--z-dim", "8", "--w-dim", "8", "--batch", "4", "--workers", "0", "-q"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    random = np.random.RandomState(0)
    (tmp_path / "photos").mkdir()
    for i in range(6):
        Image.fromarray(random.randint(0, 256, (40 + i, 50, 3)).astype(np.uint8)).save(f"photos/{i}.png")
    return tmp_path


def test_sizes() -> None:
    for size, want in {
        (256, 256): (256, (4, 4)),
        (256, 512): (512, (4, 2)),
        (512, 256): (512, (2, 4)),
        (384, 256): (256, (4, 6)),
        (192, 256): (256, (4, 3)),
        (640, 480): None,
        (4, 4): (4, (4, 4)),
        (2, 2): None,
        (0, 0): None,
    }.items():
        assert first_block(*size) == want, size


@pytest.mark.parametrize(
    "cfg, width, height, init", [("auto", 24, 16, [4, 6]), ("auto", 16, 32, [4, 2]), ("stylegan3-t", 16, 32, None)]
)
def test_from_photos_to_a_bundle(place: Path, cfg: str, width: int, height: int, init: list[int] | None) -> None:
    """Also with the augmentation of the paper, which turns pictures by quarters; and mirrored."""
    assert dataset(["photos", "d.zip", "--resolution", f"{width}x{height}", "--crop", "rectangle", "-q"]) == 0
    assert dataset(["d.zip", "--verify", "-q"]) == 0
    data = PictureDataset("d.zip", square=False)
    assert data.size == (height, width) and data.picture(0).shape == (3, height, width)
    command = ["--cfg", cfg, "--data", "d.zip", "--out", "run", *SMALL, "--aug", "fixed", "--p", "0.8", "--mirror"]
    assert train.main([*command, "--kimg", "0.004"]) == 0
    head = saved.head(Path("run") / saved.STATE)
    kwargs = head["init_kwargs"]
    assert kwargs.get("synthesis_kwargs", {}).get("init_res") == init and kwargs.get("square", True) == bool(init)
    fc = saved.read_state(Path("run") / saved.STATE).tensors["D/b4.fc.weight"]
    assert fc.shape[1] == 8 * (init or [4, 2])[0] * (init or [4, 2])[1]
    assert train.main(["--data", "d.zip", "--out", "run", "--resume", "--kimg", "0.008", "--workers", "0", "-q"]) == 0
    with Image.open("run/reals.png") as picture:
        assert picture.width % width == 0 and picture.height % height == 0
    network = next(iter(sorted(Path("run").glob("network-*.safetensors"), reverse=True)))
    assert export.main(["--ckpt", str(network), "--out", "net", "--seeds", "1"]) == 0
    model = Model("net")
    assert model.image(model.mapping(np.ones(8, np.float32))).shape == (height, width, 3)
    # Another training begins with it, discriminator and all.
    assert train.main([*command[:4], "--out", "b", *SMALL, "--ckpt", f"run/{saved.STATE}", "--kimg", "0.004"]) == 0


def test_a_discriminator_of_rectangles() -> None:
    """Twice as wide a picture as a square one, of which both halves are equal, has the same features everywhere but at
    the seam: what the blocks compute does not depend on the sizes."""
    kwargs = {**KWARGS["v2ada"], "synthesis_kwargs": {**KWARGS["v2ada"]["synthesis_kwargs"], "init_res": [4, 8]}}
    wide = discriminator_kwargs("v2ada", kwargs, small_settings(mbstd_group=0))
    assert wide["init_res"] == [4, 8]
    assert "init_res" not in discriminator_kwargs("v2ada", KWARGS["v2ada"], small_settings())
    torch.manual_seed(0)
    D, square = Discriminator(**wide), Discriminator(**{**wide, "init_res": [4, 4]})
    square.load_state_dict({k: v for k, v in D.state_dict().items() if "b4.fc.weight" not in k}, strict=False)
    img = torch.randn(2, 3, 16, 16)
    x, y = D.b16(None, torch.cat([img, img], dim=3))[0], square.b16(None, img)[0]
    torch.testing.assert_close(x[..., 1:6], y[..., 1:6])
    assert D(torch.cat([img, img], dim=3)).shape == (2, 1)
    with pytest.raises(ValueError, match=r"img must have shape \[N, 3, 16, 32\], got \[2, 3, 16, 16\]"):
        D(img)
    trainer = Trainer("v2ada", kwargs, small_settings())
    assert trainer.G(torch.randn(1, 8)).shape == (1, 3, 16, 32)


def test_refusals(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dataset(["photos", "d.zip", "--resolution", "24x16", "--crop", "rectangle", "-q"]) == 0
    capsys.readouterr()
    (place / "odd").mkdir()
    Image.new("RGB", (20, 17)).save("odd/0.png")
    for arguments, message in (
        (["--cfg", "stylegan3-t", "--data", "d.zip"], "StyleGAN3 makes squares, and pictures half as wide as high"),
        (["--cfg", "v2ada_256_custom", "--data", "d.zip"], "24x16 is not square"),
        (["--cfg", "auto", "--data", "odd"], "no network makes 20x17"),
        (["--cfg", "auto", "--data", "d.zip", "--metrics", "fid"], "--metrics takes square ones only"),
    ):
        assert train.main([*arguments, "--out", "run", *SMALL]) == 2
        said = capsys.readouterr().err
        assert message in said and "Traceback" not in said, said
        assert not Path("run").exists()
    assert dataset(["photos", "x.zip", "--resolution", "20x17", "--crop", "rectangle"]) == 2
    assert "no network makes such pictures: expected a rectangle" in capsys.readouterr().err
    assert dataset(["photos", "x.zip", "--crop", "rectangle"]) == 2
    assert "--crop rectangle wants --resolution too" in capsys.readouterr().err
    with pytest.raises(Exception, match="24x16 is not square"):
        PictureDataset("d.zip")
