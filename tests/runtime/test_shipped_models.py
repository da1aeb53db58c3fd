"""The models that come with the runtime, without torch: found by name, and the same as an export makes them today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runtime_nets import pixels, write_bundle

from runtime import BundleError, Model
from runtime import run as command
from runtime.manifest import SHIPPED, load_manifest, manifest_path
from stylegan import export

NAMES = sorted(path.stem for path in SHIPPED.glob("*.json"))


def test_they_are_whole_and_small() -> None:
    assert NAMES == ["faces"]
    listed = {name for model in NAMES for name in load_manifest(model).files}
    assert {path.name for path in SHIPPED.iterdir()} == listed | {f"{name}.json" for name in NAMES}
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 4e6


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_those_of_an_export(name: str, tmp_path: Path) -> None:
    said = load_manifest(name)
    assert said.config and said.name == name and not said.weights.random
    assert export.main(["--cfg", said.config, "--out", str(tmp_path / name), "--seeds", "0"]) == 0
    ours, fresh = Model(name), Model(tmp_path / name)
    assert ours.manifest.weights == fresh.manifest.weights
    for seed in (85, 458):
        z = np.random.RandomState(seed).randn(said.z_dim)
        off = ours.synthesis(ours.mapping(z)) - fresh.synthesis(fresh.mapping(z))
        assert abs(off).max() < 1e-4  # nothing, unless a pass has come that rounds otherwise


def test_the_command_says_where_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["mode=image", "model=faces", "seeds=85", "out=a.png"]) == 0
    assert "model: faces.json, which comes with the package" in capsys.readouterr().err
    assert pixels("a.png").shape == (64, 64, 3)
    assert command.main(["mode=image", "seeds=85", "out=a.png"]) == 2
    assert "model=faces, which comes with the package" in capsys.readouterr().err


def test_a_model_of_that_name_which_is_here_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert manifest_path("faces").parent == manifest_path("faces.json").parent == SHIPPED
    write_bundle(tmp_path, "faces")
    assert manifest_path("faces") == Path("faces.json")


@pytest.mark.parametrize("path", ["./x/faces", "x/faces", "face"])
def test_no_other_path_leads_there(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="no such model"):
        Model(path)
