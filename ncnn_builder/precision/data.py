"""What a net is measured on: samples of its inputs, from a file of arrays, a folder or a function, and their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..doctor.case import guarded
from ..doctor.load_model import make_model, read_arrays, told
from ..errors import BuildError
from ..ir import Shape
from .net_files import Blobs, NetFiles, samples_of
from .seeds import bundle_samples

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True)
class Pixels:
    """How a picture becomes an input of shape [C, H, W]: (pixel - mean) * norm, pixels from 0 to 255."""

    mean: tuple[float, ...] = (0.0,)
    norm: tuple[float, ...] = (1 / 255,)
    bgr: bool = False


def read_samples(net: NetFiles, data: str, pixels: Pixels | None = None) -> list[Blobs]:
    """The samples of ``data``, each input name -> array.

    data: FILE.npz, with an array for each input (by name, or by place where no name fits), of the input's shape, or
    with an axis for samples before it; a folder of such files, of .npy files of one input, or of pictures; or
    MODULE:FUNCTION, which returns an iterable of samples: a dict of arrays, or one array for a net of one input; or
    BUNDLE.json of a StyleGAN, whose seeds 0 to 23 are samples of its synthesis.

    Raises BuildError where there is none, where an array is not finite, or does not fit what the net states.
    """
    path = Path(data)
    if path.suffix == ".json":
        found = bundle_samples(net, path)
    elif path.is_dir():
        found = _folder(net, path, pixels or Pixels())
    elif path.is_file() or ":" not in data:
        found = _split(net, read_arrays(path, "--data"), str(path))
    else:
        made = make_model(data, "--data")
        given: Iterable[Any] = made.values() if isinstance(made, Mapping) and not _is_sample(net, made) else made
        given = [made] if isinstance(made, (Mapping, np.ndarray)) and given is made else given
        if not isinstance(given, Iterable) or isinstance(given, str | bytes):
            raise BuildError(
                f"{data} returned {type(made).__name__}",
                argument="--data",
                expected="samples: arrays, or dicts of them",
            )
        each = guarded(data, lambda: list(given))  # a generator runs here
        found = [_fitting(net, one if isinstance(one, Mapping) else {"": one}, data) for one in each]
    if not found:
        raise BuildError("there is no sample", argument="--data", got=data)
    return [samples_of(net, sample) for sample in found]


def digest(samples: Sequence[Blobs]) -> str:
    """SHA-256 of names, shapes and numbers."""
    total = hashlib.sha256()
    for sample in samples:
        for name, array in sorted(sample.items()):
            total.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _fitting(net: NetFiles, arrays: Mapping[str, Any], where: str) -> Blobs:
    """One sample, of the shapes that the net states."""
    named = _named(net, arrays, where)
    for name, array in named.items():
        if _count(net.shapes.get(name, ()), array, f"{where}: input {name}") is not None:
            stated = list(net.shapes[name]) if net.shapes.get(name) else "3 dimensions"
            raise BuildError(
                f"{where}: input {name} is no single sample", argument="--data", expected=stated, got=list(array.shape)
            )
    return named


def _is_sample(net: NetFiles, given: Mapping[str, Any]) -> bool:
    return set(given) == set(net.inputs)


def _named(net: NetFiles, arrays: Mapping[str, Any], where: str) -> Blobs:
    """Arrays by the names of the inputs. Raises BuildError for others, and for NaN."""
    names = net.inputs
    if set(arrays) != set(names):
        if len(arrays) != len(names) or set(arrays) & set(names):
            raise BuildError(f"{where}: wrong inputs", argument="--data", expected=names, got=list(arrays))
        arrays = dict(zip(names, arrays.values(), strict=True))
    result = {}
    for name in names:
        array = np.asarray(arrays[name])
        if array.dtype.kind not in "biuf" or not array.size or not np.isfinite(array).all():
            raise BuildError(f"{where}: input {name}", argument="--data", expected="finite numbers", got=told(array))
        result[name] = array
    return result


def _split(net: NetFiles, arrays: Mapping[str, Any], where: str) -> list[Blobs]:
    """One sample, or as many as the first axis has."""
    named = _named(net, arrays, where)
    counts = {name: _count(net.shapes.get(name, ()), array, f"{where}: input {name}") for name, array in named.items()}
    if len(set(counts.values())) > 1:
        raise BuildError(f"{where}: inputs of different numbers of samples", argument="--data", got=counts)
    (count,) = set(counts.values())
    if count is None:
        return [named]
    return [{name: array[i] for name, array in named.items()} for i in range(count)]


def _count(shape: Shape, array: Any, where: str) -> int | None:
    """How many samples; None where the array is one. A net that states no shape takes pictures: [C, H, W], or what has
    fewer dimensions, which is then one sample."""
    dims = len(shape) or min(3, array.ndim)
    fits = array.shape[-dims:] == tuple(shape) if shape else True
    if array.ndim == dims and fits:
        return None
    if array.ndim == dims + 1 and fits:
        return int(array.shape[0])
    stated = list(shape) or "3 dimensions"
    raise BuildError(f"{where} has another shape", argument="--data", expected=stated, got=list(array.shape))


def _folder(net: NetFiles, path: Path, pixels: Pixels) -> list[Blobs]:
    found: list[Blobs] = []
    for file in sorted(path.iterdir()):
        suffix = file.suffix.lower()
        if suffix == ".npz":
            found += _split(net, read_arrays(file, "--data"), str(file))
        elif suffix == ".npy" and len(net.inputs) == 1:
            found += _split(net, {net.inputs[0]: _one_array(file)}, str(file))
        elif suffix in PICTURES and len(net.inputs) == 1:
            found.append({net.inputs[0]: _picture(net, file, pixels)})
    if not found:
        kinds = ".npz, or for a net of one input .npy and pictures"
        raise BuildError("the folder holds no samples", argument="--data", expected=kinds, got=str(path))
    return found


def _one_array(file: Path) -> Any:
    try:
        return np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BuildError(f"{file} is no .npy file: {error}", argument="--data") from None


def _picture(net: NetFiles, file: Path, pixels: Pixels) -> Any:
    """A picture as [C, H, W], resized to what the net states, with C of 1 or 3."""
    from PIL import Image, UnidentifiedImageError

    shape = net.shapes.get(net.inputs[0], ())
    if shape and (len(shape) != 3 or shape[0] not in (1, 3)):
        raise BuildError("the net takes no pictures", argument="--data", expected=list(shape), got=str(file))
    try:
        with Image.open(file) as opened:
            picture = opened.convert("L" if shape and shape[0] == 1 else "RGB")
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise BuildError(f"{file} is no picture: {error}", argument="--data") from None
    if shape:
        picture = picture.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    array = np.asarray(picture, np.float32)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)[:: -1 if pixels.bgr else 1]
    for numbers, name in ((pixels.mean, "--mean"), (pixels.norm, "--norm")):
        if len(numbers) not in (1, len(array)):
            raise BuildError("wrong number of channels", argument=name, expected=f"1 or {len(array)}", got=numbers)
    mean, norm = (np.asarray(n, np.float32).reshape(-1, 1, 1) for n in (pixels.mean, pixels.norm))
    return (array - mean) * norm
