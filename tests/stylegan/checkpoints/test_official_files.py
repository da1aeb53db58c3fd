"""Official .pkl files that we write: read again without running them, and run with networks in the official's place."""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from stylegan import convert
from stylegan.checkpoints import checkpoint, official_files, readers
from stylegan.errors import CheckpointError
from stylegan.networks import v2ada, v3
from stylegan.networks.random_weights import GENERATORS, random_state
from stylegan.training import discriminator as discriminators
from stylegan.training import saved

V2: dict[str, Any] = dict(
    z_dim=8,
    c_dim=3,
    w_dim=8,
    img_resolution=16,
    img_channels=3,
    mapping_kwargs=dict(num_layers=2),
    synthesis_kwargs=dict(channel_base=64, channel_max=8, architecture="resnet"),
)
V3: dict[str, Any] = dict(z_dim=8, c_dim=0, w_dim=8, img_resolution=16, img_channels=1, channel_base=128, channel_max=8)
OF_D = dict(c_dim=3, img_resolution=16, img_channels=3, channel_base=64, channel_max=12, conv_clamp=None)


class EasyDict(dict[str, Any]):
    pass


def executed(data: bytes, base: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the official code would have, with our networks in its place: it runs the text that is in the file."""

    def reconstruct(meta: dict[str, Any]) -> Any:
        assert meta["type"] == "class" and meta["version"] == 6
        if meta["module_src"] not in sources:
            module = types.ModuleType(f"source_{len(sources)}")
            sources[meta["module_src"]] = module.__dict__
            exec(meta["module_src"], module.__dict__)
        kind = sources[meta["module_src"]][meta["class_name"]]
        made = kind.__new__(kind)
        made.__setstate__(EasyDict(meta["state"]))
        return made

    class Flat(v2ada.Generator):  # as the later code base has it
        def __init__(self, *args: Any, mapping_kwargs: Any = None, **synthesis: Any) -> None:
            top = {key: synthesis.pop(key) for key in list(synthesis) if key in V2}
            super().__init__(*args, **top, mapping_kwargs=mapping_kwargs, synthesis_kwargs=synthesis)

    sources: dict[str, dict[str, Any]] = {}
    names = ("training", "training.networks", "training.networks_stylegan2", "training.networks_stylegan3")
    lent = {name: types.ModuleType(name) for name in (*names, "dnnlib", "torch_utils", "torch_utils.persistence")}
    second = lent[names[2] if base == "stylegan3" else names[1]]
    second.Generator = Flat if base == "stylegan3" else v2ada.Generator
    second.Discriminator = discriminators.Discriminator
    lent[names[3]].Generator = v3.Generator
    lent["training"].__path__ = []
    lent["training"].networks = lent[names[1]]
    if base == "stylegan3":
        lent["training"].networks_stylegan2, lent["training"].networks_stylegan3 = lent[names[2]], lent[names[3]]
    else:
        del lent[names[2]], lent[names[3]]
    lent["dnnlib"].EasyDict = EasyDict
    reconstruct.__module__ = "torch_utils.persistence"
    reconstruct.__qualname__ = "_reconstruct_persistent_obj"
    lent["torch_utils.persistence"]._reconstruct_persistent_obj = reconstruct
    with monkeypatch.context() as patch:
        for name, module in lent.items():
            patch.setitem(sys.modules, name, module)
        found: dict[str, Any] = pickle.loads(data)
    return found


@pytest.mark.parametrize("base", ["stylegan2-ada-pytorch", "stylegan3"])
def test_written_and_read(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family, kwargs = ("v2ada", V2) if base == "stylegan2-ada-pytorch" else ("v3", V3)
    for family in ("v2ada", "v3") if base == "stylegan3" else ("v2ada",):
        kwargs = {"v2ada": V2, "v3": V3}[family]
        states = [random_state(family, kwargs, seed) for seed in (1, 2)]
        D = discriminators.Discriminator(**OF_D) if family == "v2ada" else None
        of_d = None if D is None else D.state_dict()
        data, notes = official_files.pkl_bytes(official_files.Networks(family, kwargs, *states, of_d))
        path = tmp_path / f"{family}.pkl"
        path.write_bytes(data)
        for which, state in zip(("G", "G_ema"), states, strict=True):
            again = checkpoint.load(path, which)
            assert again.family == family and not again.inferred
            assert {k: v for k, v in again.init_kwargs.items() if k in kwargs and "kwargs" not in k} == {
                k: v for k, v in kwargs.items() if "kwargs" not in k
            }
            assert all(torch.equal(again.state[key], state[key]) for key in state) and len(again.state) == len(state)
        if D is not None:
            read = readers.read_discriminator(data)
            assert read is not None and all(torch.equal(read[key], value) for key, value in D.state_dict().items())
            assert notes == ()
        else:
            assert notes == ("it has no discriminator: the official code begins one anew",)

        found = executed(data, base, monkeypatch)
        assert list(found) == ["G", "D", "G_ema", "training_set_kwargs", "augment_pipe"]
        z = torch.randn(2, 8)
        c = torch.eye(3)[:2] if kwargs["c_dim"] else None
        for name, state in zip(("G", "G_ema"), states, strict=True):
            want = GENERATORS[family](**kwargs)
            want.load_state_dict(state)
            network = found[name]
            assert not network.training and not any(p.requires_grad for p in network.parameters())
            torch.testing.assert_close(network(z, c, noise_mode="const"), want.eval()(z, c, noise_mode="const"))
        x = torch.randn(2, kwargs["img_channels"], 16, 16)
        assert found["D"](x, c).shape == (2, 1)
        if D is not None:
            torch.testing.assert_close(found["D"](x, c), D.eval()(x, c))


def test_discriminators_by_their_shapes() -> None:
    for more in (
        {},
        {"architecture": "skip", "c_dim": 0},
        {"architecture": "orig", "channel_base": 4096},
        {"epilogue_kwargs": {"mbstd_num_channels": 0}},
        {"mapping_kwargs": {"num_layers": 3}, "cmap_dim": 5},
        {"img_resolution": 64, "channel_base": 256, "channel_max": 32},
    ):
        D = discriminators.Discriminator(**{**OF_D, **more})  # type: ignore[arg-type]
        found = official_files.discriminator_kwargs(D.state_dict(), None)
        assert found is not None
        again = discriminators.Discriminator(**found)
        again.load_state_dict(D.state_dict())
        assert again.b4.mbstd_num_channels == D.b4.mbstd_num_channels
    odd = D.state_dict()
    odd["b8.conv0.weight"] = torch.zeros(7, 3, 3, 3)
    odd["b16.conv1.weight"] = torch.zeros(9, 9, 3, 3)
    assert official_files.discriminator_kwargs(odd, None) is None
    assert official_files.discriminator_kwargs({}, None) is None


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    state = random_state("v2ada", V2, 3)
    Path("net.safetensors").write_bytes(readers.safetensors_bytes("v2ada", V2, state))
    assert convert.main(["net.safetensors", "net.pkl"]) == 0
    assert "it has no discriminator" in capsys.readouterr().out
    assert convert.main(["net.pkl", "back.safetensors"]) == 0
    assert Path("back.safetensors").read_bytes() != b""
    again = checkpoint.load("back.safetensors")
    assert all(torch.equal(again.state[key], value) for key, value in state.items())
    assert convert.main(["net.pkl", "again.pkl", "--to", "pkl"]) == 0
    Path("wide.safetensors").write_bytes(
        readers.safetensors_bytes("v3", {**V3, "square": False}, random_state("v3", {**V3, "square": False}, 1))
    )
    capsys.readouterr()
    for arguments, said in (
        (["net.pkl", "out.safetensors", "--to", "pkl"], "expected a name that ends in .pkl"),
        (["net.pkl", "out.pkl", "--to", "safetensors"], "expected a name that ends in .safetensors"),
        (["net.pkl", "out.pkl", "--weights", "fp16"], "--weights fp16: a .pkl has all networks, in fp32"),
        (["net.pkl", "out.pkl", "--which", "G"], "--which G: a .pkl has all networks"),
        (["net.pkl", "out.pkl", "--sha256", "0"], "expected sha256 0"),
        (["none.pkl", "out.pkl"], "no such file"),
        (["wide.safetensors", "out.pkl"], "the official code has no network with square False"),
    ):
        assert convert.main(arguments) == 2
        assert said in capsys.readouterr().err and not list(tmp_path.glob("out.*"))
    for family, kwargs, says in (
        ("v2ada", {**V2, "synthesis_kwargs": {"init_res": [4, 8]}}, "no network with init_res"),
        ("v3", {**V3, "heads": [[1, 2]]}, "no network with heads"),
        ("v3", {**V3, "mapping_kwargs": {"embed_features": 5, "num_layers": 2}}, "no mapping with embed_features"),
    ):
        with pytest.raises(CheckpointError, match=says):
            official_files.generator_kwargs(family, kwargs)

    header = {"number": 1, "seen": 8, "family": "v2ada", "init_kwargs": V2, "asked": {}}
    D = discriminators.Discriminator(**OF_D).state_dict()
    parts = {"G": state, "G_ema": random_state("v2ada", V2, 4), "D": D}
    tensors = {f"{name}/{key}": value for name, part in parts.items() for key, value in part.items()}
    Path(saved.STATE).write_bytes(save(tensors, {saved.METADATA: json.dumps(header)}))
    assert convert.main([saved.STATE, "trained.pkl"]) == 0
    assert "discriminator" not in capsys.readouterr().out
    read = readers.read_discriminator(Path("trained.pkl").read_bytes())
    assert read is not None and torch.equal(read["b4.out.weight"], D["b4.out.weight"])
    assert convert.main([saved.STATE, "out.pkl", "--sha256", "0"]) == 2
