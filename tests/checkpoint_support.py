"""Small networks as files, read again: what tests of files from elsewhere need."""

from __future__ import annotations

import decimal
import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan.checkpoints import checkpoint
from stylegan.errors import CheckpointError

SKIP: dict[str, Any] = {
    **dict(z_dim=8, c_dim=0, w_dim=8, img_resolution=16, img_channels=3, mapping_kwargs=dict(num_layers=2)),
    "synthesis_kwargs": dict(channel_base=64, channel_max=8),
}
LABELS: dict[str, Any] = {
    **SKIP,
    "c_dim": 3,
    "synthesis_kwargs": SKIP["synthesis_kwargs"] | {"architecture": "resnet", "conv_clamp": 4},
}


class Stranger:
    """Of a module that is there while the file is written, and would leave a trace when imported again."""

    def __init__(self) -> None:
        self.options, self.lr = {(0, 1): "a", 0.5: "b", "k": frozenset({1, "x"})}, decimal.Decimal("0.1")


@functools.cache
def made(labels: bool = False) -> checkpoint.Generator:
    kwargs = LABELS if labels else SKIP
    return checkpoint.build_generator("v2ada", kwargs, checkpoint.random_state("v2ada", kwargs, seed=2), "made")


def read(tmp_path: Path, content: Any, name: str = "net.pt", **options: Any) -> checkpoint.Checkpoint:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        torch.save(content, tmp_path / name)
    return checkpoint.load(tmp_path / name, **options)


def refusal(tmp_path: Path, content: Any, name: str = "net.pt", **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path, content, name, **options)
    return str(caught.value).replace(str(tmp_path), "")


def assert_same(found: checkpoint.Checkpoint, G: checkpoint.Generator, error: float = 0) -> None:
    """The same picture, of a generator that is built of what was found."""
    built = checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
    z, c = torch.randn(1, G.z_dim), torch.eye(max(1, G.c_dim))[:1, : G.c_dim]
    with torch.no_grad():
        a, b = (net(z, c, truncation_psi=0.5, noise_mode="const") for net in (G, built))
    assert (a - b).abs().max() <= error * a.abs().max()
