"""Errors of this package. A command line catches StyleganError, prints its one sentence and exits with 2."""

from __future__ import annotations


class StyleganError(Exception):
    """Base of every error here that a user's input can cause."""


class PackageMissing(StyleganError, ImportError):
    """An optional package that the work needs is not installed."""


class TorchMissing(PackageMissing):
    """A module that computes with torch was imported where torch is not installed."""


class ConfigError(StyleganError, ValueError):
    """No configuration has the given name."""


class SeedError(StyleganError, ValueError):
    """A seed list cannot be understood."""


class CheckpointError(StyleganError):
    """A checkpoint cannot be fetched, read, or does not fit the network."""


class NetworkMissing(CheckpointError):
    """A checkpoint has other networks than the one that is asked for."""


class ProjectionError(StyleganError):
    """A picture cannot be projected: the picture, the features, the settings or a saved state are not fit for it."""


class DatasetError(StyleganError):
    """A data set cannot be read or written: its pictures, labels or place are not fit for it."""


class MetricError(StyleganError):
    """A generator cannot be measured: the data, the features or the settings are not fit for it."""


class TrainingError(StyleganError):
    """A training cannot begin or go on: its settings, its folder or what was saved are not fit for it."""


def needs(module: str | None) -> str:
    """The sentence of PackageMissing; `module` is what could not be imported."""
    package = (module or "a package").partition(".")[0]
    return (
        f'stylegan needs {package}: pip install "ncnn-builder[stylegan]" (from a checkout: pip install ".[stylegan]")'
    )
