"""Random weights that show pictures and hide no faults, for trying things without a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stylegan._torch import Tensor, nn, torch
from stylegan.networks import v2ada, v3
from stylegan.networks.layers import FullyConnectedLayer
from stylegan.networks.v2ada_layers import SynthesisLayer, ToRGBLayer

Generator = v2ada.Generator | v3.Generator

GENERATORS: dict[str, type[Generator]] = {"v2ada": v2ada.Generator, "v3": v3.Generator}
"""Family -> its Generator class."""


def random_state(family: str, init_kwargs: Mapping[str, Any], seed: int = 0) -> dict[str, Tensor]:
    """The state_dict of a Generator with seeded random weights, for trying things without a checkpoint.

    The usual initialisation leaves noise and biases at zero and pictures far from -1..1, which would hide faults
    and show nothing. So: noise strengths and biases get a standard deviation of 0.1, w_avg is the mean over 1000
    latents, and the weights that make the picture are scaled (_scale_picture). Equal seeds give equal numbers; the
    global random state is left as it was.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        network = GENERATORS[family](**init_kwargs)
        _scale_picture(network)
        for module in network.modules():
            if isinstance(module, SynthesisLayer) and module.use_noise:
                module.noise_strength.add_(0.1 * torch.randn([]))
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                gain = module.bias_gain if isinstance(module, FullyConnectedLayer) else 1
                bias.add_(0.1 / gain * torch.randn(bias.shape))
        z = torch.randn(1000, network.z_dim)
        c = torch.eye(network.c_dim)[torch.randint(network.c_dim, [1000])] if network.c_dim else None
        if network.mapping.has_w_avg:
            network.mapping.w_avg.copy_(network.mapping.eval()(z, c)[:, 0].mean(dim=0))
    return dict(network.state_dict())


def _scale_picture(network: Generator) -> None:
    """Bring the picture's standard deviation to about 0.5.

    StyleGAN2: the torgb weights are scaled by 0.5 / sqrt(2 n), n the number of torgb layers: the second moment of
    each one's output is about 2, because E[style^2] = 2 and E[x^2] = 1 (0.2 to 0.7 were measured, by seed and size).
    StyleGAN3: features keep a standard deviation of 0.2 to 1 through all layers and the picture gets a quarter of
    it, so the last weight is scaled by 3 (0.1 to 0.9 were measured); magnitude_ema, 1 at first, gets values around.
    """
    if isinstance(network, v3.Generator):
        layers = [getattr(network.synthesis, name) for name in network.synthesis.layer_names]
        layers[-1].weight.mul_(3)
        for layer in layers:
            layer.magnitude_ema.add_(0.1 * torch.rand([]) - 0.05)
        return
    torgb = [m for m in network.modules() if isinstance(m, ToRGBLayer)]
    for layer in torgb:
        layer.weight.mul_(0.5 / (2 * len(torgb)) ** 0.5)
