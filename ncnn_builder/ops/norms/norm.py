"""Normalisations with weights: batch, instance, group, layer, RMS. The DSL takes torch's modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...builder import ValueLike, append, array, integers, number, one
from ...errors import BuildError
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Weight, dsl, register, spec_of
from ..common import FEW, elements, need, need_eval, need_rank, shape_id
from ..shapes.shape import really_reshape


def along_outer(weight: Any, x: Any) -> Any:
    """[n] as a torch tensor that broadcasts along the outermost axis of x."""
    return weight.reshape(-1, *(1,) * (x.ndim - 1))


def need_module(module: Any, argument: str, expected: str, *names: str) -> None:
    """Raises BuildError unless the module has these attributes."""
    if not all(hasattr(module, name) for name in names):  # repr() prints weights, which takes longer than all else
        raise BuildError("the module does not fit", argument=argument, expected=expected, got=repr(module)[:80])


def randomise(module: Any, seed: int = 0) -> Any:
    """A module of a sample, its weights and statistics drawn; in eval mode."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if "num_batches" in name:
                continue
            if "var" in name:
                tensor.uniform_(0.5, 2, generator=generator)
            else:
                tensor.normal_(generator=generator)
    return module.eval()


@register
class BatchNorm(OpSpec):
    """(x - mean) / sqrt(var + eps) * slope + bias, one of each per index of the outermost axis. ncnn: batchnorm.cpp.

    torch's BatchNorm1d, 2d, 3d in eval mode.
    """

    type = "BatchNorm"
    params = (
        Param("channels", 0, "int", "size of the outermost axis"),
        Param("eps", 1, "float", "added to the variance", 0.0),
    )
    weights = tuple(Weight(name, False, "[channels]") for name in ("slope", "mean", "var", "bias"))
    limits = ("channels >= 1",)
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {w.name: params["channels"] for w in self.weights}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x = inputs[0]
        need(params["channels"] == x[0], "wrong number of channels", argument="x", expected=params["channels"], got=x)
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        slope, mean, var, bias = (along_outer(weights[w.name], x) for w in self.weights)
        return [(x - mean) * (slope / (var + params["eps"]).sqrt()) + bias]

    def samples(self) -> list[Sample]:
        from torch import nn

        kinds: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}

        def sample(x: Shape, **kwargs: Any) -> Sample:
            bn = randomise(kinds[len(x)](x[0], **kwargs))
            name = "-".join(f"{k}{v}" for k, v in kwargs.items())
            return Sample(f"bn-{shape_id(x)}{name}", (x,), lambda g, v: batch_norm(g, v, bn), bn)

        shapes: tuple[Shape, ...] = (*FEW, (1, 4, 6), (5, 2, 3, 4), (16, 1, 1))
        return [*(sample(x) for x in shapes), sample((5, 3, 7), affine=False, eps=0.1)]


@dsl
def batch_norm(g: Graph, bottom_names: ValueLike, norm: Any) -> Values:
    """An nn.BatchNorm1d, 2d or 3d with running statistics, as it is in eval mode. x: [C], [C, W], ... [C, D, H, W]."""
    need_module(norm, "norm", "an nn.BatchNorm", "running_mean", "running_var", "eps", "weight", "bias")
    need(norm.running_mean is not None, "no running statistics", argument="norm", expected="track_running_stats=True")
    need_eval(norm, "norm")
    mean, var = array(norm.running_mean, "running_mean", 1), array(norm.running_var, "running_var", 1)
    slope, bias = _affine(norm, mean.size)
    weights = {"slope": slope, "mean": mean, "var": var, "bias": bias}
    return append(g, spec_of("BatchNorm"), one(bottom_names), {"channels": mean.size, "eps": norm.eps}, weights)


def _affine(norm: Any, size: int) -> tuple[Array, Array]:
    """weight and bias of a module, flat; 1 and 0 where it has none."""
    ones, zeros = np.ones(size, np.float32), np.zeros(size, np.float32)
    weight = ones if norm.weight is None else array(norm.weight, "norm.weight").reshape(-1)
    bias = getattr(norm, "bias", None)
    return weight, zeros if bias is None else array(bias, "norm.bias").reshape(-1)


class _Affine(OpSpec):
    """What the others share: gamma and beta if `affine`."""

    size: str  # the parameter that says how many
    weights: ClassVar[tuple[Weight, ...]] = (
        Weight("gamma", False, "a factor for each"),
        Weight("beta", False, "an addend for each"),
    )

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {w.name: params[self.size] for w in self.weights} if params["affine"] else {}

    def _scaled(self, y: Any, weights: Any, shape: Any) -> Any:
        y = y * weights["gamma"].reshape(shape) if "gamma" in weights else y
        return y + weights["beta"].reshape(shape) if "beta" in weights else y


def _normalised(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + eps).sqrt()


@register
class InstanceNorm(_Affine):
    """Each channel of (C, H, W) or (C, D, H, W) by its own mean and variance: (x - mean) / sqrt(var + eps).

    Then * gamma + beta per channel, if affine. ncnn: instancenorm.cpp, which takes a matrix for one channel.
    """

    type = "InstanceNorm"
    size = "channels"
    params = (
        Param("channels", 0, "int", "C"),
        Param("eps", 1, "float", "added to the variance", 0.001),
        Param("affine", 2, "int", "1: gamma and beta", 1),
    )
    limits = ("affine == 0 or channels >= 1",)
    checked_in_cpp = True

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Without factors, and without saying how many channels there are."""
        return None if params["affine"] or params["channels"] else [inputs[0]]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x = inputs[0]
        need_rank(x, (3, 4), "x")
        need(params["channels"] == x[0], "wrong number of channels", argument="x", expected=params["channels"], got=x)
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        y = _normalised(x, tuple(range(1, x.ndim)), params["eps"])
        return [self._scaled(y, weights, (-1, *(1,) * (x.ndim - 1)))]

    def samples(self) -> list[Sample]:
        from torch import nn

        def sample(x: Shape, affine: bool) -> Sample:
            kind: Any = {2: nn.InstanceNorm1d, 3: nn.InstanceNorm2d, 4: nn.InstanceNorm3d}[len(x)]
            module = randomise(kind(x[0], affine=affine))
            return Sample(f"in-{shape_id(x)}-{affine}", (x,), lambda g, v: instance_norm(g, v, module), module)

        shapes: tuple[Shape, ...] = ((5, 3, 7), (8, 2, 4), (1, 4, 6), (16, 5, 1), (5, 2, 3, 4), (5, 9))
        return [sample(x, affine) for x in shapes for affine in (False, True)]


@dsl
def instance_norm(g: Graph, bottom_names: ValueLike, norm: Any) -> Values:
    """An nn.InstanceNorm1d, 2d or 3d without running statistics. x: [C, W], [C, H, W] or [C, D, H, W]."""
    need_module(norm, "norm", "an nn.InstanceNorm", "num_features", "eps", "weight", "track_running_stats")
    need(
        not norm.track_running_stats,
        "ncnn's InstanceNorm has no running statistics",
        argument="norm",
        expected="track_running_stats=False",
        got=True,
        fix="In eval mode that is a BatchNorm: use batch_norm()",
    )
    x = one(bottom_names)
    need_rank(x.shape, (2, 3, 4), "x")
    inner = really_reshape(g, x, (x.shape[0], 1, x.shape[1]))[0] if len(x.shape) == 2 else x
    gamma, beta = _affine(norm, norm.num_features)
    params = {"channels": norm.num_features, "eps": norm.eps, "affine": int(norm.weight is not None)}
    weights = {"gamma": gamma, "beta": beta} if params["affine"] else {}
    y = append(g, spec_of("InstanceNorm"), inner, params, weights)
    return really_reshape(g, y, x.shape) if len(x.shape) == 2 else y


@register
class GroupNorm(_Affine):
    """`group` parts of the outermost axis, each by its mean and variance: (x - mean) / sqrt(var + eps).

    Then * gamma + beta per channel, if affine. ncnn: groupnorm.cpp.
    """

    type = "GroupNorm"
    size = "channels"
    params = (
        Param("group", 0, "int", "number of groups", 1),
        Param("channels", 1, "int", "size of the outermost axis"),
        Param("eps", 2, "float", "added to the variance", 0.001),
        Param("affine", 3, "int", "1: gamma and beta", 1),
    )
    limits = (
        "group >= 1",
        "channels >= 0 and channels % group == 0",
        "affine == 0 or channels >= 1",
    )
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, n, groups = inputs[0], params["channels"], params["group"]
        need(n == x[0], "wrong number of channels", argument="x", expected=n, got=x)
        need(groups >= 1 and n % groups == 0, "groups do not divide it", argument="group", expected=n, got=groups)
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        y = _normalised(x.reshape(params["group"], -1), (1,), params["eps"]).reshape(x.shape)
        return [self._scaled(y, weights, (-1, *(1,) * (x.ndim - 1)))]

    def samples(self) -> list[Sample]:
        from torch import nn

        def sample(x: Shape, groups: int, affine: bool) -> Sample:
            module = randomise(nn.GroupNorm(groups, x[0], affine=affine))
            name = f"gn-{shape_id(x)}-{groups}-{affine}"
            return Sample(name, (x,), lambda g, v: group_norm(g, v, module), module)

        cases: tuple[tuple[Shape, int], ...] = (
            ((6, 3, 7), 2),
            ((5, 3, 4), 1),
            ((16, 4, 4), 4),
            ((8, 1, 9), 8),
            ((12,), 3),
            ((8, 5), 2),
            ((6, 2, 3, 4), 3),
            ((32, 3, 3), 2),
        )
        return [sample(x, groups, affine) for x, groups in cases for affine in (False, True)]


@dsl
def group_norm(g: Graph, bottom_names: ValueLike, norm: Any) -> Values:
    """An nn.GroupNorm. x: [C], [C, W], [C, H, W] or [C, D, H, W]."""
    need_module(norm, "norm", "an nn.GroupNorm", "num_groups", "num_channels", "eps", "weight", "bias")
    gamma, beta = _affine(norm, norm.num_channels)
    affine = int(norm.weight is not None)
    params = {"group": norm.num_groups, "channels": norm.num_channels, "eps": norm.eps, "affine": affine}
    return append(g, spec_of("GroupNorm"), one(bottom_names), params, {"gamma": gamma, "beta": beta} if affine else {})


class _Inner(_Affine):
    """Over the innermost axes together, `affine_size` numbers: one axis of a matrix, one or more of 3-D and 4-D."""

    size = "affine_size"
    params = (
        Param("affine_size", 0, "int", "numbers that are normalised together"),
        Param("eps", 1, "float", "added under the root", 0.001),
        Param("affine", 2, "int", "1: with weights", 1),
    )

    def _axes(self, x: Shape, params: Any) -> int:
        """How many of the innermost axes affine_size is; 0: none."""
        most = {1: 1, 2: 1, 3: 2, 4: 3}[len(x)]
        return next((n for n in range(1, most + 1) if elements(x[-n:]) == params["affine_size"]), 0)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x = inputs[0]
        need(
            self._axes(x, params) > 0,
            "the normalised shape does not fit",
            argument="norm",
            expected=f"the innermost axes of {list(x)}, not the outermost with them",
            got=f"{params['affine_size']} numbers",
        )
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        axes = tuple(range(-self._axes(tuple(x.shape), params), 0))
        return [self._scaled(self._norm(x, axes, params["eps"]), weights, x.shape[axes[0] :])]

    def _norm(self, x: Any, axes: tuple[int, ...], eps: float) -> Any:
        raise NotImplementedError

    def _samples(self, kind: Any, build: Any) -> list[Sample]:
        def sample(x: Shape, n: int, affine: bool) -> Sample:
            module = randomise(kind(x[-n:], elementwise_affine=affine, eps=1e-3))
            return Sample(f"{shape_id(x)}-{n}-{affine}", (x,), lambda g, v: build(g, v, module), module)

        cases: tuple[tuple[Shape, int], ...] = (
            ((7,), 1),
            ((16,), 1),
            ((3, 5), 1),
            ((8, 16), 1),
            ((3, 5), 2),
            ((5, 3, 7), 1),
            ((5, 3, 7), 2),
            ((8, 4, 4), 1),
            ((8, 4, 4), 3),
            ((2, 3, 4, 5), 1),
            ((2, 3, 4, 5), 2),
            ((8, 3, 4, 5), 3),
        )
        return [sample(x, n, affine) for x, n in cases for affine in (False, True)]


@register
class LayerNorm(_Inner):
    """(x - mean) / sqrt(var + eps) over the innermost axes, * gamma + beta if affine. ncnn: layernorm.cpp."""

    type = "LayerNorm"
    limits = ("affine == 0 or affine_size >= 1",)
    checked_in_cpp = True

    def _norm(self, x: Any, axes: tuple[int, ...], eps: float) -> Any:
        return _normalised(x, axes, eps)

    def samples(self) -> list[Sample]:
        from torch import nn

        return self._samples(nn.LayerNorm, layer_norm)


@register
class RMSNorm(_Inner):
    """x / sqrt(mean(x^2) + eps) over the innermost axes, * gamma if affine. ncnn: rmsnorm.cpp."""

    type = "RMSNorm"
    weights = (Weight("gamma", False, "a factor for each"),)
    limits = ("affine == 0 or affine_size >= 1",)
    checked_in_cpp = True

    def _norm(self, x: Any, axes: tuple[int, ...], eps: float) -> Any:
        return x / (x.square().mean(axes, keepdim=True) + eps).sqrt()

    def samples(self) -> list[Sample]:
        from torch import nn

        return self._samples(nn.RMSNorm, rms_norm)


@dsl
def layer_norm(g: Graph, bottom_names: ValueLike, norm: Any) -> Values:
    """An nn.LayerNorm over the last axes of x, or all of them: then x is flattened for it and shaped again."""
    need_module(norm, "norm", "an nn.LayerNorm", "normalized_shape", "eps", "weight", "bias")
    gamma, beta = _affine(norm, elements(tuple(norm.normalized_shape)))
    return _inner_norm(g, bottom_names, norm, "LayerNorm", number(norm.eps, "eps"), {"gamma": gamma, "beta": beta})


@dsl
def rms_norm(g: Graph, bottom_names: ValueLike, norm: Any) -> Values:
    """An nn.RMSNorm over the last axes of x, or all of them: then x is flattened for it and shaped again."""
    need_module(norm, "norm", "an nn.RMSNorm", "normalized_shape", "eps", "weight")
    gamma, _ = _affine(norm, elements(tuple(norm.normalized_shape)))
    eps = float(np.finfo(np.float32).eps) if norm.eps is None else number(norm.eps, "eps")
    return _inner_norm(g, bottom_names, norm, "RMSNorm", eps, {"gamma": gamma})


def _inner_norm(g: Graph, x: ValueLike, norm: Any, layer: str, eps: float, weights: dict[str, Array | None]) -> Values:
    value, shape = one(x), integers(norm.normalized_shape, "normalized_shape")
    fits = 1 <= len(shape) <= len(value.shape) and value.shape[-len(shape) :] == shape
    need(fits, "wrong normalised shape", argument="norm", expected=f"the end of {list(value.shape)}", got=list(shape))
    params = {"affine_size": elements(shape), "eps": eps, "affine": int(norm.weight is not None)}
    held = weights if norm.weight is not None else {}
    if len(shape) == 1 or len(shape) < len(value.shape):
        return append(g, spec_of(layer), value, params, held)
    flat = really_reshape(g, value, (elements(shape),))
    return really_reshape(g, append(g, spec_of(layer), flat, params, held), value.shape)
