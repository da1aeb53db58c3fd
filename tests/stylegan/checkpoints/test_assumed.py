"""A state_dict without keywords: what its tensors tell and contradict, and what is assumed and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from network_support import NETWORKS, network

from stylegan import v2ada, v3
from stylegan.checkpoints import checkpoint
from stylegan.checkpoints.checkpoint import load, load_for
from stylegan.checkpoints.infer import infer
from stylegan.errors import CheckpointError
from stylegan.networks.configs import CONFIGS


def test_other_constants_are_told_or_refused(tmp_path: Path) -> None:
    """Of a state_dict alone: what the tensors contradict is an error, what they do not tell is said."""
    path = tmp_path / "x.pt"
    torch.save(network("skip").state_dict(), path)
    assert (
        "conv_clamp 256, activation lrelu, activation lrelu of the mapping, lr_multiplier 0.01" in load(path).notes[-1]
    )
    assert "taken from configuration v2ada_32_custom" in load_for(CONFIGS["v2ada_32_custom"], path).notes[-1]
    kwargs = {**NETWORKS["t"][1], "channel_base": 4096}  # the channels, which follow from cutoffs too, are equal
    for change, said in (
        ({}, None),
        ({"first_cutoff": 2.2}, "synthesis.L0_36_20.up_filter is another filter"),
        ({"last_stopband_rel": 1.5}, "is another filter"),
    ):
        made = v3.Generator(**{**kwargs, **change})
        torch.save(made.state_dict(), path)
        if said is None:
            assert "output_scale 0.25" in load(path).notes[-1]
        else:
            with pytest.raises(CheckpointError, match=f"made with other constants than are assumed: .*{said}"):
                load(path)
    torch.save({key: value.half() for key, value in v3.Generator(**kwargs).state_dict().items()}, path)
    assert load(path).inferred  # rounded filters are the same


@pytest.mark.parametrize("taps", [[1, 2, 1], [1, 5, 10, 10, 5, 1], [1, 2, 3, 4, 4, 3, 2, 1], [[1, 2], [1, 3]]], ids=str)
def test_other_filters_are_inferred(taps: list[Any]) -> None:
    _, kwargs = NETWORKS["skip"]
    synthesis = {**kwargs["synthesis_kwargs"], "resample_filter": taps}
    made = v2ada.Generator(**{**kwargs, "synthesis_kwargs": synthesis})
    found, inferred = infer(made.state_dict())
    want = torch.tensor(taps) / torch.tensor(taps).sum()
    torch.testing.assert_close(torch.tensor(inferred["synthesis_kwargs"]["resample_filter"]), want)
    checkpoint.build_generator(found, inferred, made.state_dict(), "x")
