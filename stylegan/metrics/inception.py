"""The Inception v3 of 2015-12-05 that FID and KID are defined by, for its weights as a state_dict.

The names are those of inception-2015-12-05.pth, which the predecessor made of the official TorchScript file. Nothing in
such a file is executed. Source: Szegedy et al. 2015, "Rethinking the Inception Architecture"; what differs from it is
of the TensorFlow graph: averages leave the border out, and the last block has a maximum in place of one.
"""

from __future__ import annotations

import zipfile
from io import BytesIO

from stylegan._torch import Tensor, functional, nn, torch
from stylegan.checkpoints import readers, torch_files
from stylegan.checkpoints.feature_files import FeatureFile
from stylegan.checkpoints.pickle_values import Refused
from stylegan.errors import CheckpointError, MetricError

MARK = "layers.mixed_10.tower_mixed_conv.conv.weight"
SIDE = 299


class _Conv(nn.Module):
    """Convolution without a bias, batch normalisation, ReLU."""

    def __init__(self, before: int, after: int, kernel: int | tuple[int, int], stride: int = 1, padding: bool = True):
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = (height // 2, width // 2) if padding else 0
        self.conv = nn.Conv2d(before, after, (height, width), stride, around, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = functional.relu(self.bn(self.conv(x)))
        return y


def _average() -> nn.AvgPool2d:
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


def _tower(*convolutions: _Conv, pool: nn.Module | None = None) -> nn.Sequential:
    """In a row, named conv, conv_1, ..., behind a pool."""
    found = nn.Sequential()
    if pool is not None:
        found.add_module("pool", pool)
    for i, convolution in enumerate(convolutions):
        found.add_module(f"conv_{i}" if i else "conv", convolution)
    return found


class _Mixed(nn.Module):
    """All branches side by side, their channels behind each other."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


def _a(n: int, pooled: int) -> _Mixed:
    return _Mixed(
        conv=_Conv(n, 64, 1),
        tower=_tower(_Conv(n, 48, 1), _Conv(48, 64, 5)),
        tower_1=_tower(_Conv(n, 64, 1), _Conv(64, 96, 3), _Conv(96, 96, 3)),
        tower_2=_tower(_Conv(n, pooled, 1), pool=_average()),
    )


def _b(n: int) -> _Mixed:
    return _Mixed(
        conv=_Conv(n, 384, 3, 2, padding=False),
        tower=_tower(_Conv(n, 64, 1), _Conv(64, 96, 3), _Conv(96, 96, 3, 2, padding=False)),
        pool=nn.MaxPool2d(3, stride=2),
    )


def _c(n: int, c: int) -> _Mixed:
    long = ((n, c, 1), (c, c, (7, 1)), (c, c, (1, 7)), (c, c, (7, 1)), (c, 192, (1, 7)))
    return _Mixed(
        conv=_Conv(n, 192, 1),
        tower=_tower(_Conv(n, c, 1), _Conv(c, c, (1, 7)), _Conv(c, 192, (7, 1))),
        tower_1=_tower(*(_Conv(*sizes) for sizes in long)),
        tower_2=_tower(_Conv(n, 192, 1), pool=_average()),
    )


def _d(n: int) -> _Mixed:
    last = _Conv(192, 192, 3, 2, padding=False)
    return _Mixed(
        tower=_tower(_Conv(n, 192, 1), _Conv(192, 320, 3, 2, padding=False)),
        tower_1=_tower(_Conv(n, 192, 1), _Conv(192, 192, (1, 7)), _Conv(192, 192, (7, 1)), last),
        pool=nn.MaxPool2d(3, stride=2),
    )


class _E(nn.Module):
    """Two of the branches part once more."""

    tower_mixed_conv: _Conv
    tower_mixed_conv_1: _Conv
    tower_1_mixed_conv: _Conv
    tower_1_mixed_conv_1: _Conv

    def __init__(self, n: int, pool: nn.Module) -> None:
        super().__init__()
        self.tower_conv = _Conv(n, 384, 1)
        self.tower_1_conv = _Conv(n, 448, 1)
        self.tower_1_conv_1 = _Conv(448, 384, 3)
        self.conv = _Conv(n, 320, 1)
        for name in ("tower_mixed_conv", "tower_1_mixed_conv"):
            self.add_module(name, _Conv(384, 384, (1, 3)))
            self.add_module(f"{name}_1", _Conv(384, 384, (3, 1)))
        self.tower_2_pool = pool
        self.tower_2_conv = _Conv(n, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.tower_conv(x)
        b = self.tower_1_conv_1(self.tower_1_conv(x))
        parts = [self.conv(x), self.tower_mixed_conv(a), self.tower_mixed_conv_1(a)]
        parts += [self.tower_1_mixed_conv(b), self.tower_1_mixed_conv_1(b), self.tower_2_conv(self.tower_2_pool(x))]
        return torch.cat(parts, dim=1)


class InceptionV3(nn.Module):
    """uint8 or float [N, 3, H, W] of 0 to 255 -> features [N, 2048]. `output`, of its classes, is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for name, layer in (
            ("conv", _Conv(3, 32, 3, 2, padding=False)),
            ("conv_1", _Conv(32, 32, 3, padding=False)),
            ("conv_2", _Conv(32, 64, 3)),
            ("pool0", nn.MaxPool2d(3, stride=2)),
            ("conv_3", _Conv(64, 80, 1)),
            ("conv_4", _Conv(80, 192, 3, padding=False)),
            ("pool1", nn.MaxPool2d(3, stride=2)),
            *((f"mixed{end}", _a(n, pooled)) for end, n, pooled in (("", 192, 32), ("_1", 256, 64), ("_2", 288, 64))),
            ("mixed_3", _b(288)),
            *((f"mixed_{i}", _c(768, c)) for i, c in ((4, 128), (5, 160), (6, 160), (7, 192))),
            ("mixed_8", _d(768)),
            ("mixed_9", _E(1280, _average())),
            ("mixed_10", _E(2048, nn.MaxPool2d(3, stride=1, padding=1))),
            ("pool2", nn.AvgPool2d(8)),
        ):
            self.layers.add_module(name, layer)
        self.output = nn.Linear(2048, 1008)

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures.float()
        n, _, height, width = x.shape
        # TensorFlow's old resizing: the first pixels of both pictures have the same place, not their corners.
        theta = x.new_tensor([[1, 0, 1 / width - 1 / SIDE], [0, 1, 1 / height - 1 / SIDE]])
        grid = functional.affine_grid(theta.expand(n, 2, 3), [n, 3, SIDE, SIDE], align_corners=False)
        x = functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        y: Tensor = self.layers((x - 128) / 128).flatten(1)
        return y


def is_state_dict(file: FeatureFile) -> bool:
    """Whether torch.save wrote it, and not TorchScript."""
    try:
        with zipfile.ZipFile(BytesIO(file.data)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:  # torch's files of before 1.6
        return torch_files.is_torch(file.data)
    return any(name.endswith("data.pkl") for name in names) and not any(
        name.endswith("constants.pkl") for name in names
    )


def from_state_dict(file: FeatureFile) -> InceptionV3:
    """The network of a file with the weights alone. Raises MetricError where they are not its own."""
    advice = "expected a state_dict of inception-2015-12-05.pth, or a TorchScript file"
    try:
        content = torch_files.read_torch(file.data)
        if not isinstance(content, dict) or MARK not in content:
            raise MetricError(f"features {file.name}: {advice}; it has no {MARK}")
        state = readers.tensors(content, len(file.data))
    except (Refused, CheckpointError) as error:
        raise MetricError(f"features {file.name}: {advice}: {error}") from None
    network = InceptionV3().eval().requires_grad_(False)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise MetricError(f"features {file.name}: {advice}: {' '.join(str(error).split())[:300]}") from None
    return network
