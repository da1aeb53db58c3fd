"""torch.nn modules that export themselves, each over several parameters, on every target, against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from module_support import Net, check_module, graph_of
from parity_support import run_emitted
from torch import nn

import ncnn_builder as nb
from ncnn_builder.parity import Report, torch_taps

Shape = tuple[int, ...]
PICTURE: Shape = (6, 5, 7)
SIGNAL: Shape = (6, 9)
VOLUME: Shape = (4, 3, 4, 5)

ACTIVATIONS: list[nn.Module] = [
    *(nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(), nn.LeakyReLU(0.2), nn.PReLU(), nn.PReLU(6)),
    *(nn.ELU(), nn.ELU(0.3), nn.CELU(0.7), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Sigmoid()),
    *(nn.Tanh(), nn.Hardtanh(), nn.Hardtanh(-0.5, 0.25), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardshrink(0.3)),
    *(nn.Softshrink(), nn.Softshrink(0.2), nn.Softplus(), nn.Softplus(2.5), nn.Softplus(0.5, 30), nn.LogSigmoid()),
    *(nn.Softsign(), nn.Tanhshrink(), nn.Threshold(0.2, -3.0), nn.RReLU(0.1, 0.5), nn.GLU(1), nn.Identity()),
    *(nn.Softmax(1), nn.Softmax(-1), nn.Softmin(2), nn.LogSoftmax(1), nn.LogSoftmax(-1), nn.Softmax2d()),
    *(nn.Dropout(), nn.Dropout2d(0.9), nn.AlphaDropout()),
]
CASES: list[tuple[nn.Module, Shape]] = [
    *((module, PICTURE) for module in ACTIVATIONS),
    *((nn.PReLU(6), shape) for shape in ((6,), SIGNAL, (6, 2, 3, 4))),
    *((module, (7,)) for module in (nn.ReLU(), nn.Softmax(1), nn.LogSoftmax(-1), nn.SiLU())),
    *((module, SIGNAL) for module in (nn.Softmax(2), nn.LogSoftmax(2), nn.LogSoftmax(1), nn.GLU(1), nn.Hardswish())),
    # convolutions
    *((nn.Conv1d(6, 4, 3, **kw), SIGNAL) for kw in ({}, dict(stride=2, padding=1), dict(padding="same", dilation=2))),
    (nn.Conv1d(6, 6, 3, groups=3, bias=False, padding=2, padding_mode="reflect"), SIGNAL),
    *((nn.Conv2d(6, 4, 3, **kw), PICTURE) for kw in ({}, dict(stride=2, padding=1), dict(padding="same", bias=False))),
    (nn.Conv2d(6, 12, (3, 1), groups=6, dilation=(2, 1), padding=(1, 0)), PICTURE),
    (nn.Conv2d(6, 4, 3, padding=1, padding_mode="replicate"), PICTURE),
    *((nn.Conv3d(4, 6, 3, **kw), VOLUME) for kw in (dict(padding=1), dict(stride=(1, 2, 2), groups=2, bias=False))),
    *((nn.ConvTranspose1d(6, 4, 3, **kw), SIGNAL) for kw in ({}, dict(stride=2, padding=1, output_padding=1))),
    *((nn.ConvTranspose2d(6, 4, 4, **kw), PICTURE) for kw in ({}, dict(stride=2, padding=1, groups=2, bias=False))),
    (nn.ConvTranspose3d(4, 2, 3, stride=2, output_padding=1), VOLUME),
    # matrix products
    *((nn.Linear(7, 5, bias), shape) for bias in (True, False) for shape in ((7,), (3, 7), PICTURE)),
    # normalisations
    *((nn.BatchNorm1d(6), shape) for shape in ((6,), SIGNAL)),
    *((norm, PICTURE) for norm in (nn.BatchNorm2d(6), nn.BatchNorm2d(6, eps=0.1, affine=False), nn.SyncBatchNorm(6))),
    (nn.BatchNorm3d(4), VOLUME),
    *((nn.GroupNorm(n, 6), shape) for n in (1, 3, 6) for shape in (PICTURE, SIGNAL)),
    *((nn.InstanceNorm2d(6, affine=a, track_running_stats=t), PICTURE) for a in (False, True) for t in (False, True)),
    *((nn.InstanceNorm1d(6), SIGNAL), (nn.InstanceNorm3d(4, affine=True), VOLUME)),
    *((nn.LayerNorm(n), PICTURE) for n in (7, (5, 7), PICTURE)),
    *((nn.LayerNorm(9, elementwise_affine=False), SIGNAL), (nn.LayerNorm(9, bias=False), SIGNAL)),
    *((nn.RMSNorm(7), PICTURE), (nn.RMSNorm(9, eps=1e-3), SIGNAL), (nn.LocalResponseNorm(3, 0.1), PICTURE)),
    # pooling
    *((nn.MaxPool1d(3, 2, 1), SIGNAL), (nn.AvgPool1d(2), SIGNAL), (nn.AvgPool1d(3, 1, 1), SIGNAL)),
    *(
        (pool, PICTURE)
        for pool in (nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((1, 3), (2, 1), ceil_mode=True))
    ),
    *((pool, PICTURE) for pool in (nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1, False, False))),
    *((pool, VOLUME) for pool in (nn.MaxPool3d(2), nn.AvgPool3d((1, 2, 2)), nn.AvgPool3d(3, 1, 1))),
    *((kind(size), SIGNAL) for kind in (nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d) for size in (1, 4)),
    *(
        (kind(size), PICTURE)
        for kind in (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
        for size in (1, 3, (2, 5), (None, 2))
    ),
    *((kind((2, 3, 1)), VOLUME) for kind in (nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d)),
    # resizing
    *(
        (nn.Upsample(mode=mode, **kw), PICTURE)
        for mode in ("nearest", "bilinear", "bicubic")
        for kw in (dict(scale_factor=2), dict(scale_factor=(1.5, 2.0)), dict(size=(8, 3)), dict(size=11))
    ),
    *((nn.Upsample(scale_factor=2, mode=mode, align_corners=True), PICTURE) for mode in ("bilinear", "bicubic")),
    (nn.Upsample(scale_factor=1.7, mode="bilinear", recompute_scale_factor=True), PICTURE),
    *((nn.UpsamplingNearest2d(scale_factor=3), PICTURE), (nn.UpsamplingBilinear2d(size=(9, 10)), PICTURE)),
    *((nn.Upsample(**kw), SIGNAL) for kw in (dict(scale_factor=2), dict(size=13, mode="linear"))),
    (nn.Upsample(scale_factor=1.5, mode="linear", align_corners=True), SIGNAL),
    *((nn.Upsample(**kw), VOLUME) for kw in (dict(scale_factor=2), dict(size=(4, 6, 9), mode="trilinear"))),
    (nn.Upsample(scale_factor=(1, 1.5, 2), mode="trilinear", align_corners=True), VOLUME),
    (nn.Upsample(scale_factor=(1.5, 2, 2), mode="trilinear"), VOLUME),
    *((nn.PixelShuffle(2), (8, 3, 5)), (nn.PixelUnshuffle(2), (3, 4, 6)), (nn.ChannelShuffle(3), PICTURE)),
    # shapes
    *((nn.Flatten(), shape) for shape in ((7,), SIGNAL, PICTURE, VOLUME)),
    *((nn.Flatten(2), PICTURE), (nn.Flatten(1, 2), PICTURE), (nn.Flatten(-2, -1), VOLUME)),
    *((nn.Unflatten(1, (2, 3)), PICTURE), (nn.Unflatten(-1, (-1, 3)), SIGNAL), (nn.Unflatten(1, (3, 2)), (6,))),
    *((nn.ZeroPad1d((1, 2)), SIGNAL), (nn.ConstantPad1d(2, -1.5), SIGNAL), (nn.ReflectionPad1d((3, 1)), SIGNAL)),
    *((pad, PICTURE) for pad in (nn.ZeroPad2d((1, 2, 0, 3)), nn.ZeroPad2d(-1), nn.ConstantPad2d((1, -1, 2, 0), 0.5))),
    *((pad, PICTURE) for pad in (nn.ReflectionPad2d((1, 3, 2, 4)), nn.ReplicationPad2d((4, 0, 1, 2)))),
    *((nn.ReplicationPad1d((4, 1)), SIGNAL), (nn.ZeroPad3d((1, 0, 2, 1, 1, 2)), VOLUME)),
    *((nn.Unfold(3, padding=1, stride=2), PICTURE), (nn.Fold((6, 8), 2, stride=2), (12, 12))),
    # networks
    (nn.Sequential(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(120, 4)), PICTURE),
    (nn.Sequential(nn.Sequential(nn.Linear(7, 3), nn.Tanh()), nn.Identity(), nn.Sequential(nn.Linear(3, 2))), (5, 7)),
]


def label(module: Any) -> str:
    return " ".join(str(module).replace("\n", " ").split())[:60] if isinstance(module, nn.Module) else ""


@pytest.mark.parametrize(("module", "shape"), CASES, ids=label)
def test_module(module: nn.Module, shape: Shape) -> None:
    check_module(module, shape)


def test_every_registered_class_is_tried() -> None:
    from ncnn_builder.modules.walk import _ENTRIES

    tried = {type(part).__name__ for module, _ in CASES for part in module.modules()}
    tried |= {"Embedding", "LSTM", "GRU", "RNN", "MultiheadAttention", "ModuleList"}
    names = {key for key in _ENTRIES if isinstance(key, str)}
    # in test_its_kin
    alike = {"Dropout1d", "Dropout3d", "FeatureAlphaDropout", "ConstantPad3d", "ReflectionPad3d", "ReplicationPad3d"}
    assert names - tried == alike
    assert all(hasattr(nn, name) for name in names)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        *((pad, VOLUME) for pad in (nn.ReflectionPad3d(1), nn.ReplicationPad3d(2), nn.ConstantPad3d(1, 2.0))),
        *((nn.Dropout1d(), SIGNAL), (nn.Dropout3d(), VOLUME), (nn.FeatureAlphaDropout(), PICTURE)),
    ],
    ids=label,
)
def test_its_kin(module: nn.Module, shape: Shape) -> None:
    check_module(module, shape)


# -- sequences --------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from([nn.LSTM, nn.GRU, nn.RNN]),
    size=st.integers(1, 9),
    hidden=st.integers(1, 9),
    steps=st.integers(1, 6),
    options=st.fixed_dictionaries(
        dict(
            num_layers=st.integers(1, 2),
            bidirectional=st.booleans(),
            batch_first=st.booleans(),
            bias=st.booleans(),
        )
    ),
)
def test_recurrent(kind: Any, size: int, hidden: int, steps: int, options: dict[str, Any]) -> None:
    check_module(kind(size, hidden, **options), (steps, size), targets=["fused", "stock"])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_with_states(batch_first: bool, bidirectional: bool) -> None:
    """The states are taps as well, with the batch in the middle."""
    module = nn.LSTM(5, 4, batch_first=batch_first, bidirectional=bidirectional)
    ways, net = 1 + bidirectional, Net(module)
    graph = graph_of(net, (3, 5), (ways, 4), (ways, 4))
    assert set(graph.taps) == {"part:0", "part:1", "part:2"}
    x, h, c = torch.randn(3, 5), torch.randn(ways, 4), torch.randn(ways, 4)
    rows = x[None] if batch_first else x[:, None]
    with torch.no_grad():
        expected = torch_taps(net, lambda: net.part(rows, (h[:, None], c[:, None])), graph.taps)
    model = nb.compile_graph(graph, "stock")
    blobs = run_emitted(model, {"x0": x.numpy(), "x1": h.numpy(), "x2": c.numpy()}, ["y0", "y1", "y2"])
    Report("states").add_all({f"part:{i}": blobs[f"y{i}"] for i in range(3)}, expected, 2e-5).check()


@settings(max_examples=12, deadline=None)
@given(
    heads=st.integers(1, 3),
    per_head=st.integers(1, 5),
    lengths=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    kdim=st.none() | st.integers(2, 7),
    bias=st.booleans(),
    batch_first=st.booleans(),
    itself=st.booleans(),
)
def test_attention(
    heads: int, per_head: int, lengths: tuple[int, int], kdim: int | None, bias: bool, batch_first: bool, itself: bool
) -> None:
    embed = heads * per_head
    if itself:
        module = nn.MultiheadAttention(embed, heads, bias=bias, batch_first=batch_first)
        for thrice in (True, False):
            check_module(_Itself(module, thrice), (lengths[0], embed), targets=["stock"])
        return
    module = nn.MultiheadAttention(embed, heads, bias=bias, batch_first=batch_first, kdim=kdim, vdim=kdim)
    size = kdim or embed
    check_module(module, (lengths[0], embed), (lengths[1], size), (lengths[1], size), targets=["stock"])


class _Itself(nn.Module):
    def __init__(self, attention: nn.MultiheadAttention, thrice: bool = True) -> None:
        super().__init__()
        self.thrice = thrice  # or one input, which export_module() takes for all three
        self.attention, self.batch_first = attention, attention.batch_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.attention(x, x, x)[0]
        return y

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> nb.Values:
        x = nb.check_bottom_names(inputs)
        return nb.child(g, self, "attention", [x, x, x] if self.thrice else x)


def test_embedding() -> None:
    check_module(nn.Embedding(10, 5, padding_idx=2), (7,), index=10)
    check_module(nn.Sequential(nn.Embedding(10, 8), nn.LayerNorm(8), nn.Linear(8, 3)), (4,), index=10)


# -- drawn parameters -------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    dims=st.integers(1, 3),
    transposed=st.booleans(),
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
)
def test_convolutions(
    dims: int,
    transposed: bool,
    groups: int,
    per_group: tuple[int, int],
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    bias: bool,
) -> None:
    kind = getattr(nn, f"Conv{'Transpose' if transposed else ''}{dims}d")
    channels, out = (groups * n for n in per_group)
    module = kind(channels, out, kernel, stride, padding, groups=groups, dilation=dilation, bias=bias)
    check_module(module, (channels, *(6, 5, 7)[:dims]), targets=["fused", "stock"])


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["MaxPool", "AvgPool"]),
    dims=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    data=st.data(),
)
def test_pooling(kind: str, dims: int, kernel: int, stride: int, data: st.DataObject) -> None:
    padding = data.draw(st.integers(0, kernel // 2))
    extra = {} if kind == "MaxPool" else {"count_include_pad": data.draw(st.booleans())}
    module = getattr(nn, f"{kind}{dims}d")(kernel, stride, padding, **extra)
    check_module(module, (3, *(6, 7, 5)[:dims]), targets=["stock"])


@settings(max_examples=25, deadline=None)
@given(
    mode=st.sampled_from(["nearest", "bilinear", "bicubic"]),
    size=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    corners=st.booleans(),
)
def test_upsampling(mode: str, size: tuple[int, int], corners: bool) -> None:
    module = nn.Upsample(size, mode=mode, align_corners=corners if mode != "nearest" else None)
    check_module(module, PICTURE, targets=["stock"], tolerance=5e-5)
