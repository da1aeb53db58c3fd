"""StyleGAN3: the networks that are for others to use."""

from __future__ import annotations

from stylegan.networks.v3 import Generator, MappingNetwork, SynthesisNetwork

__all__ = ["Generator", "MappingNetwork", "SynthesisNetwork"]
