"""The DSL's activations: one function for all that have a name in torch, and the one with weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...builder import ValueLike, append, array, check_bottom_names, number, one
from ...errors import BuildError
from ...ir import Graph, Values
from ...opspec import dsl, spec_of
from ..common import need


@dataclass(frozen=True)
class Act:
    """An activation: its layer, its arguments with torch's defaults (argument -> parameter, default), and the rest."""

    layer: str
    args: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)


_SELU = {"alpha": 1.6732632423543772, "lambda": 1.0507009873554805}
_HARD = {"alpha": 1 / 6, "beta": 0.5}
ACTS: dict[str, Act] = {
    "relu": Act("ReLU", fixed={"slope": 0.0}),
    "leaky_relu": Act("ReLU", {"negative_slope": ("slope", 0.01)}),
    "relu6": Act("Clip", fixed={"min": 0.0, "max": 6.0}),
    "hardtanh": Act("Clip", {"min_val": ("min", -1.0), "max_val": ("max", 1.0)}),
    "hardsigmoid": Act("HardSigmoid", fixed=_HARD),
    "hardswish": Act("HardSwish", fixed=_HARD),
    "hardshrink": Act("Shrink", {"lambd": ("lambd", 0.5)}, {"bias": 0.0}),
    "softshrink": Act("Shrink", {"lambd": ("lambd", 0.5)}),
    "sigmoid": Act("Sigmoid"),
    "swish": Act("Swish"),
    "mish": Act("Mish"),
    "tanh": Act("TanH"),
    "elu": Act("ELU", {"alpha": ("alpha", 1.0)}),
    "selu": Act("SELU", fixed=_SELU),
    "celu": Act("CELU", {"alpha": ("alpha", 1.0)}),
    "gelu": Act("GELU"),
    "softplus": Act("BNLL"),
    "ncnn_softplus": Act("Softplus"),
    "erf": Act("Erf"),
}


@dsl
def activation(g: Graph, bottom_names: ValueLike, act_name: str | None, args: dict[str, Any] | None = None) -> Values:
    """An activation layer of ncnn, or nothing for None. Arguments and their defaults are torch's.

    act_name: None, relu, leaky_relu (negative_slope 0.01), relu6, hardtanh (min_val -1, max_val 1), hardsigmoid,
    hardswish, hardshrink (lambd 0.5), softshrink (lambd 0.5), sigmoid, swish (torch's silu), mish, tanh, elu (alpha 1),
    selu, celu (alpha 1), gelu (approximate "none" or "tanh"), erf, softplus (of beta 1, by ncnn's layer BNLL, which
    is right for every input), ncnn_softplus (by its layer Softplus, which is wrong above 88).
    Raises BuildError for another name or an unknown argument.
    """
    args = dict(args or {})
    if act_name is None:
        need(not args, "no activation has no arguments", argument="args", got=sorted(args))
        return check_bottom_names(bottom_names)
    if act_name not in ACTS:
        raise BuildError("unknown activation", argument="act_name", expected=[None, *ACTS], got=act_name)
    act = ACTS[act_name]
    params: dict[str, Any] = dict(act.fixed)
    if act_name == "gelu":
        kind = args.pop("approximate", "none")
        need(kind in ("none", "tanh"), "unknown form of gelu", argument="approximate", expected="none, tanh", got=kind)
        params["fast_gelu"] = int(kind == "tanh")
    for name, (param, default) in act.args.items():
        params[param] = number(args.pop(name, default), name)
    if act_name == "softshrink":
        params["bias"] = params["lambd"]
    if args:
        raise BuildError(f"activation {act_name} has no such argument", argument="args", got=sorted(args))
    return append(g, spec_of(act.layer), bottom_names, params)


@dsl
def prelu(g: Graph, bottom_names: ValueLike, weight: Any) -> Values:
    """x where x > 0, else weight * x: an nn.PReLU, or its weight.

    weight: one number, or one per index of the outermost axis: [n] for [n], [n, W], [n, H, W], [n, D, H, W].
    """
    slope = array(getattr(weight, "weight", weight), "weight").reshape(-1)
    return append(g, spec_of("PReLU"), one(bottom_names), {"num_slope": slope.size}, {"slope": slope})
