"""Generators from files: the functions that are for others to use."""

from __future__ import annotations

from stylegan.checkpoints.checkpoint import Checkpoint, build_generator, load, load_for, load_into, random_state

__all__ = ["Checkpoint", "build_generator", "load", "load_for", "load_into", "random_state"]
