"""Layers that the StyleGAN generations share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import ncnn_builder as nb
from stylegan._torch import Tensor, nn, torch
from stylegan.networks.functional import bias_act, get_activation


def normalize_2nd_moment(x: Tensor, dim: int | tuple[int, ...] | None = 1, eps: float = 1e-8) -> Tensor:
    """x / sqrt(mean(x^2) + eps) along `dim`, one or several; None: over everything."""
    return x * (x.square().mean(dim=dim, keepdim=True) + eps).rsqrt()


def normalize_2nd_moment_ncnn(g: nb.Graph, x: nb.ValueLike, eps: float = 1e-8) -> nb.Values:
    """normalize_2nd_moment of a vector, in the DSL."""
    mean = nb.reduction(g, nb.square(g, x), op="ReduceMean", input_dims=2, dims=(1,), keepdim=True)
    return nb.binaryOp(g, [x, nb.rsqrt(g, mean, eps=eps)], op="Mul")


def check_sizes(*sizes: tuple[str, object, int]) -> None:
    """Each is (name, value, least): raise ValueError unless the value is a whole number of at least that."""
    for name, value, least in sizes:
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def expect_shape(what: str, x: Tensor, *shape: int | None) -> None:
    """Raise ValueError unless x has that shape (None: any size)."""
    if x.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, x.shape, strict=True)):
        expected = ", ".join("N" if s is None else str(s) for s in shape)
        raise ValueError(f"{what} must have shape [{expected}], got {list(x.shape)}")


class FullyConnectedLayer(nn.Module):
    """act(x @ (weight * weight_gain)^T + bias * bias_gain): [N, in_features] -> [N, out_features].

    The weight is stored divided by lr_multiplier and scaled at run time by lr_multiplier / sqrt(in_features),
    the bias by lr_multiplier (equalised learning rate, Progressive GAN section 4.1).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: str = "linear",
        lr_multiplier: float = 1,
        bias_init: float | Sequence[float] = 0,
        weight_init: float = 1,
    ) -> None:
        super().__init__()
        get_activation(activation)  # an unknown name is refused here, not at the first use
        self.in_features, self.out_features = in_features, out_features
        self.activation = activation
        self.weight = nn.Parameter(torch.randn(out_features, in_features) * (weight_init / lr_multiplier))
        bias_values = torch.as_tensor(bias_init, dtype=torch.float32).expand(out_features)
        self.bias = nn.Parameter(bias_values.clone()) if bias else None
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        x = x @ (self.weight * self.weight_gain).t()
        return bias_act(x, None if self.bias is None else self.bias * self.bias_gain, self.activation)

    def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> nb.Values:
        """x [in_features] -> [out_features]."""
        bias = None if self.bias is None else self.bias * self.bias_gain
        return nb.fully_connected(g, x, self.weight * self.weight_gain, bias, self.activation)
