"""What is measured of a generator by itself, against closed forms; and bundles through the ncnn runtime."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from projection_support import prepare, scripted

from stylegan.bundle.write import export_generator
from stylegan.dataset import PictureDataset
from stylegan.dataset.archive import encoded, writing
from stylegan.errors import MetricError
from stylegan.faces import face
from stylegan.metrics import kinds, samples
from stylegan.metrics.__main__ import main
from stylegan.metrics.evaluate import evaluate
from stylegan.metrics.formulas import inception_score, path_length, peak_signal_to_noise
from stylegan.metrics.painters import NcnnPainter
from stylegan.networks.configs import CONFIGS, Config
from stylegan.networks.random_weights import GENERATORS, random_state

SIZE = 32
V3 = dict(z_dim=8, c_dim=0, w_dim=8, img_resolution=16, img_channels=3, channel_base=128, channel_max=8, num_layers=3)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)  # tiny networks, no network, an empty cache


def data() -> str:
    with writing(Path("data.zip")) as archive:
        for i in range(12):
            archive.add(encoded(face(i, 64)))
    return "data.zip"


def test_inception_score_of_known_classes() -> None:
    """Of n pictures of k classes, each certain: k. Of pictures that are all alike, or of no class: 1."""
    for k in (1, 4, 10):
        certain = np.tile(np.eye(k, 12), (120 // k, 1)).astype(np.float32)
        assert inception_score(certain, splits=1) == pytest.approx((k, 0))
    assert inception_score(np.full((50, 7), 1 / 7, np.float32)) == pytest.approx((1, 0), abs=1e-6)
    # Half of the pictures say (p, q), the others (q, p): log 2 less the entropy of (p, q).
    p = 0.9
    want = np.exp(np.log(2) + p * np.log(p) + (1 - p) * np.log(1 - p))
    both = np.array([[p, 1 - p], [1 - p, p]] * 10, np.float32)
    assert inception_score(both, splits=10) == pytest.approx((want, 0), rel=1e-6)
    parts = np.concatenate([both, np.tile(both[:1], (20, 1))])  # in the second part all are alike
    assert inception_score(parts, splits=2) == pytest.approx(((want + 1) / 2, (want - 1) / 2), rel=1e-6)


def test_path_length_leaves_out_the_ends() -> None:
    assert path_length(np.arange(1000, dtype=np.float32)[::-1]) == 499.5
    lengths = np.concatenate([np.full(198, 2.0), [-1e9, 1e9]]).astype(np.float32)
    assert path_length(lengths) == 2 and path_length(np.float32([3, 3])) == 3
    assert peak_signal_to_noise(4.0, 4.0) == pytest.approx(20 * np.log10(2)) and peak_signal_to_noise(0, 5) == np.inf


class Differences(torch.nn.Module):
    """Called in the form of LPIPS; what is compared are the pictures themselves."""

    def forward(self, images: torch.Tensor, resize_images: bool = True, return_lpips: bool = False) -> torch.Tensor:
        if resize_images or not return_lpips:
            raise RuntimeError("called in another way")
        return (images.double() / 127.5 - 1).flatten(1).float()


class Drawn:
    """A Painter of closed forms."""

    z_dim, c_dim, img_resolution, img_channels, turns, digest = 6, 0, SIZE, 3, True, "drawn"
    remarks: list[str] = []

    def __init__(self) -> None:
        self.latents: list[torch.Tensor] = []
        self.shown: list[torch.Tensor] = []

    def to(self, device: torch.device) -> None: ...

    def styles(self, z: torch.Tensor, c: torch.Tensor | None) -> torch.Tensor:
        self.latents.append(z)
        return z[:, None]

    def draw_noise(self) -> None: ...

    def paint(self, z: torch.Tensor, c: torch.Tensor | None) -> torch.Tensor:
        return self.synthesis(z[:, None])

    def synthesis(self, ws: torch.Tensor, transform: Any = None) -> torch.Tensor:
        raise NotImplementedError


class Linear(Drawn):
    """Pictures that are linear in w; all that changes lies where official crops look."""

    def __init__(self) -> None:
        super().__init__()
        eighth = SIZE // 8
        inside = torch.zeros(3, SIZE, SIZE)
        inside[:, eighth * 3 : eighth * 7, eighth * 2 : eighth * 6] = 1
        places = inside.flatten().nonzero()[:, 0]
        random = torch.randn(len(places), self.z_dim, generator=torch.Generator().manual_seed(0)).double()
        self.matrix = torch.zeros(3 * SIZE * SIZE, self.z_dim, dtype=torch.double)
        self.matrix[places] = torch.linalg.qr(random)[0]

    def synthesis(self, ws: torch.Tensor, transform: Any = None) -> torch.Tensor:
        self.shown.append(ws)
        return (ws[:, 0].double() @ self.matrix.T).reshape(-1, 3, SIZE, SIZE)


def test_path_length_of_a_linear_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """In w the squared distance of the two; in z, on the unit sphere, the squared angle between them."""
    file = scripted(Differences(), "lpips.pt")
    monkeypatch.setattr(samples, "EPSILON", 1e-3)  # single precision holds pictures so far apart
    for name in kinds.PATHS:
        painter = Linear()
        (found,) = evaluate(painter, None, [name], num=40, features=file)
        firsts, seconds = (torch.cat([z[part] for z in painter.latents]) for part in (slice(2), slice(2, None)))
        ends = torch.cat([ws[:2, 0] for ws in painter.shown])
        if "_w" in name:
            want = path_length((firsts - seconds).square().sum(1).numpy())
            assert torch.allclose(ends, firsts) == name.endswith("end")
            assert found.values[name] == pytest.approx(want, rel=0.02)
        else:  # of the angle between two random directions of 6 axes, the square is 2.6 in the mean
            assert torch.allclose(ends.norm(dim=1), torch.ones(40)) and 2 < found.values[name] < 3.2
        assert "lengths by features of the network lpips.pt" in found.not_comparable[0] and found.num_real == 0


def test_the_great_circle() -> None:
    random = torch.Generator().manual_seed(1)
    a, b = (torch.randn(5, 6, generator=random, dtype=torch.double) for _ in range(2))
    angle = torch.acos(torch.cosine_similarity(a, b))
    unit = torch.nn.functional.normalize
    for t in (0.0, 0.25, 1.0):
        c = samples.on_the_sphere(a, b, torch.full([5, 1], t, dtype=torch.double))
        torch.testing.assert_close(torch.acos((c * unit(a)).sum(1).clamp(-1, 1)), t * angle)
        torch.testing.assert_close(torch.acos((c * unit(b)).sum(1).clamp(-1, 1)), (1 - t) * angle)


class Field(Drawn):
    """Waves, looked up where the transform says: as equivariant as pixels can be."""

    waves = ((1.0, 2.0, 0.3), (-3.0, 1.0, 1.1), (2.0, 2.0, -0.4))

    def synthesis(self, ws: torch.Tensor, transform: Any = None) -> torch.Tensor:
        line = (np.arange(SIZE) + 0.5) / SIZE - 0.5
        x, y = np.meshgrid(line, line)
        matrix = np.eye(3) if transform is None else np.asarray(transform, np.float64)
        u, v = (matrix[i, 0] * x + matrix[i, 1] * y + matrix[i, 2] for i in range(2))
        channels = [np.cos(2 * np.pi * (f * u + g * v) + phase) * 0.5 for f, g, phase in self.waves]
        return torch.from_numpy(np.stack(channels).astype(np.float32))[None].repeat(len(ws), 1, 1, 1)


class Fixed(Field):
    """The picture stays where it is."""

    def synthesis(self, ws: torch.Tensor, transform: Any = None) -> torch.Tensor:
        return super().synthesis(ws)


class Flipped(Drawn):
    """One grey as it is, its negative where it is moved or turned: each number is off by 2 * 0.25."""

    def synthesis(self, ws: torch.Tensor, transform: Any = None) -> torch.Tensor:
        sign = 1 if np.array_equal(transform, np.eye(3)) else -1
        return torch.full([len(ws), 3, SIZE, SIZE], 0.25 * sign)


def test_equivariance_of_generators_that_are_known() -> None:
    moves = list(kinds.MOVES)

    def of(painter: Drawn) -> list[float]:
        return [found.values[move] for move, found in zip(moves, evaluate(painter, None, moves, num=8), strict=True)]

    still, parts, turned = of(Field())
    assert still > 110 and parts > 45 and turned > 45, (still, parts, turned)
    assert max(of(Fixed())) < 20
    assert of(Flipped()) == pytest.approx([20 * np.log10(2 / 0.5)] * 3, abs=1e-3)


def test_a_network_and_its_bundle(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same figures through torch and through ncnn, in one process and in several."""
    G = GENERATORS["v3"](**V3)
    G.load_state_dict(random_state("v3", V3, 3))
    G.synthesis.input.transform[0, 2] = 0.25
    export_generator(G.eval(), Path("tiny3"), "fused", [], transform_input=True)
    names = ["eqr", "ppl", "eqt_frac"]
    own = evaluate(G, None, names, num=8, features="fixed")
    assert G.synthesis.input.transform[0, 2] == 0.25
    painter = pickle.loads(pickle.dumps(NcnnPainter("tiny3")))
    shipped = evaluate(painter, None, names, num=8, features="fixed")
    assert [found.metric for found in shipped] == names and list(shipped[1].values) == ["ppl2_wend"]
    for a, b in zip(own, shipped, strict=True):
        (x,), (y,) = a.values.values(), b.values.values()
        assert x == pytest.approx(y, rel=0.02), a.metric
        assert "pictures of a bundle through ncnn" in b.not_comparable[-2]
    for there in (
        samples.PathSamples(painter, 8, 0, None, kinds.PATHS["ppl_wfull"], "cat.png").elsewhere(),
        samples.MovedSamples(painter, 8, 0, None, ("eqr",)).elsewhere(),
    ):  # for other machines, where the working directory is another
        assert Path(there.painter._path).is_absolute() and there.shard == 1000  # type: ignore[attr-defined]
        named = getattr(there, "features", None)
        assert named is None or Path(named).is_absolute()
    assert own[0].not_comparable == ["8 generated pictures, published figures are of 50000"]

    z = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    faces = NcnnPainter("faces")
    config = CONFIGS["v2ada_64_faces"]
    from stylegan.checkpoints import checkpoint

    loaded = checkpoint.load(config.shipped)
    G = checkpoint.build_generator(loaded.family, loaded.init_kwargs, loaded.state, loaded.source).eval()
    with torch.no_grad():
        want = G(z, noise_mode="none")
        torch.testing.assert_close(faces.paint(z, None), G(z, noise_mode="const"), atol=2e-2, rtol=0)
    assert want.shape == (3, 3, 64, 64)
    monkeypatch.setattr("stylegan.metrics.shards.SHARD", 8)
    quick = ("--engine", "ncnn", "--model", "faces", "--features", "fixed", "--batch", "4", "--workers", "0", "-q")
    command = ("--data", data(), "--metrics", "fid,ppl", "--num", "16", *quick)
    assert main(command) == 0 and main([*command, "--processes", "2"]) == 0
    lines = [json.loads(line) for line in Path("metrics.jsonl").read_text().splitlines()]
    (one, two), lengths = lines[::2], lines[1::2]
    assert one["values"]["fid"] == pytest.approx(two["values"]["fid"], rel=1e-4)
    for line in lengths:
        assert line["values"]["ppl2_wend"] == pytest.approx(lengths[0]["values"]["ppl2_wend"], rel=1e-3)
    assert one["engine"] == "ncnn" and one["network"]["bundle"] == "faces.json"
    assert "through ncnn" in capsys.readouterr().out


class Sorted(torch.nn.Module):
    """Classes in the official form: is there more red, green or blue?"""

    def forward(self, img: torch.Tensor, no_output_bias: bool = False) -> torch.Tensor:
        if not no_output_bias:
            raise RuntimeError("called in another way")
        return torch.softmax(img.float().mean(dim=[2, 3]), dim=1)


def test_names_and_wrong_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(CONFIGS, "tiny3", Config("tiny3", "v3", V3, None))
    tiny = ("--cfg", "tiny", "--ckpt", "random:7", "--num", "12", "--workers", "0", "-q")
    assert main([*tiny, "--metrics", "is", "--features", scripted(Sorted(), "classes.pt")]) == 0
    assert 1 <= json.loads(Path("metrics.jsonl").read_text())["values"]["is_mean"] <= 3
    capsys.readouterr()
    labels = ("--cfg", "labels", "--ckpt", "random:1", "--num", "12", "-q")
    ncnn = ("--engine", "ncnn", "--num", "12", "-q")
    three = ("--cfg", "tiny3", "--ckpt", "random:1", "--num", "12", "-q")
    for arguments, said in (
        (
            (*tiny, "--metrics", "fid50k_full"),
            "metrics fid50k_full: it is of 50000 pictures, and num is 12: ask for fid",
        ),
        ((*tiny, "--metrics", "fid,is"), "metrics fid compare with a data set, and none is given"),
        ((*tiny, "--metrics", "ppl,ppl2_wend"), "each once"),
        ((*tiny, "--metrics", "eqr"), "metrics eqr: the network takes no transform: expected StyleGAN3"),
        ((*tiny, "--metrics", "is", "--num", "9"), "num 9: expected 10 to"),
        ((*tiny, "--metrics", "is", "--features", "fixed"), "is: fixed features without a network"),
        ((*tiny, "--metrics", "is", "--features", "cat.png"), "expected a TorchScript file"),
        ((*tiny, "--metrics", "ppl", "--features", "inception"), "path lengths are of vgg16"),
        ((*tiny, "--metrics", "ppl", "--features", "none.pt"), "features none.pt: cannot be read"),
        ((*tiny, "--metrics", "ppl", "--mirror"), "--mirror: it is about --data, and there is none"),
        ((*tiny, "--metrics", "ppl", "--model", "faces"), "--model faces: a bundle is measured with --engine ncnn"),
        ((*labels, "--metrics", "ppl"), "the network's labels are drawn from a data set"),
        ((*ncnn, "--metrics", "ppl"), "--engine ncnn: expected --model with a bundle, got none"),
        ((*ncnn, "--metrics", "ppl", "--cfg", "tiny"), "--cfg: engine ncnn measures a bundle: export it"),
        ((*ncnn, "--metrics", "ppl", "--model", "nowhere"), "engine ncnn: "),
        ((*ncnn, "--metrics", "eqt_int", "--model", "faces"), "exported with --transform-input"),
        ((*ncnn, "--metrics", "fid", "--model", "faces", "--data", "cat.png"), "expected a folder or a zip"),
        ((*three, "--metrics", "eqr", "--processes", "0"), "--processes 0: expected 1 or more"),
    ):
        assert main(arguments) == 2, arguments
        output = capsys.readouterr()
        assert said in output.err and not output.out and "Traceback" not in output.err, output.err
    pictures = PictureDataset(data())
    with pytest.raises(MetricError, match="it is of all pictures of the data, and they are mirrored too"):
        kinds.check_data(["fid50k_full"], len(pictures), True, True)
    with pytest.raises(MetricError, match="these are a part of them: ask for is"):
        kinds.check_data(["is50k"], len(pictures), False, False)
    with pytest.raises(MetricError, match="give max_size"):
        kinds.check_data(["kid50k"], 70_000, False, True)
    kinds.check_data(["kid50k", "fid"], 50_000, True, False)
