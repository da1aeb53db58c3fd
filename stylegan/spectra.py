"""Average power spectra of pictures, as a picture: `python -m stylegan.spectra cats.zip cats.pkl --num 1000`.

Source: avg_spectra.py of the official StyleGAN3, and figure 6 of its paper (Karras et al. 2021), where a generator that
glues detail to pixels shows as lines and dots that photographs have not.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import ncnn_builder as nb
from runtime import stopping
from runtime.errors import NcnnError
from runtime.pictures import PICTURE_SUFFIXES
from stylegan import command_line
from stylegan.errors import MetricError

Plane = npt.NDArray[np.float64]
LEVELS = np.linspace(-40, 20, 13)
"""Of the heat maps, in dB."""
PLOTS = (*(s for s in PICTURE_SUFFIXES if s != ".bmp"), ".pdf", ".svg")


@dataclass(frozen=True)
class Spectrum:
    """power [S, S], S = image_size * interpolation, from frequency 0 on, as numpy.fft has it."""

    name: str
    power: Plane
    image_size: int

    def decibels(self, smooth: float = 0) -> Plane:
        """[S + 1, S + 1] with frequency 0 in the middle, smoothed by so many pixels of the picture."""
        found = np.fft.fftshift(10 * np.log10(np.maximum(self.power, 1e-30)))
        found = np.pad(found, ((0, 1), (0, 1)), mode="wrap")
        if smooth > 0:
            from scipy.ndimage import gaussian_filter

            sigma = len(self.power) / self.image_size * smooth
            found = gaussian_filter(found, sigma=sigma, mode="nearest")
        return np.asarray(found)


Pictures = Callable[[], Iterator[npt.NDArray[np.uint8]]]
"""uint8 [C, H, W], square and of one size; the same each time."""


def moments(pictures: Pictures) -> tuple[float, float]:
    """The mean and the standard deviation of all their values."""
    sums = np.zeros(3)
    for picture in pictures():
        stopping.check_stop()
        values = picture.astype(np.float64)
        sums += values.size, values.sum(), np.square(values).sum()
    mean = sums[1] / sums[0]
    return float(mean), float(np.sqrt(max(sums[2] / sums[0] - mean * mean, 0)))


def average_power(
    pictures: Pictures, mean: float, std: float, beta: float = 8, interp: int = 4
) -> tuple[Plane, int, int]:
    """The mean power of the pictures, whitened by mean and std, in a Kaiser window with beta; what white noise gives is
    1, which is 0 dB. Returns it with the side of a picture and their number. Raises MetricError where there is none."""
    total: Plane | None = None
    size = count = 0
    for picture in pictures():
        stopping.check_stop()
        if total is None:
            size = picture.shape[-1]
            window = np.kaiser(size, beta)
            window = np.outer(window, window) / np.square(window).sum()
            total = np.zeros((size * interp, size * interp))
        values = (picture.astype(np.float64) - mean) / std * window
        found = np.fft.fft2(values, s=total.shape)
        total += (np.square(found.real) + np.square(found.imag)).mean(axis=0)
        count += 1
    if total is None:
        raise MetricError("a spectrum needs a picture, got none")
    return total / count, size, count


def of_generator(path: str, num: int, seed: int) -> Pictures:
    """Of seeds from `seed` on, whose labels are drawn by chance as the official code does: a bundle (.json, which the
    ncnn runtime runs) or a checkpoint (torch). Raises StyleganError, NcnnError."""
    if Path(path).suffix.lower() == ".json":
        from runtime.model import Model

        model = Model(path)
        sizes = model.manifest.z_dim, model.manifest.c_dim

        def paint(z: npt.NDArray[np.float32], c: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
            w = model.mapping(z, c=c if sizes[1] else None)
            return np.asarray(model.image(w).transpose(2, 0, 1))
    else:
        from stylegan._torch import torch
        from stylegan.checkpoints import checkpoint

        loaded = checkpoint.load(path, "G_ema")
        G = checkpoint.build_generator(loaded.family, loaded.init_kwargs, loaded.state, loaded.source).eval()
        checkpoint.expect_square(G, loaded.source, "a spectrum")
        sizes = G.z_dim, G.c_dim

        def paint(z: npt.NDArray[np.float32], c: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
            with torch.no_grad():
                img = G(torch.from_numpy(z[None]), torch.from_numpy(c[None]), noise_mode="const")[0]
            return np.asarray((img * 127.5 + 128).clamp(0, 255).to(torch.uint8).numpy())

    def pictures() -> Iterator[npt.NDArray[np.uint8]]:
        for number in range(seed, seed + num):
            random = np.random.RandomState(number % 2**32)
            z, c = random.randn(sizes[0]).astype(np.float32), np.zeros(sizes[1], np.float32)
            if sizes[1]:
                c[random.randint(sizes[1])] = 1
            picture = paint(z, c)
            if picture.shape[1] != picture.shape[2]:
                raise MetricError(f"{path}: its pictures are not square: a spectrum takes square ones only")
            yield picture[:3]

    return pictures


def of_data(path: str, num: int | None, seed: int) -> Pictures:
    """A folder or zip as stylegan.dataset makes it. Raises DatasetError."""
    from stylegan.dataset.pictures import PictureDataset

    data = PictureDataset(path, max_size=num, seed=seed, labels=False)
    return lambda: (data.picture(i)[:3] for i in range(len(data)))


def read_npz(path: str) -> Spectrum:
    """As the official tool and this one write it. Raises MetricError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            power, size = np.asarray(file["spectrum"], np.float64), int(file["image_size"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise MetricError(f"{path}: no file of a spectrum: {error}") from None
    if power.ndim != 2 or power.shape[0] != power.shape[1] or size < 1 or power.shape[0] % size:
        raise MetricError(f"{path}: no file of a spectrum: spectrum {list(power.shape)}, image_size {size}")
    if not (np.isfinite(power).all() and (power >= 0).all()):
        raise MetricError(f"{path}: no file of a spectrum: it has values that are no power")
    return Spectrum(Path(path).stem, power, size)


def npz_bytes(spectrum: Spectrum) -> bytes:
    """What read_npz() reads."""
    file = io.BytesIO()
    np.savez(file, spectrum=spectrum.power, image_size=spectrum.image_size)
    return file.getvalue()


def draw(spectra: Sequence[Spectrum], smooth: float, dpi: float, suffix: str) -> bytes:
    """A heat map of each, and below the slices along an axis and along the diagonal of all. Raises MetricError."""
    try:
        import matplotlib
    except ImportError as error:
        fix = 'pip install matplotlib, or this project with its extra "plot"; --npz keeps the numbers without it'
        raise MetricError(f"a plot needs the package matplotlib: no {error.name}. {fix}") from None
    matplotlib.use("agg")  # no display
    from matplotlib import pyplot

    n = len(spectra)
    figure = pyplot.figure(figsize=(max(4.2 * n, 8.4), 7.6), dpi=dpi, layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False)[:, 0]
    for axes, found in zip(above.subplots(1, n, squeeze=False)[0], spectra, strict=True):
        half = found.image_size / 2
        ticks = np.linspace(-half, half, 5)
        frequencies = np.linspace(-half, half, len(found.power) + 1)
        map_ = axes.contourf(
            frequencies, frequencies, found.decibels(smooth), levels=LEVELS, extend="both", cmap="Blues"
        )
        axes.set(aspect="equal", xticks=ticks, yticks=ticks, title=found.name)
        above.colorbar(map_, ax=axes, ticks=LEVELS[::2], label="dB")
    for axes, (title, far, diagonal) in zip(
        below.subplots(1, 2), (("along an axis", 1.0, False), ("along the diagonal", 2**0.5, True)), strict=True
    ):
        for found in spectra:
            plane, middle = found.decibels(), len(found.power) // 2
            line = np.diagonal(plane)[middle:] if diagonal else plane[middle, middle:]
            axes.plot(np.linspace(0, found.image_size / 2 * far, len(line)), line, label=found.name, linewidth=1)
        axes.set(title=title, xlabel="cycles a picture", ylabel="dB", ylim=(-50, 30))
        axes.margins(x=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
    file = io.BytesIO()
    about: dict[str, Any] = {"metadata": {"Software": None}} if suffix == ".png" else {}
    figure.savefig(file, format=suffix[1:], **about)
    pyplot.close(figure)
    return file.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.spectra",
        description="Compare average power spectra of data and generators, as in the paper of StyleGAN3. A heat map of "
        "each and slices of all become one picture; the numbers, as the official tool has them, are kept with --npz.",
    )
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a folder or zip of square pictures; a checkpoint; a bundle's .json, which ncnn runs; or an .npz of "
        "before. Pictures are whitened by the first folder or zip",
    )
    add("--num", type=int, metavar="N", help="pictures of each (default: 1000 generated, all of the data)")
    add("--seed", type=int, default=0, metavar="N", help="the first seed; and which data (default %(default)s)")
    add("--mean", type=float, metavar="X", help="to whiten with, in place of those of the data")
    add("--std", type=float, metavar="X")
    add("--beta", type=float, default=8, metavar="X", help="of the Kaiser window (default %(default)s)")
    add("--interp", type=int, default=4, metavar="N", help="frequencies between two (default %(default)s)")
    add("--smooth", type=float, default=1.25, metavar="X", help="of the heat maps, in pixels (default %(default)s)")
    add("--dpi", type=float, default=100, metavar="X", help="of the picture (default %(default)s)")
    add("--npz", metavar="DIR", help="the spectra as files in this folder, SOURCE.npz")
    add("--out", default="spectra.png", metavar="FILE", help="also .pdf, .svg, or none (default %(default)s)")
    return parser


def _check(args: argparse.Namespace) -> None:
    for name, least, most in (
        *(("num", 1, 10**8), ("seed", 0, 2**32 - 1), ("std", 1e-9, 1e9), ("mean", -1e9, 1e9), ("beta", 0, 100)),
        *(("interp", 1, 16), ("smooth", 0, 1000), ("dpi", 10, 2000)),
    ):
        value = getattr(args, name)
        if value is not None and not least <= value <= most:
            raise MetricError(f"--{name} {value:g}: expected {least:g} to {most:g}")
    if (args.mean is None) != (args.std is None):
        raise MetricError("--mean and --std: expected both or none")
    if args.out != "none" and Path(args.out).suffix.lower() not in PLOTS:
        raise MetricError(f"--out {args.out}: expected the name of a picture ({', '.join(PLOTS)}), or none")
    if args.out == "none" and args.npz is None:
        raise MetricError("--out none: expected --npz, or nothing would come of it")
    if args.out != "none" and not Path(args.out).absolute().parent.is_dir():
        raise MetricError(f"--out {args.out}: there is no folder {Path(args.out).parent}")
    names = [Path(source).stem for source in args.sources]
    if len(set(names)) < len(names):
        raise MetricError(f"sources {', '.join(names)}: expected names that differ, as they stand in the picture")


def _is_data(source: str) -> bool:
    return os.path.isdir(source) or Path(source).suffix.lower() == ".zip"


def _spectra(args: argparse.Namespace) -> list[Spectrum]:
    pictures: dict[str, Pictures] = {}
    for source in args.sources:  # everything is looked at before anything is computed
        if _is_data(source):
            pictures[source] = of_data(source, args.num, args.seed)
        elif Path(source).suffix.lower() != ".npz":
            pictures[source] = of_generator(source, args.num or 1000, args.seed)
    there = {source: read_npz(source) for source in args.sources if source not in pictures}
    data = [source for source in args.sources if _is_data(source)]
    if pictures and args.mean is None and not data:
        raise MetricError("sources: expected a folder or zip of pictures, or --mean and --std of the data")
    mean, std = 0.0, 1.0
    if args.mean is not None:
        mean, std = args.mean, args.std
    elif pictures:
        mean, std = moments(pictures[data[0]])
    if not std > 0:
        raise MetricError(f"{data[0]}: its pictures are all of one colour: they have no spectrum")
    found = []
    for source in args.sources:
        if source in there:
            found.append(there[source])
            continue
        power, size, count = average_power(pictures[source], mean, std, args.beta, args.interp)
        found.append(Spectrum(Path(source).stem, power, size))
        print(f"{source}  {count} pictures of {size}x{size}, mean {mean:g}, std {std:g}")
    sizes = {spectrum.name: spectrum.power.shape[0] for spectrum in found}
    if len({(s.image_size, s.power.shape) for s in found}) > 1:
        raise MetricError(f"sources: expected spectra of one size, got {sizes}")
    return found


def _run(args: argparse.Namespace) -> None:
    _check(args)
    try:
        spectra = _spectra(args)
    except NcnnError as error:  # of a bundle
        raise MetricError(str(error)) from None
    files: dict[Path, list[bytes]] = {}
    if args.npz is not None:
        files = {Path(args.npz) / f"{spectrum.name}.npz": [npz_bytes(spectrum)] for spectrum in spectra}
    if args.out != "none":
        files[Path(args.out)] = [draw(spectra, args.smooth, args.dpi, Path(args.out).suffix.lower())]
    if args.npz is not None:
        Path(args.npz).mkdir(parents=True, exist_ok=True)
    nb.write_files(files)
    print("\n".join(f"written: {path}" for path in files))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one message for anything the user can mend."""
    args = _parser().parse_args(argv)
    if argv is None:
        stopping.unwind_on_sigterm()
    return command_line.exit_code("stylegan.spectra", lambda: _run(args))


if __name__ == "__main__":
    sys.exit(main())
