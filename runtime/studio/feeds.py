"""What a net is given when the page looks into it: a seed's numbers, a file's, or a picture."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import open_sizes
from ..errors import InputError, UsageError
from ..model import Model
from ..net import Net
from ..seeds import NOT_WHOLE, latent
from ..strangers import open_regular

Shape = tuple[int, ...]
Arrays = dict[str, npt.NDArray[Any]]
MOST_NUMBERS = 1 << 26
"""Of all inputs together: a quarter of a gigabyte."""
MOST_FILE = 1 << 28
OPEN = 64
"""What an open size is tried with."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
SUFFIXES = (".npz", ".npy", *PICTURES)


@dataclass(frozen=True)
class Feed:
    """seed: of random numbers, or of a bundle's style. file: beneath the working directory; "" for none. shapes: of
    inputs, where another is wanted than the file of the net states. of: another net, whose inputs these are."""

    seed: int = 0
    file: str = ""
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    of: str = ""


def check_inside(name: str, suffixes: tuple[str, ...], what: str) -> Path:
    """The file of that name beneath the working directory. Raises UsageError for any other."""
    path = PurePath(name)
    kind = "".join(path.suffixes[-2:]) if name.endswith(".param.bin") else path.suffix.lower()
    inside = not path.is_absolute() and ".." not in path.parts and kind in suffixes and "\0" not in name
    if not inside or not Path(name).resolve().is_relative_to(Path.cwd().resolve()):
        expected = f"a file beneath the directory that the studio was started in, {', '.join(suffixes)}"
        raise UsageError(f"no such {what} here", expected=expected, got=repr(name[:100]))
    if not Path(name).is_file():
        raise UsageError(f"no such {what} here", expected="a file that there is", got=repr(name[:100]))
    return Path(name)


def arrays_for(net: Net, param: Path, feed: Feed, model: Model | None, part: str) -> Arrays:
    """What the net is given. model, part: the bundle that it belongs to, and whether it is its mapping or synthesis.

    Raises UsageError for a file that does not fit, InputError where an input's shape is not known.
    """
    strange = sorted(feed.shapes.keys() - net.inputs.keys())
    if strange:
        raise UsageError(f"the net has no input {strange[0]}", expected=", ".join(net.inputs), got=", ".join(strange))
    if feed.file:
        return _of_file(net, check_inside(feed.file, SUFFIXES, "file of inputs"), feed)
    if model is not None and not feed.shapes:
        return _of_seed(model, part, feed.seed)
    shapes = shapes_of(net, param, feed.shapes)
    if sum(map(math.prod, shapes.values())) > MOST_NUMBERS:
        raise UsageError("the inputs are too large", expected=f"at most {MOST_NUMBERS} numbers")
    rng = np.random.RandomState(feed.seed)
    whole = set(net.whole_inputs)
    return {
        name: rng.randint(0, 2, shape).astype(np.int32) if name in whole else rng.randn(*shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def shapes_of(net: Net, param: Path, given: Mapping[str, Shape]) -> dict[str, Shape]:
    """Of each input: what is given, what the file states, or an open size's that is near OPEN."""
    found: dict[str, Shape] = {}
    opened = open_shapes(param)
    for name, shape in net.inputs.items():
        wanted = given.get(name) or opened.get(name) or shape
        if wanted is None:
            raise InputError(f"the file does not say the shape of input '{name}'", fix=f"Give it, as in {name}=3,64,64")
        found[name] = tuple(wanted)
    return found


def open_shapes(param: Path) -> dict[str, Shape]:
    """Of the inputs that the NAME.json beside the net says open sizes of: those that are near OPEN."""
    numbers: dict[str, int] = {}
    found = {}
    for name, stated in open_sizes.stated(param).items():
        for size in stated:
            if isinstance(size, open_sizes.OpenSize):
                wanted = max(size.least, -(-(OPEN - size.more) // size.factor))
                numbers.setdefault(size.name, wanted if size.most is None else min(wanted, size.most))
        found[name] = tuple(n if isinstance(n, int) else n.at(numbers[n.name]) for n in stated)
    return found


def _of_seed(model: Model, part: str, seed: int) -> Arrays:
    """What the net of the bundle gets for the picture of a seed."""
    m = model.manifest
    label = None if not m.c_dim else np.eye(1, m.c_dim, dtype=np.float32)[0]
    z = latent(seed, m.z_dim) if m.z_dim else np.zeros(0, np.float32)
    if part == "synthesis":
        return {**model.synthesis_inputs(model.mapping(z, c=label))}
    given: Arrays = {"z": z, "coeff": np.ones(1, np.float32)}
    if label is not None:
        given["c"] = label
    return {name: given[name] for name in model.mapping_net.inputs}


def _of_file(net: Net, path: Path, feed: Feed) -> Arrays:
    try:
        with open_regular(path) as stream:
            data = stream.read(MOST_FILE + 1)
    except OSError as error:
        raise UsageError("the file of inputs cannot be read", got=path.name, reason=error.strerror) from None
    if len(data) > MOST_FILE:
        raise UsageError("the file of inputs is too large", expected=f"at most {MOST_FILE} bytes", got=path.name)
    names = list(net.inputs)
    if path.suffix.lower() in PICTURES:
        if len(names) != 1:
            raise UsageError("a picture is for a net of one input", expected=", ".join(names), got=path.name)
        return {names[0]: _picture(data, path.name, feed.shapes.get(names[0]) or net.inputs[names[0]])}
    given = _numpy(data, path)
    if set(given) != set(names):
        if len(given) != len(names) or set(given) & set(names):
            raise UsageError("the file has other inputs", expected=", ".join(names), got=", ".join(given)[:200])
        given = dict(zip(names, given.values(), strict=True))
    return {name: _without_batch(array, net.inputs[name]) for name, array in given.items()}


def _without_batch(array: npt.NDArray[Any], shape: Shape | None) -> npt.NDArray[Any]:
    """A batch of one is dropped where the net has none."""
    drop = array.ndim == 5 or (shape is not None and array.ndim == len(shape) + 1)
    return array[0] if drop and len(array) == 1 else array


def _numpy(data: bytes, path: Path) -> Arrays:

    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"": found}
        total = 0
        arrays: Arrays = {}
        with found:
            for info in found.zip.infolist():
                total += info.file_size
                if total > 4 * MOST_FILE:
                    raise ValueError("it holds too much")
            for name in found.files:
                arrays[name] = found[name]
        return arrays
    except (*NOT_WHOLE, OSError, MemoryError) as error:
        raise UsageError("the file of inputs cannot be read", got=path.name, reason=str(error)[:200]) from None


def _picture(data: bytes, name: str, shape: Shape | None) -> npt.NDArray[np.float32]:
    """[C, H, W] from 0 to 1, resized to what the net states."""

    from PIL import Image

    if shape is not None and (len(shape) != 3 or shape[0] not in (1, 3)):
        raise UsageError("the net takes no pictures", expected=f"an input of shape {list(shape)}", got=name)
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height > MOST_NUMBERS // 3:
                raise ValueError("it has too many pixels")
            picture = opened.convert("L" if shape is not None and shape[0] == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError("the picture cannot be read", got=name, reason=str(error)[:200]) from None
    if shape is not None:
        picture = picture.resize((shape[2], shape[1]), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture, np.float32) / 255
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
