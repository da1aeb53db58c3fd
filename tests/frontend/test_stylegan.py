"""Networks of StyleGAN by nobody's export_ncnn(): captured whole, equal to the goldens, made of the fused layers."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import TOLERANCE, load_golden, relative_error
from network_support import golden_generator, latents, network
from official_synthesis import Synthesis
from official_synthesis_v3 import Synthesis as SynthesisV3
from parity_support import run_emitted

import ncnn_builder as nb
from stylegan.export import synthesis_graph

GOLDENS = ["v2ada_cond_32", "v2ada_resnet_32", "v2ada_orig_32"]  # skip, resnet, orig
V3 = "v3_t_cond_32"
SHORT = (
    "t-24"  # StyleGAN3 with 5 of its 15 layers, for torch.export takes a second for each: the golden holds its oracle
)
NETWORKS = [*((name, kind) for name in (GOLDENS[0], SHORT) for kind in ("official", "ours")), (GOLDENS[1], "official")]
FUSED = ("ModulatedConv2d", "ToRGB", "FilteredLrelu")
PICTURE = "img_const_85"


def ours(name: str) -> Any:
    return network(name) if name == SHORT else golden_generator(name)


def official(name: str, **more: Any) -> Any:
    if name in (V3, SHORT):
        return SynthesisV3(ours(name).synthesis).eval()
    golden = load_golden(name)
    given = golden.meta["init_kwargs"]
    sizes = (given["w_dim"], given["img_resolution"], given["img_channels"])
    made = Synthesis(*sizes, **given["synthesis_kwargs"], **more).eval()
    made.load_state_dict(golden.group("state/synthesis."))
    return made


def styles(name: str) -> torch.Tensor:
    return latents(ours(name))[1] if name == SHORT else load_golden(name).tensors["ws_psi1"][:1]


def expected(name: str) -> torch.Tensor:
    """The picture of the golden; of a network that none is of, by the oracle."""
    if name != SHORT:
        return load_golden(name).tensors[PICTURE]
    with torch.no_grad():
        made: torch.Tensor = official(name)(styles(name))
    return made


@cache
def captured(name: str, kind: str) -> nb.Graph:
    if kind == "ours":
        return nb.capture(ours(name).synthesis, styles(name), {"noise_mode": "const"}, forward_only=True)
    return nb.capture(official(name), styles(name))


def picture(graph: nb.Graph, name: str, target: str) -> torch.Tensor:
    made = run_emitted(nb.compile_graph(graph, target), {"in0": styles(name)[0].numpy()}, ["out0"])["out0"]
    return torch.from_numpy(np.array(made))[None]


def fused(graph: nb.Graph) -> Counter[str]:
    lines = nb.compile_graph(graph, "fused").param.splitlines()[2:]
    return Counter(line.split()[0] for line in lines)


@pytest.mark.parametrize("name", [*GOLDENS, V3])
def test_the_oracle_is_the_official_network(name: str) -> None:
    with torch.no_grad():
        made = official(name)(styles(name))
    assert relative_error(made, load_golden(name).tensors[PICTURE]) < 1e-6


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [(*n, t) for n in NETWORKS for t in sorted(nb.TARGETS) if t == "fused" or n[1] == "official"],
)
def test_a_captured_network_equals_the_official_one(name: str, kind: str, target: str) -> None:
    made = picture(captured(name, kind), name, target)
    assert relative_error(made, expected(name)) < TOLERANCE


@pytest.mark.parametrize(("name", "kind"), NETWORKS)
def test_it_is_made_of_the_layers_that_the_hand_written_export_has(name: str, kind: str) -> None:
    made, written = fused(captured(name, kind)), fused(synthesis_graph(ours(name)))
    assert {layer: made[layer] for layer in FUSED} == {layer: written[layer] for layer in FUSED}
    assert not made.keys() & {"ReLU", "Pooling", "Deconvolution", "ConvolutionDepthWise", "Upfirdn2d"} - written.keys()


def test_a_network_that_is_another_is_noticed() -> None:
    """Control: one weight of one layer."""
    other = official(SHORT)
    with torch.no_grad():
        other.get_submodule(other.layer_names[1]).weight[0, 0, 0, 0] += 1.0
    made = picture(nb.capture(other, styles(SHORT)), SHORT, "fused")
    assert relative_error(made, expected(SHORT)) > TOLERANCE


def test_modules_with_an_export_are_asked_unless_only_forward_counts() -> None:
    class Doubled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2.0

        def export_ncnn(self, g: nb.Graph, inputs: nb.Values) -> nb.Values:
            return nb.MulConstant(g, inputs, 2.0)

    class Outer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Doubled()

        def forward(self, x: torch.Tensor, mode: str = "a", factor: float = 1.0, none: Any = None) -> torch.Tensor:
            return self.inner(x) * factor if mode == "b" and none is None else x

    x, given = torch.ones(1, 3, 4, 4), {"mode": "b", "factor": 3.0, "none": None}
    asked, looked = (nb.capture(Outer().eval(), x, given, forward_only=only) for only in (False, True))
    assert [n.spec.type for n in asked.nodes] == ["MulConstant", "BinaryOp"]
    assert [n.spec.type for n in looked.nodes] == ["BinaryOp", "BinaryOp"]
    assert [v.name for v in looked.inputs] == ["in0"]  # what is no tensor is part of the net
    with pytest.raises(nb.BuildError, match="forward_only"):
        nb.convert(Outer().eval(), x, "nowhere", kwargs=given, own=True, forward_only=True)


def test_convert_compares_a_net_of_our_layers_on_our_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = GOLDENS[2]
    done = nb.convert(official(name), styles(name), tmp_path / "net", target="fused", dump_passes=tmp_path / "dump")
    assert "ModulatedConv2d" in done.model.param and done.checked is not None
    assert {c.name for c in done.checked.modules} >= {"b4.conv1", "b16.conv0.affine"}
    assert not list((tmp_path / "dump").rglob("*.refused.txt"))
    monkeypatch.setitem(sys.modules, "runtime", None)
    layer = official(name).b16.conv1  # one is enough
    with pytest.raises(nb.BuildError, match=r"ModulatedConv2d.*no runtime"):
        x = torch.randn(1, layer.weight.shape[1], 16, 16)
        nb.convert(layer, (x, styles(name)[:, 0]), tmp_path / "other", target="fused")
    assert not list(tmp_path.glob("other*"))


def test_the_dump_says_why_a_pattern_was_not_found(tmp_path: Path) -> None:
    class Strange(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(4, 3, 3, 3))

        def forward(self, x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
            w = self.weight * s.reshape(1, 3, 1, 1)
            w = w * (w.square().sum([1, 2, 3], keepdim=True) + 1e-5).rsqrt()
            return torch.nn.functional.conv2d(x, w, padding=1)

    given = (torch.randn(1, 3, 5, 5), torch.randn(3))
    nb.convert(Strange().eval(), given, tmp_path / "net", target="stock", dump_passes=tmp_path / "dump")
    (file, *_) = sorted((tmp_path / "dump" / "Strange").glob("*.refused.txt"))
    assert "another epsilon or scale" in file.read_text() and "Convolution" in file.read_text()
