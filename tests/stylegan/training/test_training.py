"""The training: a step against what the papers say of it, going on bit by bit, several processes, what is written."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from training_support import Pictures, small_settings, small_trainer

from stylegan.checkpoints import checkpoint
from stylegan.errors import TrainingError
from stylegan.training import saved
from stylegan.training.data import Order, batches
from stylegan.training.loop import Plan, snapshot_number, train
from stylegan.training.report import Means
from stylegan.training.settings import default_settings
from stylegan.training.trainer import Trainer


def steps(trainer: Trainer, n: int, data: Pictures | None = None) -> None:
    data = data or Pictures(c_dim=trainer.G.c_dim)
    source = batches(data, trainer.settings.seed, trainer.seen, trainer.settings.batch)  # type: ignore[arg-type]
    for _ in range(n):
        trainer.step(*next(source), lambda draws: data.label(int(draws.integers(len(data)))))


@pytest.mark.parametrize("family, c_dim, aug", [("v2ada", 0, "ada"), ("v2ada", 3, "fixed"), ("v3", 0, "ada")])
def test_goes_on_bit_by_bit(tmp_path: Path, family: str, c_dim: int, aug: str) -> None:
    """4 steps are the same as 3, a file, and 1 more: also with augmentation, style mixing and noise."""
    kwargs: dict[str, Any] = dict(c_dim=c_dim, aug=aug, ada_kimg=0.02)
    if family == "v3":
        kwargs |= dict(pl_weight=0, style_mixing_prob=0, blur_init_sigma=2, blur_fade_kimg=1)
    whole = small_trainer(family, **kwargs)
    steps(whole, 5)
    part = small_trainer(family, **kwargs)
    steps(part, 3)
    saved.write_state(tmp_path, part, "data")
    torch.manual_seed(99)
    other = small_trainer(family, **kwargs)
    saved.resume(other, tmp_path / saved.STATE, "data")
    steps(other, 2)
    want, got = whole.state(), other.state()
    assert want.keys() == got.keys()
    assert [key for key in want if not torch.equal(want[key], got[key])] == []
    assert (other.number, other.seen) == (5, 20)
    # The control: what is compared had moved.
    start = small_trainer(family, **kwargs).state()
    assert not torch.equal(start["D/b8.conv0.weight"], want["D/b8.conv0.weight"])
    assert not torch.equal(start["G_ema/mapping.fc0.weight"], want["G_ema/mapping.fc0.weight"])
    steps(other, 1)
    assert not torch.equal(other.state()["G/mapping.fc0.weight"], want["G/mapping.fc0.weight"])


def test_adam_is_corrected_for_lazy_regularisation() -> None:
    trainer = small_trainer(g_lr=0.01, d_lr=0.02)
    G, D = (trainer.optimisers[name].param_groups[0] for name in "GD")
    assert (G["lr"], G["betas"]) == (0.01 * 4 / 5, (0, 0.99 ** (4 / 5)))
    assert (D["lr"], D["betas"]) == (0.02 * 16 / 17, (0, 0.99 ** (16 / 17)))
    plain = small_trainer(pl_weight=0, gamma=0).optimisers["G"].param_groups[0]
    assert (plain["lr"], plain["betas"]) == (0.002, (0, 0.99))
    phases = []
    for trainer.number in range(17):
        phases += [phase for phase, _ in trainer._phases()]
    assert {name: phases.count(name) for name in phases} == {"Gmain": 17, "Greg": 5, "Dmain": 17, "Dreg": 2}


def test_moving_mean_of_the_weights_with_ramp_up() -> None:
    trainer = small_trainer(ema_kimg=1, ema_rampup=0.5)
    steps(trainer, 1)  # nothing was seen before: the mean is the new weight
    name = "synthesis.b8.conv0.weight"
    assert torch.equal(trainer.G_ema.state_dict()[name], trainer.G.state_dict()[name])
    before = trainer.G_ema.state_dict()[name].clone()
    steps(trainer, 1)
    beta = 0.5 ** (4 / (4 * 0.5))
    torch.testing.assert_close(trainer.G_ema.state_dict()[name], trainer.G.state_dict()[name].lerp(before, beta))
    assert torch.equal(trainer.G_ema.mapping.w_avg, trainer.G.mapping.w_avg)


def test_parts_of_a_batch_one_after_another_are_the_same_step() -> None:
    kwargs: dict[str, Any] = dict(mbstd_group=0, style_mixing_prob=0, pl_weight=0)
    results = []
    for batch_gpu in (4, 2):
        trainer = small_trainer(batch_gpu=batch_gpu, **kwargs)
        silence(trainer)
        steps(trainer, 1)
        results.append(trainer.D.state_dict())
    assert max_difference(*results) < 1e-6


def test_frozen_layers_stay() -> None:
    trainer = small_trainer(freeze_d=2)
    before = {key: value.clone() for key, value in trainer.D.state_dict().items()}
    steps(trainer, 2)
    after = trainer.D.state_dict()
    same = {key for key in before if torch.equal(before[key], after[key]) and not key.endswith("resample_filter")}
    assert same == {f"b16.{layer}.{what}" for layer in ("fromrgb", "conv0") for what in ("weight", "bias")}


def silence(trainer: Trainer) -> None:
    """No noise in the generator: what is random for each process makes batches differ."""
    for name, p in trainer.G.named_parameters():
        if name.endswith("noise_strength"):
            p.data.zero_()
            trainer.trained["G"].pop(name)
    for network in ("G",):
        trainer.optimisers[network] = trainer._adam(network, trainer.settings.g_lr, trainer.settings.g_betas)


def max_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    return max(float((a[key] - b[key]).abs().max()) for key in a)


WORKER = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from stylegan.training import distributed
from test_training import silence, steps
from training_support import small_trainer
distributed.join("cpu")
trainer = small_trainer(batch=8, batch_gpu=4, mbstd_group=0, style_mixing_prob=0, pl_batch_shrink=1, ema_kimg=0.01)
trainer.loss.path_noise = torch.ones_like
silence(trainer)
steps(trainer, 3)
if distributed.rank() == 0:
    save_file(trainer.state(), sys.argv[1])
distributed.leave()
# A thread of the group that is still there when Python ends may abort the process: once in many times, under load.
threads = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}
assert not any("gloo" in name or "tcpstore" in name for name in threads), threads
"""


def test_two_processes_are_one_with_the_double_batch(tmp_path: Path) -> None:
    trainer = small_trainer(batch=8, batch_gpu=8, mbstd_group=0, style_mixing_prob=0, pl_batch_shrink=1, ema_kimg=0.01)
    trainer.loss.path_noise = torch.ones_like
    silence(trainer)
    steps(trainer, 3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = Path(__file__).resolve()
    paths = [str(here.parent), str(here.parents[2]), str(here.parents[3]), *sys.path]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", WORKER, str(tmp_path / "state.safetensors")]
    workers = [subprocess.Popen(command, env={**env, "RANK": str(rank)}) for rank in range(2)]
    assert [worker.wait(timeout=240) for worker in workers] == [0, 0]
    import safetensors.torch

    got = safetensors.torch.load_file(tmp_path / "state.safetensors")
    want = trainer.state()
    networks = {key for key in want if key.startswith(("G/", "D/", "G_ema/", "pl_mean"))}
    assert max_difference({k: got[k] for k in networks}, {k: want[k] for k in networks}) < 1e-5
    assert float(want["pl_mean"]) > 0
    # The control: half the pictures, which is what one process alone has seen, is another training.
    alone = small_trainer(batch=4, batch_gpu=4, mbstd_group=0, style_mixing_prob=0, pl_batch_shrink=1, ema_kimg=0.01)
    silence(alone)
    steps(alone, 3)
    assert max_difference({k: alone.state()[k] for k in networks}, {k: want[k] for k in networks}) > 1e-4


def plan(out: Path, **changes: Any) -> Plan:
    return Plan(**{**dict(out=out, kimg=0.024, snap=0.008, log_seconds=0, quiet=True), **changes})


def test_run_writes_networks_pictures_state_and_log(tmp_path: Path) -> None:
    out = tmp_path / "run"
    trainer = small_trainer(aug="ada")
    assert train(trainer, Pictures(), plan(out), "digest")
    names = {path.name for path in out.iterdir() if "events" not in path.name}
    numbers = ("000000", "000000-008", "000000-016", "000000-024")  # within a thousand too, each has its own
    snapshots = {name for n in numbers for name in (f"network-{n}.safetensors", f"fakes-{n}.png")}
    assert names == {*snapshots, "reals.png", saved.STATE, "log.jsonl", "training-options.json"}
    with Image.open(out / "fakes-000000.png") as image:
        assert image.size == (12 * 16, 8 * 16)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["pictures"] for line in lines] == [4, 8, 12, 16, 20, 24]
    assert {"Loss/G/loss", "Loss/D/loss", "Loss/r1_penalty", "augment_p", "pictures_per_second"} <= lines[0].keys()
    said = json.loads((out / "training-options.json").read_text())
    assert said["settings"]["gamma"] == 1 and said["generator"]["img_resolution"] == 16
    assert said["discriminator"]["epilogue_kwargs"] == {"mbstd_group_size": 4}
    loaded = checkpoint.load(out / "network-000000-024.safetensors")
    G = checkpoint.build_generator(loaded.family, loaded.init_kwargs, loaded.state, loaded.source)
    z = torch.randn(1, 8)
    with torch.no_grad():
        assert torch.equal(G(z, noise_mode="const"), trainer.G_ema(z, noise_mode="const"))


def test_stopped_run_saves_and_its_log_goes_on(tmp_path: Path) -> None:
    trainer, count = small_trainer(), iter([False, False, False, True])
    assert not train(trainer, Pictures(), plan(tmp_path), "digest", lambda: next(count))
    assert trainer.seen == 12
    with (tmp_path / "log.jsonl").open("a") as file:  # of steps after the state, as after kill -9
        file.write(json.dumps({"pictures": 16}) + '\n{"pictures": 2')
    again = small_trainer()
    saved.resume(again, tmp_path / saved.STATE, "digest")
    assert train(again, Pictures(), plan(tmp_path), "digest")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["pictures"] for line in lines] == [4, 8, 12, 16, 20, 24]
    assert all("Loss/D/loss" in line for line in lines)
    whole = small_trainer()
    steps(whole, 6)
    want = whole.state()
    assert all(torch.equal(value, want[key]) for key, value in again.state().items())


def test_another_training_is_not_continued(tmp_path: Path) -> None:
    saved.write_state(tmp_path, small_trainer(), "data")
    path = tmp_path / saved.STATE
    with pytest.raises(TrainingError, match=r"gamma is 1 there and 2 now; data is data there and x now|data is data"):
        saved.resume(small_trainer(gamma=2), path, "x")
    with pytest.raises(TrainingError, match="family is v2ada there and v3 now"):
        saved.resume(small_trainer("v3"), path, "data")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be read"):
        saved.resume(small_trainer(), path, "data")


def test_order_is_every_picture_once_a_round() -> None:
    order = Order(7, seed=3)
    rounds = [[order[i] for i in range(n * 7, n * 7 + 7)] for n in range(3)]
    assert all(sorted(r) == list(range(7)) for r in rounds) and rounds[0] != rounds[1]
    again = batches(Pictures(7), 3, 5, 4)  # type: ignore[arg-type]
    assert torch.equal(next(again)[0], torch.from_numpy(Pictures(7).pixels[[order[i] for i in range(5, 9)]]))


def test_means_are_of_all_values() -> None:
    means = Means()
    means.add("a", torch.tensor([1.0, 2.0]))
    means.add("a", torch.tensor([6.0]))
    assert means.take() == {"a": 3.0} and means.take() == {}


def test_the_last_steps_are_in_the_log(tmp_path: Path) -> None:
    """However short the training was."""
    assert train(small_trainer(), Pictures(), plan(tmp_path, kimg=0.012, snap=1, log_seconds=1000), "digest")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["pictures"] for line in lines] == [12]


def test_every_snapshot_has_its_own_number() -> None:
    seen = [0, 64, 960, 1024, 1088, 50048]
    want = ["000000", "000000-064", "000000-960", "000001", "000001-088", "000050"]
    assert [snapshot_number(n, 64) for n in seen] == want


def test_default_settings() -> None:
    v2 = default_settings("v2ada", dict(img_resolution=256))
    assert (v2.batch, v2.g_lr, v2.pl_weight, v2.style_mixing_prob) == (16, 0.0025, 2, 0.9)
    assert v2.gamma == pytest.approx(0.0002 * 256**2 / 16)
    r = default_settings("v3", dict(img_resolution=256, use_radial_filters=True), batch=32)
    assert (r.pl_weight, r.blur_init_sigma, r.blur_fade_kimg, r.d_lr) == (0, 10, 200, 0.002)
    with pytest.raises(TrainingError, match="expected a multiple of 6"):
        small_settings(batch=8, batch_gpu=3).check(2)
    with pytest.raises(TrainingError, match="batch: expected 1 or more, got 0"):
        default_settings("v3", dict(img_resolution=64), batch=0, batch_gpu=1)


@pytest.mark.parametrize(
    "resolution, gamma, t_at_once, r_at_once", [(128, 0.5, 16, 16), (256, 2, 16, 8), (512, 8, 8, 4), (1024, 32, 4, 4)]
)
def test_stylegan3_is_trained_by_its_authors_table(
    resolution: int, gamma: float, t_at_once: int, r_at_once: int
) -> None:
    for radial, at_once in ((False, t_at_once), (True, r_at_once)):
        one = default_settings("v3", dict(img_resolution=resolution, use_radial_filters=radial))
        assert (one.batch, one.gamma, one.batch_gpu, one.mbstd_group) == (32, gamma, at_once, 4)
        eight = default_settings("v3", dict(img_resolution=resolution, use_radial_filters=radial), processes=8)
        assert (eight.batch, eight.gamma, eight.batch_gpu) == (32, gamma, 4)
    assert default_settings("v3", dict(img_resolution=256), batch=64).gamma == 1  # their ablations


def test_settings_of_adam_and_of_what_is_frozen() -> None:
    trainer = small_trainer(g_betas=(0.5, 0.9), freeze_g_at=["b8"], freeze_d_at=["b16", "b4.out"])
    assert trainer.optimisers["G"].param_groups[0]["betas"] == (0.5 ** (4 / 5), 0.9 ** (4 / 5))
    assert trainer.optimisers["D"].param_groups[0]["betas"] == (0, 0.99 ** (16 / 17))
    before = {key: value.clone() for key, value in trainer.state().items()}
    steps(trainer, 1)
    after = trainer.state()
    same = {key for key, value in before.items() if torch.equal(value, after[key]) and "weight" in key}
    of_G = {
        f"G/synthesis.b8.{name}"
        for name in ("conv0", "conv1", "torgb")
        for name in (f"{name}.weight", f"{name}.affine.weight")
    }
    assert same >= of_G | {"D/b16.conv0.weight", "D/b4.out.weight"}
    assert not same & {"G/synthesis.b16.conv0.weight", "D/b8.conv0.weight", "G/mapping.fc0.weight"}
    with pytest.raises(ValueError, match="freeze_g_at: there is no 'b7' with weights, there are b4, b8, b16"):
        small_trainer(freeze_g_at=["b7"])


def test_seeds_differ() -> None:
    a, b = small_trainer(seed=0).state(), small_trainer(seed=1).state()
    assert not np.array_equal(a["G/mapping.fc0.weight"].numpy(), b["G/mapping.fc0.weight"].numpy())
