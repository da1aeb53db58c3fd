"""Checkpoints of restorers: a registry of spandrel's kind says which network the tensors are of.

The networks here are small ones of ours, in a registry that answers as spandrel's does; the last test asks spandrel.
"""

from __future__ import annotations

import json
import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.restorers import convert_restorer
from ncnn_builder.tools.cli import main
from runtime import Net


class Dense(nn.Module):
    """Of ESRGAN's kind: dense blocks, a residual, nearest neighbours twice as large, four times in all."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.a, self.b = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(12, 8, 3, padding=1)
        self.up1, self.up2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        a = F.leaky_relu(self.a(x), 0.2)
        x = x + 0.2 * self.b(torch.cat([x, a], 1))
        for up in (self.up1, self.up2):
            x = F.leaky_relu(up(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.last(x)


class Compact(nn.Module):
    """Of SRVGGNetCompact's kind: PReLU, pixel shuffle, the picture itself on top."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(8), nn.Conv2d(8, 3 * scale**2, 3, padding=1))
        self.scale = scale

    def forward(self, x):
        return F.pixel_shuffle(self.body(x), self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


class Halves(nn.Module):
    """Even sizes only: half as large and back; it writes into the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 8, 2, stride=2), nn.ConvTranspose2d(8, 3, 2, stride=2)

    def forward(self, x):
        x -= 0.5
        return x + self.up(self.down(x)), x.mean()


class Positions(nn.Module):
    """One size: a position for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, 3, 16, 16))

    def forward(self, x):
        return x + self.position


class Noisy(nn.Module):
    """Noise that is drawn in forward()."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x):
        noise = x.new_empty(1, 1, *x.shape[2:]).normal_()
        return x + self.strength * noise + torch.randn_like(x)


class Drops(nn.Module):
    """Numbers that are left out when it is used, too."""

    def __init__(self) -> None:
        super().__init__()
        self.rest = nn.Parameter(torch.tensor([0.25]))

    def forward(self, x):
        return nn.functional.dropout(x + self.rest, 0.25, training=True)


class Branches(nn.Module):
    """What no net does, whatever the size."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Parameter(torch.tensor([2.0]))

    def forward(self, x):
        return x * self.twice if x.mean() > 0.5 else x


class OwnNoise(nn.Module):
    """Noise that is drawn, unless it is told not to, and then that of the checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("noise", torch.randn(1, 1, 16, 16))

    def forward(self, x, randomize_noise=True):
        return x + (torch.randn(1, 1, 16, 16) if randomize_noise else self.noise)


class Paints(nn.Module):
    """A picture and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x, mask):
        return x * (1 - mask) + self.conv(torch.cat([x, mask], 1)) * mask


NETWORKS = {
    "Dense": (Dense, {"scale": 4}),
    "Compact": (Compact, {"scale": 2}),
    "Halves": (Halves, {"multiple_of": 2, "call": lambda m, x: m(x)[0]}),
    "Positions": (Positions, {}),
    "Noisy": (Noisy, {}),
    "Drops": (Drops, {}),
    "OwnNoise": (OwnNoise, {}),
    "Paints": (Paints, {"purpose": "Inpainting", "call": lambda m, x, mask: m(x, mask)}),
    "Branches": (Branches, {}),
    "Wrong scale": (lambda: Compact(3), {"scale": 2}),
}
"""Name -> the network, and what its description tells beside the usual."""


def _described(name, state):
    make, told = NETWORKS[name]
    model = make()
    model.load_state_dict(state)
    return SimpleNamespace(
        model=model,
        architecture=SimpleNamespace(id=name),
        purpose=told.get("purpose", "SR"),
        tags=["8nf"],
        scale=told.get("scale", 1),
        input_channels=3,
        output_channels=3,
        size_requirements=SimpleNamespace(minimum=0, multiple_of=told.get("multiple_of", 1), square=False),
        tiling=SimpleNamespace(name="SUPPORTED"),
        _call_fn=told.get("call", lambda m, x: m(x)),
    )


class Registry:
    """Knows a network by the names and sizes of its tensors, as spandrel does."""

    def load(self, state):
        for name, (make, _) in NETWORKS.items():
            if {k: v.shape for k, v in make().state_dict().items()} == {k: v.shape for k, v in state.items()}:
                return _described(name, state)
        raise ValueError


def state_of(name):
    torch.manual_seed(0)
    return NETWORKS[name][0]().state_dict()


def ran(path, **inputs):
    return Net(f"{path}.param", f"{path}.bin").run(inputs, ["output"])["output"]


@pytest.mark.parametrize("name", ["Dense", "Compact", "Halves"])
def test_a_net_of_any_size_that_says_what_it_is(tmp_path, name):
    state = state_of(name)
    done = convert_restorer(state, tmp_path / "net", registry=Registry())
    described = _described(name, state)
    scale, step = described.scale, described.size_requirements.multiple_of
    told = json.loads((tmp_path / "net.json").read_text())
    assert told["restorer"] == {
        "architecture": name,
        "purpose": "SR",
        "tags": ["8nf"],
        "scale": scale,
        "input_channels": 3,
        "output_channels": 3,
        "minimum": 16,
        "maximum": None,
        "multiple_of": step,
        "square": False,
        "size": None,
        "tiling": "supported",
    }
    assert [p["name"] for p in told["inputs"] + told["outputs"]] == ["data", "output"]
    assert done.manifest["sizes"]["h"] == {"least": 16 // step, "most": None}
    for height, width in ((16, 16), (18, 34), (40, 20)):
        x = torch.rand(1, 3, height, width)
        with torch.no_grad():
            want = described._call_fn(described.model.eval(), x.clone())
        got = ran(tmp_path / "net", data=x[0].numpy())
        assert got.shape == (3, scale * height, scale * width)
        np.testing.assert_allclose(got, want[0].numpy(), atol=1e-4)


def test_smaller_pictures_and_a_bound(tmp_path):
    convert_restorer(state_of("Compact"), tmp_path / "net", size="8..64", registry=Registry())
    told = json.loads((tmp_path / "net.json").read_text())
    assert (told["restorer"]["minimum"], told["restorer"]["maximum"]) == (8, 64)
    assert told["sizes"]["w"] == {"least": 8, "most": 64}


def test_one_size_where_no_other_goes(tmp_path):
    with pytest.raises(nb.BuildError, match=r"Positions is no net for pictures of any size") as error:
        convert_restorer(state_of("Positions"), tmp_path / "net", registry=Registry())
    assert "size=256" in str(error.value) and not list(tmp_path.iterdir())
    convert_restorer(state_of("Positions"), tmp_path / "net", size=(16, 16), registry=Registry())
    told = json.loads((tmp_path / "net.json").read_text())
    assert told["restorer"]["size"] == [16, 16] and "sizes" not in told
    with pytest.raises(nb.BuildError, match=r"Positions does not take this size"):
        convert_restorer(state_of("Positions"), tmp_path / "net", size=17, registry=Registry())


def test_an_error_calls_the_network_by_its_architecture(tmp_path):
    with pytest.raises(nb.BuildError, match=r"^Branches at test_restorers\.py:\d+: forward\(\) decides by numbers"):
        convert_restorer(state_of("Branches"), tmp_path / "net", registry=Registry())
    with pytest.raises(nb.ParityError, match=r"^Compact differs from torch"):
        convert_restorer(state_of("Compact"), tmp_path / "net", size=16, registry=Registry(), tolerance=1e-12)


def test_noise_is_held(tmp_path):
    convert_restorer(state_of("Noisy"), tmp_path / "net", size=16, registry=Registry())
    zero = np.zeros((3, 16, 16), np.float32)
    once = ran(tmp_path / "net", data=zero)
    assert once.std() > 0.5 and np.array_equal(once, ran(tmp_path / "net", data=zero))
    convert_restorer(state_of("Drops"), tmp_path / "net", size=16, registry=Registry())
    kept = ran(tmp_path / "net", data=zero)
    np.testing.assert_allclose(np.unique(kept), [0, 0.25 / 0.75], atol=1e-6)
    assert 0.6 < kept.astype(bool).mean() < 0.9


def test_noise_is_an_input(tmp_path):
    convert_restorer(state_of("Noisy"), tmp_path / "net", size=16, noise="input", registry=Registry())
    told = json.loads((tmp_path / "net.json").read_text())
    assert [(p["name"], p["shape"]) for p in told["inputs"]][1:] == [
        ("noise0", [1, 1, 16, 16]),
        ("noise1", [1, 3, 16, 16]),
    ]
    rng = np.random.default_rng(0)
    data, a, b = (rng.standard_normal((c, 16, 16)).astype(np.float32) for c in (3, 1, 3))
    np.testing.assert_allclose(ran(tmp_path / "net", data=data, noise0=a, noise1=b), data + 0.5 * a + b, atol=1e-5)


def test_noise_of_the_checkpoint(tmp_path):
    state = state_of("OwnNoise")
    convert_restorer(state, tmp_path / "net", size=16, registry=Registry())
    got = ran(tmp_path / "net", data=np.zeros((3, 16, 16), np.float32))
    np.testing.assert_allclose(got, state["noise"][0].expand(3, 16, 16), atol=1e-6)


def test_noise_has_one_size(tmp_path):
    with pytest.raises(nb.BuildError, match=r"draws 2 tensors of noise"):
        convert_restorer(state_of("Noisy"), tmp_path / "net", registry=Registry())


def test_a_mask_is_the_second_input(tmp_path):
    convert_restorer(state_of("Paints"), tmp_path / "net", registry=Registry())
    rng = np.random.default_rng(0)
    x, none = rng.random((3, 19, 22), np.float32), np.zeros((1, 19, 22), np.float32)
    np.testing.assert_allclose(ran(tmp_path / "net", data=x, mask=none), x, atol=1e-6)


def test_a_scale_that_is_not_so_is_refused(tmp_path):
    with pytest.raises(nb.BuildError, match=r"gives no picture of 2 times the size"):
        convert_restorer(state_of("Wrong scale"), tmp_path / "net", registry=Registry())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("size", "what"),
    [("64x64", "bad size"), ("15", "multiples of 2"), ("64..32", "multiples of 2"), ("16,17", "multiples of 2")],
)
def test_sizes_that_are_refused(tmp_path, size, what):
    with pytest.raises(nb.BuildError, match=what):
        convert_restorer(state_of("Halves"), tmp_path / "net", size=size, registry=Registry())


# -- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder where `spandrel` is our registry."""
    fake = ModuleType("spandrel")
    fake.MAIN_REGISTRY = Registry()
    monkeypatch.setitem(sys.modules, "spandrel", fake)
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("file", ["x4.pth", "x4.ckpt", "x4.safetensors"])
def test_the_command(here, capsys, file):
    state = state_of("Dense")
    if file.endswith("safetensors"):
        pytest.importorskip("safetensors")
        from safetensors.torch import save_file

        save_file(state, file)
    else:
        torch.save(state, file)
    assert main(["convert", file, "--out", "x4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["restorer"]["architecture"] == "Dense"
    assert ran("x4", data=np.zeros((3, 16, 21), np.float32)).shape == (3, 64, 84)


class Runs:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def refused(capsys, *arguments):
    """The one line with which the command stops."""
    assert main(["convert", *arguments, "--out", "net"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    return error


def test_nothing_in_a_checkpoint_is_executed(here, capsys):
    torch.save({"a": torch.zeros(1), "b": Runs()}, "bad.pth")
    said = refused(capsys, "bad.pth")
    assert "mkdir" in said and "\\x1b" not in said
    torch.jit.script(nn.ReLU()).save("program.pt")
    assert "is a TorchScript file" in refused(capsys, "program.pt")
    assert not (here / "ran").exists()


def test_what_the_command_refuses(here, capsys):
    assert "no such file" in refused(capsys, "missing.pth")
    (here / "text.pth").write_text("no checkpoint")
    assert "text.pth cannot be read" in (said := refused(capsys, "text.pth")) and "begins with b'no check" in said
    (here / "none.pth").touch()
    assert "none.pth is empty" in refused(capsys, "none.pth")
    torch.save(state_of("Dense"), "x4.pth")
    (here / "cut.pth").write_bytes((here / "x4.pth").read_bytes()[:-999])
    assert "cut.pth is cut short or damaged" in refused(capsys, "cut.pth")
    torch.save([torch.zeros(1)], "list.pth")
    assert "holds no state dict" in refused(capsys, "list.pth")
    torch.save({"a": torch.zeros(1)}, "other.pth")
    assert "no network that spandrel recognises" in refused(capsys, "other.pth")
    assert "--input" in refused(capsys, "x4.pth", "--input", "x=1,3,8,8")
    assert "--size" in refused(capsys, "torch.nn:ReLU", "--size", "64")
    assert not (here / "net.param").exists()


def test_without_spandrel(here, capsys, monkeypatch):
    torch.save(state_of("Dense"), "x4.pth")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    assert "pip install 'ncnn-builder[restorers]'" in refused(capsys, "x4.pth")


def test_a_torchvision_for_another_torch(here, capsys, monkeypatch):
    torch.save(state_of("Dense"), "x4.pth")
    (here / "spandrel.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(here)
    monkeypatch.delitem(sys.modules, "spandrel")
    said = refused(capsys, "x4.pth")
    assert "operator torchvision::nms does not exist" in said and "the torchvision that was compiled" in " ".join(
        said.split()
    )


def test_spandrel_itself(tmp_path):
    try:
        from spandrel.architectures.ESRGAN import ESRGAN
    except (ImportError, OSError, RuntimeError):
        pytest.skip("the extra [restorers] is not installed")

    torch.manual_seed(0)
    state = ESRGAN(num_filters=8, num_blocks=2, scale=4).state_dict()
    torch.save({"params_ema": state}, tmp_path / "x4plus.pth")
    done = convert_restorer(tmp_path / "x4plus.pth", tmp_path / "x4plus")
    told = done.manifest["restorer"]
    assert (told["architecture"], told["scale"], told["tags"]) == ("ESRGAN", 4, ["8nf", "2nb"])
