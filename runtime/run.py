"""The command line of the runtime: pictures, mixed pictures and videos from seed files."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .arguments import USAGE, Request, parse
from .errors import NcnnError, UsageError
from .manifest import is_manifest, load_manifest
from .model import Model, RandomWeightsWarning
from .net import FloatArray
from .pictures import SUFFIXES_WITHOUT_ALPHA, VideoWriter, check_out, import_av, save_picture, whole_file
from .seeds import read_latent


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C; SIGTERM exits with 143."""
    arguments = sys.argv[1:] if argv is None else argv
    if argv is None:  # a process of its own: SIGTERM unwinds, so that no temporary file is left
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if any(argument in ("-h", "--help", "help") for argument in arguments):
        print(USAGE, end="")
        return 0
    try:
        path = _carry_out(parse(arguments))
    except NcnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # the disk is full, a file vanished
        print(f"error: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: out of memory", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(path)
    return 0


def _carry_out(request: Request) -> Path:
    """Everything that can be wrong is looked at before anything is computed."""
    out = check_out(request.out, request.suffixes)
    if request.mode == "a2b":
        import_av()
    chosen = request.model or newest_model(Path.cwd())
    manifest = load_manifest(chosen)
    if request.model is None:
        print(f"model: {manifest.path.name}", file=sys.stderr)
    if manifest.img_channels not in (1, 3, 4) or (request.mode == "a2b" and manifest.img_channels == 4):
        raise UsageError(f"pictures of {manifest.img_channels} channels cannot be written as {out.suffix}")
    if manifest.img_channels == 4 and out.suffix.lower() in SUFFIXES_WITHOUT_ALPHA:
        raise UsageError(f"pictures of 4 channels cannot be written as {out.suffix}", expected="out= with .png")
    styles = request.chosen_styles(manifest.num_ws)
    transform = request.transform()
    if transform is not None and manifest.transform is None:
        raise UsageError(
            f"rotate= and translate= need the input 'transform', which {manifest.path.name} has not",
            fix="Export StyleGAN3 with --transform-input",
        )
    if request.cutoff is not None and request.cutoff > manifest.num_ws:
        raise UsageError("cutoff= is out of range", expected=f"0 to {manifest.num_ws}", got=str(request.cutoff))
    latents = [read_latent(seed, manifest) for seed in request.seeds]
    needs_label = request.label_class is not None or any(kind == "z" for kind, _ in latents)
    label = request.label(manifest.c_dim) if needs_label else None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)  # said below, in our words
        model = Model(chosen, threads=request.threads)
    if model.warning:
        print(f"warning: {model.warning}", file=sys.stderr)
    _check_noise(request, model)
    ws = [
        model.mapping(values, request.trunc, label, request.cutoff)
        if kind == "z"
        else model.truncate(values, request.trunc, request.cutoff)
        for kind, values in latents
    ]

    def image(number: int, *styles: Any) -> npt.NDArray[np.uint8]:
        """The picture number `number` of this request."""
        noise = request.noise or model.noise_choices[0]
        seed = ((request.noise_seed or 0) + number) % 2**32 if noise == "random" else None
        controls: dict[str, Any] = {"noise": noise, "noise_seed": seed, "noise_strength": request.noise_strength}
        return model.image(*styles, transform=transform, **controls)

    if request.mode == "image":
        save_picture(out, image(0, ws[0]))
    elif request.mode == "mix":
        mixing = [request.weight if i in styles else 0.0 for i in range(manifest.num_ws)]
        save_picture(out, image(0, ws[0], ws[1], mixing))
    else:
        shapes = {w.shape for w in ws}
        if len(shapes) > 1:  # styles of their own for each layer among others
            ws = [np.broadcast_to(w, (manifest.num_ws, manifest.w_dim)) for w in ws]
        _write_video(out, image, ws, request.frames, request.fps)
    return out


def _check_noise(request: Request, model: Model) -> None:
    """Said before anything is computed, and in the words of the command line."""
    choices = model.noise_choices
    if request.noise is not None and request.noise not in choices:
        raise UsageError(
            f"noise={request.noise} is not in this model",
            expected=" or ".join(f"noise={choice}" for choice in choices),
            fix="Export with --noise-mode input for const, random and none",
        )
    if request.noise_seed is not None and (request.noise or choices[0]) != "random":
        raise UsageError("noise_seed= is for random noise", expected="noise=random")
    if request.noise_strength != 1 and not model.manifest.noise.layers:
        raise UsageError(
            "noise_strength= cannot change this model's noise: it is built in", fix="Export with --noise-mode input"
        )


def _write_video(
    out: Path,
    image: Callable[[int, FloatArray], npt.NDArray[np.uint8]],
    ws: list[FloatArray],
    frames: int,
    fps: Fraction,
) -> None:
    """`frames` steps from each style to the next, straight in w, and the last style itself."""
    from tqdm import tqdm

    total = (len(ws) - 1) * frames + 1
    with whole_file(out) as temporary:
        video = VideoWriter(temporary, fps)
        finished = False
        try:
            for i in tqdm(range(total), desc=out.name, unit="frame", disable=not sys.stderr.isatty()):
                step, part = divmod(i, frames)
                after = ws[min(step + 1, len(ws) - 1)]
                video.add(image(i, ws[step] + np.float32(part / frames) * (after - ws[step])))
            finished = True
        finally:
            video.close(finished)


def newest_model(directory: Path) -> Path:
    """The manifest in `directory` that was written last. Raises UsageError when there is none."""
    found = [path for path in directory.glob("*.json") if is_manifest(path)]
    if not found:
        raise UsageError(
            f"there is no model in {directory}",
            fix="Export one here, or give model=PATH/NAME (--help tells more)",
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


if __name__ == "__main__":
    sys.exit(main())
