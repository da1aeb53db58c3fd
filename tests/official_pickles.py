"""Official checkpoints, written as the official code writes them: pickles of modules through torch_utils.persistence.

The modules are ours, with the attributes that official ones have besides; what is pickled are the tensors of the
installed torch, through their own __reduce__. Nothing official is imported: the names are lent for the time of writing.
"""

from __future__ import annotations

import io
import pickle
import re
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

CODE_BASES = {"v2ada": "v2ada", "v3": "v3", "v2-by-v3": "v2ada"}
"""What wrote the file -> our family."""

SOURCE = "raise SystemExit('the source of a checkpoint was executed')\n"


class EasyDict(dict[str, Any]):
    """A dict with attributes, pickled as dnnlib.util.EasyDict."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("the pickle was executed")


class Network:
    """A network of the official TensorFlow code, as far as a pickle goes."""

    def __init__(self, **state: Any) -> None:
        vars(self).update(state)


class Persistent:
    """A module of the official code, as far as a pickle goes."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.class_name, self.attributes = class_name, state

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": self.class_name,
            "state": self.attributes,
        }
        return _reconstruct_persistent_obj, (meta,)


@contextmanager
def _official_names() -> Iterator[None]:
    names = {
        "dnnlib.util": EasyDict,
        "torch_utils.persistence": _reconstruct_persistent_obj,
        "dnnlib.tflib.network": Network,
    }
    before, modules = dict(sys.modules), {}
    for path, value in names.items():
        for name in (path.partition(".")[0], path):
            modules[name] = types.ModuleType(name)
        setattr(modules[path], value.__name__, value)
        value.__module__ = path
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
            if name in before:
                sys.modules[name] = before[name]


def official_kwargs(base: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Our init_kwargs as train.py of that code base gives them."""
    kwargs = {key: EasyDict(value) if isinstance(value, dict) else value for key, value in kwargs.items()}
    if base == "v2ada":
        kwargs.setdefault("synthesis_kwargs", EasyDict()).update(num_fp16_res=4)
    elif base == "v3":
        kwargs.update(magnitude_ema_beta=0.9994)
    else:
        synthesis = dict(kwargs.pop("synthesis_kwargs"))
        if synthesis.get("conv_clamp") == 256:  # its default
            del synthesis["conv_clamp"]
        kwargs.update(synthesis, fused_modconv_default="inference_only", num_fp16_res=4)
    return kwargs


def persistent(module: nn.Module, base: str, half: bool = False) -> Persistent:
    """The module and all inside it. half: as far as tensors go, a network that was cast to fp16."""
    state = dict(module.__dict__)
    state["_modules"] = OrderedDict((name, persistent(child, base, half)) for name, child in state["_modules"].items())
    state |= {group: dict(state[group]) for group in ("_parameters", "_buffers")}
    if half:
        state["_parameters"] = {
            name: None if p is None else nn.Parameter(p.detach().half()) for name, p in state["_parameters"].items()
        }
        state["_buffers"] = {name: None if b is None else b.half() for name, b in state["_buffers"].items()}
    state |= {"_init_args": (), "_init_kwargs": {}, "use_fp16": half}
    state |= {"act_gain": np.sqrt(2), "in_size": np.broadcast_to(np.asarray(8), [2]), "up": np.int64(2)}
    if base != "v2ada":
        state["fused_modconv_default"] = "inference_only"
    return Persistent(type(module).__name__, state)


def official_network(
    base: str, network: nn.Module, kwargs: dict[str, Any], half: bool = False, positional: bool = False
) -> Persistent:
    """The generator as that code base pickles it; `kwargs` are our init_kwargs of it."""
    pickled = persistent(network, base, half)
    said = official_kwargs(base, kwargs)
    args: tuple[Any, ...] = ()
    if positional:
        names = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
        args = tuple(said.pop(name) for name in names)
    pickled.attributes.update(_init_args=args, _init_kwargs=said)
    return pickled


def snapshot(base: str, network: nn.Module, kwargs: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What training writes: G (here with every number doubled), D, G_ema and the rest."""
    trained = type(network)(**kwargs)
    trained.load_state_dict({key: value * 2 for key, value in network.state_dict().items()})
    discriminator = Persistent("Discriminator", {"_parameters": {}, "_buffers": {}, "_modules": {}, "training": True})
    return {
        "G": official_network(base, trained, kwargs, **options),
        "D": discriminator,
        "G_ema": official_network(base, network, kwargs, **options),
        "augment_pipe": None,
        "training_set_kwargs": EasyDict(
            class_name="training.dataset.ImageFolderDataset", path="/data", use_labels=True
        ),
    }


def dumps(content: Any, protocol: int = 4) -> bytes:
    file = io.BytesIO()
    with _official_names():
        pickle.dump(content, file, protocol)
    return file.getvalue()


def write_official(
    path: Path, base: str, network: nn.Module, kwargs: dict[str, Any], protocol: int = 4, **options: Any
) -> Path:
    path.write_bytes(dumps(snapshot(base, network, kwargs, **options), protocol))
    return path


def tensorflow(network: nn.Module, kwargs: dict[str, Any], version: int = 5, **said: Any) -> Network:
    """A v2ada.Generator as the TensorFlow code names, shapes and turns its variables; `kwargs` are its init_kwargs."""
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    own: dict[str, list[tuple[str, Any]]] = {"": [], "mapping": [], "synthesis": []}
    index = {key: i for i, key in enumerate(key for key in state if key.endswith("noise_const"))}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if key == "mapping.w_avg":
            own[""].append(("dlatent_avg", value))
        elif key in index:
            own[part].append((f"noise{index[key]}", value[None, None]))
        elif part == "mapping":
            layer, kind = rest.replace("embed", "LabelEmbed").replace("fc", "Dense").split(".")
            own[part].append((f"{layer}/{kind}", value.T))
        elif not key.endswith("resample_filter"):
            own[part].append(_tensorflow_variable(*rest.split("."), value))
    names = ("latent_size", "label_size", "dlatent_size", "resolution", "num_channels")
    top = dict(zip(names, kwargs.values(), strict=False))
    synthesis = kwargs.get("synthesis_kwargs", {})
    top |= {"fmap_base": synthesis["channel_base"] // 2, "fmap_max": synthesis["channel_max"]}
    top |= {"mapping_layers": kwargs["mapping_kwargs"]["num_layers"], "truncation_psi": None, "structure": "auto"}
    top |= {key: synthesis[key] for key in ("architecture", "conv_clamp") if key in synthesis}

    def made(name: str, **state: Any) -> Network:
        variables = own[name] + [("lod", np.float32(0))]
        head: dict[str, Any] = dict(version=version, name=f"G_{name}", static_kwargs=top | said)
        return Network(**head, variables=variables, build_module_src=SOURCE, build_func_name="G_main", **state)

    return made("", components={part: made(part, components={}) for part in ("mapping", "synthesis")})


def _tensorflow_variable(block: str, *rest: Any) -> tuple[str, Any]:
    *path, value = rest
    size = block[1:]
    if path == ["const"]:
        return f"{size}x{size}/Const/const", value[None]
    names = {"conv0": "Conv0_up", "conv1": "Conv" if size == "4" else "Conv1", "torgb": "ToRGB", "skip": "Skip"}
    layer, kind = names[path[0]], ".".join(path[1:])
    if kind == "weight":
        value = value.transpose(2, 3, 1, 0)
        value = value[::-1, ::-1] if layer in ("Conv0_up", "Skip") else value
    elif kind.startswith("affine"):
        value = value.T if kind.endswith("weight") else value - 1
        kind = kind.replace("affine.", "mod_")
    return f"{size}x{size}/{layer}/{kind}", value if value.ndim else value[()]


def rosinality(network: nn.Module) -> dict[str, Any]:
    """The state_dict of a v2ada.Generator of architecture skip, in the layout of rosinality's stylegan2-pytorch."""
    new: dict[str, Any] = {}
    layers = [name.removesuffix(".bias") for name in network.state_dict() if re.search(r"conv[01]\.bias$", name)]
    for key, value in network.state_dict().items():
        path, _, kind = key.rpartition(".")
        layer = path.removesuffix(".affine")
        if key == "synthesis.b4.const":
            new["input.input"] = value[None]
        elif layer.startswith("mapping.fc"):
            new[f"style.{int(layer[10:]) + 1}.{kind}"] = value
        elif layer in layers:
            index = layers.index(layer)
            name = f"convs.{index - 1}" if index else "conv1"
            entry = {
                "weight": ("conv.weight", value[None]),
                "bias": ("activate.bias", value),
                "noise_strength": ("noise.weight", value[None]),
                "resample_filter": ("conv.blur.kernel", value * 4),
            }
            if path.endswith("affine"):
                new[f"{name}.conv.modulation.{kind}"] = value
            elif kind == "noise_const":
                new[f"noises.noise_{index}"] = value[None, None]
            elif kind != "resample_filter" or layer.endswith("conv0"):
                new[f"{name}.{entry[kind][0]}"] = entry[kind][1]
        elif layer.endswith("torgb"):
            index = int(layer.split(".")[1][1:]).bit_length() - 3
            name = f"to_rgbs.{index - 1}" if index else "to_rgb1"
            if path.endswith("affine"):
                new[f"{name}.conv.modulation.{kind}"] = value
            else:
                new |= (
                    {f"{name}.bias": value.reshape(1, -1, 1, 1)}
                    if kind == "bias"
                    else {f"{name}.conv.weight": value[None]}
                )
    return new


def tensorflow_discriminator(network: nn.Module) -> Network:
    """A Discriminator without labels as the TensorFlow code names and shapes its variables."""
    names = {"b4.conv": "4x4/Conv", "b4.fc": "4x4/Dense0", "b4.out": "Output"}
    layers = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip"}
    variables = []
    for key, value in network.state_dict().items():
        path, _, kind = key.rpartition(".")
        block, _, layer = path.partition(".")
        if kind != "resample_filter":
            name = names.get(path) or f"{block[1:]}x{block[1:]}/{layers[layer]}"
            array = value.numpy()
            variables.append((f"{name}/{kind}", array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T))
    return Network(version=5, static_kwargs={}, components={}, variables=variables)


def rosinality_discriminator(network: nn.Module) -> dict[str, Any]:
    """A Discriminator in the layout of rosinality's stylegan2-pytorch."""
    last = {"conv.weight": "final_conv.0.weight", "conv.bias": "final_conv.1.bias"}
    last |= {
        f"{layer}.{kind}": f"final_linear.{i}.{kind}"
        for i, layer in enumerate(("fc", "out"))
        for kind in ("weight", "bias")
    }
    layers = {
        **{"conv0.weight": "conv1.0.weight", "conv0.bias": "conv1.1.bias", "conv1.weight": "conv2.1.weight"},
        **{"conv1.bias": "conv2.2.bias", "skip.weight": "skip.1.weight", "conv1.resample_filter": "conv2.0.kernel"},
    }
    new, first = {}, max(int(key[1 : key.index(".")]) for key in network.state_dict())
    for key, value in network.state_dict().items():
        block, _, rest = key.partition(".")
        if block == "b4" and rest in last:
            new[last[rest]] = value
        elif rest in layers:
            new[f"convs.{(2 * first // int(block[1:])).bit_length() - 1}.{layers[rest]}"] = value
        elif rest.startswith("fromrgb"):
            new[f"convs.0.{int(rest.endswith('bias'))}.{rest.rpartition('.')[2]}"] = value
    return new
