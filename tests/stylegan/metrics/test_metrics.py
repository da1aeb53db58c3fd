"""`python -m stylegan.metrics`: features, statistics and their cache, what is comparable, and wrong input."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from projection_support import prepare, scripted

from stylegan.checkpoints.feature_files import INCEPTION, VGG16, FeatureFile
from stylegan.dataset import PictureDataset
from stylegan.dataset.archive import encoded, writing
from stylegan.errors import MetricError
from stylegan.faces import face
from stylegan.metrics import evaluate as evaluating
from stylegan.metrics import features as feature_module
from stylegan.metrics import inception
from stylegan.metrics.__main__ import main
from stylegan.metrics.evaluate import evaluate
from stylegan.metrics.features import FixedFeatures, NetworkFeatures, choose
from stylegan.metrics.formulas import frechet_distance
from stylegan.metrics.statistics import Statistics, to_uint8
from stylegan.networks.configs import CONFIGS
from stylegan.networks.random_weights import GENERATORS

SIZE = 16


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)  # tiny networks of 16 x 16, no network, an empty cache


def generator(name: str = "tiny", seed: int = 7) -> Any:
    from stylegan.checkpoints import checkpoint

    config = CONFIGS[name]
    state = checkpoint.random_state(config.family, config.init_kwargs, seed)
    return checkpoint.build_generator(config.family, config.init_kwargs, state, "random")


def data_of(pictures: list[np.ndarray], labels: list[int] | None = None, out: str = "data.zip") -> str:
    with writing(Path(out)) as archive:
        for i, picture in enumerate(pictures):
            archive.add(encoded(picture), None if labels is None else labels[i])
    return out


def faces(count: int = 12) -> str:
    return data_of([face(i, SIZE) for i in range(count)])


class Official(torch.nn.Module):
    """Called in the official form: uint8 pictures, and their mean colours as features."""

    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        if img.dtype != torch.uint8 or not return_features:
            raise RuntimeError("called in another way")
        return img.float().mean(dim=[2, 3])


class Probabilities(torch.nn.Module):
    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return img.float().mean()


class NotFinite(torch.nn.Module):
    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return 1 / (img.float().mean(dim=[2, 3]) * 0)


# -- features ---------------------------------------------------------------------------------------------------


def statistics_of(pictures: torch.Tensor) -> Statistics:
    made = Statistics(0)
    made.add(FixedFeatures()(pictures).numpy())
    return made


def test_fixed_features_see_what_eyes_see() -> None:
    """Faces of another seed are near; worse pictures are further away, the more the worse."""
    count = 120
    faces, other = (
        torch.from_numpy(np.stack([face(i, 64, seed) for i in range(count)])).permute(0, 3, 1, 2) for seed in (0, 1)
    )
    real = statistics_of(faces)
    noise = torch.randn(other.shape, generator=torch.Generator().manual_seed(0))

    def fid(pictures: torch.Tensor) -> float:
        made = statistics_of(pictures.clamp(0, 255).to(torch.uint8))
        return frechet_distance(real.mean, real.covariance, made.mean, made.covariance)

    def worse(much: int) -> list[torch.Tensor]:
        blurred = F.avg_pool2d(other.float(), 2 * much + 1, stride=1, padding=much, count_include_pad=False)
        noisy = other + 12 * much * noise
        tinted = other + 18.0 * much * torch.tensor([1.0, 0, -1])[:, None, None]
        fewer = other[: count // (2 * much**2)].repeat(20, 1, 1, 1)[:count]  # the same few again and again
        return [blurred, noisy, tinted, fewer]

    same = fid(other)
    for little, much in zip(worse(1), worse(3), strict=True):
        assert 1.05 * same < fid(little) < 0.9 * fid(much)


def test_fixed_features_stay_the_same() -> None:
    """Figures of last year can be compared with those of today."""
    features = FixedFeatures()
    total = hashlib.sha256(b"".join(weight.numpy().astype("<f4").tobytes() for weight in features._weights))
    assert total.hexdigest() == WEIGHTS and features.key == KEY
    pictures = torch.from_numpy(np.stack([face(i, 64) for i in range(4)])).permute(0, 3, 1, 2)
    found = features(pictures)
    assert found.shape == (4, 496) and found.dtype == torch.float32
    grey = pictures[:, :1]
    torch.testing.assert_close(features(grey), features(grey.repeat(1, 3, 1, 1)))
    for size in (16, 100, 256):
        resized = F.interpolate(pictures.float(), size=(size, size), mode="area").to(torch.uint8)
        assert features(resized).shape == (4, 496)


WEIGHTS = "f09db2f0ecaad5f70fb54ad4ed010297f594a422c7004a44966cbcb90640ff51"
KEY = "4f54fd9cfc865a5b99b55d5bd291453d1496a22a43b21040fd964732f1af6293"


def test_a_network_is_called_in_the_official_form() -> None:
    file = FeatureFile(Path(scripted(Official(), "f.pt")).read_bytes(), "f.pt", "0" * 64)
    pictures = torch.randint(0, 256, (3, 4, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(NetworkFeatures(file)(pictures), pictures[:, :3].float().mean(dim=(2, 3)))


def put_official(patch: pytest.MonkeyPatch) -> None:
    """Files in the cache that pass for the official ones."""
    from stylegan.checkpoints import download

    download.cache_dir().mkdir(parents=True)
    known = {}
    for official in (INCEPTION, VGG16):
        path = download.cache_dir() / official.url.rpartition("/")[2]
        scripted(Official(), str(path))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        known[official.word] = dataclasses.replace(official, sha256=digest)
    patch.setattr(feature_module, "_FROM_WORDS", known)
    kinds = {"fid": known["inception"], "kid": known["inception"], "pr": known["vgg16"]}
    patch.setattr(feature_module, "OFFICIAL", kinds)


def test_what_is_comparable(monkeypatch: pytest.MonkeyPatch) -> None:
    data, G = PictureDataset(faces()), generator()
    assert choose(None, "fid")[1].startswith("features without a network, as there is no official one: cannot fetch")
    put_official(monkeypatch)
    monkeypatch.setattr(evaluating, "PUBLISHED_NUM", 8)
    assert [found.not_comparable for found in evaluate(G, data, ["fid", "kid", "pr"], num=8)] == [[], [], []]
    assert evaluate(G, data, num=7)[0].not_comparable == ["7 generated pictures, published figures are of 8"]
    assert evaluate(G, data, num=8, features="fixed")[0].not_comparable == ["features without a network"]
    mirrored, fewer = PictureDataset(faces(), xflip=True), PictureDataset(faces(), max_size=len(data) - 1)
    said = [evaluate(G, other, num=8)[0].not_comparable for other in (mirrored, fewer)]
    assert said[0] == ["the data are mirrored too, published figures are of the pictures as they are"]
    assert said[1] == [f"{len(data) - 1} of {len(data)} pictures of the data, published figures are of all"]
    other = Path(scripted(Probabilities(), "other.pt"))
    scripted(Official(), str(other))
    other.write_bytes(other.read_bytes() + b"\0")  # as a zip it is the same, its hash is not
    assert "features of another network than" in choose(str(other), "fid")[1]


def test_inception_of_a_state_dict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The predecessor's inception-2015-12-05.pth: the numbers are those of its own code with the same weights."""
    network, random = inception.InceptionV3(), np.random.RandomState(0)
    state = network.state_dict()
    for value in state.values():
        if value.ndim == 4:
            spread = np.sqrt(2 / value[0].numel())
            value.copy_(torch.from_numpy(random.randn(*value.shape).astype(np.float32)) * spread)
    assert len(state) == 566 and sum(value.numel() for value in state.values()) == 23885486
    torch.save(state, "inception-2015-12-05.pth")
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was executed"))
    features, reason = choose("inception-2015-12-05.pth", "fid")
    assert "no hash tells" in reason and "inception-2015-12-05.pth" in features.description
    y, x = np.mgrid[:40, :32]
    pictures = torch.from_numpy(np.stack([x * 8 % 256, y * 6 % 256, (x + y) * 3 % 256])[None].astype(np.uint8))
    found = features(pictures)[0]
    assert found.shape == (2048,)
    got = [float(value) for value in (found.mean(), found.std(), *found[[0, 320, 1000, 2047]])]
    assert got == pytest.approx(INCEPTION_NUMBERS, rel=1e-3)
    state.popitem()
    torch.save(state, "inception-2015-12-05.pth")
    with pytest.raises(MetricError, match="expected a state_dict of inception"):
        choose("inception-2015-12-05.pth", "fid")
    torch.save({"a": torch.zeros(1)}, "other.pth")
    with pytest.raises(MetricError, match="it has no layers"):
        choose("other.pth", "fid")


INCEPTION_NUMBERS = [0.310154, 0.407207, 0.0109262, 0.0442677, 0.190516, 0.538671]
"""Of the predecessor's Inception_v3, computed with these weights by its own code."""


def test_an_official_file_that_is_another_is_not_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        put_official(patch)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was executed"))
    for named in (None, "inception"):
        with pytest.raises(MetricError, match="it is not the official file and was not executed"):
            choose(named, "fid")


# -- statistics -------------------------------------------------------------------------------------------------


def test_statistics_of_parts() -> None:
    features = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32) + 3
    made = Statistics(keep=20)
    for first in (0, 1, 13, 21):
        made.add(features[first : {0: 1, 1: 13, 13: 21, 21: 50}[first]])
    np.testing.assert_allclose(made.mean, features.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(made.covariance, np.cov(features.T.astype(np.float64), bias=True), atol=1e-12)
    np.testing.assert_array_equal(made.kept, features[:20])
    Path("s.npz").write_bytes(made.to_bytes())
    again = Statistics.from_file(Path("s.npz"), 20)
    assert again is not None and again.count == 50
    for name in ("mean", "covariance", "kept"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    assert Statistics.from_file(Path("s.npz"), 30) is None and Statistics.from_file(Path("none"), 20) is None
    Path("s.npz").write_bytes(made.to_bytes()[:-100])
    assert Statistics.from_file(Path("s.npz"), 20) is None


def test_the_data_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, G = PictureDataset(faces()), generator()
    first = evaluate(G, data, ["fid", "kid", "pr"], num=8)
    with monkeypatch.context() as patch:
        patch.setattr(PictureDataset, "picture", lambda *_: pytest.fail("it was read again"))
        again = evaluate(G, data, ["fid", "kid", "pr"], num=8)
        assert evaluate(G, data, ["fid"], num=8)[0].values == first[0].values
    assert [found.values for found in again] == [found.values for found in first]
    for file in Path("cache/metrics").iterdir():
        file.write_bytes(b"damaged")
    assert [found.values for found in evaluate(G, data, ["fid", "kid", "pr"], num=8)] == [
        found.values for found in first
    ]
    faces(11)  # another data set in its place
    seen: list[int] = []
    picture = PictureDataset.picture
    monkeypatch.setattr(PictureDataset, "picture", lambda self, i: (seen.append(i), picture(self, i))[1])
    evaluate(G, PictureDataset("data.zip"), num=8)
    assert sorted(seen) == list(range(11))


# -- generators -------------------------------------------------------------------------------------------------


def own_pictures(G: Any, count: int, seed: int) -> list[np.ndarray]:
    z = torch.from_numpy(np.random.RandomState(seed).randn(count, G.z_dim).astype(np.float32))
    with torch.no_grad():
        return list(to_uint8(G(z, noise_mode="const")).permute(0, 2, 3, 1).numpy())


def test_a_generator_is_near_to_itself() -> None:
    G = generator()
    for layer in G.modules():
        if hasattr(layer, "noise_strength"):
            layer.noise_strength.data.zero_()
    data = PictureDataset(data_of(own_pictures(G, 64, seed=5)))
    fid, kid, pr = (found.values for found in evaluate(G, data, ["fid", "kid", "pr"], num=64, seed=5, batch=7))
    # The same pictures: the same latents were drawn batch by batch.
    assert fid["fid"] == pytest.approx(0, abs=1e-4) and pr == {"precision": 1, "recall": 1}
    near = [found.values for found in evaluate(G, data, ["fid", "kid", "pr"], num=64, seed=6)]
    far = [found.values for found in evaluate(generator(seed=8), data, ["fid", "kid", "pr"], num=64, seed=5)]
    assert 10 * near[0]["fid"] < far[0]["fid"] and abs(near[1]["kid"]) < 0.1 * far[1]["kid"]
    assert near[2]["precision"] > 0.5 and far[2]["precision"] < 0.3
    assert kid["kid"] < near[1]["kid"] + 0.01


def test_the_generator_and_random_numbers_are_left_alone() -> None:
    data, G = PictureDataset(faces()), generator()
    G.train()
    w_avg = G.mapping.w_avg.clone()
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    a, b, c = (evaluate(G, data, num=8, seed=seed)[0].values["fid"] for seed in (1, 1, 2))
    assert a == b != c
    assert G.training and torch.equal(G.mapping.w_avg, w_avg) and torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("family", ["v2ada", "v3"])
def test_both_families_with_labels_of_the_data(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kwargs: dict[str, Any] = dict(z_dim=8, c_dim=3, w_dim=8, img_resolution=SIZE, img_channels=3)
    more = {"channel_base": 64, "channel_max": 8}
    kwargs |= {"synthesis_kwargs": more} if family == "v2ada" else more
    G = GENERATORS[family](**kwargs)
    data = PictureDataset(data_of([face(i, SIZE) for i in range(20)], [0, 2] * 10))
    seen = []
    mapping = G.mapping.forward

    def watched(z: torch.Tensor, c: torch.Tensor, *rest: Any, **how: Any) -> torch.Tensor:
        seen.append(c)
        return mapping(z, c, *rest, **how)

    monkeypatch.setattr(G.mapping, "forward", watched)
    evaluate(G, data, num=24, batch=16)
    labels = torch.cat(seen)
    assert labels.shape == (24, 3) and (labels.sum(1) == 1).all()
    assert 4 < labels[:, 0].sum() < 20 and labels[:, 1].sum() == 0


# -- the command line -------------------------------------------------------------------------------------------

TINY = ("--cfg", "tiny", "--ckpt", "random:7", "--data", "data.zip", "--num", "8", "--workers", "0", "-q")


def command(*arguments: str) -> int:
    try:
        return main([*TINY, *arguments])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    faces()
    assert command("--seed", "3") == 0
    assert command("--metrics", "kid", "--seed", "3", "--mirror", "--features", scripted(Official(), "f.pt")) == 0
    lines = [json.loads(line) for line in Path("metrics.jsonl").read_text().splitlines()]
    assert [line["metric"] for line in lines] == ["fid", "kid", "pr", "kid"]
    assert list(lines[2]["values"]) == ["precision", "recall"]
    assert lines[0]["features"] == FixedFeatures.description and lines[3]["features"].startswith("f.pt (sha256 ")
    assert lines[0]["network"]["source"] == "random:7" and lines[0]["network"]["config"] == "tiny"
    assert [line["num_real"] for line in lines] == [12, 12, 12, 24] and {line["num"] for line in lines} == {8}
    assert {line["seed"] for line in lines} == {3} and lines[0]["data_digest"] != lines[3]["data_digest"]
    output = capsys.readouterr()
    assert not output.err
    table = output.out.splitlines()
    assert table[0].split() == ["metric", "value", "generated", "real", "features"]
    assert [row.split()[0] for row in table[1:5]] == ["fid", "kid", "precision", "recall"]
    assert float(table[1].split()[1]) == pytest.approx(lines[0]["values"]["fid"], rel=1e-4)
    assert "not comparable with published figures (fid, kid, pr): 8 generated pictures" in output.out
    assert "as there is no official one: cannot fetch" in output.out
    assert "metrics.jsonl  3 lines more" in output.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "none"), "data none: no such file or folder"),
        (("--data", "small.zip"), "expected 16x16, got 8x8"),
        (("--data", "few.zip"), "expected more than 3 pictures, got 3"),
        (("--data", "cat.png"), "expected a folder or a zip"),
        (("--cfg", "labels"), "expected c_dim (labels) 3 as the network has, got 0"),
        (("--cfg", "two"), "expected channels 2 as the network has, got 3"),
        (("--cfg", "tinny"), "unknown configuration 'tinny'"),
        (("--ckpt", "none.pkl"), "checkpoint none.pkl: no such file"),
        (("--metrics", "fid,ls"), "metrics 'fid,ls': there is no 'ls'"),
        (("--metrics", "FID"), "metrics 'FID': there is no 'FID' (is it fid?): expected some of fid, kid, pr, is, ppl"),
        (("--metrics", "fid,,kid"), "metrics 'fid,,kid': a name is missing: expected some of fid"),
        (("--metrics", "fid,fid"), "fid is asked for twice: expected each once"),
        (("--metrics", "fid50k,fid"), "fid is asked for and fid50k, which is the same metric: expected each once"),
        (("--metrics", ""), "expected some of fid, kid, pr"),
        (("--num", "3"), "num 3: expected 4 to"),
        (("--batch", "0"), "batch 0: expected 1 or more"),
        (("--seed", "-1"), "--seed -1: expected 0 to"),
        (("--workers", "-1"), "--workers -1: expected 0 or more"),
        (("--max-size", "0"), "max_size: expected 1 or more"),
        (("--device", "nothing"), "--device nothing: cannot be used"),
        (("--out", "no/such/folder.jsonl"), "--out no/such/folder.jsonl: cannot be written: No such file"),
        (("--features", "none.pt"), "features none.pt: cannot be read: No such file"),
        (("--features", "cat.png"), "features cat.png: expected a TorchScript file"),
        (("--features", "inception"), "features inception: cannot fetch"),
        (("--features", "probabilities.pt"), "expected [8, n], got []"),
        (("--features", "notfinite.pt"), "features notfinite.pt: values that are not finite"),
        (("--features", "other.pt"), "called as net(pictures, return_features=True)"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    faces(8)
    data_of([face(i, 8) for i in range(5)], out="small.zip")
    data_of([face(i, SIZE) for i in range(3)], out="few.zip")
    if arguments[0] == "--features" and arguments[1].endswith(".pt") and arguments[1] != "none.pt":
        kinds = {"probabilities.pt": Probabilities, "notfinite.pt": NotFinite, "other.pt": torch.nn.Identity}
        scripted(kinds[arguments[1]](), arguments[1])
    assert command(*arguments) == 2
    output = capsys.readouterr()
    assert said in output.err and not output.out and "Traceback" not in output.err
    assert not Path("metrics.jsonl").exists()


def test_a_network_that_makes_no_numbers() -> None:
    G = generator()
    next(G.synthesis.parameters()).data.fill_(float("nan"))
    with pytest.raises(MetricError, match="NaN or infinite"):
        evaluate(G, PictureDataset(faces()), num=8)


def test_features_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cache").write_text("a file in the place of the folder")
    faces()
    assert command("--metrics", "fid") == 0
    assert "not kept for the next time: cannot write" in capsys.readouterr().out
