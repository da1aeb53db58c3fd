"""Manifests of earlier formats are read as what they mean, each version; what no exporter wrote is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import latent, write_bundle

from runtime import BundleError, Model
from runtime.manifest import FORMAT_VERSION, load_manifest
from runtime.migration import MIGRATIONS

OWN = [[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def as_1(new: dict[str, Any]) -> dict[str, Any]:
    """As version 1 was written: noise_mode, and transform only where the net has that input."""
    old = {key: value for key, value in new.items() if key not in ("noise", "transform")}
    old |= {"format_version": 1, "noise_mode": new["noise"]["mode"]}
    return old if new["transform"] is None else {**old, "transform": new["transform"]}


WRITTEN: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: as_1}
"""Version -> the manifest of today as an exporter of that version wrote it."""


def rewritten(bundle: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    bundle.write_text(json.dumps(change(json.loads(bundle.read_text()))))
    return bundle


def test_every_version_before_this_one_is_read() -> None:
    assert sorted(MIGRATIONS) == sorted(WRITTEN) == list(range(1, FORMAT_VERSION))


@pytest.mark.parametrize("version", WRITTEN)
@pytest.mark.parametrize("options", [{}, {"noise": "none"}, {"c_dim": 2}, {"transform": OWN}])
def test_an_earlier_manifest_means_the_same(tmp_path: Path, version: int, options: dict[str, Any]) -> None:
    bundle = write_bundle(tmp_path, **options)
    meant, label = load_manifest(bundle), np.eye(2)[1] if "c_dim" in options else None
    model = Model(bundle)
    picture = model.image(model.mapping(latent(1), c=label))
    rewritten(bundle, WRITTEN[version])
    assert load_manifest(bundle) == meant
    model = Model(bundle)
    assert (model.image(model.mapping(latent(1), c=label)) == picture).all()


def test_truncation_went_without_saying_at_first(tmp_path: Path) -> None:
    bundle = rewritten(write_bundle(tmp_path), as_1)
    rewritten(bundle, lambda old: {key: value for key, value in old.items() if key != "truncation"})
    assert load_manifest(bundle).truncation is True


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"noise_mode": "random"}, "'noise_mode' has a bad value; expected const or none"),
        ({"noise_mode": None}, "'noise_mode' has a bad value"),
        ({"noise": {"mode": "const", "planes": None, "layers": {}}}, "'noise' has a bad value; expected no such key"),
        ({"graphs": {}}, "no key 'graphs.mapping'"),
    ],
)
def test_what_version_1_never_said(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    bundle = rewritten(write_bundle(tmp_path), lambda new: {**as_1(new), **more})
    with pytest.raises(BundleError, match=says):
        load_manifest(bundle)


def test_a_key_that_is_missing_in_both(tmp_path: Path) -> None:
    bundle = rewritten(write_bundle(tmp_path), lambda new: {k: v for k, v in as_1(new).items() if k != "family"})
    with pytest.raises(BundleError, match=r"lacks keys; expected version 2, with family; got version 1, without"):
        load_manifest(bundle)
