"""Checkpoints as users have them: official pickles of every code base, the predecessor's files, plain state_dicts."""

from __future__ import annotations

import argparse
import collections
import io
import pathlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import load_golden
from network_support import GOLDENS, NETWORKS, golden_generator, network
from official_pickles import CODE_BASES, EasyDict, Persistent, dumps, official_network, snapshot, write_official
from safetensors.torch import save_file

from stylegan.checkpoints import checkpoint, torch_files
from stylegan.checkpoints.infer import infer
from stylegan.errors import CheckpointError
from stylegan.networks.configs import CONFIGS

OFFICIAL = [(base, name) for base, family in CODE_BASES.items() for name, golden in GOLDENS.items() if golden == family]
PROTOCOLS = [2, 3, 4, 5]


def golden_kwargs(name: str) -> dict[str, Any]:
    return dict(load_golden(name).meta["init_kwargs"])


def assert_golden(found: checkpoint.Checkpoint, name: str, factor: float = 1) -> None:
    state = golden_generator(name).state_dict()
    assert found.family == GOLDENS[name]
    assert found.state.keys() == state.keys()
    for key, value in state.items():
        assert found.state[key].dtype == torch.float32 and found.state[key].is_contiguous()
        assert torch.equal(found.state[key], value * factor), key


def without_idle(kwargs: Any) -> dict[str, Any]:
    """init_kwargs but for what changes no picture."""
    idle = ("num_fp16_res", "magnitude_ema_beta", "w_avg_beta")
    plain = {key: without_idle(value) if isinstance(value, dict) else value for key, value in kwargs.items()}
    return {key: value for key, value in plain.items() if key not in idle}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("base", "name"), OFFICIAL)
def test_an_official_pickle(tmp_path: Path, base: str, name: str, protocol: int) -> None:
    kwargs = golden_kwargs(name)
    path = write_official(tmp_path / "net.pkl", base, golden_generator(name), kwargs, protocol)
    found = checkpoint.load(path)
    assert_golden(found, name)
    assert not found.inferred and without_idle(found.init_kwargs) == without_idle(kwargs)
    made = checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
    if protocol != PROTOCOLS[-1]:
        return  # the same weights and arguments, so the same picture
    golden = load_golden(name).tensors
    with torch.no_grad():
        image = made.synthesis(golden["ws_psi1"][:1], noise_mode="const")
    assert (image - golden["img_const_85"]).abs().max() <= 1e-4 * golden["img_const_85"].abs().max()


@pytest.mark.parametrize("base", CODE_BASES)
def test_which(tmp_path: Path, base: str) -> None:
    name = next(golden for other, golden in OFFICIAL if other == base)
    path = write_official(tmp_path / "net.pkl", base, golden_generator(name), golden_kwargs(name))
    assert_golden(checkpoint.load(path, which="G"), name, 2)
    with pytest.raises(CheckpointError, match="unknown network 'D': expected G_ema or G"):
        checkpoint.load(path, which="D")


@pytest.mark.parametrize("base", CODE_BASES)
def test_positional_arguments(tmp_path: Path, base: str) -> None:
    name = next(golden for other, golden in OFFICIAL if other == base)
    kwargs = golden_kwargs(name)
    path = write_official(tmp_path / "net.pkl", base, golden_generator(name), kwargs, positional=True)
    assert without_idle(checkpoint.load(path).init_kwargs) == without_idle(kwargs)


def test_a_network_in_fp16_becomes_fp32(tmp_path: Path) -> None:
    name = "v2ada_cond_32"
    path = write_official(tmp_path / "net.pkl", "v2ada", golden_generator(name), golden_kwargs(name), half=True)
    for key, value in checkpoint.load(path).state.items():
        want = golden_generator(name).state_dict()[key]
        assert value.dtype == torch.float32 and torch.equal(value, want.half().float())


def pickled(name: str, base: str) -> Persistent:
    return official_network(base, golden_generator(name), golden_kwargs(name))


def load_content(tmp_path: Path, content: Any, **options: Any) -> checkpoint.Checkpoint:
    (tmp_path / "net.pkl").write_bytes(dumps(content))
    return checkpoint.load(tmp_path / "net.pkl", **options)


def test_what_older_and_newer_versions_have_or_lack(tmp_path: Path) -> None:
    """No _init_args, no _non_persistent_buffers_set; a buffer that is not persistent; a module alone in the file."""
    G = pickled("v3_t_64", "v3")
    del G.attributes["_init_args"], G.attributes["_non_persistent_buffers_set"]
    synthesis = G.attributes["_modules"]["synthesis"].attributes
    synthesis["_buffers"] = {"scratch": torch.zeros(3), "nothing": None}
    synthesis["_non_persistent_buffers_set"] = {"scratch"}
    synthesis["_modules"]["nothing"] = None
    assert_golden(load_content(tmp_path, G), "v3_t_64")
    assert_golden(
        load_content(tmp_path, {"G_ema": G, "cur_nimg": torch.tensor(7), "progress": [1, 2.5, "x"]}), "v3_t_64"
    )


def test_without_init_kwargs_they_are_inferred(tmp_path: Path) -> None:
    G = pickled("v2ada_skip_64", "v2ada")
    del G.attributes["_init_args"], G.attributes["_init_kwargs"]
    found = load_content(tmp_path, {"G_ema": G})
    assert found.inferred and found.init_kwargs["synthesis_kwargs"]["channel_base"] == 1024


@pytest.mark.parametrize("clamp", [256, 8, None])
def test_conv_clamp_of_either_code_base(tmp_path: Path, clamp: float | None) -> None:
    """The StyleGAN3 code base's StyleGAN2 clamps at 256 where its keywords say nothing; StyleGAN2-ADA does not."""
    family, kwargs = NETWORKS["skip"]
    kwargs = kwargs | {"synthesis_kwargs": kwargs["synthesis_kwargs"] | {"conv_clamp": clamp}}
    made = checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs), "test")
    for base in ("v2ada", "v2-by-v3"):
        write_official(tmp_path / "net.pkl", base, made, kwargs)
        found = checkpoint.load(tmp_path / "net.pkl")
        assert found.init_kwargs["synthesis_kwargs"]["conv_clamp"] == clamp
        assert "fused_modconv_default" not in found.init_kwargs["synthesis_kwargs"]
    by_keyword = official_network("v2-by-v3", made, kwargs)
    b4 = by_keyword.attributes["_modules"]["synthesis"].attributes["_modules"]["b4"]
    del b4.attributes["_modules"]["conv1"].attributes["conv_clamp"]
    found = load_content(tmp_path, {"G_ema": by_keyword})
    assert found.init_kwargs["synthesis_kwargs"]["conv_clamp"] == clamp


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda G: G.attributes.update(_init_kwargs=[1]), "_init_args and _init_kwargs are tuple and list"),
        (lambda G: G.attributes.update(_init_args=(1,) * 8), "_init_args"),
        (lambda G: G.attributes["_init_kwargs"].update(z_dim=float("nan")), "expected texts, finite numbers"),
        (lambda G: G.attributes["_init_kwargs"].update(z_dim=torch.zeros(1)), "got TensorInfo"),
        (lambda G: G.attributes["_init_kwargs"].update(mapping_kwargs=8), "mapping_kwargs is int"),
        (lambda G: G.attributes.update(_modules=[1]), "_modules of module G is list"),
        (lambda G: G.attributes["_modules"].update(x=3), "'?x'? is int, expected a module"),
        (lambda G: G.attributes["_buffers"].update(x=3), "'?x'? is int, expected a tensor"),
        (lambda G: G.attributes["_buffers"].update({"a\nb": None}), "expected names to values"),
        (lambda G: G.attributes["_modules"].pop("synthesis"), "a pickled Generator is a mapping network alone"),
    ],
)
def test_modules_that_no_official_code_wrote(tmp_path: Path, change: Any, said: str) -> None:
    G = pickled("v2ada_orig_32", "v2ada")
    change(G)
    with pytest.raises(CheckpointError, match=said):
        load_content(tmp_path, {"G_ema": G})


def test_a_file_without_the_network(tmp_path: Path) -> None:
    content = snapshot("v2ada", golden_generator("v2ada_orig_32"), golden_kwargs("v2ada_orig_32"))
    del content["G_ema"]
    with pytest.raises(CheckpointError, match="it has no G_ema, it has G, D: choose with --which"):
        load_content(tmp_path, content)
    with pytest.raises(CheckpointError, match="got an empty one"):
        load_content(tmp_path, content["D"])


# -- torch files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["labels", "r"])
def test_the_predecessors_file(tmp_path: Path, name: str, zipped: bool) -> None:
    state = network(name).state_dict()
    trained = {key: value * (1 if key.endswith(("filter", "freqs")) else 3) for key, value in state.items()}
    parts: dict[str, Any] = {}
    for part in ("mapping", "synthesis"):
        for ending, whole in (("_ema", state), ("", trained)):
            own = {key.removeprefix(f"{part}."): value for key, value in whole.items() if key.startswith(f"{part}.")}
            parts[part + ending] = own
    parts["discriminator"] = {"b4.conv.weight": torch.zeros(2)}
    path = tmp_path / "net.pth"
    torch.save(parts, path, _use_new_zipfile_serialization=zipped)
    found = checkpoint.load(path)
    assert found.inferred and found.state.keys() == state.keys()
    assert all(torch.equal(found.state[key], value) for key, value in state.items())
    other = checkpoint.load(path, which="G").state
    assert all(torch.equal(other[key], value) for key, value in trained.items())
    del parts["mapping_ema"]
    torch.save(parts, path)
    with pytest.raises(CheckpointError, match="it has no G_ema, it has G: choose with --which"):
        checkpoint.load(path)


def test_an_ordered_dict_of_parameters(tmp_path: Path) -> None:
    """As module.state_dict(keep_vars=True) gives: OrderedDict with _metadata, Parameters."""
    torch.save(golden_generator("v2ada_skip_64").state_dict(keep_vars=True), tmp_path / "net.pt")
    assert_golden(checkpoint.load(tmp_path / "net.pt"), "v2ada_skip_64")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(tmp_path: Path, dtype: torch.dtype) -> None:
    state = golden_generator("v2ada_orig_32").state_dict()
    torch.save({key: value.to(dtype) for key, value in state.items()}, tmp_path / "net.pt")
    save_file({key: value.to(dtype) for key, value in state.items()}, tmp_path / "net.safetensors")
    for name in ("net.pt", "net.safetensors"):
        for key, value in checkpoint.load(tmp_path / name).state.items():
            assert value.dtype == torch.float32 and torch.equal(value, state[key].to(dtype).float())


def test_views_are_read_as_they_are(tmp_path: Path) -> None:
    state = dict(golden_generator("v2ada_skip_64").state_dict())
    key = "synthesis.b8.conv1.weight"
    state[key] = state[key].permute(1, 0, 2, 3)[:, :, ::2].flip(2)
    both = torch.cat([state["mapping.fc0.bias"], state["mapping.fc1.bias"]])
    state["mapping.fc0.bias"], state["mapping.fc1.bias"] = both.tensor_split([len(state["mapping.fc0.bias"])])
    state["mapping.fc3.bias"] = state["mapping.fc2.bias"]
    torch.save(state, tmp_path / "net.pt")
    found = checkpoint.load(tmp_path / "net.pt").state
    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert found["mapping.fc3.bias"].data_ptr() != found["mapping.fc2.bias"].data_ptr()
    assert found["mapping.fc0.bias"].untyped_storage().nbytes() == 4 * len(found["mapping.fc0.bias"])


def test_tensors_of_every_dtype() -> None:
    values = {
        name: torch.arange(6).reshape(2, 3).to(getattr(torch, dtype)) for name, (dtype, _) in torch_files.DTYPES.items()
    }
    from stylegan.checkpoints.readers import _tensors

    for zipped in (True, False):
        file = io.BytesIO()
        torch.save(values, file, _use_new_zipfile_serialization=zipped)
        read = _tensors(torch_files.read_torch(file.getvalue()), 10**6)
        for name, value in values.items():
            assert torch.equal(read[name], value.float() if value.is_floating_point() else value), name


# -- numpy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numbers_and_arrays_of_numpy(protocol: int) -> None:
    scalars = [np.sqrt(2), np.float32(0.1), np.int64(-7), np.uint8(200), np.bool_(True), np.float16(1.5)]
    arrays = [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.broadcast_to(np.asarray(8), [2]),
        np.array([1.5, 2.5], dtype=">f4"),
        np.zeros((0, 3), np.float32),
        np.array([True, False]),
    ]
    data = dumps({"scalars": scalars, "arrays": arrays, "set": {"a", "b"}, "bytes": b"\xff\0"}, protocol)
    for spelling in (data, data.replace(b"numpy._core", b"numpy.core") if protocol < 4 else data):
        read = torch_files.read_pickle(spelling)
        assert read["scalars"] == [scalar.item() for scalar in scalars]
        for got, want in zip(read["arrays"], arrays, strict=True):
            assert got.value.dtype == want.dtype and np.array_equal(got.value, want)
        assert read["set"] == {"a", "b"} and bytes(read["bytes"]) == b"\xff\0"


def test_either_spelling_of_numpys_core() -> None:
    for core in ("numpy.core", "numpy._core"):
        head = f"c{core}.multiarray\nscalar\ncnumpy\ndtype\n".encode()
        data = b"\x80\x03" + head + b"X\2\0\0\0f8K\0K\1\x87R(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        data += b"C\x08" + np.float64(0.25).tobytes() + b"\x86R."
        assert torch_files.read_pickle(data) == 0.25


def test_an_easy_dict_is_a_dict() -> None:
    for protocol in (2, 3, 4, 5):
        read = torch_files.read_pickle(dumps(EasyDict(a=1, b=EasyDict(c=[2])), protocol))
        assert read == {"a": 1, "b": {"c": [2]}}


# -- what shapes tell -------------------------------------------------------------------------------------------


OTHER_CONSTANTS = ("t-short", "t-plain", "t-wide", "r-clampless")


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in OTHER_CONSTANTS])
def test_inferred_from_shapes(name: str) -> None:
    """A network of the inferred keywords takes the state; OTHER_CONSTANTS cannot be seen in it."""
    made = network(name)
    family, kwargs = infer(made.state_dict())
    assert family == made.family
    again = checkpoint.build_generator(family, kwargs, made.state_dict(), name)
    assert (again.z_dim, again.c_dim, again.w_dim, again.num_ws) == (made.z_dim, made.c_dim, made.w_dim, made.num_ws)


@pytest.mark.parametrize("name", ["v2ada_32_custom", "v2ada_256_custom", "v3_s_256_custom", "v3_r_32_custom"])
def test_configurations_are_inferred_as_they_are_named(name: str) -> None:
    config = CONFIGS[name]
    state = checkpoint.random_state(config.family, config.init_kwargs)
    family, kwargs = infer(state)
    assert family == config.family
    said = {key: value for key, value in kwargs.items() if key not in ("channel_base", "synthesis_kwargs")}
    assert said == {key: config.init_kwargs[key] for key in said}
    checkpoint.build_generator(family, kwargs, state, name)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("mapping.fc0.weight", "expected mapping.fc0.weight with 2 dimensions, got none"),
        ("synthesis.b32.torgb.weight", "expected synthesis.b32.torgb.weight with 4 dimensions, got none"),
        ("synthesis.b8.conv1.weight", "expected synthesis.b8.conv1.weight with 4 dimensions, got none"),
        ("synthesis.b4.conv1.weight", "no StyleGAN generator"),
    ],
)
def test_a_key_that_is_needed_to_infer(key: str, said: str) -> None:
    state = dict(golden_generator("v2ada_cond_32").state_dict())
    del state[key]
    with pytest.raises(CheckpointError, match=re.escape(said)):
        infer(state)


def test_channels_that_no_numbers_give() -> None:
    state = dict(golden_generator("v2ada_cond_32").state_dict())
    state["synthesis.b16.conv1.weight"] = torch.zeros(7, 7, 3, 3)
    with pytest.raises(CheckpointError, match="no channel_base and channel_max give the channels"):
        infer(state)


# -- the digest -------------------------------------------------------------------------------------------------


def test_sha256(tmp_path: Path) -> None:
    torch.save(golden_generator("v2ada_orig_32").state_dict(), tmp_path / "net.pt")
    digest = checkpoint.load(tmp_path / "net.pt").sha256
    assert checkpoint.load(tmp_path / "net.pt", sha256=f" {digest.upper()}\n").sha256 == digest
    with pytest.raises(CheckpointError, match=f"expected sha256 {'0' * 64}, got {digest}"):
        checkpoint.load(tmp_path / "net.pt", sha256="0" * 64)


def test_what_stands_beside_the_networks(tmp_path: Path) -> None:
    """A path of the data, a size, a device: of forks and of people who call the trainer themselves."""
    name = "v2ada_orig_32"
    content = snapshot("v2ada", golden_generator(name), golden_kwargs(name))
    beside = {
        "path": pathlib.PurePosixPath("/data"),
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "missing": collections.defaultdict(list, a=[1]),
        "options": argparse.Namespace(batch=4),
    }
    content["training_set_kwargs"] = {**content["training_set_kwargs"], **beside}
    for where in ({}, {"G_ema": 3}):  # in the middle of the file, and where a network belongs
        (tmp_path / "net.pkl").write_bytes(dumps({**content, **where}))
        if where:
            with pytest.raises(CheckpointError, match="it has no G_ema"):
                checkpoint.load(tmp_path / "net.pkl")
        else:
            assert_golden(checkpoint.load(tmp_path / "net.pkl"), name)
    (tmp_path / "net.pkl").write_bytes(dumps({**content, "G_ema": beside["path"]}))
    with pytest.raises(CheckpointError, match="it has no G_ema"):
        checkpoint.load(tmp_path / "net.pkl")
