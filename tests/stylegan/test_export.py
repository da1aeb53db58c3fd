"""The export: a whole bundle or nothing, equal bytes for equal input, and one message for what the user can mend."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_support import NETWORKS, network
from official_pickles import write_official

import ncnn_builder as nb
import runtime.run
from runtime import Model
from stylegan import checkpoints, export, v2ada
from stylegan.checkpoints import checkpoint, download
from stylegan.errors import CheckpointError, SeedError
from stylegan.networks.configs import CONFIGS, Config

KWARGS: dict[str, Any] = dict(
    z_dim=16,
    c_dim=0,
    w_dim=16,
    img_resolution=8,
    img_channels=3,
    mapping_kwargs=dict(num_layers=2),
    synthesis_kwargs=dict(channel_base=64, channel_max=8),
)
TINY = Config("tiny", "v2ada", KWARGS, None)
OFFICIAL = Config("official", "v2ada", KWARGS, "http://localhost.invalid/official.pt")
PICKLED = Config("pickled", "v2ada", KWARGS, "http://localhost.invalid/pickled.pkl")


@pytest.fixture(autouse=True)
def _in_a_folder_with_tiny_configurations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NCNN_BUILDER_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    monkeypatch.setitem(CONFIGS, "official", OFFICIAL)
    monkeypatch.setitem(CONFIGS, "pickled", PICKLED)


def state() -> dict[str, torch.Tensor]:
    return checkpoint.random_state("v2ada", KWARGS, seed=1)


def hashes() -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in Path().rglob("*") if p.is_file()}


def run(*arguments: str) -> int:
    try:
        return export.main(arguments)
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def test_a_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cfg", "tiny", "--out", "deep/er/m", "--ckpt", "random:7", "--seeds", "3,5-6") == 0
    files = {str(p) for p in Path().rglob("*") if p.is_file()}
    bundle = {f"deep/er/m_{g}.{s}" for g in ("mapping", "synthesis") for s in ("param", "bin")} | {"deep/er/m.json"}
    assert files == bundle | {f"seeds/{n}.bin" for n in (3, 5, 6)}
    manifest = json.loads(Path("deep/er/m.json").read_text())
    assert manifest["weights"] == {"source": "random:7", "sha256": None, "random": True, "storage": "fp32"}
    assert manifest["num_ws"] == 4 and manifest["config"] == "tiny"
    for name, file in manifest["files"].items():
        data = Path("deep/er", name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    printed = capsys.readouterr()
    assert "num_ws 4" in printed.out and "WARNING" not in printed.err  # random weights were asked for


def test_two_exports_are_identical() -> None:
    runs = []
    for _ in range(2):
        assert run("--cfg", "tiny", "--out", "m", "--ckpt", "random", "--seeds", "0") == 0
        runs.append(hashes())
    assert runs[0] == runs[1]


def test_without_a_checkpoint_the_weights_are_random_and_loudly_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(url: str, dest_dir: Path, timeout: float = 10.0) -> Path:
        raise CheckpointError("cannot fetch it: no network")

    monkeypatch.setattr(download, "fetch", unreachable)
    assert run("--cfg", "official", "--out", "m", "--seeds", "0") == 0
    assert "RANDOM WEIGHTS" in (warning := capsys.readouterr().err) and "no network" in warning
    assert json.loads(Path("m.json").read_text())["weights"]["random"] is True
    with pytest.warns(UserWarning, match="random"):
        Model("m")


def _no_fetching(url: str, dest_dir: Path, timeout: float = 10.0) -> Path:
    raise AssertionError(f"{url} was fetched")


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "fetched"])
def test_the_official_file(cached: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fetch(url: str, dest_dir: Path, timeout: float = 10.0) -> Path:
        assert (url, dest_dir) == (OFFICIAL.url, download.cache_dir())
        dest_dir.mkdir()
        torch.save(state(), dest_dir / "official.pt")
        return dest_dir / "official.pt"

    if cached:
        fetch(str(OFFICIAL.url), download.cache_dir())
    monkeypatch.setattr(download, "fetch", _no_fetching if cached else fetch)
    assert run("--cfg", "official", "--out", "m", "--seeds", "0") == 0
    weights = json.loads(Path("m.json").read_text())["weights"]
    assert (weights["source"], weights["random"]) == ("official.pt", False)
    assert "RANDOM" not in capsys.readouterr().err


def test_a_damaged_file_in_the_cache_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    download.cache_dir().mkdir()
    (download.cache_dir() / "official.pt").write_text("garbage")
    assert run("--cfg", "official", "--out", "m") == 2
    message = capsys.readouterr().err
    assert "official.pt" in message and "damaged" in message and message.count("\n") == 1
    assert not hashes()


@pytest.mark.parametrize("cached", [True, False])
def test_an_official_pickle_is_used(
    cached: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(url: str, dest_dir: Path, timeout: float = 10.0) -> Path:
        dest_dir.mkdir()
        network = checkpoint.build_generator("v2ada", KWARGS, state(), "test")
        return write_official(dest_dir / "pickled.pkl", "v2ada", network, KWARGS)

    if cached:
        fetch("", download.cache_dir())
    monkeypatch.setattr(download, "fetch", _no_fetching if cached else fetch)
    assert run("--cfg", "pickled", "--out", "m", "--seeds", "0") == 0
    weights = json.loads(Path("m.json").read_text())["weights"]
    digest = hashlib.sha256((download.cache_dir() / "pickled.pkl").read_bytes()).hexdigest()
    assert weights == {"source": "pickled.pkl", "sha256": digest, "random": False, "storage": "fp32"}
    assert "RANDOM" not in capsys.readouterr().err


@pytest.mark.parametrize("package", ["platformdirs", "tqdm", "safetensors"])
def test_a_missing_package_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("w.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    monkeypatch.delattr(checkpoints, "download")
    for module in ("stylegan.checkpoints.download", "safetensors.torch"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    ckpt = ("--ckpt", "w.safetensors") if package == "safetensors" else ()
    assert run("--cfg", "official", "--out", "m", *ckpt) == 2
    hint = 'pip install "ncnn-builder[stylegan]" (from a checkout: pip install ".[stylegan]")'
    assert capsys.readouterr().err == f"stylegan.export: stylegan needs {package}: {hint}\n"


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_a_checkpoint_file(kind: str) -> None:
    weights = state()
    if kind == "pt":
        torch.save(weights, "w.pt")
    else:
        from safetensors.torch import save_file

        save_file(weights, "w.safetensors")
    assert run("--cfg", "tiny", "--out", "m", "--ckpt", f"w.{kind}", "--seeds", "0") == 0
    manifest = json.loads(Path("m.json").read_text())
    digest = hashlib.sha256(Path(f"w.{kind}").read_bytes()).hexdigest()
    assert manifest["weights"] == {"source": f"w.{kind}", "sha256": digest, "random": False, "storage": "fp32"}
    G = checkpoint.build_generator("v2ada", KWARGS, weights, "test")
    z = np.random.RandomState(0).randn(1, 16).astype(np.float32)
    with torch.no_grad():
        expected = G(torch.from_numpy(z), None, noise_mode="const")[0].numpy()
    m = Model("m")
    assert np.abs(m.synthesis(m.mapping(z[0])) - expected).max() <= 1e-4 * np.abs(expected).max()


def _missing(weights: dict[str, torch.Tensor]) -> None:
    del weights["synthesis.b8.conv0.weight"]


def _extra(weights: dict[str, torch.Tensor]) -> None:
    weights["synthesis.b8.conv9.weight"] = torch.zeros(1)


def _misshapen(weights: dict[str, torch.Tensor]) -> None:
    weights["synthesis.b8.conv0.bias"] = torch.zeros(3)


def _nan(weights: dict[str, torch.Tensor]) -> None:
    weights["synthesis.b8.conv1.weight"][0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_missing, "synthesis.b8.conv0.weight"),
        (_extra, "synthesis.b8.conv9.weight"),
        (_misshapen, "synthesis.b8.conv0.bias"),
        (_nan, "synthesis.b8.conv1.weight"),
    ],
)
def test_a_checkpoint_that_does_not_fit(change: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    weights = state()
    change(weights)
    torch.save(weights, "w.pt")
    assert run("--cfg", "tiny", "--out", "m", "--ckpt", "w.pt") == 2
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1
    assert set(hashes()) == {"w.pt"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--cfg", "nosuch", "--out", "m"),
        ("--cfg", "tiny", "--out", "/proc/nowhere/m"),
        ("--cfg", "tiny", "--out", "."),
        ("--cfg", "tiny", "--out", ""),
        ("--cfg", "tiny", "--out", "garbage.pt/m"),
        ("--cfg", "tiny", "--out", "n" * 300, "--ckpt", "random"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "n" * 300),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "random", "--seeds-dir", "n" * 300),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "garbage.pt"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "nosuch.pt"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "official.pkl"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "random:x"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "random:"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", ""),
        ("--cfg", "tiny", "--out", "m", "--seeds", "5-1"),
        ("--cfg", "tiny", "--out", "m", "--seeds", "one"),
        ("--cfg", "tiny", "--out", "m", "--target", "nosuch"),
        ("--cfg", "tiny", "--out", "m", "--seeds-dir", "garbage.pt"),
        ("--cfg", "tiny"),
    ],
    ids=" ".join,
)
def test_wrong_input(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    Path("garbage.pt").write_text("garbage")
    Path("official.pkl").write_bytes(b"\x80\x04.")
    before = hashes()
    assert run(*arguments) == 2
    message = capsys.readouterr().err
    assert message and "Traceback" not in message
    if not message.startswith("usage"):  # argparse
        assert message.count("\n") == 1
    assert hashes() == before


@pytest.mark.parametrize("ckpt", ["random:", ""])
def test_an_incomplete_ckpt_is_refused_by_name(ckpt: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cfg", "tiny", "--out", "m", "--ckpt", ckpt) == 2
    assert f"--ckpt {ckpt or repr(ckpt)}: expected" in capsys.readouterr().err


def test_a_file_whose_name_begins_with_random() -> None:
    torch.save(state(), "random_weights.pt")
    assert run("--cfg", "tiny", "--out", "m", "--ckpt", "random_weights.pt", "--seeds", "0") == 0
    assert json.loads(Path("m.json").read_text())["weights"]["source"] == "random_weights.pt"


def test_seed_files_of_another_length_are_overwritten_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("--cfg", "tiny", "--out", "m", "--ckpt", "random", "--seeds", "0-2")
    assert run(*command) == 0 and run(*command) == 0
    assert "overwritten" not in capsys.readouterr().err
    Path("seeds/1.bin").write_bytes(bytes(4 * (1 + 512)))
    assert run(*command) == 0
    warning = capsys.readouterr().err
    assert (
        "1 seed files of another length" in warning and "overwritten" in warning and str(Path("seeds/1.bin")) in warning
    )
    assert Path("seeds/1.bin").stat().st_size == 4 * (1 + 16)


def test_help_says_where_the_seeds_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "folder seeds of the working directory" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("out", [".", "", "folder", "folder/"])
def test_a_folder_is_no_name_for_a_bundle(out: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(nb.EmitError, match="argument out: it names a folder"):
        export.export_generator(checkpoint.build_generator("v2ada", KWARGS, state(), "test"), out)
    assert not hashes()


@pytest.mark.parametrize("seeds", ["85", [-1], [1.5], [2**33]], ids=str)
def test_seeds_that_are_none_are_refused(seeds: Any) -> None:
    with pytest.raises(SeedError):
        export.export_generator(checkpoint.build_generator("v2ada", KWARGS, state(), "test"), "m", seeds=seeds)
    assert not hashes()


@pytest.mark.parametrize("w_avg_beta", [None, 0.9])
def test_the_manifest_says_whether_there_is_truncation(w_avg_beta: float | None) -> None:
    G = v2ada.Generator(**KWARGS | {"mapping_kwargs": {"num_layers": 2, "w_avg_beta": w_avg_beta}}).eval()
    assert export.export_generator(G, "m")["truncation"] is (w_avg_beta is not None)
    assert json.loads(Path("m.json").read_text())["truncation"] is (w_avg_beta is not None)


def test_nan_in_a_network_in_memory_is_refused_and_nothing_written() -> None:
    G = checkpoint.build_generator("v2ada", KWARGS, state(), "test")
    with torch.no_grad():
        G.synthesis.b8.conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(nb.VerifyError, match=r"synthesis\.b8\.conv1.*weight holds 1 numbers that are NaN"):
        export.export_generator(G, "m", seeds=[1])
    assert not hashes()


def test_a_checkpoint_of_another_generation(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(state(), "v2ada.pt")
    assert run("--cfg", "v3_r_32_custom", "--ckpt", "v2ada.pt", "--out", "m") == 2
    error = capsys.readouterr().err
    assert "v2ada.pt is of a StyleGAN2-ADA generator" in error and error.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["v2ada.pt"]


def test_the_transform_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cfg", "tiny", "--ckpt", "random", "--out", "m", "--transform-input") == 2
    assert "only StyleGAN3 networks have a transform" in capsys.readouterr().err
    assert list(Path().iterdir()) == []
    kwargs = {k: v for k, v in KWARGS.items() if k != "synthesis_kwargs"}
    kwargs |= dict(img_resolution=16, channel_base=64, channel_max=8)
    CONFIGS["tiny"] = Config("tiny", "v3", kwargs, None)  # the fixture takes it back
    for option in ([], ["--transform-input"]):
        assert run("--cfg", "tiny", "--ckpt", "random", "--out", "m", "--seeds", "1", *option) == 0
        manifest = json.loads(Path("m.json").read_text())
        given = "transform" in manifest["graphs"]["synthesis"]["inputs"]
        assert (manifest["transform"] is not None) == given == bool(option)
        assert manifest["family"] == "v3" and manifest["num_ws"] == 16


@pytest.mark.parametrize("mode", ["random", "input"])
def test_noise_left_open(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cfg", "tiny", "--ckpt", "random", "--out", "m", "--seeds", "1", "--noise-mode", mode) == 0
    manifest = json.loads(Path("m.json").read_text())
    layers = manifest["noise"]["layers"]
    assert list(layers) == ["b4.conv1", "b8.conv0", "b8.conv1"]
    assert layers["b8.conv0"] == {"input": "noise_b8_conv0", "shape": [8, 8]}
    assert Path("m_noise.bin").exists() == (mode == "input") == (manifest["noise"]["planes"] == "m_noise.bin")
    assert Path("m_noise.bin").stat().st_size == 4 * (16 + 64 + 64) if mode == "input" else True
    assert Model("m").noise_choices[0] == {"random": "random", "input": "const"}[mode]


def test_stylegan3_has_no_noise(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cfg", "v3_r_32_custom", "--ckpt", "random", "--out", "m", "--noise-mode", "random") == 2
    error = capsys.readouterr().err
    assert "only StyleGAN2 networks have noise" in error and error.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_checkpoint_alone_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(state(), "w.pt")
    assert run("--ckpt", "w.pt", "--out", "m", "--seeds", "0") == 0
    assert "inferred from the shapes" in capsys.readouterr().out
    manifest = json.loads(Path("m.json").read_text())
    assert manifest["config"] is None and (manifest["z_dim"], manifest["num_ws"]) == (16, 4)


@pytest.mark.parametrize("arguments", [[], ["--ckpt", "random"], ["--ckpt", "random:3"]], ids=" ".join)
def test_without_a_file_a_configuration_is_needed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--out", "m", *arguments) == 2
    assert capsys.readouterr().err == (
        "stylegan.export: --cfg is missing: expected a configuration, or --ckpt with a file or URL\n"
    )


def test_random_weights_have_no_sha256(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cfg", "tiny", "--ckpt", "random", "--sha256", "00", "--out", "m") == 2
    assert "--ckpt random is no file: leave out --sha256" in capsys.readouterr().err
    assert run("--cfg", "tiny", "--sha256", "00", "--out", "m") == 2
    assert "no file to compare with --sha256: configuration tiny has no official checkpoint" in capsys.readouterr().err
    assert not hashes()


def _official(**changes: Any) -> None:
    """w.pkl, of the configuration tiny but for these changes of synthesis_kwargs."""
    kwargs = KWARGS | {"synthesis_kwargs": KWARGS["synthesis_kwargs"] | changes}
    weights = checkpoint.random_state("v2ada", kwargs)
    write_official(Path("w.pkl"), "v2ada", checkpoint.build_generator("v2ada", kwargs, weights, "test"), kwargs)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(conv_clamp=256), "conv_clamp is 256 in the checkpoint and None in the configuration"),
        (
            dict(channel_base=32),
            "channels (channel_base, channel_max) is 32, 8 in the checkpoint and 64, 8 in the conf",
        ),
        (dict(architecture="orig"), "architecture is orig in the checkpoint and skip in the configuration"),
    ],
    ids=str,
)
def test_a_configuration_that_contradicts_the_checkpoint(
    changes: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _official(**changes)
    assert run("--cfg", "tiny", "--ckpt", "w.pkl", "--out", "m") == 2
    error = capsys.readouterr().err
    assert "checkpoint w.pkl is not of configuration tiny" in error and said in error and error.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["w.pkl"]
    assert run("--ckpt", "w.pkl", "--out", "m", "--seeds", "0") == 0


def test_another_family_contradicts_the_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    _official()
    assert run("--cfg", "v3_s_256_custom", "--ckpt", "w.pkl", "--out", "m") == 2
    assert "family is v2ada in the checkpoint and v3 in the configuration" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{}, dict(channel_base=128, channel_max=8), dict(num_fp16_res=4)], ids=str)
def test_what_gives_the_same_network_is_no_contradiction(changes: dict[str, Any]) -> None:
    """At 8x8 a channel_base of 128 gives the 8 channels that 64 gives."""
    _official(**changes)
    assert run("--cfg", "tiny", "--ckpt", "w.pkl", "--out", "m", "--seeds", "0") == 0
    assert json.loads(Path("m.json").read_text())["config"] == "tiny"


def test_which_and_sha256_reach_the_loader(capsys: pytest.CaptureFixture[str]) -> None:
    _official()
    digest = hashlib.sha256(Path("w.pkl").read_bytes()).hexdigest()
    runs = []
    for which in ("G_ema", "G"):
        assert run("--ckpt", "w.pkl", "--sha256", digest, "--which", which, "--out", "m", "--seeds", "0") == 0
        runs.append(hashes()["m_synthesis.bin"])
    assert runs[0] != runs[1]
    assert run("--ckpt", "w.pkl", "--sha256", "0" * 64, "--out", "n") == 2
    error = capsys.readouterr().err
    assert "0" * 64 in error and digest in error


def test_pictures_that_differ_by_labels_alone() -> None:
    """z_dim 0, no layers in the mapping: the bundle has no input z, a seed's number changes nothing."""
    G = network("labels-alone")
    export.export_generator(G, "m", seeds=[1])
    assert Path("seeds/1.bin").read_bytes() == bytes(4)
    m, c = Model("m"), np.eye(5, dtype=np.float32)
    for label in (0, 3):
        with torch.no_grad():
            want = G.mapping(None, torch.from_numpy(c[label : label + 1]), truncation_psi=0.5)[0, 0].numpy()
        assert np.allclose(m.mapping([], 0.5, c[label]), want, atol=1e-6)
    for seed in ("7", "seeds/1.bin", "w_avg"):
        assert runtime.run.main(["mode=image", "model=m", seed, "class=3", f"out={len(seed)}.png"]) == 0
    assert Path("1.png").read_bytes()[-2000:] != Path("5.png").read_bytes()[-2000:]


def test_a_picture_that_is_not_square(capsys: pytest.CaptureFixture[str]) -> None:
    write_official(Path("tall.pkl"), "v2ada", network("tall"), NETWORKS["tall"][1])
    assert run("--ckpt", "tall.pkl", "--out", "tall", "--seeds", "1") == 0, capsys.readouterr().err
    picture = Model("tall").synthesis(np.zeros(24, np.float32))
    with torch.no_grad():
        want = network("tall").synthesis(torch.zeros(1, network("tall").num_ws, 24), noise_mode="const")[0].numpy()
    assert picture.shape == (3, 16, 12) and np.abs(picture - want).max() <= 1e-4 * np.abs(want).max()
    assert runtime.run.main(["mode=grid", "model=tall", "rows=1", "cols=2,3", "styles=0-1"]) == 0
    with pytest.raises(CheckpointError, match=r"its pictures are 12 wide and 16 high, the projector takes square ones"):
        checkpoint.expect_square(network("tall"), "tall.pkl", "the projector")
