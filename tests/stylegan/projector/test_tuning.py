"""Where a projection starts, styles that stay together, and pivotal tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from projection_support import QUICK, TINY, command, files, prepare, report

from runtime.run import main as run_model
from stylegan import convert
from stylegan.checkpoints import checkpoint
from stylegan.errors import ProjectionError
from stylegan.networks.configs import CONFIGS
from stylegan.projector import PixelDistance, Projector, Settings, Tuning
from stylegan.projector.optimise import drawn_styles, mapping_statistics
from stylegan.projector.tuning import added, delta_bytes, read_delta, tune


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)


def generator(seed: int = 7) -> Any:
    config = CONFIGS["tiny"]
    state = checkpoint.random_state(config.family, config.init_kwargs, seed)
    return checkpoint.build_generator(config.family, config.init_kwargs, state, "random")


def picture_of(G: Any, w: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        image: torch.Tensor = (G.synthesis(w.expand(1, G.num_ws, -1), noise_mode="const")[0] + 1) * 127.5
    return image


def test_the_nearest_of_drawn_styles() -> None:
    G = generator()
    drawn = torch.cat(list(drawn_styles(G, None, 40, 16)))
    assert drawn.shape == (40, 16) and torch.equal(drawn[:20], torch.cat(list(drawn_styles(G, None, 20, 7))))
    for wanted in (3, 25):
        target = picture_of(G, drawn[wanted])
        start = Projector(G, target, PixelDistance(), Settings(nearest=40))
        torch.testing.assert_close(start.w[0, 0].detach(), drawn[wanted])
        assert float(start.distance_of(start.picture(start.w)).detach()) < 1e-6
        fewer = Projector(G, target, PixelDistance(), Settings(nearest=wanted))  # it is not among them
        assert not torch.allclose(fewer.w[0, 0], drawn[wanted])
    w_avg, _ = mapping_statistics(G, None)
    start = Projector(G, picture_of(G, w_avg), PixelDistance(), Settings(nearest=40))
    torch.testing.assert_close(start.w[0, 0].detach(), w_avg)  # none is nearer than the mean style itself


def test_styles_that_stay_together() -> None:
    G = generator()
    target = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 16, 16))).float()

    def spread(together: float) -> float:
        projector = Projector(G, target, PixelDistance(), Settings(steps=25, w_plus=True, together=together))
        while not projector.done:
            projector.advance()
        w = projector.result().w
        return float((w - w.mean(0)).norm())

    free, some, much = spread(0), spread(0.3), spread(1000)
    assert much < 0.3 * some < 0.3 * 0.9 * free


def test_tuning_and_its_delta() -> None:
    G = generator()
    before = {name: value.clone() for name, value in G.state_dict().items()}
    target = torch.from_numpy(np.array(Image.open("cat.png").convert("RGB").resize((16, 16)))).permute(2, 0, 1)
    w = torch.cat(list(drawn_styles(G, None, 1, 1)))
    projector = Projector(G, target, PixelDistance(), Settings())
    losses: list[float] = []
    ws = w.expand(G.num_ws, -1)
    delta = tune(G, ws, projector.target, projector.distance_of, Tuning(60, 1e-2), losses.append)
    assert len(losses) == 60 and losses[-1] < 0.3 * losses[0]
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())
    tuned = generator()
    tuned.load_state_dict(added(before, delta))
    off, now = (float((picture_of(net, ws) - target).square().mean()) for net in (G, tuned))
    assert now < 0.4 * off
    assert not any(name.startswith("mapping") or name.endswith("noise_const") for name in delta)

    Path("d").write_bytes(delta_bytes(delta, before))
    again = read_delta(Path("d"), before)
    assert all(torch.allclose(again[name], change, rtol=1e-3, atol=1e-7) for name, change in delta.items())
    with pytest.raises(ProjectionError, match="it belongs to another network"):
        read_delta(Path("d"), generator(8).state_dict())
    Path("cut").write_bytes(Path("d").read_bytes()[:-9])
    for name in ("cut", "cat.png", "none"):
        with pytest.raises(ProjectionError, match=r"expected a file that stylegan[.]project --tune wrote"):
            read_delta(Path(name), before)
    with pytest.raises(ProjectionError, match="expected nothing as other"):
        added(before, {"other": torch.zeros(2)})
    with pytest.raises(ProjectionError, match="the loss is no longer finite: choose a smaller --tune-lr"):
        tune(G, ws, projector.target, lambda picture: picture.sum() * np.nan, Tuning(5))


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    how = ("--w-plus", "--together", "0.1", "--nearest", "20", "--tune", "40", "--tune-lr", "0.01")
    assert command(*TINY, *QUICK, *how, "--out", "out") == 0
    said = report()
    assert said["settings"]["together"] == 0.1 and said["settings"]["nearest"] == 20
    assert said["psnr"]["tuned"] > said["psnr"]["end"] + 3 > said["psnr"]["start"]
    assert {"tuned.png", "tuned.delta.safetensors", "tuned.json", "tuned_synthesis.bin"} <= files().keys()
    assert "dB (tuned)" in capsys.readouterr().out
    assert run_model(["mode=image", "model=out/tuned", "seeds=out/projected_w.npz", "out=shown.png", "-q"]) == 0
    shown, want = (np.asarray(Image.open(name)).astype(int) for name in ("shown.png", "out/tuned.png"))
    assert np.abs(shown - want).max() <= 1

    state = generator().state_dict()
    from stylegan.checkpoints.readers import safetensors_bytes

    config = CONFIGS["tiny"]
    Path("net.safetensors").write_bytes(safetensors_bytes(config.family, config.init_kwargs, state))
    delta = "out/tuned.delta.safetensors"
    assert convert.main(["net.safetensors", "tuned.safetensors", "--delta", delta]) == 0
    tuned = checkpoint.load("tuned.safetensors")
    want_state = added(state, read_delta(Path(delta), state))
    assert all(torch.equal(tuned.state[name], value) for name, value in want_state.items())
    capsys.readouterr()
    for arguments, says in (
        (["tuned.safetensors", "x.safetensors", "--delta", delta], "it belongs to another network"),
        (["net.safetensors", "x.pkl", "--delta", delta], "convert to .safetensors first"),
        (["net.safetensors", "x.safetensors", "--delta", "none"], "delta none: expected a file"),
    ):
        assert convert.main(arguments) == 2
        assert says in capsys.readouterr().err and not list(Path().glob("x.*"))
    for arguments, says in (
        (("--together", "1"), "weight of styles together: it is about a style for every layer (--w-plus)"),
        (("--together", "-1", "--w-plus"), "weight of styles together: expected 0 to"),
        (("--together", "nan", "--w-plus"), "weight of styles together: expected 0 to"),
        (("--nearest", "-1"), "nearest: expected 0 to 1000000 styles, got -1"),
        (("--tune", "-1"), "steps of tuning: expected 0 to"),
        (("--tune-lr", "0.1"), "--tune-lr: belongs to --tune, which was not given"),
        (("--tune", "1", "--tune-lr", "0"), "learning rate of tuning: expected above 0"),
    ):
        assert command(*TINY, *QUICK, *arguments, "--out", "no") == 2
        message = capsys.readouterr().err
        assert says in message and message.count("\n") == 1 and not files("no")
