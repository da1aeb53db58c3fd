"""The generator of rosinality's stylegan2-pytorch, and of the many that took its code, as one of ours.

It is StyleGAN2 of configuration F with other names: the same formulas, layer by layer. Only the small number in the
demodulation stands beside weights that are scaled there, which changes a picture by less than float32 rounds.
Shapes are torch's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stylegan._torch import Tensor, torch
from stylegan.errors import CheckpointError
from stylegan.networks.functional import setup_filter
from stylegan.networks.layers import normalize_2nd_moment

STYLES = 10_000
"""How many styles w_avg is the mean of, where the file has none; rosinality's own generate.py takes 4096."""

MAX_SIZE = 1024
"""Of a noise plane that is made here: rosinality's code has no larger networks."""

_MAPPING = r"style\.(\d{1,3})\.(weight|bias)"
_LAYER = r"(conv1|convs\.\d{1,2})\."
_RGB = r"(to_rgb1|to_rgbs\.\d{1,2})\."
_PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}
_KERNEL = r".*\.(blur|upsample)\.kernel"


def converted(state: Mapping[str, Tensor], latent_avg: Tensor | None) -> tuple[dict[str, Tensor], list[str]]:
    """A state_dict of v2ada.Generator, and notes on what the file does not say.

    latent_avg: the mean style, [w_dim] or the same for each layer, where the file has it. Raises CheckpointError.
    """
    new: dict[str, Tensor] = {}
    unknown = []
    for key, value in state.items():
        name = _renamed(key)
        if name:
            new[name] = _reshaped(name, value)
        elif not re.fullmatch(_KERNEL, key):
            unknown.append(key)
    if unknown:
        raise CheckpointError(
            f"a generator of rosinality's stylegan2-pytorch with other layers: {', '.join(unknown[:8])}"
        )
    missing = [key for key in _expected(state) if key not in state]
    if missing:
        raise CheckpointError(
            f"a generator of rosinality's stylegan2-pytorch that is not whole: {len(missing)} tensors are missing: "
            f"{', '.join(missing[:8])}"
        )
    for name, kernel in _filters(state, new).items():
        new[name] = kernel
    notes = ["converted from the layout of rosinality's stylegan2-pytorch"]
    if not any(key.endswith(".noise_const") for key in new):
        sizes = _layers(new)
        new |= {f"{name}.noise_const": torch.zeros(size, size) for name, size in sizes.items() if size <= MAX_SIZE}
        notes.append("the file has no noise of its own: const noise is none")
    if latent_avg is not None and latent_avg.numel() and latent_avg.is_floating_point():
        w_avg = latent_avg.reshape(-1, latent_avg.shape[-1])
        if (w_avg == w_avg[0]).all():
            new["mapping.w_avg"] = w_avg[0].clone()
    if "mapping.w_avg" not in new:
        new["mapping.w_avg"] = _mean_style(new)
        notes.append(f"the file has no mean style: w_avg is the mean of {STYLES} styles, of seed 0")
    return new, notes


_DISCRIMINATOR = {
    "conv1.0.weight": "conv0.weight",
    "conv1.1.bias": "conv0.bias",
    "conv2.1.weight": "conv1.weight",
    "conv2.2.bias": "conv1.bias",
    "skip.1.weight": "skip.weight",
}
_LAST = {"final_conv.0": "conv", "final_conv.1": "conv", "final_linear.0": "fc", "final_linear.1": "out"}


def discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The discriminator's weights under our names, without the filters, which follow from the configuration."""
    blocks = {int(match[1]) for key in state if (match := re.match(r"convs\.(\d{1,2})\.conv1\.0\.weight$", key))}
    size = 4 << len(blocks)
    new = {}
    for key, value in state.items():
        if found := re.fullmatch(r"convs\.0\.[01]\.(weight|bias)", key):
            new[f"b{size}.fromrgb.{found[1]}"] = value
        elif (found := re.match(r"convs\.(\d{1,2})\.", key)) and (part := _DISCRIMINATOR.get(key[found.end() :])):
            new[f"b{(2 * size) >> int(found[1])}.{part}"] = value
        elif (found := re.fullmatch(r"(final_\w+\.[01])\.(weight|bias)", key)) and found[1] in _LAST:
            new[f"b4.{_LAST[found[1]]}.{found[2]}"] = value
    return new


def _expected(state: Mapping[str, Tensor]) -> list[str]:
    """The names of all weights of a generator with as many layers as there are."""

    def last(pattern: str) -> int:
        return max((int(match[1]) for key in state if (match := re.match(pattern, key))), default=-1)

    convs, rgbs = last(r"convs\.(\d{1,2})\."), last(r"to_rgbs\.(\d{1,2})\.")
    blocks = max((convs + 2) // 2, rgbs + 1)
    layers = ["conv1", *(f"convs.{i}" for i in range(2 * blocks))]
    parts = ["conv.weight", "conv.modulation.weight", "conv.modulation.bias"]
    return [
        *(
            f"style.{i}.{kind}"
            for i in range(1, max(1, last(r"style\.(\d{1,3})\.")) + 1)
            for kind in ("weight", "bias")
        ),
        "input.input",
        *(f"{layer}.{part}" for layer in layers for part in (*parts, "noise.weight", "activate.bias")),
        *(
            f"{rgb}.{part}"
            for rgb in ["to_rgb1", *(f"to_rgbs.{i}" for i in range(blocks))]
            for part in (*parts, "bias")
        ),
    ]


def _renamed(key: str) -> str | None:
    """Our name of its tensor; None where there is none."""
    if found := re.fullmatch(_MAPPING, key):
        return f"mapping.fc{int(found[1]) - 1}.{found[2]}"  # style.0 normalises z
    if key == "input.input":
        return "synthesis.b4.const"
    if found := re.fullmatch(r"noises\.noise_(\d{1,2})", key):
        return f"{_layer(int(found[1]))}.noise_const"
    if (found := re.match(_LAYER, key)) and (part := _PARTS.get(key[found.end() :])):
        index = 0 if found[1] == "conv1" else int(found[1].partition(".")[2]) + 1
        return f"{_layer(index)}.{part}"
    if (found := re.match(_RGB, key)) and (part := _PARTS.get(key[found.end() :])):
        index = 0 if found[1] == "to_rgb1" else int(found[1].partition(".")[2]) + 1
        return f"synthesis.b{4 << min(index, 20)}.torgb.{part}"
    return None


def _layer(index: int) -> str:
    """0 is the only one of 4x4; then two of each resolution."""
    return f"synthesis.b{4 << min((index + 1) // 2, 20)}.conv{(index + 1) % 2}"


def _reshaped(name: str, value: Tensor) -> Tensor:
    """Without the batch dimension that nearly every tensor has."""
    if name.endswith(".noise_strength") and value.numel() == 1:
        return value.reshape(())
    if name.endswith(".noise_const") and value.ndim == 4 and value.shape[:2] == (1, 1):
        return value[0, 0]
    if name.endswith(".torgb.bias"):
        return value.flatten()
    batched = 4 if name.endswith(".const") else 5
    return value[0] if value.ndim == batched and value.shape[0] == 1 else value


def _filters(state: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The resample_filter of every block and layer: the file's, which stands there times 4."""
    kernels = [value / 4 for key, value in state.items() if re.fullmatch(_KERNEL, key) and value.is_floating_point()]
    one = kernels[0] if kernels else setup_filter((1, 3, 3, 1))
    if any(kernel.shape != one.shape or not torch.allclose(kernel, one, atol=1e-6) for kernel in kernels):
        raise CheckpointError("a generator of rosinality's stylegan2-pytorch whose layers have different blur kernels")
    blocks = {match[1] for key in new if (match := re.match(r"(synthesis\.b\d+)\.", key))}
    return {f"{name}.resample_filter": one.clone() for name in sorted(blocks.union(_layers(new)))}


def _layers(new: Mapping[str, Tensor]) -> dict[str, int]:
    """The convolutions, and their resolutions."""
    found = (re.match(r"(synthesis\.b(\d{1,8})\.conv[01])\.weight$", key) for key in new)
    return {match[1]: int(match[2]) for match in found if match}


def _mean_style(new: Mapping[str, Tensor]) -> Tensor:
    """Of the mapping of `new`, which has no labels."""
    layers = sorted(
        (int(match[1]), match[0]) for key in new if (match := re.match(r"mapping\.fc(\d{1,4})(?=\.weight$)", key))
    )
    try:
        x = normalize_2nd_moment(torch.randn(STYLES, new["mapping.fc0.weight"].shape[1], generator=_generator()))
        for _, name in layers:
            weight, bias = new[f"{name}.weight"], new[f"{name}.bias"]
            x = torch.nn.functional.leaky_relu(x @ weight.t() * (0.01 / weight.shape[1] ** 0.5) + bias * 0.01, 0.2)
            x = x * 2**0.5
        return x.mean(dim=0)
    except (KeyError, IndexError, RuntimeError, ZeroDivisionError):
        raise CheckpointError("a generator of rosinality's stylegan2-pytorch whose mapping is not whole") from None


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
