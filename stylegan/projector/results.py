"""What a projection leaves in its folder."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stylegan._torch import Tensor, torch
from stylegan.errors import ProjectionError
from stylegan.projector.optimise import Projector
from stylegan.projector.picture import to_uint8

STATE = "project.state.safetensors"
TUNED, DELTA = "tuned.png", "tuned.delta.safetensors"
STYLE, TARGET, PICTURE, REPORT, VIDEO = "projected_w.npz", "target.png", "projected.png", "project.json", "project.mp4"
MOST_FRAMES = 300

Picture = npt.NDArray[np.uint8]


def check_folder(out: Path) -> None:
    """Raise ProjectionError unless files can be written there; the folder itself need not exist yet."""
    folder = out
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell for root
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ProjectionError(f"--out {out}: cannot write there: {folder}: {reason}") from None


def picture_of(projector: Projector, w: Tensor) -> Picture:
    """Of a style [1 or num_ws, w_dim], with the network's own noise: [H, W, C]."""
    with torch.no_grad():
        return to_uint8(projector.picture(w[None])[0].cpu().numpy())


def psnr(picture: Tensor, target: Tensor) -> float:
    """In decibels, of numbers of 0..255; a picture shows no others."""
    square = float((picture.clamp(0, 255) - target).double().square().mean())
    return round(10 * math.log10(255**2 / max(square, 1e-10)), 3)


def style_file(w: Tensor, description: str) -> bytes:
    """The .npz: w [1, num_ws, w_dim], as of the official projector, and what distance it was found with."""
    data = io.BytesIO()
    np.savez(data, w=w[None].numpy(), distance=np.array(description))
    return data.getvalue()


# -- the video --------------------------------------------------------------------------------------------------
# The one arrow from here to `runtime`, and drawn only where a video is wanted: two writers of videos would be one too
# many, and a bundle is not involved.


def video_obstacle(channels: int) -> str:
    """Why there can be no video; empty where there can."""
    from runtime.errors import UsageError
    from runtime.films.video import import_av

    if channels == 4:
        return "pictures of 4 channels have no place in one"
    try:
        import_av()
    except UsageError as error:
        return str(error)
    return ""


def write_video(path: Path, frames: Iterable[Picture], fps: Fraction) -> None:
    """The file appears whole or not at all, whatever the frames raise."""
    from runtime.films import video

    video.write_video(path, fps, frames)


def frame_steps(steps: int) -> list[int]:
    """The steps that are shown: at most MOST_FRAMES at equal distances, and the last one."""
    return list(dict.fromkeys([*range(0, steps, math.ceil(steps / MOST_FRAMES)), steps - 1]))


def frames(projector: Projector, target: Picture, trajectory: Tensor) -> Iterator[Picture]:
    """The target, and beside it the picture of each of frame_steps()."""
    for step in frame_steps(len(trajectory)):
        yield np.concatenate([target, picture_of(projector, trajectory[step])], axis=1)
