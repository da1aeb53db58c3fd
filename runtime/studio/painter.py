"""Pictures of recipes: the key=value of ``python -m runtime.run``, as the page sends them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from .. import arguments
from ..arguments import Request
from ..edits import SUFFIXES as DIRECTION_SUFFIXES
from ..errors import UsageError
from ..modes import check_channels
from ..pictures import Picture, encoded
from ..recipe import PREFIX, recipe
from ..renderer import Renderer, Shot
from ..seeds import W_AVG, Seed
from .shelf import Shelf

KEYS = (
    *("mode", "seeds", "styles", "weight", "blend", "trunc", "cutoff", "noise", "noise_seed", "noise_strength"),
    *("rotate", "translate", "zoom", "move", "move_styles", "edit", "layers", "class"),
)
"""What a recipe may say, in the order in which its command says it."""
LONGEST = 1000
"""Characters of a value."""
SEED_SUFFIXES = (".bin", ".npz", ".npy")
BENEATH = "beneath the directory that the studio was started in"


@dataclass(frozen=True)
class Painted:
    """A picture, uint8 [H, W, C], the chunks of its PNG, and the seconds that the networks took."""

    picture: Picture
    text: dict[str, str]
    seconds: float
    digest: str

    @property
    def command(self) -> str:
        return self.text[PREFIX + "command"]

    def png(self) -> bytes:
        """The bytes of the file that the command writes."""
        return encoded(self.picture, ".png", self.text)


def read_recipe(model: str, wanted: Mapping[str, str]) -> Request:
    """Raises UsageError for what is no recipe of one picture, and for seeds that are files elsewhere."""
    if "seeds" in wanted and not 0 < len(wanted["seeds"]) <= LONGEST:
        raise UsageError("seeds= is too long", expected=f"at most {LONGEST} characters")
    words = [f"{key}={wanted[key]}" for key in KEYS if key in wanted]
    request = arguments.parse([words[0], f"model={model}", *words[1:], "-q"] if words else ["-q"])
    if request.mode not in ("image", "mix"):
        raise UsageError(
            "the page shows single pictures", expected="mode=image or mode=mix", got=f"mode={request.mode}"
        )
    if request.mode == "image" and len(request.seeds) != 1:
        raise UsageError("mode=image on the page has one seed", got=str(len(request.seeds)))
    check_files(request)
    return request


def check_files(request: Request) -> None:
    """Raises UsageError for seeds and directions that are files elsewhere than beneath the working directory."""
    for seed in request.seeds:
        check_seed(seed)
    for edit in request.edit or []:
        check_directions(edit.path)


def check_directions(name: str) -> None:
    """Raises UsageError for a file that is not beneath the working directory."""
    if not _is_beneath(name, DIRECTION_SUFFIXES):
        raise UsageError("no such directions here", expected=f"a file {BENEATH}", got=repr(name[:100]))


def check_seed(seed: Seed) -> None:
    """Raises UsageError for a file that is not beneath the working directory."""
    if seed.number is not None or seed.text == W_AVG:
        return
    if not _is_beneath(seed.text, SEED_SUFFIXES):
        expected = f"a number, {W_AVG}, or a file {BENEATH}"
        raise UsageError("no such seed here", expected=expected, got=repr(seed.text[:100]))


def _is_beneath(name: str, suffixes: Collection[str]) -> bool:
    path = PurePath(name)
    plain = not path.is_absolute() and ".." not in path.parts and path.suffix.lower() in suffixes and "\0" not in name
    return plain and Path(name).resolve().is_relative_to(Path.cwd().resolve())


def paint(shelf: Shelf, model: str, wanted: Mapping[str, str], early: bool = False) -> Painted:
    """early: a smaller picture, which is there sooner, where the network allows one. Raises NcnnError for all that is
    wrong."""
    request = read_recipe(model, wanted)
    loaded = shelf.load(model)
    check_channels(loaded.manifest, ".png")
    begun = time.perf_counter()
    renderer = Renderer(request, loaded.manifest, request.seeds, 1, loaded.model)
    mixed = request.mode == "mix"
    shot = renderer.mixed(request.seeds) if mixed else Shot(0, renderer.style(request.seeds[0]))
    level = shelf.previews.choose(loaded.manifest) if early else None
    picture = renderer.early(shot, level[1]) if level else next(renderer.pictures([shot]))
    seconds = time.perf_counter() - begun
    shelf.previews.took(loaded.manifest, level[0] if level else 0, seconds)
    said = (model, *sorted(wanted.items()))
    if level:
        picture = shelf.previews.early(loaded.manifest, said, picture)
    else:
        shelf.previews.whole(loaded.manifest, said, picture)
    return Painted(picture, recipe(request, loaded.manifest, renderer), seconds, loaded.manifest.digest)


def reduced(picture: Picture, size: int) -> Picture:
    """No side longer than `size`, for thumbnails."""
    from PIL import Image

    height, width, channels = picture.shape
    if max(height, width) <= size:
        return picture
    image = Image.fromarray(picture[:, :, 0] if channels == 1 else picture)
    image.thumbnail((size, size), Image.Resampling.BOX)
    small: Picture = np.asarray(image, np.uint8).reshape(image.height, image.width, channels)
    return small
