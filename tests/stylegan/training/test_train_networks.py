"""The networks of `stylegan.train`: by options, recipe or checkpoint; grey and transparent; the predecessor's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from official_pickles import dumps, official_network, persistent
from PIL import Image
from training_support import KWARGS, Pictures, small_settings

from stylegan import train, v3
from stylegan.dataset import PictureDataset
from stylegan.errors import ConfigError
from stylegan.networks import configs
from stylegan.training import saved
from stylegan.training.data import batches
from stylegan.training.recipes import get_recipe
from stylegan.training.settings import default_settings
from stylegan.training.trainer import Trainer

ONE_STEP = ["--kimg", "1e-9", "--batch", "4", "--workers", "0", "--device", "cpu"]
SMALL = ["--cbase", "64", "--cmax", "8", "--z-dim", "8", "--w-dim", "8"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for family, kwargs in KWARGS.items():
        monkeypatch.setitem(configs.CONFIGS, f"{family}_16_test", configs.Config("", family, kwargs, None))
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the same pictures in colour, grey and transparent."""
    folder = tmp_path_factory.mktemp("data")
    for mode in ("RGB", "L", "RGBA"):
        (folder / mode).mkdir()
        for i, (pixels, _) in enumerate(Pictures(8)[i] for i in range(8)):
            picture = Image.fromarray(pixels.transpose(1, 2, 0)).convert(mode)
            if mode == "RGBA":
                picture.putalpha(Image.fromarray(pixels[0]))
            picture.save(folder / mode / f"{i}.png")
    return folder


def run(out: Path, data: Path, *options: str) -> int:
    return train.main(["--data", str(data), "--out", str(out), *ONE_STEP, *options])


@pytest.mark.parametrize("family", ["v2ada", "v3"])
def test_options_of_the_networks(tmp_path: Path, data: Path, family: str, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--cbase", "32", "--cmax", "4", "--z-dim", "4", "--w-dim", "6", "--map-depth", "3", "--mbstd-group", "2"]
    assert run(tmp_path, data / "RGB", "--cfg", f"{family}_16_test", *named) == 0
    head = saved.head(tmp_path / saved.STATE)
    kwargs = head["init_kwargs"]
    synthesis = kwargs if family == "v3" else kwargs["synthesis_kwargs"]
    assert (synthesis["channel_base"], synthesis["channel_max"], kwargs["z_dim"], kwargs["w_dim"]) == (32, 4, 4, 6)
    assert kwargs["mapping_kwargs"]["num_layers"] == 3 and head["asked"]["mbstd_group"] == 2
    tensors = saved.read_state(tmp_path / saved.STATE).tensors
    assert tensors["D/b16.conv0.weight"].shape[:2] == (2, 2) and tensors["G/mapping.fc2.weight"].shape == (6, 6)
    # What is left out is as it was, and what is not has to be.
    assert run(tmp_path, data / "RGB", "--resume", "--kimg", "0.008") == 0
    assert saved.head(tmp_path / saved.STATE)["seen"] == 8
    assert run(tmp_path, data / "RGB", "--resume", "--cbase", "64", "--kimg", "0.012") == 2
    assert "init_kwargs is" in capsys.readouterr().err
    other = "v3_16_test" if family == "v2ada" else "v2ada_16_test"
    assert run(tmp_path, data / "RGB", "--resume", "--cfg", other) == 2
    assert f"has configuration {family}_16_test, not {other}" in capsys.readouterr().err


def test_of_configuration_r_the_generator_has_twice_the_channels(tmp_path: Path, data: Path) -> None:
    assert run(tmp_path, data / "RGB", "--cfg", "stylegan3-r", *SMALL, "--aug", "none") == 0
    said = json.loads((tmp_path / "training-options.json").read_text())
    assert (said["generator"]["channel_base"], said["generator"]["channel_max"]) == (128, 16)
    assert (said["discriminator"]["channel_base"], said["discriminator"]["channel_max"]) == (64, 8)
    assert said["generator"]["img_resolution"] == 16


@pytest.mark.parametrize("mode, channels", [("L", 1), ("RGBA", 4)])
def test_grey_and_transparent_pictures(tmp_path: Path, data: Path, mode: str, channels: int) -> None:
    options = [] if mode == "L" else ["--channels", "4"]
    pipe = ["--aug", "fixed", "--p", "1", "--augpipe", "bgcfnc"]
    assert run(tmp_path, data / mode, "--cfg", "auto", *SMALL, *options, *pipe) == 0
    assert saved.head(tmp_path / saved.STATE)["init_kwargs"]["img_channels"] == channels
    for name in ("reals.png", "fakes-000000-004.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.mode == mode
    tensors = saved.read_state(tmp_path / saved.STATE).tensors
    assert tensors["D/b16.fromrgb.weight"].shape[1] == tensors["G/synthesis.b16.torgb.bias"].shape[0] == channels


@pytest.mark.parametrize("architecture", ["resnet", "orig", "skip"])
def test_the_network_of_a_checkpoint(
    tmp_path: Path, data: Path, architecture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of any kind, also with another filter; its discriminator too, which has other channels than its generator."""
    synthesis = dict(
        channel_base=64, channel_max=6, conv_clamp=128, resample_filter=[1, 2, 1], architecture=architecture
    )
    kwargs = {**KWARGS["v2ada"], "synthesis_kwargs": synthesis, "mapping_kwargs": {"num_layers": 1}}
    settings = small_settings(d_architecture=architecture, d_channel_base=32, d_channel_max=3, mbstd_group=0)
    made = Trainer("v2ada", kwargs, settings)
    G = official_network("v2ada", made.G_ema, kwargs)
    path = tmp_path / "network.pkl"
    path.write_bytes(dumps({"G": G, "D": persistent(made.D, "v2ada"), "G_ema": G}))
    out = tmp_path / "out"
    assert run(out, data / "RGB", "--ckpt", str(path)) == 0
    assert "the generator is of the checkpoint; the discriminator is of the checkpoint\n" in capsys.readouterr().err
    said = json.loads((out / "training-options.json").read_text())
    assert said["generator"]["synthesis_kwargs"]["resample_filter"] == [1, 2, 1]
    assert said["settings"]["d_architecture"] == architecture and said["settings"]["mbstd_group"] == 0
    assert {k: v.shape for k, v in saved.read_state(out / saved.STATE).tensors.items() if k.startswith("D/")} == {
        f"D/{k}": v.shape for k, v in made.D.state_dict().items()
    }
    # The same network, at half the resolution of its pictures; and one that the data are not of.
    assert run(tmp_path / "half", data / "RGB", "--ckpt", str(path), "--resolution", "32") == 2
    assert "expected 32x32" in capsys.readouterr().err


def test_what_cannot_be_built(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--cfg", "auto", "--cbase", "8"], "there are no such networks: channel_base 8 leaves a block of 16 pixels"),
        (["--cfg", "v2ada_16_test", "--freeze-g-at", "b5"], "there is no 'b5' with weights, there are b4, b8, b16"),
        (["--cfg", "v2ada_16_test", "--w-dim", "0"], "--w-dim 0: expected 1 or more"),
        (["--cfg", "v2ada_16_test", "--g-betas", "0.9"], "g_betas: expected two numbers"),
        (["--cfg", "v2ada_16_test", "--aug", "fixed"], "--aug fixed: expected --p with the probability"),
        (["--cfg", "v2ada_16_test", "--p", "0.2"], "--p: belongs to --aug fixed, and this is ada"),
        (["--cfg", "v2ada_16_test", "--aug", "noaug", "--ada-kimg", "9"], "--ada-kimg: belongs to --aug ada"),
        ([], "--cfg is missing"),
        (["--cfg", "paper265"], "did you mean paper256"),
    ):
        assert run(tmp_path / "out", data / "RGB", *options) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# -- recipes ----------------------------------------------------------------------------------------------------


def test_recipes_of_the_official_code() -> None:
    paper = get_recipe("paper256")
    assert paper.network(256, 3)["synthesis_kwargs"]["channel_base"] == 16384
    assert paper.changes({}, 1) | {} == {
        **dict(batch=64, batch_gpu=8, mbstd_group=8, g_lr=0.0025, d_lr=0.0025, gamma=1, ema_kimg=20, ema_rampup=None),
    }
    assert paper.changes({"batch": 12}, 1)["batch_gpu"] == 6 and paper.changes({}, 16)["batch_gpu"] == 4
    assert [get_recipe("auto").network(r, 1)["synthesis_kwargs"]["channel_base"] for r in (256, 512)] == [16384, 32768]
    assert get_recipe("auto").init_kwargs["mapping_kwargs"] == {"num_layers": 2}
    cifar = get_recipe("cifar")
    assert cifar.kimg == 100000 and cifar.settings["d_architecture"] == "orig" and cifar.settings["pl_weight"] == 0
    with pytest.raises(ConfigError, match="did you mean stylegan3-t"):
        get_recipe("stylegan3_t")


def test_recipes_of_the_predecessor() -> None:
    recipe = get_recipe("styleganv2ada_256_custom")
    settings = default_settings("v2ada", recipe.network(256, 3), 2, True, **recipe.changes({"batch": 8}, 2))
    assert (settings.batch, settings.batch_gpu, settings.group, settings.gamma, settings.ema_kimg) == (8, 4, 4, 0.5, 20)
    assert settings.g_lr == settings.d_lr == 0.0025 / 16 * 8
    assert (settings.ema_rampup, settings.ada_kimg) == (None, 100)
    v3 = get_recipe("styleganv3_r_512_afhqv2")
    assert v3.mirror and v3.changes({}, 1)["gamma"] == 16.4 and v3.changes({}, 1)["d_lr"] == pytest.approx(0.002)
    assert v3.init_kwargs == configs.get_config("v3_r_512_afhqv2").init_kwargs


# -- a training of the predecessor ------------------------------------------------------------------------------


def predecessor_file(trainer: Trainer, epoch: int) -> dict[str, Any]:
    """As it saves one: its optimiser numbers the parameters of the synthesis network, then of the mapping."""
    parts = {
        f"{half}{end}": getattr(G, half)
        for end, G in (("", trainer.G), ("_ema", trainer.G_ema))
        for half in ("synthesis", "mapping")
    }
    networks = {"G": (("synthesis.", trainer.G.synthesis), ("mapping.", trainer.G.mapping)), "D": (("", trainer.D),)}
    optimisers = {}
    for name, halves in networks.items():
        ordered = [trainer.trained[name][prefix + key] for prefix, of in halves for key, _ in of.named_parameters()]
        state = {i: dict(trainer.optimisers[name].state[p]) for i, p in enumerate(ordered)}
        state[0]["step"] = int(state[0]["step"])  # of older versions of torch
        groups = [{"lr": 0.1, "betas": (0.0, 0.9), "foreach": None, "params": [i]} for i in range(len(ordered))]
        optimisers[f"optimizer_{name}"] = {"state": state, "param_groups": groups}
    state_dicts = {name: module.state_dict() for name, module in {**parts, "discriminator": trainer.D}.items()}
    return {"start_epoch": epoch, **state_dicts, **optimisers}


def test_a_training_of_the_predecessor_goes_on(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its optimisers: the next step is the one that the training itself would have made."""
    settings = default_settings("v2ada", KWARGS["v2ada"], 1, True, batch=4, aug="none")
    whole, pictures = Trainer("v2ada", KWARGS["v2ada"], settings), PictureDataset(data / "RGB", labels=False)
    source = batches(pictures, 0, 0, 4)
    for _ in range(2):  # one round through 8 pictures
        whole.step(*next(source))
    path = tmp_path / "1.pth"
    torch.save(predecessor_file(whole, 1), path)
    out = tmp_path / "out"
    named = ["--cfg", "v2ada_16_test", "--aug", "none", "--ckpt", str(path), "--kimg", "0.012"]
    assert run(out, data / "RGB", *named, "--resume") == 0
    assert "goes on after 8 pictures, with its optimisers" in capsys.readouterr().err
    whole.step(*next(source))
    got, want = saved.read_state(out / saved.STATE), whole.state()
    assert (got.number, got.seen) == (3, 12)
    assert [key for key in want if key != "pl_mean" and not torch.equal(got.tensors[key], want[key])] == []
    assert run(out, data / "RGB", "--resume", "--kimg", "0.016") == 0
    # The control: without its optimisers the step is another one.
    assert run(tmp_path / "anew", data / "RGB", *named[:-1], "0.004") == 0
    assert not torch.equal(
        saved.read_state(tmp_path / "anew" / saved.STATE).tensors["D/b8.conv0.weight"], want["D/b8.conv0.weight"]
    )


def test_what_is_no_training_of_the_predecessor(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer("v2ada", KWARGS["v2ada"], small_settings(aug="none"))
    trainer.step(*next(batches(PictureDataset(data / "RGB", labels=False), 0, 0, 4)))
    whole = predecessor_file(trainer, 1)
    optimiser = whole["optimizer_G"]
    fewer = {**optimiser, "state": dict(list(optimiser["state"].items())[:-1])}
    turned = {
        **optimiser,
        "state": {i: optimiser["state"][len(optimiser["state"]) - 1 - i] for i in optimiser["state"]},
    }
    nan = {**whole["discriminator"], "b4.out.bias": torch.tensor([np.nan])}
    for change, message in (
        ({"optimizer_D": None}, "it lacks optimizer_D"),
        ({"start_epoch": "1"}, "it lacks start_epoch"),
        ({"optimizer_G": fewer}, "give what its exp freezes with --freeze-g-at"),
        ({"optimizer_G": turned}, "exp_avg of synthesis.b4.const: expected"),
        ({"discriminator": nan}, "NaN"),
    ):
        torch.save({**whole, **change}, tmp_path / "1.pth")
        options = ["--cfg", "v2ada_16_test", "--ckpt", str(tmp_path / "1.pth"), "--resume"]
        assert run(tmp_path / "out", data / "RGB", *options) == 2
        assert message in capsys.readouterr().err


def test_filters_are_of_the_networks_own_resolution(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """StyleGAN3's follow from it, and layers of two resolutions may have the same name."""
    kwargs = {**KWARGS["v3"], "channel_max": 4}
    other = v3.Generator(**{**kwargs, "img_resolution": 24}).state_dict()
    own = v3.Generator(**kwargs).state_dict()
    filters = [key for key in own if key.endswith("_filter")]
    assert any(key in other and not torch.equal(other[key], own[key]) for key in filters)
    torch.save(other, tmp_path / "other.pt")
    options = ["--cfg", "v3_16_test", "--cmax", "4", "--ckpt", str(tmp_path / "other.pt")]
    assert run(tmp_path / "out", data / "RGB", *options) == 0
    assert "the generator is of the checkpoint as far as it fits" in capsys.readouterr().err
    got = saved.read_state(tmp_path / "out" / saved.STATE).tensors
    assert all(torch.equal(got[f"G/{key}"], own[key]) for key in filters)
