"""Normalisations without mean and variance per channel: by neighbours, by length, and Caffe's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, array, integer, number, one
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, spec_of
from ..common import functional, need, need_rank, shape_id

_MAPS: tuple[Shape, ...] = ((1, 4, 6), (5, 3, 7), (8, 1, 9), (16, 6, 1))


@register
class LRN(OpSpec):
    """x * (bias + alpha / n * sum of squares of n neighbours) ** -beta, of (C, H, W). ncnn: lrn.cpp.

    region_type 0: the neighbours are channels, local_size // 2 before and (local_size - 1) // 2 after, n = local_size,
    which is torch's local_response_norm; 1: pixels of the channel, local_size along both axes, n = local_size^2.
    """

    type = "LRN"
    params = (
        Param("region_type", 0, "int", "0 across channels, 1 within a channel"),
        Param("local_size", 1, "int", "neighbours along an axis", 5),
        Param("alpha", 2, "float", "factor of the mean of squares", 1.0),
        Param("beta", 3, "float", "exponent", 0.75),
        Param("bias", 4, "float", "added to it", 1.0),
    )
    limits = (
        "region_type in (0, 1)",
        "1 <= local_size <= 65535",
        "x.d == 1",
        "local_size**2 * x.total <= work if region_type == 1 else local_size * x.c <= work",
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        need(params["region_type"] in (0, 1), "unknown region", argument="region_type", got=params["region_type"])
        size = params["local_size"]
        need(1 <= size <= 255, "bad size", argument="size", expected="1 to 255", got=size)
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        F, x, n = functional(), inputs[0], params["local_size"]
        before, after = n // 2, (n - 1) // 2
        if params["region_type"] == 0:
            padded = F.pad(x.square()[None, None], (0, 0, 0, 0, before, after))
            mean = F.avg_pool3d(padded, (n, 1, 1), 1)[0, 0]
        else:
            mean = F.avg_pool2d(F.pad(x.square(), (before, after, before, after)), n, 1)
        return [x * (params["bias"] + params["alpha"] * mean) ** -params["beta"]]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(x: Shape, size: int) -> Sample:
            return Sample(
                f"lrn-{shape_id(x)}-{size}",
                (x,),
                lambda g, v: local_response_norm(g, v, size, 0.3, 0.6, 1.5),
                lambda v: F.local_response_norm(v, size, 0.3, 0.6, 1.5),
            )

        return [
            *(sample(x, size) for x in _MAPS for size in (5, 2)),
            *(
                Sample(
                    f"lrn-within-{shape_id(x)}",
                    (x,),
                    lambda g, v: local_response_norm(g, v, 3, 0.5, within_channel=True),
                )
                for x in _MAPS
            ),
        ]


@dsl
def local_response_norm(
    g: Graph,
    bottom_names: ValueLike,
    size: SupportsFloat,
    alpha: SupportsFloat = 1e-4,
    beta: SupportsFloat = 0.75,
    k: SupportsFloat = 1.0,
    within_channel: bool = False,
) -> Values:
    """torch's local_response_norm of (C, H, W); within_channel: over size x size pixels instead of channels."""
    params = {
        "region_type": int(within_channel),
        "local_size": integer(size, "size"),
        "alpha": number(alpha, "alpha"),
        "beta": number(beta, "beta"),
        "bias": number(k, "k"),
    }
    return append(g, spec_of("LRN"), one(bottom_names), params)


@register
class Normalize(OpSpec):
    """x * scale / length, of (C, H, W) or (C, D, H, W). ncnn: normalize.cpp.

    The length is that of all numbers (across_spatial and across_channel), of each channel (across_spatial), or of the
    channels at each place (across_channel). eps_mode 0: sqrt(sum + eps); 1: max(sqrt(sum), eps), torch's; 2:
    sqrt(max(sum, eps)). scale: one for each channel, or one for all (channel_shared).
    """

    type = "Normalize"
    params = (
        Param("across_spatial", 0, "int", "1: over the places of a channel"),
        Param("channel_shared", 1, "int", "1: one scale"),
        Param("eps", 2, "float", "keeps the length from 0", 0.0001),
        Param("scale_data_size", 3, "int", "number of scales"),
        Param("across_channel", 4, "int", "1: over the channels", 1),
        Param("eps_mode", 9, "int", "0 under the root, 1 least length, 2 least square"),
    )
    weights = (Weight("scale", False, "[1] or [C]"),)
    limits = (
        "scale_data_size >= 1",
        "channel_shared != 0 or scale_data_size >= x.outer or x.rank < 3",
    )

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {"scale": params["scale_data_size"]}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, p = inputs[0], params
        need_rank(x, (3, 4), "x")
        need(p["across_spatial"] or p["across_channel"], "normalised over nothing", argument="dim")
        need(p["eps_mode"] in (0, 1, 2), "unknown mode", argument="eps_mode", expected="0, 1, 2", got=p["eps_mode"])
        size = 1 if p["channel_shared"] else x[0]
        got = p["scale_data_size"]
        need(got == size, "wrong number of scales", argument="scale", expected=size, got=got)
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, p = inputs[0], params
        spatial = tuple(range(1, x.ndim)) if p["across_spatial"] else ()
        total = x.square().sum((*((0,) if p["across_channel"] else ()), *spatial), keepdim=True)
        eps = p["eps"]
        length = {0: (total + eps).sqrt(), 1: total.sqrt().clamp(min=eps), 2: total.clamp(min=eps).sqrt()}
        return [x / length[p["eps_mode"]] * weights["scale"].reshape(-1, *(1,) * (x.ndim - 1))]

    def samples(self) -> list[Sample]:
        F = functional()
        shapes: tuple[Shape, ...] = (*_MAPS, (5, 2, 3, 4))
        spatial = {3: (2, 3), 4: (2, 3, 4)}

        def over(x: Shape, dim: Any, name: str) -> Sample:
            return Sample(
                f"{name}-{shape_id(x)}",
                (x,),
                lambda g, v: normalize(g, v, dim=dim),
                lambda v: F.normalize(v, dim=1) if dim == 1 else v / v.square().sum(dim, keepdim=True).sqrt(),
            )

        def scaled(mode: int, shared: bool) -> Sample:
            scale = [1.5] if shared else [0.5, 1.0, -2.0, 0.25, 3.0]
            return Sample(
                f"mode{mode}-{shared}",
                ((5, 3, 7),),
                lambda g, v: normalize(g, v, eps=0.5, scale=scale, eps_mode=mode),
            )

        return [
            *(over(x, 1, "channels") for x in shapes),
            *(over(x, spatial[len(x)], "spatial") for x in shapes),
            *(over(x, (1, *spatial[len(x)]), "all") for x in shapes),
            *(scaled(mode, shared) for mode in (0, 1, 2) for shared in (False, True)),
        ]


@dsl
def normalize(
    g: Graph,
    bottom_names: ValueLike,
    p: SupportsFloat = 2,
    dim: Any = 1,
    eps: SupportsFloat = 1e-12,
    scale: Any = None,
    eps_mode: int = 1,
) -> Values:
    """torch's F.normalize of (C, H, W) or (C, D, H, W): x / max(length, eps), times `scale` if given.

    dim: 1 (the channels), (2, 3) or (2, 3, 4) (the places), or all of them; they count the batch. scale: one number or
    one per channel. eps_mode: 1 as torch, 0 sqrt(sum + eps), 2 sqrt(max(sum, eps)). Raises BuildError unless p is 2.
    """
    x = one(bottom_names)
    need_rank(x.shape, (3, 4), "x")
    need(number(p, "p") == 2, "ncnn has the Euclidean length only", argument="p", expected=2, got=p)
    places = tuple(range(2, len(x.shape) + 1))
    given = tuple(sorted(dim)) if isinstance(dim, (list, tuple)) else (integer(dim, "dim"),)
    table = {(1,): (0, 1), places: (1, 0), (1, *places): (1, 1)}
    need(given in table, "cannot normalise over these", argument="dim", expected=list(table), got=dim)
    factors = array(1.0 if scale is None else scale, "scale").reshape(-1)
    params = {
        "across_spatial": table[given][0],
        "across_channel": table[given][1],
        "channel_shared": int(factors.size == 1),
        "eps": number(eps, "eps"),
        "scale_data_size": factors.size,
        "eps_mode": integer(eps_mode, "eps_mode"),
    }
    return append(g, spec_of("Normalize"), x, params, {"scale": factors})


@register
class MVN(OpSpec):
    """x - mean, and / (sqrt(var) + eps) if normalize_variance, of (C, H, W) or (C, D, H, W). ncnn: mvn.cpp.

    Mean and variance are those of each channel, or of all numbers (across_channels). eps stands outside of the root,
    as in Caffe's layer of this name; instance_norm() and layer_norm() have it inside, as torch.
    """

    type = "MVN"
    params = (
        Param("normalize_variance", 0, "int", "1: divide by the standard deviation"),
        Param("across_channels", 1, "int", "1: over all channels together"),
        Param("eps", 2, "float", "added to the standard deviation", 0.0001),
    )
    limits = ()
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3, 4), "x")
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        axes = tuple(range(0 if params["across_channels"] else 1, x.ndim))
        y = x - x.mean(axes, keepdim=True)
        if params["normalize_variance"]:
            y = y / (y.square().mean(axes, keepdim=True).sqrt() + params["eps"])
        return [y]

    def samples(self) -> list[Sample]:
        def sample(x: Shape, variance: bool, across: bool) -> Sample:
            axes = tuple(range(1 if across else 2, len(x) + 1))

            def torch(v: Any) -> Any:
                y = v - v.mean(axes, keepdim=True)
                return y / (v.std(axes, keepdim=True, unbiased=False) + 0.01) if variance else y

            return Sample(
                f"mvn-{shape_id(x)}-{variance}-{across}", (x,), lambda g, v: mvn(g, v, variance, across, 0.01), torch
            )

        shapes: tuple[Shape, ...] = (*_MAPS, (5, 2, 3, 4))
        return [sample(x, variance, across) for x in shapes for variance in (False, True) for across in (False, True)]


@dsl
def mvn(
    g: Graph,
    bottom_names: ValueLike,
    normalize_variance: bool = True,
    across_channels: bool = False,
    eps: SupportsFloat = 1e-9,
) -> Values:
    """x - mean, and / (standard deviation + eps) if normalize_variance, per channel or across all of them."""
    params = {
        "normalize_variance": int(normalize_variance),
        "across_channels": int(across_channels),
        "eps": number(eps, "eps"),
    }
    return append(g, spec_of("MVN"), one(bottom_names), params)
