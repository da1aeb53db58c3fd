"""The static rewrites that the peers get are the same networks."""

from __future__ import annotations

import pytest
import torch
from network_support import NETWORKS, latents, network

from benchmarks.rewrite import StaticConv, static_form

# Upsampling by 1 without a filter, which no official network has, is not rewritten: "t-plain" has lrelu_upsampling 1.
NAMES = [name for name in NETWORKS if name != "t-plain"]


@pytest.mark.parametrize("up", ["transposed", "polyphase"])
@pytest.mark.parametrize("name", NAMES)
def test_static_form_equals_the_network(name: str, up: str) -> None:
    G = network(name)
    _, ws = latents(G)
    ws = ws + 0.1 * torch.randn(ws.shape, generator=torch.Generator().manual_seed(0))  # each layer its own style
    with torch.no_grad():
        expected = G.synthesis(ws, noise_mode="const")
        got = static_form(G, up)(ws)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_change_shows() -> None:
    """The comparison above would see a wrong noise plane."""
    G = network("skip")
    _, ws = latents(G)
    net = static_form(G)
    layer = next(m for m in net.modules() if isinstance(m, StaticConv) and m.noise is not None)
    layer.noise.mul_(-1)
    with torch.no_grad():
        expected = G.synthesis(ws, noise_mode="const")
        assert (net(ws) - expected).abs().max() > 1e-3 * expected.abs().max()


def test_unknown_form() -> None:
    with pytest.raises(ValueError, match="transposed or polyphase"):
        static_form(network("skip"), "other")
