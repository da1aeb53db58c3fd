"""fold_padding: a border of zeros goes into the convolution behind it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from parity_support import run_emitted
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn, types
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.ops.convolutions.conv import static_conv
from ncnn_builder.parity import Report
from ncnn_builder.passes.fold_padding import fold_padding

SIZE = (4, 6, 7)
W = normal(5, 4, 3, 2)


def conv(g: nb.Graph, x: Any, **kw: Any) -> nb.Value:
    return static_conv(g, nb.check_bottom_names(x)[0], kw.pop("weight", W), normal(5), **kw)[0]


def test_it_fires() -> None:
    cases = [
        lambda g, x: conv(g, nb.pad(g, x, 1, 0, 2, 3)),
        lambda g, x: conv(g, nb.pad(g, x, 0, 1, 0, 0), padding=(1, 2, 0, 3), stride=2),
        lambda g, x: static_conv(g, nb.pad(g, x, 1, 1, 1, 1)[0], normal(4, 1, 3, 3), None, groups=4),
        lambda g, x: static_conv(g, nb.pad(g, x, 1, 1, 1, 1)[0], normal(6, 2, 3, 3), None, groups=2),
    ]
    for build in cases:
        g = graph_of(build, SIZE)
        same_on_ncnn(g, fires(fold_padding, g, [g.nodes[-1].spec.type]))
    g = graph_of(lambda g, x, w: nb.Fconv2d(g, [*nb.pad(g, x, 1, 1, 1, 1), w]), SIZE, (2, 4, 3, 3))
    same_on_ncnn(g, fires(fold_padding, g, ["Convolution"]))
    g = graph_of(lambda g, x: conv(g, nb.pad(g, nb.pad(g, x, 1, 1), 0, 0, 2, 0)), SIZE)
    assert types(fires(fold_padding, g, ["Convolution"])) == ["Convolution"]


def test_what_stays() -> None:
    cases = {
        "a border that is not 0": [
            lambda g, x: conv(g, nb.pad(g, x, 1, 1, 1, 1, value=0.5)),
            lambda g, x: conv(g, nb.pad(g, x, 1, 1, 1, 1, mode="edge")),
            lambda g, x: conv(g, nb.pad(g, x, 1, 1, 1, 1, mode="reflect")),
        ],
        "a border of channels": [lambda g, x: conv(g, nb.pad(g, x, behind=2), weight=normal(5, 6, 3, 3))],
        "": [
            lambda g, x: [conv(g, (p := nb.pad(g, x, 1, 1))), *nb.abs(g, p)],
            lambda g, x: [conv(g, (p := nb.pad(g, x, 1, 1))), *p],
        ],
    }
    for reason, builds in cases.items():
        for build in builds:
            refuses(fold_padding, graph_of(build, SIZE), reason)


@pytest.mark.parametrize(
    "sides", [{"pad_value": 1.0}, dict.fromkeys(("pad_top", "pad_bottom", "pad_left", "pad_right"), -233)]
)
def test_what_only_files_say(sides: dict[str, Any]) -> None:
    g = graph_of(lambda g, x: conv(g, nb.pad(g, x, 1, 1, 1, 1), padding=1), SIZE)
    g.nodes[-1].params |= sides
    refuses(fold_padding, g, "border")


def test_weights_stay_as_the_file_had_them() -> None:
    g = graph_of(lambda g, x: conv(g, nb.pad(g, x, 1, 1)), SIZE)
    g.nodes[-1].stored["weight"] = "fp16"
    assert fold_padding(g).nodes[0].stored == {"weight": "fp16"}
    g.nodes[-1].stored["weight"] = "int8"
    refuses(fold_padding, g, "stored in a file's own way")


def test_a_module_with_a_layer_for_its_border() -> None:
    """As those that came from TensorFlow have it; on the target fused our kernels take it."""
    torch.manual_seed(0)
    net = nn.Conv2d(16, 16, 3)
    x = torch.randn(1, 16, 30, 31)
    g = graph_of(lambda g, x: nb.activation(g, nb.conv2d(g, nb.pad(g, x, 2, 1, 0, 1), net), "relu"), x.shape[1:])
    want = {"y0": F.relu(net(F.pad(x, (0, 1, 2, 1))))[0].detach().numpy()}
    for target, layer in (("stock", "Convolution"), ("fused", "FusedConv2d")):
        model = nb.compile_graph(g, target)
        assert [line.split()[0] for line in model.param.splitlines()[2:]] == ["Input", layer]
        Report(target).add_all(run_emitted(model, {"x0": x[0].numpy()}, ["y0"]), want, 3e-5).check()
