"""convert_restorer(): a checkpoint becomes a net whose blobs are `data` and `output`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from ..errors import BuildError, NcnnBuilderError, ParityError
from ..frontend.capture import Port
from ..frontend.convert import Converted, convert
from ..sizes import OpenSizeError
from .checkpoint import read
from .network import Restorer, recognised
from .noise import Steady, SteadyPainter
from .picture_sizes import LEASTS, PictureSizes, sizes_for

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2}
"""Of the output's largest magnitude, which is about 1: a quarter of a level of 8 bits."""
NOISE = ("fixed", "input")
_PICTURES = ("data", "mask")


def convert_restorer(
    checkpoint: str | PathLike[str] | Mapping[str, Any],
    path: str | PathLike[str],
    *,
    size: str | int | tuple[int, int] | None = None,
    noise: str = "fixed",
    tolerance: float | None = None,
    weights: str = "fp32",
    registry: Any = None,
    **options: Any,
) -> Converted:
    """Convert a checkpoint of a network that spandrel recognises to PATH.param, PATH.bin and PATH.json, proven equal.

    checkpoint: a file of weights (.pth, .pt, .ckpt, .safetensors), of which nothing is executed, or a state dict.
    The net takes `data`, a picture of numbers 0..1, and gives `output`; one that paints also takes `mask`. Numbers are
    not clipped. PATH.json says under "restorer" what the network is for, its scale and its sizes.
    size: None for pictures of all sizes that the network takes, "..512" for those up to that (positions and masks are
    numbers, which a net holds up to a bound), (480, 640) of height and width for one. noise: "fixed" holds what
    forward() draws (the noise of the checkpoint, where it has some), "input" makes inputs of it: noise0, noise1, ...
    registry: of spandrel's kind; by default that of spandrel and spandrel_extra_arches. options: as of convert().
    Raises BuildError for what cannot be converted and ParityError for what is not equal; nothing is written then.
    """
    if noise not in NOISE:
        raise BuildError("no such noise", argument="noise", expected=" or ".join(NOISE), got=noise)
    state = checkpoint if isinstance(checkpoint, Mapping) else read(Path(checkpoint))
    restorer = recognised(state, registry)
    bound = TOLERANCE.get(weights) if tolerance is None else tolerance
    failed: NcnnBuilderError | None = None
    for sizes in dict.fromkeys(sizes_for(restorer, size, smallest) for smallest in LEASTS):
        try:
            return _converted(restorer, sizes, path, noise, tolerance=bound, weights=weights, **options)
        except (BuildError, ParityError) as error:
            if not sizes.open or not _by_size(error):
                raise
            failed = error
            if _NO_BOUND in str(error):
                break
    assert failed is not None
    fix = "as size='..512'" if _NO_BOUND in str(failed) else "as size=256 or size='480,640'"
    raise BuildError(
        f"{restorer.architecture} is no net for pictures of any size: {failed}",
        argument="size",
        fix=f"Say {'up to which it has to hold' if _NO_BOUND in str(failed) else 'which'}, {fix}",
    ) from failed


_NO_BOUND = "which has no largest"
"""What lazy.py says of numbers that follow from an open size."""


def _by_size(error: NcnnBuilderError) -> bool:
    """Whether this is for the sizes that are open: what the front end refuses of them, or what differs at some."""
    return isinstance(error, OpenSizeError) or error.argument == "dynamic" or "The cause: the sizes" in str(error)


def _converted(
    restorer: Restorer, sizes: PictureSizes, path: str | PathLike[str], noise: str, **options: Any
) -> Converted:
    pictures = _examples(restorer, sizes)
    names = list(_PICTURES[: len(pictures)])
    # Errors call a module by its class.
    kind = type(restorer.architecture, (SteadyPainter if restorer.masked else Steady,), {})
    try:
        module = kind(restorer.module, pictures, as_inputs=noise == "input").eval()
    except Exception as error:  # whatever forward() may raise of a picture that it does not take
        said = f"{sizes.height} x {sizes.width}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        what = f"{restorer.architecture} does not take this size"
        raise BuildError(what, argument="dynamic" if sizes.open else "size", got=said) from error
    if module.drawn and sizes.open:
        what = f"{restorer.architecture} draws {len(module.drawn)} tensors of noise, which have one size"
        raise BuildError(what, argument="dynamic")
    drawn = module.drawn if module.as_inputs else []

    def about(inputs: Sequence[Port], outputs: Sequence[Port]) -> dict[str, Any]:
        _need_scale(restorer, inputs[0], outputs)
        return {"restorer": _described(restorer, sizes)}

    return convert(
        module,
        (*pictures, *drawn),
        path,
        inputs=[*names, *(f"noise{i}" for i in range(len(drawn)))],
        outputs=["output"],
        dynamic=dict.fromkeys(names, sizes.dynamic(restorer)) if sizes.open else None,
        about=about,
        **options,
    )


def _examples(restorer: Restorer, sizes: PictureSizes) -> tuple[torch.Tensor, ...]:
    """A picture, and a mask where the network paints."""
    g = torch.Generator().manual_seed(0)
    picture = torch.rand(1, restorer.input_channels, sizes.height, sizes.width, generator=g)
    if not restorer.masked:
        return (picture,)
    return picture, (torch.rand(1, 1, sizes.height, sizes.width, generator=g) < 0.5).float()


def _need_scale(restorer: Restorer, data: Port, outputs: Sequence[Port]) -> None:
    """Raises BuildError where the result is no picture of `scale` times the size, whatever the size."""
    expected = (1, restorer.output_channels, *(restorer.scale * n for n in data.shape[2:]))
    got = [p.shape for p in outputs]
    if got != [expected]:
        what = f"{restorer.architecture} gives no picture of {restorer.scale} times the size"
        raise BuildError(
            what, argument="dynamic", expected=list(map(str, expected)), got=[list(map(str, s)) for s in got]
        )


def _described(restorer: Restorer, sizes: PictureSizes) -> dict[str, Any]:
    """What PATH.json says under "restorer"."""
    return {
        "architecture": restorer.architecture,
        "purpose": restorer.purpose,
        "tags": list(restorer.tags),
        "scale": restorer.scale,
        "input_channels": restorer.input_channels,
        "output_channels": restorer.output_channels,
        "minimum": sizes.least if sizes.open else restorer.minimum,
        "maximum": sizes.most,
        "multiple_of": restorer.multiple_of,
        "square": restorer.square,
        "size": None if sizes.open else [sizes.height, sizes.width],
        "tiling": restorer.tiling,
    }
