"""Errors of this package. A command line catches StyleganError, prints its one sentence and exits with 2."""

from __future__ import annotations


class StyleganError(Exception):
    """Base of every error here that a user's input can cause."""


class TorchMissing(StyleganError, ImportError):
    """A module that computes with torch was imported where torch is not installed."""


class ConfigError(StyleganError, ValueError):
    """No configuration has the given name."""


class SeedError(StyleganError, ValueError):
    """A seed list cannot be understood."""


class CheckpointError(StyleganError):
    """A checkpoint cannot be fetched, read, or does not fit the network."""
