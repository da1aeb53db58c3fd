"""Pictures of nets: a valid SVG with every layer, modules as groups, colours by cost."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from net_files import lines_of, mixed, net_files
from network_support import golden_generator

import ncnn_builder as nb
from ncnn_builder.tools import draw
from ncnn_builder.tools.cli import main
from ncnn_builder.tools.cost import cost
from ncnn_builder.tools.net import read_net
from stylegan.export import synthesis_graph

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"


def groups(svg: bytes, kind: str) -> list[ET.Element]:
    return [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") == kind]


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_every_layer_blob_and_module_is_there(target: str, tmp_path: Path) -> None:
    model = nb.compile_graph(synthesis_graph(golden_generator("v2ada_orig_32")), target)
    param, data = net_files(tmp_path, model.param, model.bin)
    out = tmp_path / "net.svg"
    assert main(["draw", str(param), str(data), "--shape", "ws0=64", "--shape", "ws1=64", "-o", str(out)]) == 0
    net = read_net(param)
    svg = out.read_bytes()
    assert len(groups(svg, "node")) == len(net.layers)
    assert len(groups(svg, "edge")) == sum(len(layer.inputs) for layer in net.layers)
    told = [a.get(f"{XLINK}title", "") for g in groups(svg, "node") for a in g.iter(f"{SVG}a")]
    for layer in net.layers:
        assert any(f"{layer.spec.type} {layer.name}" in t for t in told), layer.name
    modules = {t.text for g in groups(svg, "cluster") for t in g.iter(f"{SVG}title")}
    assert {"cluster_synthesis", "cluster_synthesis.b4", "cluster_synthesis.b4.conv1"} <= modules


def test_the_most_expensive_layer_is_the_reddest(tmp_path: Path) -> None:
    text = lines_of(
        "Input x 0 1 x 0=8 1=8 2=4",
        "Convolution big 1 1 x y 0=64 1=3 4=1 6=2304",
        "Convolution small 1 1 y z 0=1 1=1 6=64",
        "ReLU r 1 1 z o",
    )
    net = read_net(net_files(tmp_path, text)[0])
    source = draw.dot(net, cost(net))
    fills = {t: f for t, f in re.findall(r'tooltip="(?:Convolution|ReLU) (\w+)\\n.*fillcolor="([^"]+)"', source)}
    values = {name: [*map(float, fill.split())] if " " in fill else fill for name, fill in fills.items()}
    assert values["r"] == "#ffffff" and values["big"] == [0.0, 0.8, 1.0]
    assert 0 < values["small"][0] < 0.13 and 0.08 < values["small"][1] < 0.8
    assert draw.colour(None, 5) == "#eeeeee"


def test_names_that_mean_something_to_graphviz(tmp_path: Path) -> None:
    strange = 'a"];}\\->n1[<b>&'
    text = lines_of("Input x 0 1 x 0=4", f"ReLU {strange} 1 1 x {strange}", f"ReLU é/{strange} 1 1 {strange} y")
    net = read_net(net_files(tmp_path, text)[0])
    svg = draw.render(draw.dot(net, cost(net)), "svg")
    assert len(groups(svg, "node")) == 3 and len(groups(svg, "edge")) == 2
    assert strange in "".join(a.get(f"{XLINK}title", "") for a in ET.fromstring(svg).iter(f"{SVG}a"))


def test_a_blob_without_producer_is_drawn(tmp_path: Path) -> None:
    net = read_net(net_files(tmp_path, lines_of("ReLU r 1 1 q y", blobs=2))[0])
    assert len(groups(draw.render(draw.dot(net, cost(net)), "svg"), "node")) == 2


def test_kinds_of_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model = nb.compile_graph(mixed())
    param, _ = net_files(tmp_path, model.param)
    for name, head in (("n.png", b"\x89PNG"), ("n.pdf", b"%PDF"), ("n.dot", b"digraph"), ("n.SVG", b"<?xml")):
        assert main(["draw", str(param), "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(head)
    monkeypatch.chdir(tmp_path)
    assert main(["draw", str(param)]) == 0 and (tmp_path / "net.svg").is_file()
    assert main(["draw", str(param), "-o", "n.jpg"]) == 2
    assert "expected .svg, .png, .pdf, .dot; got n.jpg" in capsys.readouterr().err
    assert not (tmp_path / "n.jpg").exists()


def test_without_graphviz_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nb.compile_graph(mixed())
    param, _ = net_files(tmp_path, model.param)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["draw", str(param), "-o", str(tmp_path / "n.svg")]) == 2
    assert "pip install 'ncnn-builder[draw]'" in capsys.readouterr().err and not (tmp_path / "n.svg").exists()
    assert main(["draw", str(param), "-o", str(tmp_path / "n.dot")]) == 0
    dot = tmp_path / "dot"  # a program of that name is taken instead
    dot.write_text('#!/bin/sh\necho "<svg$1/>"\n')
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert main(["draw", str(param), "-o", str(tmp_path / "n.svg")]) == 0
    assert (tmp_path / "n.svg").read_text() == "<svg-Tsvg/>\n"
    dot.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    assert main(["draw", str(param), "-o", str(tmp_path / "m.svg")]) == 2
    assert "could not draw the net; got broken" in capsys.readouterr().err
