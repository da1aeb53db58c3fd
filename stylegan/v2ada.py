"""StyleGAN2-ADA: the networks that are for others to use."""

from __future__ import annotations

from stylegan.networks.v2ada import ARCHITECTURES, Generator, MappingNetwork, SynthesisBlock, SynthesisNetwork

__all__ = ["ARCHITECTURES", "Generator", "MappingNetwork", "SynthesisBlock", "SynthesisNetwork"]
