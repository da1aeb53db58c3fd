"""What a checkpoint without keywords does not tell of its network: what its tensors contradict, and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stylegan._torch import Tensor

_TOLERANCE = 2e-3
"""Of the largest number: files of half precision round their filters too."""

_SYNTHESIS: dict[str, dict[str, Any]] = {
    "v2ada": {"conv_clamp": None, "activation": "lrelu"},
    "v3": {"conv_clamp": 256, "output_scale": 0.25, "margin_size": 10},
}
_MAPPING: dict[str, dict[str, Any]] = {
    "v2ada": {"activation": "lrelu", "lr_multiplier": 0.01},
    "v3": {"lr_multiplier": 0.01},
}
"""Keywords that no tensor tells of, with their defaults."""


def sentence(family: str, init_kwargs: Mapping[str, Any], config: str | None) -> str:
    """For the user. config: the configuration that init_kwargs are of; None: they were inferred."""
    synthesis = init_kwargs if family == "v3" else init_kwargs.get("synthesis_kwargs") or {}
    mapping = init_kwargs.get("mapping_kwargs") or {}
    said = [f"{key} {synthesis.get(key, value)}" for key, value in _SYNTHESIS[family].items()]
    said += [f"{key} {mapping.get(key, value)} of the mapping" for key, value in _MAPPING[family].items()]
    where = f"taken from configuration {config}" if config else "inferred from the shapes of its tensors"
    return (
        f"it does not say the keywords of its network: they are {where}; what no tensor tells is assumed to be "
        f"{', '.join(said)}"
    )


def contradictions(network: Any, state: Mapping[str, Tensor]) -> list[str]:
    """Filters and frequencies in the state that are not those of the Generator, whose keywords were assumed."""
    faults = []
    for key, own in network.state_dict().items():
        there = state.get(key)
        if there is None or there.shape != own.shape or not there.is_floating_point() or not there.numel():
            continue
        if key.endswith("_filter") and not _near(there, own):
            faults.append(f"{key} is another filter")
        if key.endswith("input.freqs"):
            bandwidth, most = network.synthesis.input.bandwidth, float(there.norm(dim=1).max())
            if not most <= bandwidth * (1 + _TOLERANCE):
                faults.append(f"{key} go up to {most:g}, more than first_cutoff {bandwidth:g}")
    return faults


def _near(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= _TOLERANCE * b.abs().max())
