"""Any pictures as a data set: square, of one size and kind, numbered."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from runtime.errors import NcnnError
from runtime.stopping import check_stop
from stylegan.dataset.archive import Label, check_out, encoded, writing
from stylegan.dataset.job import Job, converted_shards
from stylegan.dataset.picture_files import MODES, PictureError, converted, kind, open_picture
from stylegan.dataset.sizes import first_block
from stylegan.dataset.source import Source, reason_of
from stylegan.errors import DatasetError

CROPS = ("center", "center-wide", "rectangle")
LABELS = ("auto", "none", "folders")


@dataclass(frozen=True)
class Settings:
    """What becomes of a picture.

    resolution: (width, height), None leaves the size as it is.
    crop: "center" takes the middle with the proportions of the resolution; "center-wide" likewise, for a width above
    the height, and puts it between black bars into a square of the width; "rectangle" as "center", of a resolution that
    is none; None: pictures that are not of these proportions are refused.
    channels: 1, 3, 4, or None for 1 where all are grey, else 3.
    labels: "auto" those of the source's dataset.json, "folders" a class for each folder at the top, in the order of
    their names, "none".
    max_size: of the pictures only so many, the first. Raises DatasetError.
    """

    resolution: tuple[int, int] | None = None
    crop: str | None = None
    channels: int | None = None
    labels: str = "auto"
    max_size: int | None = None

    def __post_init__(self) -> None:
        if self.crop is not None and self.crop not in CROPS:
            raise DatasetError(f"--crop {self.crop}: expected {' or '.join(CROPS)}")
        if self.channels is not None and self.channels not in MODES:
            raise DatasetError(f"--channels {self.channels}: expected 1, 3 or 4")
        if self.max_size is not None and self.max_size < 1:
            raise DatasetError(f"--max-size {self.max_size}: expected 1 or more")
        if self.crop is not None and self.resolution is None:
            raise DatasetError(f"--crop {self.crop} wants --resolution too, such as --resolution 256x256")
        if self.resolution is None:
            return
        width, height = self.resolution
        if self.crop == "center-wide" and not height < width:
            raise DatasetError(f"--resolution {width}x{height}: --crop center-wide wants more width than height")
        if self.crop == "rectangle":
            if first_block(width, height) is None:
                raise DatasetError(
                    f"--resolution {width}x{height}: no network makes such pictures: expected a rectangle of less than "
                    "8 pixels a side, doubled until it is so large, such as 256x512 (2x4) or 384x256 (6x4)"
                )
            return
        if self.crop != "center-wide" and width != height:
            raise DatasetError(
                f"--resolution {width}x{height}: networks make squares, expected such as {width}x{width}, or "
                "--crop center-wide, or --crop rectangle for one that makes rectangles"
            )
        if width < 4 or width & (width - 1) or height < 1:
            raise DatasetError(f"--resolution {width}x{height}: networks need a power of two, 4 or more, such as 256")


@dataclass
class Report:
    """What was written: pictures, their (width, height), channels; names with what befell them, each as one phrase."""

    count: int = 0
    resolution: tuple[int, int] = (0, 0)
    channels: int = 3
    left_out: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def convert(
    source: Source, out: Path, settings: Settings, workers: int | None = 1, quiet: bool = True, ray: str | None = None
) -> Report:
    """Write a data set, OUT.zip or a folder; it appears whole or not at all.

    workers: processes; with ray, the address of a Ray cluster whose machines all see the source and `out` at the same
    places, shards at the same time there, None for one on each of its cores. What was stopped, or killed, goes on where
    it was when the same is asked for again. Pictures that cannot be read are left out, and told. All of wrong size are
    listed in one error before anything is converted. The order is that of the names. Raises DatasetError.
    """
    check_out(out)
    labels = _labels(source, settings.labels)
    names = source.names[: settings.max_size]
    sizes, report = _kinds(source, names, settings, quiet)
    _check_sizes(source, sizes, settings)
    report.channels = settings.channels or max(min(channels, 3) for _, channels in sizes.values())

    work = PngOf(settings.resolution, settings.crop, report.channels)
    job = Job(source, list(sizes), work, repr(work), out.with_name(f".{out.name}.parts"))

    def watch(counts: Iterator[int], total: int, done: int) -> Iterator[int]:
        yield from tqdm(counts, total=total, initial=done, desc=out.name, unit="picture", disable=quiet or None)

    try:
        with converted_shards(job, workers, watch, ray), writing(out) as archive:
            for shard in job.shards:
                for name, result in job.results(shard):
                    check_stop()
                    if isinstance(result, str):
                        report.left_out.append(result)
                        continue
                    archive.add(result, None if labels is None else labels[name])
                    if sizes[name][1] != report.channels:
                        report.changed.append(f"{name}: {_KINDS[sizes[name][1]]} made {_KINDS[report.channels]}")
                job.drop(shard)
            report.count = len(archive)
            if not report.count:
                raise _none_left(source, report)
    except OSError as error:
        raise DatasetError(f"{out}: cannot be written: {error.strerror or error}") from None
    except (NcnnError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{out}: {error}") from None
    first = next(iter(sizes.values()))[0]
    report.resolution = settings.resolution or first
    if settings.crop == "center-wide":
        report.resolution = (report.resolution[0], report.resolution[0])
    return report


@dataclass(frozen=True)
class PngOf:
    """What is made of a picture: its PNG, or why there is none."""

    resolution: tuple[int, int] | None
    crop: str | None
    channels: int

    def __call__(self, source: Source, name: str) -> bytes | str:
        try:
            with source.open(name) as file:
                picture = converted(open_picture(file), MODES[self.channels])
            return encoded(fitted(picture, self.resolution, self.crop))
        except Exception as error:  # of the picture, of the zip, of the disk
            return f"{name}: {error if isinstance(error, PictureError) else reason_of(error)}"


_KINDS = {1: "grey", 3: "colour", 4: "transparent"}
Kinds = dict[str, tuple[tuple[int, int], int]]


def _labels(source: Source, said: str) -> dict[str, Label] | None:
    if said == "auto":
        return source.labels()
    if said == "none":
        return None
    if said != "folders":
        raise DatasetError(f"--labels {said}: expected {' or '.join(LABELS)}")
    loose = [name for name in source.names if "/" not in name]
    if loose:
        raise DatasetError(f"--labels folders: {source.path} has pictures that are in no folder, such as {loose[0]}")
    folders = {folder: number for number, folder in enumerate(sorted({name.split("/")[0] for name in source.names}))}
    return {name: folders[name.split("/")[0]] for name in source.names}


def _kinds(source: Source, names: list[str], settings: Settings, quiet: bool) -> tuple[Kinds, Report]:
    """Size and channels of every picture whose first bytes can be read; the others are left out."""
    found: Kinds = {}
    report = Report()
    for name in tqdm(names, desc="looking", unit="picture", disable=quiet or None, leave=False):
        check_stop()
        try:
            with source.open(name) as file:
                found[name] = kind(file)
        except Exception as error:  # of the picture, of the zip, of the disk
            report.left_out.append(f"{name}: {error if isinstance(error, PictureError) else reason_of(error)}")
    if not found:
        raise _none_left(source, report)
    return found, report


def _check_sizes(source: Source, sizes: Kinds, settings: Settings) -> None:
    if settings.crop is not None:
        return
    first, ((width, _), _) = next(iter(sizes.items()))
    faults = [f"{name}: {w}x{h} is not square" for name, ((w, h), _) in sizes.items() if w != h]
    if settings.resolution is None:
        others = [(name, w) for name, ((w, h), _) in sizes.items() if w == h != width]
        faults += [f"{name}: {w}x{w}, but {first} has {width}x{width}" for name, w in others]
        if not faults and (width < 4 or width & (width - 1)):
            faults = [f"all: networks need a power of two, these are {width}x{width}"]
    if faults:
        fix = "--crop center takes their middle" if settings.resolution else "--resolution 256x256 makes them equal"
        raise DatasetError(f"data {source.path}: pictures of wrong size ({fix}):\n  " + "\n  ".join(faults))


def _none_left(source: Source, report: Report) -> DatasetError:
    return DatasetError(f"data {source.path}: no picture can be used:\n  " + "\n  ".join(report.left_out))


def fitted(picture: Image.Image, resolution: tuple[int, int] | None, crop: str | None) -> npt.NDArray[np.uint8]:
    """[H, W, C], as Settings says it; resized by Lanczos."""
    channels = len(picture.getbands())
    if resolution is not None:
        width, height = resolution
        if crop is not None:
            scale = min(picture.width / width, picture.height / height)  # of what is taken
            w, h = max(1, round(width * scale)), max(1, round(height * scale))
            left, top = (picture.width - w) // 2, (picture.height - h) // 2
            picture = picture.crop((left, top, left + w, top + h))
        if picture.size != resolution:
            picture = picture.resize(resolution, Image.Resampling.LANCZOS)
        if crop == "center-wide":
            square = Image.new(picture.mode, (width, width))
            square.paste(picture, (0, (width - height) // 2))
            picture = square
    return np.array(picture, np.uint8).reshape(picture.height, picture.width, channels)
