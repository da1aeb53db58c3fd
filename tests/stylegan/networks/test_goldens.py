"""Our networks against numbers of the official ones: every output and the output of every module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from golden_files import TOLERANCE, Golden, load_golden, official_states, relative_error, thinned
from network_support import GOLDENS

from stylegan import v2ada
from stylegan.checkpoints.checkpoint import GENERATORS, Generator


@pytest.fixture(scope="module", params=GOLDENS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def golden(name: str) -> Golden:
    return load_golden(name)


@pytest.fixture
def network(name: str, golden: Golden) -> Generator:
    network = GENERATORS[GOLDENS[name]](**golden.meta["init_kwargs"]).eval().requires_grad_(False)
    network.load_state_dict(golden.group("state/"))
    return network


def run_with_taps(network: Generator, ws: torch.Tensor) -> dict[str, torch.Tensor]:
    """The output of every module under `synthesis`, named and thinned as the goldens have them."""
    taps: dict[str, torch.Tensor] = {}

    def record(name: str, output: Any) -> None:
        if isinstance(output, tuple):
            taps.update({f"{name}:{i}": value for i, value in enumerate(output) if value is not None})
        else:
            taps[name] = output

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: record(name, output))
        for name, module in network.named_modules()
        if name.startswith("synthesis.")
    ]
    network.synthesis(ws, noise_mode="const")
    for handle in handles:
        handle.remove()
    return {name: thinned(tap) for name, tap in taps.items()}


def test_state_dict_and_filters_are_the_official_ones(name: str) -> None:
    kwargs, shapes, filters = official_states()[name]
    state = GENERATORS[GOLDENS[name]](**kwargs).state_dict()
    assert {key: value.shape for key, value in state.items()} == shapes
    assert list(state) == list(shapes)
    assert set(filters) == {key for key in shapes if key.endswith("_filter")} and filters
    for key, value in filters.items():
        torch.testing.assert_close(state[key], value)


def test_mapping(golden: Golden, network: Generator) -> None:
    z, c = golden.tensors["z"], golden.tensors["c"]
    assert network.num_ws == network.synthesis.num_ws == golden.meta["num_ws"]
    assert relative_error(network.mapping(z, c), golden.tensors["ws_psi1"]) <= TOLERANCE
    ws = network.mapping(z, c, truncation_psi=0.7)
    assert relative_error(ws, golden.tensors["ws_psi0.7"]) <= TOLERANCE
    ws = network.mapping(z, c, truncation_psi=0.5, truncation_cutoff=4)
    assert relative_error(ws, golden.tensors["ws_psi0.5_cutoff4"]) <= TOLERANCE


def test_labels_may_be_left_out_where_there_are_none(golden: Golden, network: Generator) -> None:
    z = golden.tensors["z"]
    if golden.meta["init_kwargs"]["c_dim"]:
        with pytest.raises(ValueError, match=r"c of shape \[N, 10\] is needed, got None"):
            network.mapping(z)
    else:
        assert torch.equal(network.mapping(z, None), network.mapping(z, golden.tensors["c"]))


@pytest.mark.parametrize("image", ["img_const_85", "img_const_458", "img_mix_85_458_styles0-3"])
def test_image(golden: Golden, network: Generator, image: str) -> None:
    first, second = golden.tensors["ws_psi1"].split(1)
    ws = {
        "img_const_458": second,
        "img_mix_85_458_styles0-3": torch.cat([second[:, :4], first[:, 4:]], dim=1),
    }.get(image, first)
    assert relative_error(network.synthesis(ws, noise_mode="const"), golden.tensors[image]) <= TOLERANCE


def test_image_without_noise_or_with_a_transform(golden: Golden, network: Generator) -> None:
    ws = golden.tensors["ws_psi1"][:1]
    if network.family == "v2ada":
        image, want = network.synthesis(ws, noise_mode="none"), golden.tensors["img_none_85"]
    else:
        network.synthesis.input.transform.copy_(golden.tensors["transform_20deg"])
        image, want = network.synthesis(ws), golden.tensors["img_transform_20deg_85"]
    assert relative_error(image, want) <= TOLERANCE


def test_every_module(golden: Golden, network: Generator) -> None:
    taps = run_with_taps(network, golden.tensors["ws_psi1"][:1])
    official = golden.group("tap/")
    assert taps.keys() == official.keys()
    errors = {name: relative_error(taps[name], official[name]) for name in official}
    assert max(errors.values()) <= TOLERANCE, {k: v for k, v in errors.items() if v > TOLERANCE}


def test_a_batch_gives_what_its_samples_give(golden: Golden, network: Generator) -> None:
    images = network(golden.tensors["z"], golden.tensors["c"], noise_mode="const")
    want = torch.cat([golden.tensors["img_const_85"], golden.tensors["img_const_458"]])
    assert relative_error(images, want) <= TOLERANCE


@pytest.mark.parametrize("which", [0.3, 0.9])
def test_a_perturbed_weight_is_noticed(golden: Golden, network: Generator, which: float) -> None:
    """The control of this file: one number of one layer's weight, changed by a twentieth of the largest."""
    ws = golden.tensors["ws_psi1"][:1]
    weights = [key for key, value in network.synthesis.named_parameters("synthesis") if value.ndim == 4]
    key = weights[int(which * len(weights))]
    weight = network.get_parameter(key)
    weight.view(-1)[0] += 0.05 * weight.abs().max()
    taps, official = run_with_taps(network, ws), golden.group("tap/")
    layer = key.rpartition(".")[0]
    assert relative_error(taps[layer], official[layer]) > TOLERANCE
    first_wrong = next(name for name in official if relative_error(taps[name], official[name]) > TOLERANCE)
    assert first_wrong == layer


def test_training_mode_moves_w_avg() -> None:
    golden = load_golden("train_v2ada_16")
    network = v2ada.Generator(**golden.meta["generator_kwargs"]).train()
    network.load_state_dict(golden.group("G/"))
    z, before = golden.tensors["z"], golden.tensors["G/mapping.w_avg"]
    network.mapping(z, skip_w_avg_update=True)
    assert torch.equal(network.mapping.w_avg, before)
    network.mapping(z)
    assert relative_error(network.mapping.w_avg, golden.tensors["Gmain/w_avg_after"]) <= TOLERANCE
    after = network.mapping.w_avg.clone()
    network.eval().mapping(z)
    assert torch.equal(network.mapping.w_avg, after)
