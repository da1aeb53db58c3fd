"""Weights for a network: from a file, or random; and putting them in, with every mismatch an error."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylegan import v2ada, v3
from stylegan._torch import Tensor, nn, torch
from stylegan.errors import CheckpointError, PackageMissing, StyleganError, needs
from stylegan.layers import FullyConnectedLayer
from stylegan.v2ada_layers import SynthesisLayer, ToRGBLayer

Generator = v2ada.Generator | v3.Generator

GENERATORS: dict[str, type[Generator]] = {"v2ada": v2ada.Generator, "v3": v3.Generator}
"""Family -> its Generator class."""

READABLE = (".pt", ".pth", ".safetensors")
"""The suffixes of the files that load_state reads."""

State = dict[str, Tensor]


def load_state(path: str | os.PathLike[str]) -> State:
    """The Generator's state_dict, on the CPU, from a .pt, .pth or .safetensors file.

    A torch file holds a state_dict, or a dict with one under 'state_dict'. Nothing in the file is executed.
    Raises CheckpointError, and PackageMissing where safetensors is needed and not installed.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path}: {'not a file' if path.exists() else 'no such file'}")
    if kind not in READABLE:
        if kind == ".pkl":
            raise CheckpointError(
                f"checkpoint {path}: official pickles (.pkl) are not read yet: "
                "save the generator's state_dict() with torch.save to a .pt file, or as .safetensors"
            )
        got = kind or "no suffix"
        raise CheckpointError(f"checkpoint {path}: expected a {' or '.join(READABLE)} file, got {got}")
    try:
        state = _read_safetensors(path) if kind == ".safetensors" else _read_torch(path)
    except StyleganError:
        raise
    except Exception as error:  # the readers raise anything from KeyError to RuntimeError on a damaged file
        what = "a safetensors file" if kind == ".safetensors" else "a torch file of tensors only"
        raise CheckpointError(
            f"checkpoint {path}: expected {what}, but it cannot be read ({_reason(error)}): "
            "it is damaged or of another kind; fetch or save it again"
        ) from error
    if not state:
        raise CheckpointError(f"checkpoint {path}: expected a generator's state_dict, got an empty one")
    return state


def _read_safetensors(path: Path) -> State:
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise PackageMissing(needs(error.name)) from None
    return load_file(path, device="cpu")


def _read_torch(path: Path) -> State:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a foreign file it warns and then raises: the error says it
        content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"checkpoint {path}: expected a state_dict (names to tensors), got {type(content).__name__}: "
            "save the generator's state_dict()"
        )
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"checkpoint {path}: expected a state_dict (names to tensors), but entry {key!r} is "
                f"{type(value).__name__}: save the generator's state_dict()"
            )
    return dict(content)


def _reason(error: Exception) -> str:
    """What the reader said, in one sentence; torch's unpickler says nothing that helps the user."""
    if isinstance(error, (pickle.UnpicklingError, LookupError, EOFError)):
        return "not in that format, or with objects other than tensors"
    lines = str(error).strip().splitlines()
    return lines[0].partition(". ")[0][:200] if lines else type(error).__name__


def load_into(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Put `state` into the network; `source` names it in errors.

    The tensors become the network's own, without a copy where they are float32. Raises one CheckpointError
    for keys that are missing, extra, misshapen, not floating point, sparse or on the meta device, else one for values
    that are not finite; the network is then unchanged.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in state]
    extra = [key for key in state if key not in own]
    wrong = [
        f"{key} (expected {list(own[key].shape)} of floats, got {_described(value)})"
        for key, value in state.items()
        if key in own
        and (
            value.shape != own[key].shape
            or not value.is_floating_point()
            or value.is_meta
            or value.layout != torch.strided
        )
    ]
    if missing or extra or wrong:
        faults = [
            _listed("missing", missing),
            _listed("unknown", extra),
            _listed("of wrong shape or type", wrong),
        ]
        raise CheckpointError(
            f"checkpoint {source} does not fit the network: {'; '.join(filter(None, faults))}. "
            "Choose the configuration that it was made with, or save the generator's whole state_dict()"
        )
    state = {key: value.float().contiguous() for key, value in state.items()}
    bad = [key for key, value in state.items() if not value.isfinite().all()]
    if bad:
        raise CheckpointError(f"checkpoint {source} is damaged: {_listed('with NaN or infinite values', bad)}")
    network.load_state_dict(state, assign=True)


def _described(value: Tensor) -> str:
    unusable = " without data (meta device)" if value.is_meta else ""
    layout = "" if value.layout == torch.strided else f" in layout {value.layout}"
    return f"{list(value.shape)} of {value.dtype}{layout}{unusable}"


def _listed(fault: str, keys: list[str]) -> str:
    if not keys:
        return ""
    return f"{len(keys)} {'key' if len(keys) == 1 else 'keys'} {fault}: {', '.join(keys)}"


_NAMES = {"v2ada": "StyleGAN2-ADA", "v3": "StyleGAN3"}
_MARKS = {"v2ada": "synthesis.b4.conv1.weight", "v3": "synthesis.input.freqs"}
"""A key that the state_dict of every generator of the family has, and of no other."""


def _check_family(family: str, state: Mapping[str, Tensor], source: str) -> None:
    """Raise CheckpointError where the state is another generation's: its list of wrong keys would say less."""
    for other, mark in _MARKS.items():
        if other != family and mark in state and _MARKS[family] not in state:
            raise CheckpointError(
                f"checkpoint {source} is of a {_NAMES[other]} generator (it has {mark}), expected one of "
                f"{_NAMES[family]}: choose a configuration {other}_..."
            )


class _NoRandomValues(torch.overrides.TorchFunctionMode):
    """Inside it torch.randn and torch.rand leave their result unset: every tensor is about to be replaced.

    The meta device would serve too, but its first use imports 800 modules of torch, which takes a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (torch.empty if func in (torch.randn, torch.rand) else func)(*args, **(kwargs or {}))


def build_generator(family: str, init_kwargs: Mapping[str, Any], state: Mapping[str, Tensor], source: str) -> Generator:
    """A Generator in eval mode with the given state, built without drawing random weights first.

    Raises CheckpointError as load_into does.
    """
    _check_family(family, state, source)
    with torch.device("cpu"), _NoRandomValues():
        network = GENERATORS[family](**init_kwargs)
    load_into(network, state, source)
    return network.eval()


def random_state(family: str, init_kwargs: Mapping[str, Any], seed: int = 0) -> State:
    """The state_dict of a Generator with seeded random weights, for trying things without a checkpoint.

    The usual initialisation leaves noise and biases at zero and pictures far from -1..1, which would hide faults
    and show nothing. So: noise strengths and biases get a standard deviation of 0.1, w_avg is the mean over 1000
    latents, and the weights that make the picture are scaled (_scale_picture). Equal seeds give equal numbers; the
    global random state is left as it was.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        network = GENERATORS[family](**init_kwargs)
        _scale_picture(network)
        for module in network.modules():
            if isinstance(module, SynthesisLayer) and module.use_noise:
                module.noise_strength.add_(0.1 * torch.randn([]))
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                gain = module.bias_gain if isinstance(module, FullyConnectedLayer) else 1
                bias.add_(0.1 / gain * torch.randn(bias.shape))
        z = torch.randn(1000, network.z_dim)
        c = torch.eye(network.c_dim)[torch.randint(network.c_dim, [1000])] if network.c_dim else None
        network.mapping.w_avg.copy_(network.mapping.eval()(z, c)[:, 0].mean(dim=0))
    return dict(network.state_dict())


def _scale_picture(network: Generator) -> None:
    """Bring the picture's standard deviation to about 0.5.

    StyleGAN2: the torgb weights are scaled by 0.5 / sqrt(2 n), n the number of torgb layers: the second moment of
    each one's output is about 2, because E[style^2] = 2 and E[x^2] = 1 (0.2 to 0.7 were measured, by seed and size).
    StyleGAN3: features keep a standard deviation of 0.2 to 1 through all layers and the picture gets a quarter of
    it, so the last weight is scaled by 3 (0.1 to 0.9 were measured); magnitude_ema, 1 at first, gets values around.
    """
    if isinstance(network, v3.Generator):
        layers = [getattr(network.synthesis, name) for name in network.synthesis.layer_names]
        layers[-1].weight.mul_(3)
        for layer in layers:
            layer.magnitude_ema.add_(0.1 * torch.rand([]) - 0.05)
        return
    torgb = [m for m in network.modules() if isinstance(m, ToRGBLayer)]
    for layer in torgb:
        layer.weight.mul_(0.5 / (2 * len(torgb)) ** 0.5)
