"""Manifests of earlier formats: for each version what makes the next one of it.

None is ever taken out: bundles outlast the program that wrote them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .json_reader import Reader


def _from_1(old: Reader) -> dict[str, Any]:
    """Until November 2026. The noise was built in or left out; what was as usual went without saying."""
    new = {key: value for key, value in old.table.items() if key != "noise_mode"}
    if "noise" in old.table:
        raise old.bad("noise", "no such key in version 1", old.table["noise"])
    mode = old.text("noise_mode")
    if mode not in ("const", "none"):
        raise old.bad("noise_mode", "const or none", mode)
    new["noise"] = {"mode": mode, "planes": None, "layers": {}}
    new.setdefault("truncation", True)
    new.setdefault("transform", None)
    return new


MIGRATIONS: dict[int, Callable[[Reader], dict[str, Any]]] = {1: _from_1}
"""Version -> the manifest in the format of the next version. Raises BundleError."""


def migrated(manifest: Reader, version: int, latest: int) -> Reader:
    """The manifest in the format of `latest`. Raises BundleError where it is not of its version."""
    while version < latest:
        manifest = Reader(manifest.path, {**MIGRATIONS[version](manifest), "format_version": version + 1})
        version += 1
    return manifest
