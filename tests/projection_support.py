"""What the tests of the projection's command line share: a tiny network, a picture, networks of features."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan import project
from stylegan.checkpoints import download
from stylegan.errors import CheckpointError
from stylegan.networks.configs import CONFIGS, Config

KWARGS: dict[str, Any] = dict(
    z_dim=16,
    c_dim=0,
    w_dim=16,
    img_resolution=16,
    img_channels=3,
    mapping_kwargs=dict(num_layers=2),
    synthesis_kwargs=dict(channel_base=64, channel_max=8),
)
TINY = ("--cfg", "tiny", "--ckpt", "random:7", "--target", "cat.png")
QUICK = ("--features", "pixels", "--steps", "12", "--no-video")
FILES = {"projected_w.npz", "target.png", "projected.png", "project.json"}


def _no_network(url: str, dest_dir: Path, timeout: float = 10.0) -> Path:
    raise CheckpointError(f"cannot fetch {url}: no network")


def prepare(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A working directory with cat.png, an empty cache, no network, and the configurations of tiny networks."""
    patch.chdir(folder)
    patch.setenv("NCNN_BUILDER_CACHE", str(folder / "cache"))
    patch.setattr(download, "fetch", _no_network)
    more: dict[str, Any] = {
        "tiny": {},
        "labels": {"c_dim": 3},
        "alpha": {"img_channels": 4},
        "two": {"img_channels": 2},
    }
    for name, kwargs in more.items():
        patch.setitem(CONFIGS, name, Config(name, "v2ada", {**KWARGS, **kwargs}, None))
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((70, 50)).save("cat.png")


def command(*arguments: str) -> int:
    try:
        return project.main(arguments)
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def files(folder: str = "out") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()} if Path(folder).exists() else {}


def report(folder: str = "out") -> dict[str, Any]:
    said: dict[str, Any] = json.loads(Path(folder, "project.json").read_text())
    return said


class Features(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor, resize_images: bool = True, return_lpips: bool = False) -> torch.Tensor:
        if resize_images or not return_lpips:
            raise RuntimeError("called in another way")
        return self.layer(images / 255).flatten(1)


class Probabilities(Features):
    def forward(self, images: torch.Tensor, resize_images: bool = True, return_lpips: bool = False) -> torch.Tensor:
        return self.layer(images / 255)


class Cut(Features):
    def forward(self, images: torch.Tensor, resize_images: bool = True, return_lpips: bool = False) -> torch.Tensor:
        return self.layer(images.detach() / 255).flatten(1)


class Unofficial(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)


def scripted(network: torch.nn.Module, path: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(network).save(path)
    return path
