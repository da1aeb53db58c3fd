"""Checkpoints: reading a file of any kind without running it, and putting its weights into a network."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stylegan._torch import Tensor, nn, torch
from stylegan.checkpoints import agreement, assumed, file_kinds, infer, readers
from stylegan.checkpoints.pickle_values import Refused
from stylegan.errors import CheckpointError, StyleganError
from stylegan.networks.configs import WHICH, Config
from stylegan.networks.random_weights import GENERATORS as GENERATORS
from stylegan.networks.random_weights import Generator as Generator
from stylegan.networks.random_weights import random_state as random_state


@dataclass(frozen=True)
class Checkpoint:
    """A generator read from a file: `build_generator(c.family, c.init_kwargs, c.state, c.source)` makes it.

    family: "v2ada" or "v3". init_kwargs: keyword arguments of the family's Generator, of plain types. state: its
    state_dict, float32 on the CPU. source: the file's name; sha256: of the whole file, in hexadecimal digits.
    inferred: the file has no init_kwargs, these were inferred from the shapes of its tensors, or are a configuration's;
    stylegan.checkpoints.assumed says what tensors do not tell. notes: what was converted, assumed or left out.
    """

    family: str
    init_kwargs: Mapping[str, Any]
    state: Mapping[str, Tensor]
    source: str
    sha256: str
    inferred: bool = False
    notes: tuple[str, ...] = ()


def load(path_or_url: str | os.PathLike[str], which: str = "G_ema", sha256: str | None = None) -> Checkpoint:
    """The generator in a file that docs/checkpoints.md lists, whatever the file is called: its content says what it is.

    path_or_url: a URL of http or https is fetched once, and then taken from the cache. which: one of configs.WHICH,
    for files with several networks; a file with one network is that network. sha256: what the file's must be, in
    hexadecimal digits.
    Nothing in the file is executed. Raises CheckpointError, PackageMissing where safetensors is needed and missing.
    """
    return _load(path_or_url, which, sha256, None)


def load_for(
    config: Config,
    path_or_url: str | os.PathLike[str],
    which: str = "G_ema",
    sha256: str | None = None,
    advice: str = "Leave --cfg out and name the file with --ckpt: it says all that is needed",
) -> Checkpoint:
    """As load, for a configuration: it gives the init_kwargs of a file that has none.

    advice: what to do about a file of another configuration, for the message.
    Raises CheckpointError also where the file's init_kwargs contradict the configuration's.
    """
    checkpoint = _load(path_or_url, which, sha256, config)
    faults = agreement.contradictions(config, checkpoint.family, checkpoint.init_kwargs)
    if faults:
        raise CheckpointError(
            f"checkpoint {checkpoint.source} is not of configuration {config.name}: {'; '.join(faults)}. {advice}"
        )
    return checkpoint


def load_whatever(config: Config, path_or_url: str | os.PathLike[str], which: str) -> Checkpoint:
    """As load_for, of a network of any configuration and family: its family is its own, and nothing is compared."""
    checkpoint = _load(path_or_url, which, None, config, same=False)
    return replace(checkpoint, family=infer.family_of(checkpoint.state))


def _load(
    path_or_url: str | os.PathLike[str], which: str, sha256: str | None, config: Config | None, same: bool = True
) -> Checkpoint:
    """same: whether a network of the configuration is expected."""
    if which not in WHICH:
        raise CheckpointError(f"unknown network {which!r}: expected {' or '.join(WHICH)}")
    path = _local(path_or_url)
    source, data = path.name, _data(path)
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256.strip().lower():
        raise CheckpointError(f"checkpoint {path}: expected sha256 {sha256}, got {digest}: it is another file")
    try:
        said = readers.read(data, which)
        state, notes = said.state, said.notes
        if said.init_kwargs is not None:
            family = said.family or infer.family_of(state)
            return Checkpoint(family, said.init_kwargs, state, source, digest, said.inferred, notes)
        family, kwargs = infer.infer(state) if config is None else (config.family, dict(config.init_kwargs))
        if same:
            _refuse_other_constants(family, kwargs, state)
        notes = (*notes, assumed.sentence(family, kwargs, None if config is None else config.name))
        return Checkpoint(family, kwargs, state, source, digest, inferred=True, notes=notes)
    except Refused as error:
        kind = file_kinds.known(data)
        if kind is not None:
            raise CheckpointError(
                f"checkpoint {path}: expected a checkpoint, but it cannot be read: it is {kind}"
            ) from None
        raise CheckpointError(
            f"checkpoint {path}: expected a torch file or an official pickle, but it cannot be read ({error}): "
            "it is damaged or holds objects other than tensors; nothing of it was executed, fetch or save it again"
        ) from None
    except CheckpointError as error:
        raise type(error)(f"checkpoint {path}: {error}") from None
    except (MemoryError, RuntimeError) as error:  # RuntimeError: torch has no memory
        raise CheckpointError(f"checkpoint {path}: no memory for its {len(data)} bytes and their tensors") from error


def _refuse_other_constants(family: str, init_kwargs: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError where the tensors show that keywords which were assumed are not the network's."""
    try:
        network = _built(family, init_kwargs, state)
    except Exception:  # build_generator() says it
        return
    faults = assumed.contradictions(network, state)
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise CheckpointError(
            f"its network was made with other constants than are assumed: {'; '.join(faults[:3])}{more}, and the file "
            "does not say its keywords: give an official .pkl or a .safetensors of stylegan.convert, which do"
        )


def _local(path_or_url: str | os.PathLike[str]) -> Path:
    name = os.fspath(path_or_url)
    if name.lower().startswith(("http://", "https://")):
        from stylegan.checkpoints import download

        return download.cached(name)
    return Path(name)


def _data(path: Path) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        raise CheckpointError(f"checkpoint {path}: it cannot be read: {error or 'no memory'}") from None


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
    bad = [key for key, value in state.items() if key.endswith("magnitude_ema") and value <= 0]
    if bad:  # StyleGAN3 divides by its root
        raise CheckpointError(f"checkpoint {source} is damaged: {_listed('that must be above 0', bad)}")
    network.load_state_dict(state, assign=True)


def _described(value: Tensor) -> str:
    unusable = " without data (meta device)" if value.is_meta else ""
    layout = "" if value.layout == torch.strided else f" in layout {value.layout}"
    return f"{list(value.shape)} of {value.dtype}{layout}{unusable}"


def _listed(fault: str, keys: list[str]) -> str:
    if not keys:
        return ""
    return f"{len(keys)} {'key' if len(keys) == 1 else 'keys'} {fault}: {', '.join(keys)}"


def expect_square(network: Generator, source: str, who: str) -> None:
    """Raise CheckpointError where the pictures are not; who takes no others, for the message."""
    height, width = network.synthesis.img_size
    if height != width:
        raise CheckpointError(
            f"checkpoint {source}: its pictures are {width} wide and {height} high, {who} takes square ones only"
        )


_NAMES = {"v2ada": "StyleGAN2-ADA", "v3": "StyleGAN3"}


def _check_family(family: str, state: Mapping[str, Tensor], source: str) -> None:
    """Raise CheckpointError where the state is another generation's: its list of wrong keys would say less."""
    for other, mark in infer.MARKS.items():
        if other != family and mark in state and infer.MARKS[family] not in state:
            raise CheckpointError(
                f"checkpoint {source} is of a {_NAMES[other]} generator (it has {mark}), expected one of "
                f"{_NAMES[family]}: choose a configuration {other}_..."
            )


_SLACK_NUMBERS, _SLACK_TENSORS = 2**26, 10_000
"""More than every official network has: where weights are missing, the list of them is the better message."""


class _NoRandomValues(torch.overrides.TorchFunctionMode):
    """Inside it torch.randn and torch.rand leave their result unset: every tensor is about to be replaced.

    And they raise _TooLarge for many more numbers or tensors than `state` has: what a file says of itself may
    describe a network that no memory holds. The meta device would serve too, but its first use imports 800 modules of
    torch, which takes a second.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.numbers = _SLACK_NUMBERS + sum(map(Tensor.numel, state.values()))
        self.tensors = _SLACK_TENSORS + len(state)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (torch.randn, torch.rand):
            shape = args[0] if args and isinstance(args[0], (list, tuple)) else args
            self.numbers -= math.prod(max(1, n) for n in shape)  # max: the bias beside a weight [n, 0] has n numbers
            self.tensors -= 1
            if self.numbers < 0 or self.tensors < 0:
                raise _TooLarge("they describe a network much larger than the tensors that are there")
            func = torch.empty
        return func(*args, **(kwargs or {}))


class _TooLarge(Exception):
    pass


def build_generator(family: str, init_kwargs: Mapping[str, Any], state: Mapping[str, Tensor], source: str) -> Generator:
    """A Generator in eval mode with the given state, built without drawing random weights first.

    Raises CheckpointError as load_into does, and where init_kwargs build no network or a far too large one.
    """
    _check_family(family, state, source)
    try:
        network = _built(family, init_kwargs, state)
    except StyleganError:
        raise
    except Exception as error:  # of anything: the keywords come from a file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"checkpoint {source}: its init_kwargs build no generator: {reason}") from error
    load_into(network, state, source)
    return network.eval()


def _built(family: str, init_kwargs: Mapping[str, Any], state: Mapping[str, Tensor]) -> Generator:
    with torch.device("cpu"), _NoRandomValues(state):
        return GENERATORS[family](**init_kwargs)
