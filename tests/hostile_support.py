"""Small networks as valid files, and what is said of damaged ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from official_pickles import CODE_BASES, dumps, snapshot

from stylegan.checkpoints import checkpoint
from stylegan.errors import CheckpointError

KWARGS: dict[str, Any] = dict(
    z_dim=4,
    c_dim=0,
    w_dim=4,
    img_resolution=8,
    img_channels=1,
    mapping_kwargs=dict(num_layers=1),
    synthesis_kwargs=dict(channel_base=16, channel_max=2),
)
V3_KWARGS = {key: value for key, value in KWARGS.items() if key != "synthesis_kwargs"} | dict(
    img_resolution=16, channel_base=32, channel_max=2, num_layers=4
)
KINDS = {base: V3_KWARGS if family == "v3" else KWARGS for base, family in CODE_BASES.items()}


def network(base: str = "v2ada") -> checkpoint.Generator:
    family, kwargs = CODE_BASES[base], KINDS[base]
    return checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs), base)


def valid(base: str = "v2ada", protocol: int = 4) -> bytes:
    return dumps(snapshot(base, network(base), KINDS[base]), protocol)


def refusal(tmp_path: Path, data: bytes, name: str = "net.pkl") -> str:
    """What load says of it; its file's place is left out."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 2000
    return message.replace(str(tmp_path), "")


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()
