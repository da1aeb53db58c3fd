"""Code in the predecessor's style runs unchanged, and means what torch means.

The modules here are written as its authors write them: names in lists, numpy scalars, weights with gradient,
shell() with an input it does not need, dims that count the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import ncnn_builder as ncnn_utils
from ncnn_builder.parity import compare, interpret


def normalize(ncnn_data: Any, x: Any, eps: float = 1e-8) -> Any:
    temp = ncnn_utils.square(ncnn_data, x)
    temp = ncnn_utils.reduction(ncnn_data, temp, op="ReduceMean", input_dims=2, dims=(1,), keepdim=True)
    temp = ncnn_utils.rsqrt(ncnn_data, temp, eps=eps)
    return ncnn_utils.binaryOp(ncnn_data, [x[0], temp[0]], op="Mul")


def bias_act(ncnn_data: Any, bottom_names: Any, act: str, gain: float, clamp: float | None) -> Any:
    return ncnn_utils.BiasAct(ncnn_data, bottom_names, act_type=act, alpha=0.2, gain=np.float64(gain), clamp=clamp)


class FullyConnected(torch.nn.Module):
    def __init__(self, n_in: int, n_out: int, activation: str = "linear") -> None:
        super().__init__()
        self.activation = activation
        self.weight = torch.nn.Parameter(torch.randn(n_out, n_in))
        self.bias = torch.nn.Parameter(torch.randn(n_out))
        self.weight_gain = 1 / np.sqrt(n_in)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x @ (self.weight * self.weight_gain).t() + self.bias
        return x if self.activation == "linear" else torch.nn.functional.leaky_relu(x, 0.2) * 2**0.5

    def export_ncnn(self, ncnn_data: Any, bottom_names: Any) -> Any:
        w = self.weight * self.weight_gain
        w_b = ncnn_utils.shell(ncnn_data, bottom_names, w.unsqueeze(2).unsqueeze(3), self.bias)
        if self.activation == "linear":
            return ncnn_utils.Fmatmul(ncnn_data, [bottom_names[0], w_b[0], w_b[1]], w.shape)
        bottom_names = ncnn_utils.Fmatmul(ncnn_data, [bottom_names[0], w_b[0]], w.shape)
        return bias_act(ncnn_data, [bottom_names[0], w_b[1]], "lrelu", np.sqrt(2), None)


def test_mapping_network() -> None:
    torch.manual_seed(0)
    fc0, fc1, w_avg = FullyConnected(16, 12, "lrelu"), FullyConnected(12, 12, "lrelu"), torch.randn(12)
    ncnn_data = ncnn_utils.Graph()
    z, coeff = ncnn_data.input("z", (16,)), ncnn_data.input("coeff", (1,))
    x = normalize(ncnn_data, [z])
    w_avg_names = ncnn_utils.shell(ncnn_data, x, w_avg.unsqueeze(0).unsqueeze(0).unsqueeze(0), None, ncnn_weight_dims=1)
    x = fc1.export_ncnn(ncnn_data, fc0.export_ncnn(ncnn_data, x))
    x = ncnn_utils.lerp(ncnn_data, [*w_avg_names, *x, coeff])
    ncnn_data.output("output", x)

    latent = torch.randn(1, 16)
    with torch.no_grad():
        w = fc1(fc0(latent * (latent.square().mean(1, keepdim=True) + 1e-8).rsqrt()))
        expected = w_avg.lerp(w, 0.7)[0]
    check(ncnn_data, {"z": latent[0], "coeff": torch.tensor([0.7])}, expected)


def synthesis_layer(ncnn_data: Any, names: Any, layer: dict[str, Any], up: int, ws_i: int) -> Any:
    x, ws0, ws1, mixing = names
    w = ncnn_utils.StyleMixingSwitcher(ncnn_data, [ws0, ws1, mixing], ws_i=ws_i)
    styles = layer["affine"].export_ncnn(ncnn_data, [w[0]])
    noise = ncnn_utils.shell(ncnn_data, w[0], layer["noise"].unsqueeze(0).unsqueeze(0), None)
    w_b = ncnn_utils.shell(ncnn_data, w[0], layer["weight"], layer["bias"])
    # demodulation: w[OIkk] * styles[I], normalised over [Ikk]
    weight = ncnn_utils.F4DOp1D(ncnn_data, [w_b[0], styles[0]], dim=1, op="Mul")
    norm = ncnn_utils.square(ncnn_data, weight)
    norm = ncnn_utils.reduction(ncnn_data, norm, op="ReduceSum", input_dims=5, dims=(2, 3, 4), keepdim=False)
    norm = ncnn_utils.rsqrt(ncnn_data, norm, eps=1e-8)
    weight = ncnn_utils.F4DOp1D(ncnn_data, [weight[0], norm[0]], dim=0, op="Mul")
    if up == 1:
        x = ncnn_utils.Fconv2d(ncnn_data, [x, weight[0]], padding=1)
    else:
        weight = ncnn_utils.really_permute(ncnn_data, weight, perm=(1, 0, 2, 3))
        o, i, kh, kw = layer["weight"].shape
        x = ncnn_utils.Fconv_transpose2d(ncnn_data, [x, weight[0]], (i, o, kh, kw), stride=2)
        f = (layer["filter"] * 4).flip([0, 1])[None, None].repeat(o, 1, 1, 1)
        f = ncnn_utils.shell(ncnn_data, x, f, None)
        x = ncnn_utils.Fconv2d_depthwise(ncnn_data, [x[0], f[0]], padding=1, groups=o)
    x = ncnn_utils.AddNoise(ncnn_data, [x[0], noise[0]])
    return bias_act(ncnn_data, [x[0], w_b[1]], "lrelu", np.sqrt(2), 256)


def test_synthesis_block() -> None:
    from stylegan.functional import modulated_conv2d

    torch.manual_seed(1)
    f = torch.outer(t := torch.tensor([1.0, 3, 3, 1]), t) / 64
    layers = [
        {
            "weight": torch.nn.Parameter(torch.randn(5, 5, 3, 3)),
            "bias": torch.nn.Parameter(torch.randn(5)),
            "affine": FullyConnected(8, 5),
            "noise": torch.randn(size, size),
            "filter": f,
        }
        for size in (4, 8)
    ]
    const, ws0, ws1 = torch.randn(5, 4, 4), torch.randn(8), torch.randn(8)

    ncnn_data = ncnn_utils.Graph()
    names = [ncnn_data.input("ws0", (8,)), ncnn_data.input("ws1", (8,)), ncnn_data.input("mixing", (2,))]
    x = ncnn_utils.shell(ncnn_data, [names[0]], const.unsqueeze(1), None, ncnn_weight_dims=3)
    x = synthesis_layer(ncnn_data, [x[0], *names], layers[0], 1, 0)
    x = synthesis_layer(ncnn_data, [x[0], *names], layers[1], 2, 1)
    x = ncnn_utils.StyleganPost(ncnn_data, x)
    ncnn_data.output("output", x)

    with torch.no_grad():
        y = const[None]
        for layer, up, w in ((layers[0], 1, ws0), (layers[1], 2, ws1)):
            y = modulated_conv2d(y, layer["weight"], layer["affine"](w[None]), layer["noise"], up, 1, f)
            y = torch.nn.functional.leaky_relu(y + layer["bias"][:, None, None], 0.2) * 2**0.5
        expected = (y * 127.5 + 128).clamp(0, 255)[0]
    check(ncnn_data, {"ws0": ws0, "ws1": ws1, "mixing": torch.tensor([0.0, 1.0])}, expected)


def test_texts_and_scalars() -> None:
    """Permutations and crops as text, numbers as 0-d arrays and tensors with gradient."""
    g = ncnn_utils.Graph()
    x = g.input("x", (3, 4, 6))
    y = ncnn_utils.permute(g, x, perm="(0, 2, 3, 1)")
    y = ncnn_utils.crop(g, y, starts="2,1,0", ends="2,-233,5", axes="2,0,1")
    y = ncnn_utils.MulConstant(g, y, scale=torch.nn.Parameter(torch.tensor(0.5)), bias=np.float32(2))
    y = ncnn_utils.activation(g, y, "leaky_relu", {"negative_slope": np.array(0.1)})
    y = ncnn_utils.reshape(g, ncnn_utils.split(g, y, 2)[1], (1, -1))
    g.output("output", y)
    value = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(2))
    expected = torch.nn.functional.leaky_relu(value.permute(1, 2, 0)[1:, :5] * 0.5 + 2, 0.1).reshape(-1)
    check(g, {"x": value}, expected)
    assert ncnn_utils.newest_bottom_names(g) == g.nodes[-1].outputs
    assert len(set(ncnn_utils.create_top_names(g, 3))) == 3


def check(graph: Any, inputs: dict[str, torch.Tensor], expected: torch.Tensor) -> None:
    ncnn_utils.compile_graph(graph)
    got = interpret(graph, {k: v.numpy() for k, v in inputs.items()})[graph.outputs["output"]]
    comparison = compare("output", got, expected.detach().numpy(), 1e-5)
    assert comparison.ok, str(comparison)
