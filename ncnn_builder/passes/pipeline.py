"""The way in under its first name; what it does stands in ncnn_builder/pipeline.py."""

from __future__ import annotations

from ncnn_builder.pipeline import lower_and_optimise

__all__ = ["lower_and_optimise"]
