"""Which network a state dict is, as spandrel tells, and one module of it: numbers 0..1 in, numbers about 0..1 out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import BuildError

_NEEDED = (
    "Restorers need the package spandrel: pip install 'ncnn-builder[restorers]', with the torchvision that was "
    "compiled for the torch that is there"
)


@dataclass(frozen=True)
class Restorer:
    """A network of spandrel, and what its description tells.

    module          forward(data), or forward(data, mask) of one that paints: as spandrel calls it, but not clipped
    architecture    spandrel's id
    purpose         SR, FaceSR, Restoration or Inpainting
    scale           how many times larger the result is, a whole number
    minimum, multiple_of, square    what height and width have to be
    tiling          supported, discouraged or internal: whether it sees the whole picture
    """

    module: torch.nn.Module
    architecture: str
    purpose: str
    tags: tuple[str, ...]
    scale: int
    input_channels: int
    output_channels: int
    minimum: int
    multiple_of: int
    square: bool
    tiling: str

    @property
    def masked(self) -> bool:
        return self.purpose == "Inpainting"


class _Called(torch.nn.Module):
    """The network as its description calls it: some have a mean to take away, or give several results."""

    def __init__(self, described: Any) -> None:
        super().__init__()
        self.model = described.model
        self._call = described._call_fn

    def forward(self, data: torch.Tensor, *mask: torch.Tensor) -> Any:
        return self._call(self.model, data, *mask)


def recognised(state: Mapping[str, Any], registry: Any = None) -> Restorer:
    """The network that these tensors are of. registry: of spandrel's kind; by default all that is installed.

    Raises BuildError where spandrel is missing, or knows no such network.
    """
    registry = registry if registry is not None else _installed()
    try:
        described = registry.load(dict(state))
    except Exception as error:  # what its detection and its networks may raise of tensors that are not theirs
        said = " ".join(str(error).split())[:300]
        few = ", ".join(map(str, [*state][:3]))
        raise BuildError(
            "no network that spandrel recognises",
            got=f"{type(error).__name__}: {said}" if said else f"{len(state)} tensors: {few}, ..." if few else "none",
            fix="Its architectures are listed in docs/restorers.md; of another network give the module: nb.convert()",
        ) from error
    sizes = described.size_requirements
    return Restorer(
        module=_Called(described).float().eval(),
        architecture=str(described.architecture.id),
        purpose=described.purpose,
        tags=tuple(map(str, described.tags)),
        scale=int(described.scale),
        input_channels=int(described.input_channels),
        output_channels=int(described.output_channels),
        minimum=max(1, int(sizes.minimum)),
        multiple_of=int(sizes.multiple_of),
        square=bool(sizes.square),
        tiling=described.tiling.name.lower(),
    )


def _installed() -> Any:
    """The architectures of spandrel, and of spandrel_extra_arches where that is installed."""
    try:
        with warnings.catch_warnings():  # of torch and torchvision about each other
            warnings.simplefilter("ignore")
            import spandrel
    except (ImportError, OSError, RuntimeError) as error:  # the last two of a torchvision for another torch
        raise BuildError("spandrel cannot be imported", got=str(error), fix=_NEEDED) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError:
        return spandrel.MAIN_REGISTRY
    registry = spandrel.MAIN_REGISTRY.copy()
    registry.add(*EXTRA_REGISTRY, ignore_duplicates=True)
    return registry
