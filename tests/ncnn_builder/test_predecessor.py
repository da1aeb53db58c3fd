"""The predecessor's calls, argument by argument, and files in its form, against our networks in torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from net_files import net_files
from network_support import NETWORK_TOLERANCE, NETWORKS, network
from parity_support import run_emitted
from predecessor_files import as_its_file
from predecessor_nets import ConvBN, Detector, mapping, synthesis_v2, synthesis_v3

import ncnn_builder as nb
import ncnn_builder as ncnn_utils
from ncnn_builder.emit.syntax import parse
from ncnn_builder.parity import Report
from ncnn_builder.pipeline import BUILT, run_passes
from ncnn_builder.tools.fix import fix
from ncnn_builder.tools.lint import lint
from ncnn_builder.tools.net import read_net
from runtime import Net
from stylegan.checkpoints import checkpoint

Case = tuple[nb.Graph, dict[str, Any], dict[str, Any]]
JOINED = "ignore:a . b . .c. is read as the predecessor's:UserWarning"
pytestmark = pytest.mark.filterwarnings(JOINED)


def _mapping(name: str) -> Case:
    G = network(name)
    g = ncnn_utils.Graph("mapping")
    names = [g.input("z", (G.z_dim,)), g.input("coeff", (1,))]
    g.output("output", ncnn_utils.split_input_tensor(g, mapping(g, G.mapping, names)))
    z = np.random.RandomState(85).randn(1, G.z_dim).astype(np.float32)
    wanted = G.mapping(torch.from_numpy(z), None, truncation_psi=0.7)[0, 0]
    return g, {"z": z[0], "coeff": np.float32([0.7])}, {"output": wanted.detach().numpy()}


def short(name: str) -> checkpoint.Generator:
    """5 layers instead of 15, of every kind: twice and four times as large inside, fewer channels, colours."""
    family, kwargs = NETWORKS[name]
    kwargs = {**kwargs, "num_layers": 4}
    return checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs, seed=3), name)


def _synthesis(name: str, use_fp16: bool | None = None) -> Case:
    G = short(name) if use_fp16 is None else network(name)
    rng = np.random.RandomState(458)
    w0, w1 = (rng.randn(G.w_dim).astype(np.float32) for _ in range(2))
    mixing = (np.arange(G.num_ws) % 2).astype(np.float32)
    ws = torch.from_numpy(np.stack([w1 if m else w0 for m in mixing])[None])
    with torch.no_grad():
        if use_fp16 is None:  # the last layer's numbers are small: a picture with more than a few levels
            spread = float(G.synthesis(ws).std())
            G.synthesis.output_scale *= 0.4 / spread
        picture = G.synthesis(ws, noise_mode="const")[0]
    g = ncnn_utils.Graph("synthesis")
    names = [g.input("ws0", (G.w_dim,)), g.input("ws1", (G.w_dim,)), g.input("mixing", (G.num_ws,))]
    y = synthesis_v3(g, G.synthesis, names) if use_fp16 is None else synthesis_v2(g, G.synthesis, names, use_fp16)
    g.output("output", y)
    inputs = {"ws0": w0, "ws1": w1, "mixing": mixing}
    return g, inputs, {"output": (picture * 127.5 + 128).clamp(0, 255).numpy()}


def _detector() -> Case:
    torch.manual_seed(3)
    net, x = Detector().eval(), torch.randn(1, 3, 24, 32)
    g = ncnn_utils.Graph("detector")
    outputs = net.export_ncnn(g, [g.input("images", (3, 24, 32))])
    for name, value in zip(("cls_score", "reg_dist"), outputs, strict=True):
        g.output(name, value)
    with torch.no_grad():
        wanted = {name: y[0].numpy() for name, y in zip(g.outputs, net(x), strict=True)}
    return g, {"images": x[0].numpy()}, wanted


CASES: dict[str, Any] = {
    "mapping-2": lambda: _mapping("skip"),
    "mapping-3": lambda: _mapping("t"),
    "stylegan2": lambda: _synthesis("skip", False),
    "stylegan2-fp16": lambda: _synthesis("skip", True),
    "stylegan3-t": lambda: _synthesis("t"),
    "stylegan3-r": lambda: _synthesis("r"),
    "detector": _detector,
}


@cache
def case(name: str) -> Case:
    return CASES[name]()


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
@pytest.mark.parametrize("name", CASES)
def test_its_calls_on_every_target(name: str, target: str) -> None:
    g, inputs, wanted = case(name)
    assert all(value.std() > 0.05 * np.abs(value).max() for value in wanted.values())  # a flat picture proves nothing
    got = run_emitted(nb.compile_graph(g, target), inputs, list(wanted))
    Report(f"{name} {target}").add_all(got, wanted, NETWORK_TOLERANCE).check()


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith("stylegan")])
def test_every_modulation_and_every_filter_is_recognised(name: str) -> None:
    g, _, _ = case(name)
    convolutions = [n for n in g.nodes if n.spec.type in ("Convolution", "FconvTranspose2d")]
    kinds = [n.spec.type for n in run_passes(g, BUILT, "fused").nodes]
    assert kinds.count("modulated_conv2d") == len(convolutions)
    assert not {"Convolution", "FconvTranspose2d", "ConvolutionDepthWise", "Up2", "Up4", "Down2"} & set(kinds)
    if name.startswith("stylegan3"):
        assert kinds.count("filtered_lrelu") == len(convolutions) - 1 and "upfirdn2d" not in kinds
    else:
        fused = [line.type.text for line in parse(nb.compile_graph(g, "fused").param).lines]
        assert fused.count("ToRGB") == kinds.count("upfirdn2d") == 2


@pytest.mark.parametrize("name", ["stylegan2", "stylegan3-t"])
def test_a_changed_weight_is_seen(name: str) -> None:
    g, inputs, wanted = CASES[name]()
    shell = max((n for n in g.nodes if n.spec.type == "Shell"), key=lambda n: n.weights["weight"].size)
    shell.outputs[0].data = shell.weights["weight"] = shell.weights["weight"] * np.float32(1.1) + np.float32(0.1)
    for target in nb.TARGETS:
        got = run_emitted(nb.compile_graph(g, target), inputs, list(wanted))
        with pytest.raises(nb.ParityError, match="differ"):
            Report(target).add_all(got, wanted, NETWORK_TOLERANCE).check()


# -- single calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
@pytest.mark.parametrize(
    ("shape", "call", "meaning"),
    [
        ((3, 5, 6), lambda g, x: ncnn_utils.permute(g, x, perm="(1, 0, 2, 3)"), lambda x: x.permute(1, 0, 2, 3)[None]),
        (
            (3, 5, 6),
            lambda g, x: ncnn_utils.crop(g, x, starts="3,0,0,0", ends="3,2,4,4", axes="3,0,1,2"),
            lambda x: x[:, :2, :4, :4],
        ),
        (
            (3, 5, 6),
            lambda g, x: ncnn_utils.activation(g, x, "leaky_relu", args={"negative_slope": 0.95}),
            lambda x: torch.nn.functional.leaky_relu(x, 0.95),
        ),
        (
            (3, 6, 8),
            lambda g, x: ncnn_utils.interpolate(g, x, scale_factor=0.5, mode="bicubic"),
            lambda x: torch.nn.functional.interpolate(x, scale_factor=0.5, mode="bicubic"),
        ),
        ((4, 6), lambda g, x: ncnn_utils.permute(g, x, "(1, 0)"), lambda x: x.permute(0, 2, 1)),
        (
            (6,),
            lambda g, x: ncnn_utils.really_reduction(g, x, op="ReduceMax", dims=(1,), keepdim=True),
            lambda x: x.amax(1, True),
        ),
    ],
    ids=["permute", "crop", "leaky", "bicubic", "transpose", "max"],
)
def test_single_calls(shape: tuple[int, ...], call: Any, meaning: Any, target: str) -> None:
    x = torch.randn(1, *shape)
    g = ncnn_utils.Graph()
    g.output("y", call(g, [g.input("x", shape)]))
    got = run_emitted(nb.compile_graph(g, target), {"x": x[0].numpy()}, ["y"])
    Report(target).add_all(got, {"y": meaning(x)[0].numpy()}, 1e-5).check()


def test_coordinates_before_a_convolution() -> None:
    net, x = ConvBN(5, 4, act=None).eval(), torch.randn(1, 3, 5, 6)
    g = ncnn_utils.Graph()
    g.output("y", net.export_ncnn(g, ncnn_utils.coordconcat(g, [g.input("x", (3, 5, 6))])))
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 6), indexing="ij")
    with torch.no_grad():
        wanted = net(torch.cat([x, columns[None, None], rows[None, None]], 1))[0].numpy()
    for target in nb.TARGETS:
        got = run_emitted(nb.compile_graph(g, target), {"x": x[0].numpy()}, ["y"])
        Report(target).add_all(got, {"y": wanted}, 1e-5).check()


@pytest.mark.parametrize("equal", [False, True])
def test_the_order_of_a_transposed_weight(equal: bool) -> None:
    """ncnn's for its function, torch's for the other; where out is in, nothing but the numbers tells them apart."""
    n, out = 4, 4 if equal else 3
    x, w = torch.randn(1, n, 5, 6), torch.randn(out, n, 3, 3)
    wanted = torch.nn.functional.conv_transpose2d(x, w.transpose(0, 1), stride=2)[0].numpy()
    g = ncnn_utils.Graph()
    value = g.input("x", (n, 5, 6))
    held, turned = (ncnn_utils.shell(g, [value], v, None)[0] for v in (w, w.transpose(0, 1)))
    g.output(
        "a", ncnn_utils.Fconv_transpose2d(g, [value, held], w.shape, stride=2, padding=[0, 0], dilation=1, groups=1)
    )
    g.output("b", nb.conv_transpose2d(g, [value, turned], stride=2))
    for target in nb.TARGETS:
        got = run_emitted(nb.compile_graph(g, target), {"x": x[0].numpy()}, ["a", "b"])
        Report(target).add_all(got, {"a": wanted, "b": wanted}, 1e-5).check()


def test_the_helpers() -> None:
    g = ncnn_utils.Graph()
    x = g.input("x", (3,))
    assert list(ncnn_utils.newest_bottom_names(g)) == [x]
    y: Any = ncnn_utils.activation(g, x, "leaky_relu", args={"negative_slope": 0.1})
    assert list(ncnn_utils.newest_bottom_names(g)) == list(y)
    assert list(ncnn_utils.check_bottom_names(y[0])) == list(y)
    assert list(ncnn_utils.activation(g, y, None)) == list(y)
    assert len(set(ncnn_utils.create_top_names(g, 3))) == 3
    assert list(ncnn_utils.split(g, y, 2)) == [y[0], y[0]]
    for same in (ncnn_utils.split_input_tensor, ncnn_utils.rename_tensor, ncnn_utils.pretty_format):
        assert list(same(g, y)) == list(y)
    assert ncnn_utils.list_equal([1, 0], (1, 0)) and not ncnn_utils.list_equal((0, 1), [1, 0])


# -- its files --------------------------------------------------------------------------------------------------------


@cache
def its_form(name: str) -> tuple[str, bytes]:
    model = nb.compile_graph(case(name)[0])
    return as_its_file(model), model.bin


@cache
def layers_from_its_calls(name: str) -> int:
    return nb.compile_graph(case(name)[0], "fused").layers


def its_files(name: str, folder: Path) -> tuple[tuple[Path, Path], Case]:
    return net_files(folder, *its_form(name)), case(name)


@pytest.mark.parametrize("name", CASES)
def test_its_files_run_as_they_are(name: str, tmp_path: Path) -> None:
    files, (_, inputs, wanted) = its_files(name, tmp_path)
    Report(name).add_all(Net(*files).run(inputs), wanted, NETWORK_TOLERANCE).check()


@pytest.mark.parametrize("repaired", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_its_files_become_fast(name: str, repaired: bool, tmp_path: Path) -> None:
    files, (_, inputs, wanted) = its_files(name, tmp_path)
    shapes = {name: array.shape for name, array in inputs.items()}
    if repaired:
        fixed = fix(parse(files[0].read_text()), str(files[0]), shapes)
        assert not [f for f in lint(fixed.net) if f.severity != "note"]
        files[0].write_text(fixed.text)
        Report("repaired").add_all(Net(*files).run(inputs), wanted, NETWORK_TOLERANCE).check()
    loaded = nb.load(*files, shapes=shapes)
    layers = {}
    for target in nb.TARGETS:
        model = nb.compile_graph(loaded, target)
        layers[target] = model.layers
        got = run_emitted(model, inputs, list(wanted))
        Report(f"{name} {target}").add_all(got, wanted, NETWORK_TOLERANCE).check()
    assert layers["fused"] <= layers_from_its_calls(name)


@pytest.mark.parametrize("name", ["mapping-2", "stylegan2"])
def test_what_lint_says_of_its_files(name: str, tmp_path: Path) -> None:
    files, _ = its_files(name, tmp_path)
    found = {f.rule for f in lint(read_net(*files))}
    assert "old-axes" in found and (name == "mapping-2" or "mask-as-data" in found)


def test_only_its_own_names_say_how_old_axes_are_meant(tmp_path: Path) -> None:
    """Of any other file without 5=1 nobody knows whether its axes count the batch: ncnn refuses it, and so do we."""
    files, (_, inputs, _) = its_files("mapping-2", tmp_path)
    text = files[0].read_text().replace("layer_00000000 ", "in ")
    files[0].write_text(text)
    with pytest.raises(nb.ReadError, match="version"):
        nb.load(*files, shapes={name: array.shape for name, array in inputs.items()})
    with pytest.raises(Exception, match="too old"):
        Net(*files)
