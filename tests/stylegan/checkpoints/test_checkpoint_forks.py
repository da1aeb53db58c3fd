"""Files from forks, from other code and from people's own trainings."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_support import LABELS, SKIP, Stranger, assert_same, made, read, refusal
from network_support import NETWORKS, network
from official_pickles import (
    EasyDict,
    Network,
    dumps,
    official_network,
    rosinality,
    rosinality_discriminator,
    snapshot,
    tensorflow,
    tensorflow_discriminator,
)
from safetensors.torch import save_file

from stylegan.checkpoints import checkpoint, readers
from stylegan.errors import CheckpointError
from stylegan.networks.configs import Config
from stylegan.training import starting
from stylegan.training.discriminator import Discriminator

# -- forks of the official code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["skip", "t"])
def test_frozen_layers(tmp_path: Path, name: str) -> None:
    """stylegan3-fun: every file says which layers were not trained, and holds these as buffers."""
    family, kwargs = NETWORKS[name]
    kwargs = kwargs | {"mapping_kwargs": dict(num_layers=8 if family == "v2ada" else 2)}
    G = official_network("v2-by-v3" if family == "v2ada" else "v3", network(name), kwargs)
    said = G.attributes["_init_kwargs"]
    said["mapping_kwargs"] = EasyDict(said["mapping_kwargs"], freeze_layers=1, freeze_embed=False)
    fc0 = G.attributes["_modules"]["mapping"].attributes["_modules"]["fc0"].attributes
    fc0["_buffers"], fc0["_parameters"] = fc0["_parameters"], {}
    found = read(tmp_path, dumps({"G_ema": G}))
    assert found.notes == ("keywords that change no picture are left out: freeze_layers, freeze_embed",)
    assert_same(found, network(name))


@pytest.mark.parametrize(("name", "said"), [("tall", dict(init_res=[4, 3])), ("t-tall", dict(square=False))])
def test_pictures_that_are_not_square(tmp_path: Path, name: str, said: dict[str, Any]) -> None:
    family, kwargs = NETWORKS[name]
    G = official_network(family, network(name), {key: value for key, value in kwargs.items() if key != "square"})
    G.attributes["_init_kwargs"] = {**G.attributes["_init_kwargs"], **said, "verbose": True, "countHW": [1, 1]}
    found = read(tmp_path, dumps({"G_ema": G}))
    assert_same(found, network(name))
    state = read(tmp_path, network(name).state_dict())  # the shapes of const, and of the first layer's name, tell it
    kwargs = state.init_kwargs["synthesis_kwargs"] if family == "v2ada" else state.init_kwargs
    assert kwargs.get("init_res", kwargs.get("square")) == next(iter(said.values()))


def test_a_keyword_that_is_not_known(tmp_path: Path) -> None:
    for keyword in ({"countHW": [2, 1]}, {"attention": True}):
        G = official_network("v2ada", made(), SKIP)
        G.attributes["_init_kwargs"] = {**SKIP, **keyword}
        name, value = next(iter(keyword.items()))
        assert f"the keyword {name} = {value} is not of the official code" in refusal(tmp_path, dumps({"G_ema": G}))


def test_code_in_a_folder_of_the_forks_own(tmp_path: Path) -> None:
    data = dumps(snapshot("v2ada", made(), SKIP), 2)
    for ours, theirs in ((b"ctorch_utils.", b"cfork.torch_utils."), (b"cdnnlib.util\n", b"cfork.dnnlib.util\n")):
        assert ours in data
        data = data.replace(ours, theirs)
    assert_same(read(tmp_path, data), made())


# -- TensorFlow, rosinality, others -----------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_tensorflow_pickle(tmp_path: Path, labels: bool, protocol: int) -> None:
    G, kwargs = made(labels), LABELS if labels else SKIP
    trained = tensorflow(G, kwargs)
    vars(trained)["variables"][0] = ("dlatent_avg", np.zeros(8, np.float32))
    data = dumps((trained, Network(version=5), tensorflow(G, kwargs)), protocol)
    found = read(tmp_path, data, "net.pkl")
    assert "converted from TensorFlow" in found.notes
    assert_same(found, G)
    assert not read(tmp_path, data, "net.pkl", which="G").state["mapping.w_avg"].any()


def test_tensorflow_networks_of_other_kinds(tmp_path: Path) -> None:
    networks = {
        "format 2, as StyleGAN": tensorflow(made(), SKIP, version=2),
        "the keyword fused_scale, which StyleGAN2's have not": tensorflow(made(), SKIP, fused_scale="auto"),
        "the resample_kernel 'x'": tensorflow(made(), SKIP, resample_kernel="x"),
    }
    for said, net in networks.items():
        assert said in refusal(tmp_path, dumps(net), "net.pkl")
    net = tensorflow(made(), SKIP)
    vars(net)["components"]["mapping"] = net
    assert "components hold each other" in refusal(tmp_path, dumps(net))


@pytest.mark.parametrize("form", ["training", "converted", "alone", "inside", "parallel"])
def test_rosinalitys_files(tmp_path: Path, form: str) -> None:
    state, w_avg = rosinality(made()), made().mapping.w_avg
    contents: dict[str, Any] = {
        "training": {"g": state, "d": {}, "g_ema": state, "g_optim": {"state": {0: {"step": 1}}}, "args": Stranger()},
        "converted": {"g_ema": state, "latent_avg": w_avg},
        "alone": state,
        "inside": {"state_dict": {f"decoder.{key}": value for key, value in state.items()}, "latent_avg": w_avg},
        "parallel": {"g_ema": {f"module.{key}": value for key, value in state.items()}, "latent_avg": w_avg},
    }
    found = read(tmp_path, contents[form])
    assert found.inferred and "converted from the layout of rosinality's stylegan2-pytorch" in found.notes
    if "latent_avg" in contents[form]:
        assert_same(found, made(), 1e-6)
    else:
        assert "the file has no mean style: w_avg is the mean of 10000 styles, of seed 0" in found.notes
        with torch.no_grad():
            again = made().mapping(torch.randn(10000, 8, generator=torch.Generator().manual_seed(0)), None)[:, 0]
        assert torch.allclose(found.state["mapping.w_avg"], again.mean(dim=0), atol=1e-5)


def test_rosinalitys_files_that_differ(tmp_path: Path) -> None:
    state = rosinality(made())
    bare = {key: value for key, value in state.items() if not key.startswith("noises.")}
    assert "the file has no noise of its own: const noise is none" in read(tmp_path, bare).notes
    assert "with other layers: extra.weight" in refusal(tmp_path, state | {"extra.weight": torch.zeros(1)})
    other = {key: value + key.startswith("convs.0") for key, value in state.items()}
    assert "different blur kernels" in refusal(tmp_path, other)
    for key in ("style.1.weight", "convs.1.activate.bias", "to_rgb1.bias", "input.input", "convs.0.conv.weight"):
        cut = {name: value for name, value in state.items() if name != key}
        assert f"that is not whole: 1 tensors are missing: {key}" in refusal(tmp_path, cut)
    state["style.1.weight"] = torch.zeros(9, 8)
    assert "mapping is not whole" in refusal(tmp_path, state)


@pytest.mark.parametrize("name", ["TensorFlow", "g_ema alone", "g alone", "both"])
def test_a_training_begins_with_them(tmp_path: Path, name: str) -> None:
    """Its G and its G_ema, from a file that has both, or one that is both."""
    state = rosinality(made())
    contents: dict[str, Any] = {
        "g_ema alone": {"g_ema": state, "latent_avg": made().mapping.w_avg},
        "g alone": {"g": state, "d": {}},
        "both": {"g": {key: value * 2 for key, value in state.items()}, "g_ema": state},
    }
    file = io.BytesIO()
    torch.save(contents.get(name), file)
    (tmp_path / "net").write_bytes(dumps((tensorflow(made(), SKIP),) * 3) if name == "TensorFlow" else file.getvalue())
    G, G_ema, D = starting._of_networks(str(tmp_path / "net"), Config("x", "v2ada", SKIP, None))
    assert G.keys() == G_ema.keys() == made().state_dict().keys() and not D
    key = "synthesis.b4.const"
    assert torch.equal(G_ema[key], made().synthesis.b4.const)
    assert torch.equal(G[key], G_ema[key] * (2 if name == "both" else 1))
    save_file(made().state_dict(), tmp_path / "net")  # of any name
    assert not starting._of_networks(str(tmp_path / "net"), Config("x", "v2ada", SKIP, None))[2]


def test_a_discriminator_without_weights_is_none(tmp_path: Path) -> None:
    """Of an official snapshot's layout: G and G_ema are trained on, and D begins anew."""
    (tmp_path / "net.pkl").write_bytes(dumps(snapshot("v2ada", made(), SKIP), 2))
    G, G_ema, D = starting._of_networks(str(tmp_path / "net.pkl"), Config("x", "v2ada", SKIP, None))
    assert torch.equal(G["synthesis.b4.const"], G_ema["synthesis.b4.const"] * 2) and not D


def test_their_discriminators(tmp_path: Path) -> None:
    """Of TensorFlow and of rosinality's training; the filters follow from the configuration."""
    D = Discriminator(0, 16, 3, channel_base=64, channel_max=8)
    state = {key: value for key, value in D.state_dict().items() if not key.endswith("resample_filter")}
    assert set(state) == {key for key, value in state.items() if key.startswith(("b16.", "b8.", "b4."))}
    for data in (_saved({"g_ema": rosinality(made()), "d": rosinality_discriminator(D)}), _tensorflow(D)):
        read = readers.read_discriminator(data)
        assert read is not None and read.keys() == state.keys()
        assert all(torch.equal(read[key], value) for key, value in state.items())


def _saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _tensorflow(D: Discriminator) -> bytes:
    G = tensorflow(made(), SKIP)
    return dumps((G, tensorflow_discriminator(D), G))


FOREIGN = {
    "G.blocks.0.conv1.weight": "lucidrains' stylegan2-pytorch, whose generator is another network",
    "synthesis.layer0.weight": "genforce",
    "b4.conv1.weight": "a synthesis network alone",
    "b4.out.weight": "a discriminator, which makes no pictures",
    "mapping.fc0.weight": "a mapping network alone",
    "encoder.weight": "no StyleGAN generator: neither",
}


@pytest.mark.parametrize("key", FOREIGN)
def test_generators_that_none_of_ours_can_carry(tmp_path: Path, key: str) -> None:
    for content in ({key: torch.zeros(2)}, {"GAN": {key: torch.zeros(2)}, "version": "1.0"}):
        assert FOREIGN[key] in refusal(tmp_path, content)


def test_a_synthesis_network_alone(tmp_path: Path) -> None:
    for content in (
        made().synthesis.state_dict(),
        {f"synthesis.{k}": v for k, v in made().synthesis.state_dict().items()},
    ):
        assert "a synthesis network alone: no seed makes a picture of it" in refusal(tmp_path, content)


# -- wrappers ---------------------------------------------------------------------------------------------------


def test_prefixes_and_folds(tmp_path: Path) -> None:
    state = made().state_dict()
    other = {key: value * (1 if key.endswith("filter") else 2) for key, value in state.items()}
    parallel = {f"module.{key}": value for key, value in state.items()}
    both = {f"G_ema.{key}": value for key, value in state.items()} | {f"G.{key}": value for key, value in other.items()}
    contents = [
        parallel,
        {"state_dict": parallel, "epoch": 3, "hyper_parameters": {"lr": 0.1}},
        {"state_dict": both | {"D.b4.conv.weight": torch.zeros(3)}, "pytorch-lightning_version": "2"},
        {"model": {"g_ema": state, "netD": {"b4.out.weight": torch.zeros(1)}}},
        ["first", {"params_ema": state, "params": other}],
    ]
    for content in contents:
        assert_same(read(tmp_path, content), made())
    assert torch.equal(read(tmp_path, contents[2], which="G").state["mapping.w_avg"], 2 * state["mapping.w_avg"])
    for tensors in (parallel, both, {f"decoder.{key}": value for key, value in rosinality(made()).items()}):
        save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / "net.safetensors")
        found = checkpoint.load(tmp_path / "net.safetensors")
        assert torch.equal(found.state["synthesis.b8.conv0.weight"], state["synthesis.b8.conv0.weight"])
    arrays = {key: value.numpy() for key, value in state.items()} | {"epoch": 3}
    large = {key: value.numpy().astype(">f8") for key, value in state.items()}
    for content in (arrays, pickle.dumps(arrays), pickle.dumps(large)):
        assert_same(read(tmp_path, content), made())
    with pytest.raises(CheckpointError, match="overlap and hold more than the file's"):
        read(tmp_path, pickle.dumps(dict.fromkeys(["synthesis.b4.conv1.weight", "a", "b"], np.zeros(3000))))
    assert "it has no G, it has model.g_ema, model.netD" not in refusal(tmp_path, contents[3], which="G")
    assert "it has no G, it has model.g_ema: choose with --which" in refusal(tmp_path, contents[3], which="G")
    assert "it has several generators: a, b:" in refusal(tmp_path, {"a": state, "b": other})


def test_a_module_pickled_whole(tmp_path: Path) -> None:
    """As torch.save(G) and DataParallel(G) give: by the classes' names, which are not looked for."""
    assert_same(read(tmp_path, made()), made())
    assert_same(read(tmp_path, torch.nn.DataParallel(made())), made())
    assert_same(read(tmp_path, torch.nn.ModuleDict({"decoder": made(), "encoder": torch.nn.Linear(1, 1)})), made())
    assert_same(read(tmp_path, {"g_ema": made(), "opt": torch.optim.Adam(made().parameters())}), made())


# -- the name says nothing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.ckpt", "net.bin", "net", "net.pkl.gz", "net.safetensors", "net.onnx"])
def test_the_content_says_what_a_file_is(tmp_path: Path, name: str) -> None:
    from safetensors.torch import save

    file = io.BytesIO()
    torch.save(made().state_dict(), file)
    for data in (dumps(snapshot("v2ada", made(), SKIP)), file.getvalue(), save(made().state_dict())):
        assert_same(read(tmp_path, data, name), made())
        assert_same(read(tmp_path, gzip.compress(data, 1), name), made())


def _zip(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return file.getvalue()


OTHER_FILES = {
    "empty": b"",
    "a web page": b"\n<!DOCTYPE html><html>Quota exceeded",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "a TorchScript archive": _zip(net__constants_pkl=b"", net__data_pkl=b""),
    "a file of numpy's arrays": _zip(w_npy=b""),
    "a zip archive with net.pkl: unpack it": _zip(a_png=b"", net_pkl=b"x"),
    "a zip archive of other files, such as a.png": _zip(a_png=b""),
    "a text that begins with 'not a file": b"not a file\nof weights",
    "an ONNX file": b"\x08\x07\x12\x07pytorch",
    "a tar archive": _tar(),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n",
    "an ncnn .param file": b"7767517\n1 1\n",
    "compressed with xz": b"\xfd7zXZ\0",
}


@pytest.mark.parametrize("what", OTHER_FILES)
def test_files_that_hold_no_checkpoint(tmp_path: Path, what: str) -> None:
    assert f"it cannot be read: it is {what}" in refusal(tmp_path, OTHER_FILES[what])


def test_a_gzip_file_that_grows(tmp_path: Path) -> None:
    assert "a gzip file of more than 16 times its size" in refusal(tmp_path, gzip.compress(bytes(1 << 25)))
    assert "the gzip file cannot be unpacked" in refusal(tmp_path, gzip.compress(b"x" * 100)[:-9])
