"""Reading checkpoints, putting them in, and random weights."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from stylegan import v2ada
from stylegan.checkpoints import readers
from stylegan.checkpoints.checkpoint import build_generator, load, load_into, random_state
from stylegan.errors import CheckpointError
from stylegan.networks.configs import CONFIGS

KWARGS: dict[str, Any] = {
    "z_dim": 8,
    "c_dim": 3,
    "w_dim": 8,
    "img_resolution": 16,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {"channel_base": 64, "channel_max": 8},
}


V3_KWARGS: dict[str, Any] = {k: v for k, v in KWARGS.items() if k != "synthesis_kwargs"} | KWARGS["synthesis_kwargs"]


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_state("v2ada", KWARGS, seed=5)


def same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "nested.pt", "a.safetensors"])
def test_round_trip(tmp_path: Path, state: dict[str, torch.Tensor], name: str) -> None:
    path = tmp_path / name
    if name.endswith(".safetensors"):
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "step": 3} if "nested" in name else state, path)
    loaded = load(path)
    assert loaded.family == "v2ada" and loaded.inferred and loaded.source == name
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert same(loaded.state, state)
    network = build_generator("v2ada", KWARGS, loaded.state, str(path))
    assert same(network.state_dict(), state)
    assert not network.training
    assert all(p.requires_grad for p in network.parameters())
    image = network(torch.randn(1, 8), torch.eye(3)[:1], noise_mode="const")
    assert image.isfinite().all()


class Executed:
    """A pickle that would run a command when loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pt", tmp_path / "trace"
    for save in (torch.save, lambda value, to: Path(to).write_bytes(pickle.dumps(value, protocol=2))):
        save({"w": Executed(f"touch {trace}")}, path)
        with pytest.raises(CheckpointError, match="objects other than tensors"):
            load(path)
    assert not trace.exists()


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.safetensors"])
@pytest.mark.parametrize("damage", [cut, lambda data: data[:-1], lambda _: b"", lambda _: b"hello", os.urandom])
def test_unreadable_file(tmp_path: Path, state: dict[str, torch.Tensor], name: str, damage: Any) -> None:
    path = tmp_path / name
    save_file(state, path) if name.endswith(".safetensors") else torch.save(state, path)
    path.write_bytes(os.urandom(1000) if damage is os.urandom else damage(path.read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"checkpoint {path}: expected a ")
    assert "cannot be read" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "expected a state_dict .*, got list"),
        ({"w": 3}, "entry 'w' is int"),
        ({3: torch.ones(1)}, "entry 3 is TensorInfo"),
        ({}, "got an empty one"),
    ],
)
def test_not_a_state_dict(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "a.pt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match="not a file"):
        load(tmp_path)


def test_all_mismatches_are_one_error(state: dict[str, torch.Tensor]) -> None:
    network = v2ada.Generator(**KWARGS)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    wrong = dict(state)
    del wrong["mapping.w_avg"], wrong["synthesis.b4.const"]
    wrong["bogus.weight"] = torch.ones(1)
    wrong["mapping.fc0.bias"] = torch.ones(9)
    wrong["mapping.fc1.bias"] = torch.ones(8, dtype=torch.int64)
    with pytest.raises(CheckpointError) as caught:
        load_into(network, wrong, "x.pt")
    message = str(caught.value)
    assert message.startswith("checkpoint x.pt does not fit the network: ")
    assert "2 keys missing: synthesis.b4.const, mapping.w_avg;" in message
    assert "1 key unknown: bogus.weight;" in message
    assert "mapping.fc0.bias (expected [8] of floats, got [9] of torch.float32)" in message
    assert "mapping.fc1.bias (expected [8] of floats, got [8] of torch.int64)" in message
    assert same(network.state_dict(), before)


def test_every_key_is_listed(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_into(v2ada.Generator(**KWARGS), {"x": torch.ones(1)}, "x.pt")
    message = str(caught.value)
    assert len(state) > 10 and f"{len(state)} keys missing: {', '.join(state)}; 1 key unknown: x" in message


def test_another_generation_is_said_in_one_sentence(state: dict[str, torch.Tensor]) -> None:
    other = random_state("v3", V3_KWARGS)
    with pytest.raises(CheckpointError, match=r"x\.pt is of a StyleGAN3 generator .*, expected one of StyleGAN2-ADA"):
        build_generator("v2ada", KWARGS, other, "x.pt")
    with pytest.raises(CheckpointError, match=r"x\.pt is of a StyleGAN2-ADA generator .*, expected one of StyleGAN3"):
        build_generator("v3", V3_KWARGS, state, "x.pt")
    with pytest.raises(CheckpointError, match=r"synthesis\.L0_36_8\.weight \(expected \[8, 8, 1, 1\] of floats"):
        build_generator("v3", V3_KWARGS | {"conv_kernel": 1}, other, "x.pt")  # configuration t as r


@pytest.mark.parametrize(
    ("convert", "said"),
    [(lambda t: t.to("meta"), "meta device"), (lambda t: t.to_sparse(), "torch.sparse_coo")],
    ids=["meta", "sparse"],
)
def test_tensors_that_hold_no_plain_data(state: dict[str, torch.Tensor], convert: Any, said: str) -> None:
    key = "synthesis.b8.conv0.bias"
    with pytest.raises(CheckpointError, match=rf"1 key of wrong shape or type: {key} .*{said}"):
        build_generator("v2ada", KWARGS, state | {key: convert(state[key])}, "x.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_values_that_are_not_finite(state: dict[str, torch.Tensor], value: float) -> None:
    """1e300 is finite in the file's float64 and infinite in float32."""
    weight = state["synthesis.b8.conv0.weight"].double()
    weight.view(-1)[-1] = value
    wrong = state | {"synthesis.b8.conv0.weight": weight}
    with pytest.raises(CheckpointError, match=r"1 key with NaN or infinite values: synthesis\.b8\.conv0\.weight$"):
        build_generator("v2ada", KWARGS, wrong, "x.pt")


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_magnitude_that_is_none(value: float) -> None:
    wrong = random_state("v3", V3_KWARGS) | {"synthesis.L3_36_8.magnitude_ema": torch.tensor(value)}
    with pytest.raises(CheckpointError, match=r"1 key that must be above 0: synthesis\.L3_36_8\.magnitude_ema$"):
        build_generator("v3", V3_KWARGS, wrong, "x.pt")


@pytest.mark.parametrize(("family", "kwargs"), [("v2ada", KWARGS), ("v3", V3_KWARGS)])
def test_random_weights_of_a_network_without_a_mean_style(family: str, kwargs: dict[str, Any]) -> None:
    kwargs = kwargs | {"mapping_kwargs": {"num_layers": 2, "w_avg_beta": None}}
    state = random_state(family, kwargs)
    assert ("mapping.w_avg" in state) == (family == "v3")
    build_generator(family, kwargs, state, "random")


def test_other_precisions_become_fp32(state: dict[str, torch.Tensor]) -> None:
    network = build_generator("v2ada", KWARGS, {key: value.half() for key, value in state.items()}, "x.pt")
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_random_state_depends_on_the_seed_only(state: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(1)
    again = random_state("v2ada", KWARGS, seed=5)
    drawn = torch.randn(3)
    torch.manual_seed(1)
    assert torch.equal(torch.randn(3), drawn)  # the global state was left alone
    assert same(again, state)
    other = random_state("v2ada", KWARGS, seed=6)
    assert not torch.equal(other["synthesis.b4.const"], state["synthesis.b4.const"])


@pytest.mark.parametrize(("family", "kwargs"), [("v2ada", KWARGS), ("v3", V3_KWARGS)])
def test_build_generator_leaves_the_random_state_alone(family: str, kwargs: dict[str, Any]) -> None:
    state = random_state(family, kwargs)
    before = torch.random.get_rng_state()
    network = build_generator(family, kwargs, state, "x.pt")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(network.state_dict(), state)


def test_random_state_exercises_noise_and_biases(state: dict[str, torch.Tensor]) -> None:
    strengths = [value for key, value in state.items() if key.endswith("noise_strength")]
    biases = [value for key, value in state.items() if key.endswith("bias") and "affine" not in key]
    assert strengths and biases
    assert all(value != 0 for value in strengths)
    assert all((value != 0).any() for value in biases)
    network = build_generator("v2ada", KWARGS, state, "random")
    labels = torch.eye(3)[torch.arange(999) % 3]
    w = network.mapping(torch.randn(999, 8), labels)[:, 0].mean(dim=0)
    assert (w - network.mapping.w_avg).abs().max() < 0.25 * w.abs().max()


def test_random_state_exercises_the_input_gain() -> None:
    emas = [value for key, value in random_state("v3", V3_KWARGS).items() if key.endswith("magnitude_ema")]
    assert len(emas) == 15 and len({float(value) for value in emas}) == 15


@pytest.mark.parametrize("name", ["v2ada_32_custom", "v2ada_128_custom", "v3_s_256_custom"])
def test_a_random_picture_sits_within_the_visible_range(name: str) -> None:
    family, kwargs = CONFIGS[name].family, CONFIGS[name].init_kwargs
    network = build_generator(family, kwargs, random_state(family, kwargs), "random")
    with torch.no_grad():
        image = network(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)), noise_mode="const")
    assert 0.1 < image.std() < 0.9
    assert (image.abs() > 1).float().mean() < 0.25


def test_a_file_that_no_memory_holds(tmp_path: Path, state: dict[str, torch.Tensor], monkeypatch: Any) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory\nand a trace")

    torch.save(state, tmp_path / "a.pt")
    monkeypatch.setattr(readers, "_numbers", full)
    with pytest.raises(CheckpointError, match=r"a\.pt: no memory for its \d+ bytes and their tensors$"):
        load(tmp_path / "a.pt")
