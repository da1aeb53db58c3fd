"""Networks as official .pkl files: what the code of stylegan2-ada-pytorch and stylegan3 reads, draws with and trains.

Such a file holds, for each module, the text of the code that makes it. Ours is SOURCE, which takes the official classes
of the checkout that reads it, builds the network by its keywords, and puts the tensors in: nothing of the official code
is in the file, and nothing of ours computes there.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ncnn_builder as nb
from stylegan._torch import Tensor, nn
from stylegan.errors import CheckpointError

MARK = "written_by_ncnn_builder"
VERSION = 6
"""Of torch_utils.persistence, in both code bases."""
BUFFERS = (
    *("resample_filter", "w_avg", "noise_const", "freqs", "phases", "transform", "magnitude_ema", "up_filter"),
    "down_filter",
)
"""Last parts of the names of tensors that are no parameters."""
FORKS: dict[str, Any] = {"init_res": [4, 4], "square": True, "heads": []}
"""Keywords of networks that the official code has not, with the value that is its own."""
OF_V3_MAPPING = ("num_layers", "lr_multiplier", "w_avg_beta")
PARTS = {"mapping": "MappingNetwork", "synthesis": "SynthesisNetwork"}

SOURCE = '''\
"""Written by ncnn-builder: a network of the official code, whose modules are those of the checkout that reads it."""

import dnnlib
import torch

MARK = "written_by_ncnn_builder"  # a copy of the built network, or one saved again, has all that it needs


def modules():
    """Those that have StyleGAN2's generator, or StyleGAN3's, and the discriminator of both."""
    try:
        from training import networks_stylegan2 as second, networks_stylegan3 as third
    except ImportError:
        from training import networks as second
        third = None
    return second, third


second, third = modules()
if FAMILY == "v3" and third is None:
    raise ImportError("this is a StyleGAN3 network: read it in a checkout of stylegan3")


class Part(torch.nn.Module):
    """What lies inside, as tensors by name."""


MappingNetwork = SynthesisNetwork = Part


def tensors(state, path=""):
    for group in ("_parameters", "_buffers"):
        for name, value in state[group].items():
            if value is not None:
                yield path + name, value
    for name, inner in state["_modules"].items():
        yield from tensors(inner.__dict__, path + name + ".")


def build(network, state):
    kwargs = {}
    for name, value in state["_init_kwargs"].items():
        kwargs[name] = dnnlib.EasyDict(value) if isinstance(value, dict) else value
    if third is not None and "synthesis_kwargs" in kwargs:  # the later code base takes them directly
        kwargs.update(kwargs.pop("synthesis_kwargs"))
    with torch.random.fork_rng():  # whose random numbers these are is not ours to change
        network.__init__(*state["_init_args"], **kwargs)
    own = dict(network.named_parameters())
    own.update(network.named_buffers())
    found = dict(tensors(state))
    if found:
        missing = sorted(set(own) ^ set(found))
        if missing:
            raise ValueError("the official network has other tensors: " + ", ".join(missing))
        with torch.no_grad():
            for name, value in found.items():
                own[name].copy_(value)
    network.eval().requires_grad_(False)


class Generator((third if FAMILY == "v3" else second).Generator):
    def __setstate__(self, state):
        build(self, state) if MARK in state else super().__setstate__(state)


class Discriminator(second.Discriminator):
    def __setstate__(self, state):
        build(self, state) if MARK in state else super().__setstate__(state)
'''


@dataclass(frozen=True)
class Networks:
    """Of one training: states by the names that official files have; D None: it begins anew where it is read.

    family: "v2ada" or "v3"; init_kwargs: of the generators, in our spelling.
    """

    family: str
    init_kwargs: Mapping[str, Any]
    G: Mapping[str, Tensor]
    G_ema: Mapping[str, Tensor]
    D: Mapping[str, Tensor] | None = None


def pkl_bytes(networks: Networks) -> tuple[bytes, tuple[str, ...]]:
    """The file, and notes on it. Raises CheckpointError for a network that the official code has not."""
    kwargs = generator_kwargs(networks.family, networks.init_kwargs)
    notes: list[str] = []
    of_d: dict[str, Any] | None = None
    if networks.D is not None:
        of_d = discriminator_kwargs(networks.D, _clamp(kwargs))
        if of_d is None:
            notes.append("its discriminator is of another kind than the official one, and begins anew")
    else:
        notes.append("it has no discriminator: the official code begins one anew")
    made = {
        "G": _Network(networks.family, "Generator", kwargs, networks.G),
        "D": _Network(
            *(networks.family, "Discriminator", of_d or _new_discriminator(kwargs)),
            networks.D if networks.D is not None and of_d else {},
        ),
        "G_ema": _Network(networks.family, "Generator", kwargs, networks.G_ema),
    }
    content = {name: _Object(network.meta()) for name, network in made.items()}
    file = io.BytesIO()
    _Pickler(file, protocol=4).dump({**content, "training_set_kwargs": None, "augment_pipe": None})
    return file.getvalue(), tuple(notes)


def generator_kwargs(family: str, init_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Ours, as the official generators take them: with what the two code bases leave out in different ways.

    Raises CheckpointError.
    """
    kwargs = {key: dict(value) if isinstance(value, Mapping) else value for key, value in init_kwargs.items()}
    kwargs["mapping_kwargs"] = dict(kwargs.get("mapping_kwargs") or {})
    inside = kwargs
    if family == "v2ada":
        kwargs["synthesis_kwargs"] = inside = dict(kwargs.get("synthesis_kwargs") or {})
        inside.setdefault("conv_clamp", None)
        inside.setdefault("num_fp16_res", 0)
        kwargs["mapping_kwargs"].setdefault("w_avg_beta", 0.995)
    others = [key for key in kwargs["mapping_kwargs"] if family == "v3" and key not in OF_V3_MAPPING]
    if others:
        raise CheckpointError(f"cannot convert to .pkl: the official code has no mapping with {', '.join(others)}")
    for key, usual in FORKS.items():
        value = inside.pop(key, usual)
        if (list(value) if isinstance(value, (list, tuple)) else value) != usual:
            raise CheckpointError(f"cannot convert to .pkl: the official code has no network with {key} {value}")
    return kwargs


def _clamp(kwargs: Mapping[str, Any]) -> float | None:
    found: float | None = (kwargs.get("synthesis_kwargs") or kwargs).get("conv_clamp", 256)
    return found


def _new_discriminator(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    inside = kwargs.get("synthesis_kwargs") or kwargs
    found = {key: kwargs[key] for key in ("c_dim", "img_resolution", "img_channels")}
    found |= {key: inside[key] for key in ("channel_base", "channel_max") if key in inside}
    return {**found, "num_fp16_res": inside.get("num_fp16_res", 0), "conv_clamp": _clamp(kwargs)}


def discriminator_kwargs(state: Mapping[str, Tensor], conv_clamp: float | None) -> dict[str, Any] | None:
    """Of a state_dict in official names; None where no keywords make its shapes."""
    try:
        sizes = sorted({int(key[1 : key.index(".")]) for key in state if key[1:2].isdigit()})
        channels = {size: len(state[f"b{size}.conv1.weight"]) for size in sizes[1:]}  # those of half the size
        largest = sizes[-1]
        img_channels, last = state[f"b{largest}.fromrgb.weight"].shape[1], len(state[f"b{largest}.conv0.weight"])
        widths = {**{size // 2: n for size, n in channels.items()}, largest: last}
        kwargs: dict[str, Any] = {"c_dim": 0, "img_resolution": largest, "img_channels": img_channels}
        most = max(widths.values())
        base = max((size * n for size, n in widths.items() if n < most), default=most * largest)
        if any(min(base // size, most) != n for size, n in widths.items()):
            return None
        kwargs |= {"channel_base": base, "channel_max": most, "num_fp16_res": 0, "conv_clamp": conv_clamp}
        skip = "b4.fromrgb.weight" in state
        kwargs["architecture"] = "skip" if skip else "resnet" if f"b{largest}.skip.weight" in state else "orig"
        if "mapping.embed.weight" in state:
            kwargs["c_dim"] = state["mapping.embed.weight"].shape[1]
            layers = [key for key in state if key.startswith("mapping.fc") and key.endswith("weight")]
            kwargs["cmap_dim"] = len(state["b4.out.weight"])
            kwargs["mapping_kwargs"] = {"num_layers": len(layers)}
        extra = state["b4.conv.weight"].shape[1] - widths[4]
        kwargs["epilogue_kwargs"] = {"mbstd_num_channels": extra}
        return kwargs
    except (KeyError, ValueError, IndexError):
        return None


class _Network:
    """In eval mode and without gradients, as official snapshots are."""

    def __init__(self, family: str, kind: str, kwargs: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
        self.source = f'FAMILY = "{family}"\n{SOURCE}'
        self.kind, self.kwargs, self.state = kind, dict(kwargs), state

    def meta(self) -> dict[str, Any]:
        said = {"_init_args": (), "_init_kwargs": self.kwargs, MARK: nb.__version__}
        return self._described(self.kind, self.state, said)

    def _described(self, kind: str, state: Mapping[str, Tensor], more: Mapping[str, Any]) -> dict[str, Any]:
        parameters: dict[str, Tensor] = {}
        buffers: dict[str, Tensor] = {}
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in state.items():
            part, dot, rest = key.partition(".")
            if dot:
                parts.setdefault(part, {})[rest] = value
            elif key in BUFFERS:
                buffers[key] = value.detach().clone()
            else:
                parameters[key] = nn.Parameter(value.detach().clone(), requires_grad=False)
        modules = {
            part: _Object(self._described(PARTS.get(part, "Part"), inner, {"_init_args": (), "_init_kwargs": {}}))
            for part, inner in parts.items()
        }
        inside = {"training": False, "_parameters": parameters, "_buffers": buffers, "_modules": modules}
        return {
            **{"type": "class", "version": VERSION, "module_src": self.source, "class_name": kind},
            "state": {**inside, "_non_persistent_buffers_set": set(), **more},
        }


@dataclass
class _Object:
    """Pickled as torch_utils.persistence does it."""

    meta: dict[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _RECONSTRUCT, (self.meta,)


class _Name:
    """A function of the official code, which need not be here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: Any) -> Any:
        raise AssertionError("it is a name alone")

    def __reduce__(self) -> str:
        return self.name


_RECONSTRUCT = _Name("torch_utils.persistence", "_reconstruct_persistent_obj")


_PYTHON: Any = pickle._Pickler  # the one in Python: that in C wants to import what it names


class _Pickler(_PYTHON):  # type: ignore[misc]
    """As pickle's, for what is a _Name too."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if not isinstance(obj, _Name):
            super().save_global(obj, name)
            return
        self.save(obj.module)
        self.save(obj.name)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)
