"""What each mode makes. A mode looks at everything that can be wrong before it computes anything."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from .arguments import Request
from .errors import UsageError
from .files import check_directory, check_file
from .films.camera import Camera, read_script
from .films.course import course, frames_of_course
from .films.frames import FrameDirectory, Ledger, PartialVideo, fill
from .films.journey import Journey, frame_count
from .films.keyframes import film_seeds
from .films.video import ENCODINGS, GIF, MOST_GIF_FPS, VIDEO_SUFFIXES, import_av
from .manifest import SHIPPED, Manifest, is_manifest, load_manifest
from .pictures import PICTURE_SUFFIXES, SUFFIXES_WITHOUT_ALPHA, Picture, save_picture, tiled
from .progress import progress
from .recipe import PREFIX, read_recipe, recipe, show
from .renderer import Renderer, Shot
from .seeds import W_AVG, Seed
from .strangers import printable
from .values import FloatArray


def image(request: Request) -> Path:
    """Pictures of seeds: one file, a file each in a directory, or a table."""
    seeds, out = request.seeds, request.out
    if request.grid:
        return _table_of_seeds(request)
    if out is None:
        out = "images/" if len(seeds) > 1 else "image.png"
    if len(seeds) > 1 and Path(out).suffix.lower() in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES):
        expected = "a directory, or grid= for one picture of all"
        raise UsageError(f"out={out} is one file, and there are {len(seeds)} seeds", expected=expected)
    if len(seeds) == 1 and not _is_directory(out):
        return _one_picture(request, seeds[0], out)
    directory = check_directory(out)
    manifest = choose_model(request, ".png")
    renderer = Renderer(request, manifest, seeds, len(seeds))
    shots = (Shot(i, renderer.style(seed)) for i, seed in enumerate(seeds))
    names = _names(seeds)
    pictures = progress(renderer.pictures(shots), len(seeds), str(directory), "picture", request.quiet)
    for i, (name, picture) in enumerate(zip(names, pictures, strict=True)):
        directory.mkdir(exist_ok=True)
        text = recipe(request, manifest, renderer, seeds=seeds[i : i + 1], number=i)
        save_picture(directory / name, picture, text)
    return directory / names[0] if len(seeds) == 1 else directory


def w_avg(request: Request) -> Path:
    """The picture of the mean style."""
    return _one_picture(request, Seed(W_AVG), request.out or "w_avg.png")


def _one_picture(request: Request, seed: Seed, out: str) -> Path:
    path = check_file(out, PICTURE_SUFFIXES)
    manifest = choose_model(request, path.suffix)
    renderer = Renderer(request, manifest, [seed], 1)
    picture = next(renderer.pictures([Shot(0, renderer.style(seed))]))
    save_picture(path, picture, recipe(request, manifest, renderer))
    return path


def _table_of_seeds(request: Request) -> Path:
    path = check_file(request.out or "grid.png", PICTURE_SUFFIXES)
    manifest = choose_model(request, path.suffix)
    columns, rows = request.grid or (1, 1)
    renderer = Renderer(request, manifest, request.seeds, len(request.seeds))
    shots = (Shot(i, renderer.style(seed)) for i, seed in enumerate(request.seeds))
    pictures = progress(renderer.pictures(shots), len(request.seeds), path.name, "picture", request.quiet)
    save_picture(path, tiled(pictures, rows, columns), recipe(request, manifest, renderer))
    return path


def grid(request: Request) -> Path:
    """The style-mixing table: above it the seeds of the columns, left of it those of the rows.

    The picture of a row and a column is the row's seed, with the chosen styles of the column's.
    """
    path = check_file(request.out or "grid.png", PICTURE_SUFFIXES)
    manifest = choose_model(request, path.suffix)
    rows, cols = request.rows, request.cols
    total = (len(rows) + 1) * (len(cols) + 1) - 1
    renderer = Renderer(request, manifest, [*rows, *cols], total)
    mixing = renderer.mixing()
    tops = [renderer.style(seed) for seed in cols]

    def styles() -> Iterator[tuple[FloatArray, FloatArray | None, list[float] | None]]:
        yield from ((top, None, None) for top in tops)
        for left in map(renderer.style, rows):
            yield left, None, None
            yield from ((left, top, mixing) for top in tops)

    shots = (Shot(i, *chosen) for i, chosen in enumerate(styles()))
    pictures = progress(renderer.pictures(shots), total, path.name, "picture", request.quiet)
    picture = tiled(pictures, len(rows) + 1, len(cols) + 1, first=1)  # nothing stands in the corner
    save_picture(path, picture, recipe(request, manifest, renderer))
    return path


def mix(request: Request) -> Path:
    """The first seed with chosen styles of the second, or what blend= says of several."""
    path = check_file(request.out or "mix.png", PICTURE_SUFFIXES)
    manifest = choose_model(request, path.suffix)
    renderer = Renderer(request, manifest, request.seeds, 1)
    picture = next(renderer.pictures([renderer.mixed(request.seeds)]))
    save_picture(path, picture, recipe(request, manifest, renderer))
    return path


def a2b(request: Request) -> Path:
    """A video, or its frames in a directory; goes on where it was stopped."""
    out = _moving_out(request, "a2b.mp4")
    manifest = choose_model(request, out.kind)
    seeds = [*request.seeds, *([request.mix] if request.mix else [])]
    total = frame_count(len(request.stops or request.seeds), request.frames, request.loop)
    camera = None if request.script is None else read_script(request.script, total, request.fps)
    renderer = Renderer(request, manifest, seeds, total)
    if request.stops:
        stops = [renderer.blended(request.seeds, stop) for stop in request.stops]
    else:
        stops = renderer.styles(request.seeds)
    journey = Journey(stops, request.frames, request.loop, request.ease)
    mixed = renderer.style(request.mix) if request.mix else None
    mixing = renderer.mixing() if request.mix else None
    arrays = [*journey.stops, *([] if mixed is None else [mixed, np.array(mixing)])]
    key = _key(request, manifest, renderer, (journey.steps, journey.loop, journey.ease), arrays, camera)

    def pictures(frames: Sequence[int]) -> Iterator[Picture]:
        transforms = (None if camera is None else camera.transform(i) for i in frames)
        shots = (Shot(i, journey.style(i), mixed, mixing, t) for i, t in zip(frames, transforms, strict=True))
        return renderer.pictures(shots)

    return _moving(request, out, key, total, recipe(request, manifest, renderer), pictures)


def film(request: Request) -> Path:
    """A video of a table, each cell of which goes through key frames of its own; goes on where it was stopped.

    Source: gen_video.py of the official StyleGAN3, whose videos these are where path= is cubic and speed= even.
    """
    out = _moving_out(request, "film.mp4")
    manifest = choose_model(request, out.kind)
    columns, rows = request.grid or (1, 1)
    cells = film_seeds(request.seeds, columns * rows, request.keyframes, request.shuffle, request.walk)
    loop = request.loop or "loop" not in request.given
    speed = "constant" if request.walk is not None and "speed" not in request.given else request.speed
    total = frames_of_course(len(cells[0]), request.frames, loop)
    camera = None if request.script is None else read_script(request.script, total, request.fps)
    seeds = [seed for cell in cells for seed in cell]
    renderer = Renderer(request, manifest, seeds, total * len(cells))
    stops = np.stack(renderer.styles(seeds)).reshape(len(cells), len(cells[0]), -1, manifest.w_dim)
    stops = stops[:, :, 0] if stops.shape[2] == 1 else stops
    courses = [course(of, request.frames, loop, request.path, speed) for of in stops]
    settings = (request.frames, loop, request.path, speed, columns, rows)
    key = _key(request, manifest, renderer, settings, [stops], camera)

    def pictures(frames: Sequence[int]) -> Iterator[Picture]:
        def shots() -> Iterator[Shot]:
            for i in frames:
                transform = None if camera is None else camera.transform(i)
                for place, of in enumerate(courses):
                    yield Shot(i * len(courses) + place, of.style(i), transform=transform)

        made = renderer.pictures(shots())
        return (tiled(islice(made, len(courses)), rows, columns) for _ in frames)

    return _moving(request, out, key, total, recipe(request, manifest, renderer), pictures)


@dataclass(frozen=True)
class _Out:
    """Where a video goes. kind: the suffix of its file, or of the frames in a directory."""

    written: str
    path: Path
    in_directory: bool

    @property
    def kind(self) -> str:
        return ".png" if self.in_directory else self.path.suffix


def _moving_out(request: Request, name: str) -> _Out:
    out = request.out or name
    in_directory = not Path(out).suffix or _is_directory(out)
    path = check_directory(out) if in_directory else check_file(out, VIDEO_SUFFIXES)
    if not in_directory:
        import_av()
        if ENCODINGS[path.suffix.lower()] is GIF and request.fps > MOST_GIF_FPS:
            raise UsageError("fps= is too large for a GIF", expected=f"1 to {MOST_GIF_FPS}", got=request.given["fps"])
    return _Out(out, path, in_directory)


def _moving(
    request: Request,
    out: _Out,
    key: str,
    total: int,
    text: dict[str, str],
    pictures: Callable[[Sequence[int]], Iterator[Picture]],
) -> Path:
    """Makes the frames that are missing. pictures: numbers of frames -> these."""
    ledger = Ledger(key, total, f"{text[PREFIX + 'command']} out={out.written}")
    store: FrameDirectory | PartialVideo
    if out.in_directory:
        store = FrameDirectory(out.path, ledger, lambda i: {**text, PREFIX + "frame": f"{i} of {total}"})
    else:
        store = PartialVideo(out.path, ledger, request.fps)
    missing = store.missing
    if len(missing) < total and not request.quiet:
        print(f"{total - len(missing)} of {total} frames are there already", file=sys.stderr)
    made = progress(pictures(missing), total, out.path.name, "frame", request.quiet, total - len(missing))
    fill(store, made, total)
    return out.path


def _key(
    request: Request,
    manifest: Manifest,
    renderer: Renderer,
    steps: tuple[object, ...],
    arrays: Iterable[FloatArray],
    camera: Camera | None,
) -> str:
    """A hash of all that the frames depend on."""
    settings = (
        manifest.digest,
        *(*steps, str(request.fps)),
        *(renderer.noise, renderer.noise_seed(0), request.noise_strength, request.rotate, request.translate),
        *(() if request.zoom is None else (request.zoom,)),
        *(() if request.move is None else (request.given["move"], request.given.get("move_styles"))),
        *(() if request.edit is None else (request.given["edit"], renderer.edit_sha256, request.given.get("layers"))),
        *(() if camera is None else (camera.digest,)),
    )
    digest = hashlib.sha256(repr(settings).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def info(request: Request) -> str:
    """What pictures say of themselves. Raises UsageError for the first that says nothing."""
    return "\n\n".join(show(read_recipe(path)) for path in request.files)


PAINTERS: dict[str, Callable[[Request], Path]] = {
    "image": image,
    "grid": grid,
    "mix": mix,
    "a2b": a2b,
    "film": film,
    "w_avg": w_avg,
}


def _is_directory(out: str) -> bool:
    return out.endswith(("/", "\\")) or Path(out).is_dir()


def _names(seeds: list[Seed]) -> list[str]:
    """seed0085.png, 458.png ...; a name that comes again gets a number."""
    names: list[str] = []
    taken: dict[str, int] = {}
    for seed in seeds:
        again = taken[seed.stem] = taken.get(seed.stem, 0) + 1
        names.append(f"{seed.stem}.png" if again == 1 else f"{seed.stem}-{again}.png")
    return names


def choose_model(request: Request, suffix: str) -> Manifest:
    """The manifest of model=, or the newest one here. Raises UsageError where its pictures cannot be written so."""
    manifest = load_manifest(request.model or newest_model(Path.cwd()))
    shipped = manifest.path.parent == SHIPPED
    if (request.model is None or shipped) and not request.quiet:
        origin = ", which comes with the package" if shipped else ""
        print(printable(f"model: {manifest.path.name}{origin}", keep=""), file=sys.stderr)
    check_channels(manifest, suffix)
    return manifest


def check_channels(manifest: Manifest, suffix: str) -> None:
    """Raises UsageError where its pictures cannot be written so."""
    channels = manifest.img_channels
    if channels not in (1, 3, 4) or (suffix.lower() in VIDEO_SUFFIXES and channels == 4):
        raise UsageError(f"pictures of {channels} channels cannot be written as {suffix}")
    if channels == 4 and suffix.lower() in SUFFIXES_WITHOUT_ALPHA:
        raise UsageError(f"pictures of 4 channels cannot be written as {suffix}", expected="out= with .png")


def newest_model(directory: Path) -> Path:
    """The manifest in `directory` that was written last. Raises UsageError when there is none."""
    found = [path for path in directory.glob("*.json") if is_manifest(path)]
    if not found:
        raise UsageError(
            f"there is no model in {directory}",
            fix="Export one here, or give model=PATH/NAME, or model=faces, which comes with the package",
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name))
