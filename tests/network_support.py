"""What the tests of whole networks share: small ones of every kind, the golden ones, their inputs and their taps."""

from __future__ import annotations

import copy
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from golden_files import load_golden
from parity_support import run_emitted

import ncnn_builder as nb
from stylegan.checkpoints import checkpoint
from stylegan.networks.configs import get_config

TARGETS = sorted(nb.TARGETS)
NETWORK_TOLERANCE = 1e-4  # the contract allows 1e-3; fp32 on both sides needs far less
GOLDENS = {
    "v2ada_skip_64": "v2ada",
    "v2ada_cond_32": "v2ada",
    "v2ada_resnet_32": "v2ada",
    "v2ada_orig_32": "v2ada",
    "v3_t_64": "v3",
    "v3_r_64": "v3",
    "v3_t_cond_32": "v3",
}

_V2ADA = dict(z_dim=16, c_dim=0, w_dim=24, img_resolution=16, img_channels=3)
_V3 = dict(z_dim=16, c_dim=0, w_dim=24, img_resolution=32, img_channels=3, channel_base=256, channel_max=20)
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "skip": ("v2ada", {**_V2ADA, "synthesis_kwargs": dict(channel_base=256, channel_max=20, conv_clamp=256)}),
    "resnet": ("v2ada", {**_V2ADA, "synthesis_kwargs": dict(channel_base=256, channel_max=20, architecture="resnet")}),
    "orig": (
        "v2ada",
        {
            **_V2ADA,
            "img_channels": 1,
            "synthesis_kwargs": dict(channel_base=128, channel_max=9, architecture="orig"),
        },
    ),
    "labels": (
        "v2ada",
        {**_V2ADA, "c_dim": 5, "synthesis_kwargs": dict(channel_base=256, channel_max=16, conv_clamp=0.5)},
    ),
    "no-noise": ("v2ada", {**_V2ADA, "synthesis_kwargs": dict(channel_base=256, channel_max=16, use_noise=False)}),
    "swish-1x1": (
        "v2ada",
        {**_V2ADA, "synthesis_kwargs": dict(channel_base=64, channel_max=8, activation="swish", kernel_size=1)},
    ),
    "tall": ("v2ada", {**_V2ADA, "synthesis_kwargs": dict(channel_base=64, channel_max=8, init_res=[4, 3])}),
    "labels-alone": (
        "v2ada",
        {
            **_V2ADA,
            **dict(z_dim=0, c_dim=5, img_resolution=8),
            "mapping_kwargs": dict(num_layers=0),
            "synthesis_kwargs": dict(channel_base=64, channel_max=8),
        },
    ),
    "three-taps": (
        "v2ada",
        {**_V2ADA, "synthesis_kwargs": dict(channel_base=64, channel_max=8, resample_filter=[1, 2, 1])},
    ),
    "nine-taps": (  # too many for one pass in two dimensions
        "v2ada",
        {
            **_V2ADA,
            "synthesis_kwargs": dict(
                channel_base=64,
                channel_max=8,
                architecture="resnet",
                resample_filter=[1, 2, 3, 4, 5, 4, 3, 2, 1],
            ),
        },
    ),
    "t": ("v3", _V3),
    "t-tall": ("v3", {**_V3, "num_layers": 4, "square": False, "channel_base": 64, "channel_max": 8}),
    "t-24": ("v3", {**_V3, "img_resolution": 24, "channel_base": 64, "channel_max": 8, "num_layers": 4}),
    "r": ("v3", {**_V3, "conv_kernel": 1, "use_radial_filters": True}),
    "s": ("v3", {**_V3, "channel_base": 64, "channel_max": 8}),  # the configuration s: t with few channels
    "t-labels": ("v3", {**_V3, "c_dim": 5, "img_channels": 1, "mapping_kwargs": dict(num_layers=3)}),
    "xl": (  # StyleGAN-XL: 8 pixels, then twice and twice as many; a table with more rows than there are classes
        "v3",
        {
            **_V3,
            **dict(c_dim=3, num_layers=4, channel_base=128, channel_max=16, heads=[[2, 3], [2, 4]]),
            "mapping_kwargs": dict(embed_features=7, embeddings=5),
        },
    ),
    "t-short": (
        "v3",
        {
            **_V3,
            "img_resolution": 64,
            "num_layers": 4,
            "num_critical": 1,
            "filter_size": 4,
            "lrelu_upsampling": 4,
            "margin_size": 3,
            "conv_clamp": 0.3,
            "output_scale": 1,
        },
    ),
    "t-plain": (
        "v3",
        {**_V3, "img_resolution": 16, "num_layers": 2, "num_critical": 1, "lrelu_upsampling": 1, "margin_size": 0},
    ),
    "t-wide": ("v3", {**_V3, "num_layers": 3, "conv_kernel": 4, "filter_size": 5, "img_channels": 4}),
    "r-clampless": (
        "v3",
        {
            **_V3,
            "num_layers": 3,
            "num_critical": 0,
            "conv_kernel": 1,
            "use_radial_filters": True,
            "conv_clamp": None,
            "filter_size": 3,
        },
    ),
}


def network(name: str) -> checkpoint.Generator:
    """One of NETWORKS with drawn weights; a copy, so that no test meets what another one did to it."""
    return copy.deepcopy(_network(name))


def golden_generator(name: str) -> checkpoint.Generator:
    """A copy too."""
    return copy.deepcopy(_golden_generator(name))


@cache
def _network(name: str) -> checkpoint.Generator:
    family, kwargs = NETWORKS[name]
    return checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs, seed=3), name)


@cache
def _golden_generator(name: str) -> checkpoint.Generator:
    golden = load_golden(name)
    return checkpoint.build_generator(GOLDENS[name], golden.meta["init_kwargs"], golden.group("state/"), name)


def latents(G: checkpoint.Generator, seed: int = 85) -> tuple[dict[str, Any], torch.Tensor]:
    """The mapping's inputs for ncnn, and ws [1, num_ws, w_dim] of torch for the same."""
    z = np.random.RandomState(seed).randn(1, G.z_dim).astype(np.float32)
    inputs: dict[str, Any] = (
        {"z": z[0], "coeff": np.ones(1, np.float32)} if G.z_dim else {"coeff": np.ones(1, np.float32)}
    )
    c = None
    if G.c_dim:
        c = torch.eye(G.c_dim)[seed % G.c_dim][None]
        inputs["c"] = c[0].numpy()
    with torch.no_grad():
        return inputs, G.mapping(torch.from_numpy(z), c)


@lru_cache(maxsize=2)  # for all tests of a configuration
def in_torch(cfg: str) -> tuple[checkpoint.Generator, dict[str, Any], torch.Tensor, np.ndarray]:
    """A network of full size that nobody may change, its mapping's inputs, their ws and its picture."""
    config = get_config(cfg)
    state = checkpoint.random_state(config.family, config.init_kwargs, 0)
    G = checkpoint.build_generator(config.family, config.init_kwargs, state, "random:0")
    inputs, ws = latents(G, 458)
    with torch.no_grad():
        return G, inputs, ws, G.synthesis(ws, noise_mode="const")[0].numpy()


def synthesis_inputs(G: checkpoint.Generator, ws: torch.Tensor) -> dict[str, Any]:
    w = ws[0].numpy()
    return {"ws0": w, "ws1": w, "mixing": np.zeros(G.num_ws, np.float32)}


def taps_on_ncnn(graph: nb.Graph, target: str, inputs: dict[str, Any], threads: int = 2) -> dict[str, Any]:
    """Every tap of the graph, in the order of computation, from the emitted model."""
    return taps_of(nb.compile_graph(graph, target), inputs, threads)


def taps_of(model: nb.EmittedModel, inputs: dict[str, Any], threads: int = 2) -> dict[str, Any]:
    """Likewise, of a model that is compiled."""
    blobs = run_emitted(model, inputs, list(dict.fromkeys(model.taps.values())), threads)
    return {path: blobs[blob] for path, blob in model.taps.items()}
