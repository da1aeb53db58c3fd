"""`--weights fp16`: files of half the size, and the error that is reported is the error that there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch

import ncnn_builder as nb
import runtime
from runtime import BundleError, Model
from stylegan import export
from stylegan.bundle.seeds import latent
from stylegan.checkpoints import checkpoint
from stylegan.export import export_generator
from stylegan.networks.configs import CONFIGS, Config

SCHEMA = json.loads(Path(runtime.__file__).with_name("manifest.schema.json").read_text())
V2ADA: dict[str, Any] = dict(
    z_dim=64,
    c_dim=3,
    w_dim=64,
    img_resolution=16,
    img_channels=3,
    mapping_kwargs=dict(num_layers=3),
    synthesis_kwargs=dict(channel_base=4096, channel_max=128),
)
V3: dict[str, Any] = dict(
    z_dim=64, c_dim=0, w_dim=64, img_resolution=32, img_channels=3, channel_base=1024, channel_max=64, num_layers=4
)


def network(family: str) -> Any:
    kwargs = {"v2ada": V2ADA, "v3": V3}[family]
    return checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs, 2), family)


def picture(m: Model) -> np.ndarray:
    label = {"c": np.eye(m.manifest.c_dim)[0]} if m.manifest.c_dim else {}
    options: dict[str, Any] = {"transform": np.eye(3)} if m.manifest.transform is not None else {}
    return np.asarray(m.synthesis(m.mapping(latent(0, m.manifest.z_dim), **label), **options))


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
@pytest.mark.parametrize(("family", "options"), [("v2ada", {}), ("v3", {}), ("v3", {"transform_input": True})])
def test_half_the_size_and_the_error_as_reported(
    family: str, options: dict[str, Any], target: str, tmp_path: Path
) -> None:
    G = network(family)
    full = export_generator(G, tmp_path / "full", target, **options)
    small = export_generator(G, tmp_path / "small", target, storage="fp16", **options)
    sizes = [sum(f["bytes"] for n, f in m["files"].items() if n.endswith(".bin")) for m in (full, small)]
    assert 0.5 <= sizes[1] / sizes[0] < 0.6  # small weights are some per cent of these small networks
    assert full["weights"] == {"source": "a network in memory", "sha256": None, "random": False, "storage": "fp32"}
    said = small["weights"]
    assert said["storage"] == "fp16" and said["kept_fp32"] == []
    jsonschema.validate(small, SCHEMA)
    jsonschema.validate(full, SCHEMA)
    models = [Model(tmp_path / name, threads=1) for name in ("full", "small")]
    assert [m.manifest.weights.storage for m in models] == ["fp32", "fp16"]
    exact, rounded = (picture(m) for m in models)
    error = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert said["picture_error"] == pytest.approx(error, rel=0.06) and 1e-5 < error < 1e-2
    assert 1e-4 < said["weight_error"] < 2**-11


def test_the_error_of_a_network_whose_noise_is_open(tmp_path: Path) -> None:
    small = export_generator(network("v2ada"), tmp_path / "m", noise_mode="random", storage="fp16")
    assert 1e-5 < small["weights"]["picture_error"] < 1e-2


def test_two_exports_are_identical(tmp_path: Path) -> None:
    for name in ("a/m", "b/m"):
        export_generator(network("v2ada"), tmp_path / name, storage="fp16")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / d).iterdir()} for d in "ab")
    assert first == second


def test_a_weight_that_float16_cannot_hold_is_named(tmp_path: Path) -> None:
    G = network("v2ada")
    with torch.no_grad():
        G.synthesis.b16.conv1.weight *= 1e5  # demodulated: the picture is the same
    small = export_generator(G, tmp_path / "m", storage="fp16")
    (kept,) = small["weights"]["kept_fp32"]
    assert kept.startswith("synthesis.b16.conv1/") and "65504" in kept
    assert small["weights"]["picture_error"] < 1e-2


def test_an_unknown_storage_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(nb.BuildError, match="unknown storage"):
        export_generator(network("v2ada"), tmp_path / "m", storage="int8")
    assert not list(tmp_path.iterdir())


# -- the command line -----------------------------------------------------------------------------------------------


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CONFIGS, "small", Config("small", "v2ada", V2ADA, None))
    arguments = ["--cfg", "small", "--ckpt", "random:3", "--out", "m", "--seeds", "1"]
    assert export.main([*arguments, "--fp16", "--dump-passes", "dump"]) == 0
    said = capsys.readouterr().out
    manifest = json.loads(Path("m.json").read_text())["weights"]
    assert f"picture of seed 0 by up to {manifest['picture_error']:.1e}" in said and "m_synthesis.bin" in said
    for graph in ("mapping", "synthesis"):
        names = {p.name for p in Path("dump", graph).iterdir()}
        assert "00_built.txt" in names and any(name.endswith("_lower_to_fused.after.txt") for name in names)
    assert export.main(arguments) == 0
    assert "fp16" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        export.main([*arguments, "--weights", "int8"])


# -- the manifest ---------------------------------------------------------------------------------------------------


def _edited(tmp_path: Path, **weights: Any) -> Path:
    export_generator(network("v2ada"), tmp_path / "m")
    path = tmp_path / "m.json"
    manifest = json.loads(path.read_text())
    manifest["weights"].update(weights)
    if weights["storage"] is None:
        del manifest["weights"]["storage"]
    path.write_text(json.dumps(manifest))
    return path


def test_a_bundle_from_before_there_was_a_choice(tmp_path: Path) -> None:
    assert Model(_edited(tmp_path, storage=None)).manifest.weights.storage == "fp32"


@pytest.mark.parametrize("storage", ["int8", 16])
def test_a_storage_that_is_none_is_refused(tmp_path: Path, storage: Any) -> None:
    path = _edited(tmp_path, storage=storage)
    with pytest.raises(BundleError, match=r"weights\.storage"):
        Model(path)
