"""What pictures are compared by: the features of a network, or fixed ones that need none."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylegan._torch import Tensor, functional, torch
from stylegan.checkpoints import efficientnet, feature_files
from stylegan.checkpoints.feature_files import INCEPTION, VGG16, FeatureFile, FeatureFileError, Official, first_line
from stylegan.errors import MetricError
from stylegan.metrics import inception

FIXED = "fixed"
"""The word that choose() takes for features without a network."""
OFFICIAL: dict[str, Official] = {"fid": INCEPTION, "kid": INCEPTION, "pr": VGG16, "is": INCEPTION}
"""The network that published figures of each metric were computed with."""
_FROM_WORDS = {official.word: official for official in (INCEPTION, VGG16)}


class Features(ABC):
    """features(pictures) gives [N, n]; `description` says what it is, `key` tells it from every other one."""

    description: str
    key: str

    def __call__(self, pictures: Tensor) -> Tensor:
        """uint8 [N, C, H, W] of 1, 3 or 4 channels -> float32 [N, n]. Raises MetricError."""
        if pictures.shape[1] == 1:
            pictures = pictures.expand(-1, 3, -1, -1)
        with torch.no_grad():
            return self._features(pictures[:, :3])

    @abstractmethod
    def _features(self, pictures: Tensor) -> Tensor:
        """Of uint8 [N, 3, H, W]."""

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Move what it computes with."""

    def classes(self, pictures: Tensor) -> Tensor:
        """Probabilities [N, classes] of uint8 [N, 3, H, W]. Raises MetricError where it knows no classes."""
        raise MetricError(
            f"is: {self.description} know no classes: choose --features inception, {efficientnet.WORD}, or a file"
        )


class Classes(Features):
    """The probabilities of another one's classes."""

    def __init__(self, of: Features) -> None:
        self._of = of
        self.key, self.description = f"{of.key} classes", f"classes of {of.description}"

    def to(self, device: torch.device) -> None:
        self._of.to(device)

    def _features(self, pictures: Tensor) -> Tensor:
        found = self._of.classes(pictures)
        if found.ndim != 2 or not ((found >= 0).all() and (found.sum(1) - 1).abs().max() < 1e-3):
            raise MetricError(f"{self.description}: expected probabilities, which add up to 1")
        return found


class NetworkFeatures(Features):
    """A TorchScript network in the official form: net(uint8 [N, 3, H, W], return_features=True) -> [N, n], and
    net(uint8 [N, 3, H, W], no_output_bias=True) -> probabilities [N, classes].

    The file is executed. Raises MetricError where it is none.
    """

    def __init__(self, file: FeatureFile) -> None:
        self.name, self.key = file.name, file.sha256
        self.description = f"{file.name} (sha256 {file.sha256[:16]}...)"
        try:
            self._network = feature_files.load(file)
        except FeatureFileError as error:
            raise MetricError(str(error)) from None

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    def _features(self, pictures: Tensor) -> Tensor:
        return self._called(pictures, "return_features")

    def classes(self, pictures: Tensor) -> Tensor:
        return self._called(pictures, "no_output_bias")

    def _called(self, pictures: Tensor, how: str) -> Tensor:
        try:
            found = self._network(pictures, **{how: True})
        except (RuntimeError, TypeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise MetricError(
                f"features {self.name}: expected a network that is called as net(pictures, {how}=True) with "
                f"uint8 {list(pictures.shape)}: {first_line(error)}; --features {FIXED} needs none"
            ) from None
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(pictures):
            got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise MetricError(f"features {self.name}: expected [{len(pictures)}, n], got {got}")
        if not found.isfinite().all():
            raise MetricError(f"features {self.name}: values that are not finite")
        return found.float()


class StateDictFeatures(Features):
    """The Inception of published figures with the weights of a file, which is not executed. Raises MetricError."""

    def __init__(self, file: FeatureFile) -> None:
        self.key = file.sha256
        self.description = f"Inception with the weights of {file.name} (sha256 {file.sha256[:16]}...)"
        self._network = inception.from_state_dict(file)

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    def _features(self, pictures: Tensor) -> Tensor:
        found: Tensor = self._network(pictures)
        if not found.isfinite().all():
            raise MetricError(f"{self.description}: values that are not finite")
        return found

    def classes(self, pictures: Tensor) -> Tensor:
        return functional.linear(self._features(pictures), self._network.output.weight).softmax(dim=1)


class EfficientNetFeatures(Features):
    """What EfficientNet-Lite0 tells ImageNet's classes by; the weights are a package's. Raises MetricError."""

    def __init__(self) -> None:
        try:
            self._network, self.key = efficientnet.installed()
        except FeatureFileError as error:
            raise MetricError(str(error)) from None
        self.description = f"{efficientnet.DESCRIPTION} (sha256 {self.key[:16]}...)"

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    def _features(self, pictures: Tensor) -> Tensor:
        return self._network.features(efficientnet.prepared(pictures))

    def classes(self, pictures: Tensor) -> Tensor:
        found: Tensor = self._network(efficientnet.prepared(pictures)).softmax(dim=1)
        return found


class FixedFeatures(Features):
    """Features without a network: the layout of colours, and statistics of fixed random convolutions. 496 numbers.

    Pictures are brought to 64 x 64. A mosaic of 4 x 4 pixels tells where which colours are; three layers of random
    3 x 3 convolutions with stride 2 and ReLU, after Ulyanov et al. 2016 ("Texture networks") and others who found that
    untrained filters describe textures, tell of edges and patterns by the mean and the deviation of every channel. The
    weights are of numpy's RandomState(0), which is the same everywhere and for ever. They rank generators of one data
    set; the numbers mean nothing beside those of other features. Of 1000 drawn faces others have a distance (fid) of
    0.2, blurred ones of 3.5, the patterns of a network with random weights of 38.
    """

    SIDE, MOSAIC, CHANNELS = 64, 4, (32, 64, 128)
    description = "fixed features without a network: a mosaic and random convolutions"

    def __init__(self) -> None:
        random = np.random.RandomState(0)
        self._weights = []
        before = 3
        for channels in self.CHANNELS:
            weight = random.randn(channels, before, 3, 3) * np.sqrt(2 / (9 * before))
            self._weights.append(torch.from_numpy(weight.astype(np.float32)))
            before = channels
        version = [self.SIDE, self.MOSAIC, self.CHANNELS, 1]
        self.key = hashlib.sha256(f"{FIXED} {version}".encode()).hexdigest()

    def to(self, device: torch.device) -> None:
        self._weights = [weight.to(device) for weight in self._weights]

    def _features(self, pictures: Tensor) -> Tensor:
        x = pictures.float() / 127.5 - 1
        larger = min(x.shape[2:]) >= self.SIDE
        how = {"mode": "area"} if larger else {"mode": "bilinear", "align_corners": False}
        x = functional.interpolate(x, size=(self.SIDE, self.SIDE), **how)
        parts = [functional.adaptive_avg_pool2d(x, self.MOSAIC).flatten(1)]
        for weight in self._weights:
            x = functional.conv2d(x, weight, stride=2, padding=1).relu()
            parts += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
        return torch.cat(parts, dim=1)


def choose(named: str | None, metric: str) -> tuple[Features, str]:
    """The features for a metric, and why its figures are not comparable with published ones (else empty).

    named: a TorchScript file, which is executed, or a state_dict of inception-2015-12-05.pth, which is not; "inception"
    or "vgg16", an official file; "fixed"; "efficientnet", whose weights are a package's; None: the official file of the
    metric from the cache or the network, and else the fixed ones, for `is` those of the package. Raises MetricError.
    """
    found, reason = _chosen(named, metric)
    if metric != "is":
        return found, reason
    if isinstance(found, FixedFeatures):
        if named == FIXED:
            found.classes(torch.zeros(0))  # says that there are none
        found, reason = EfficientNetFeatures(), reason.replace("features without a network", "classes of another one")
    return Classes(found), reason


@dataclass(frozen=True)
class Choice:
    """The features of several metrics, by their keys: a picture is shown once to those that metrics share."""

    named: str | None
    metrics: tuple[str, ...]

    def __call__(self) -> dict[str, Features]:
        return {found.key: found for found, _ in (choose(self.named, metric) for metric in self.metrics)}

    def elsewhere(self) -> Choice:
        return Choice(feature_files.elsewhere(self.named), self.metrics)


def _chosen(named: str | None, metric: str) -> tuple[Features, str]:
    if named == FIXED:
        return FixedFeatures(), "features without a network"
    if named == efficientnet.WORD:
        return EfficientNetFeatures(), f"features of another network than {OFFICIAL[metric].description}"
    wanted = OFFICIAL[metric]
    try:
        if named is not None and named not in _FROM_WORDS:
            file = feature_files.named(Path(named))
        else:
            found, reason = feature_files.official(wanted if named is None else _FROM_WORDS[named])
            if found is None and named is not None:
                raise MetricError(f"features {named}: {reason}")
            if found is None:
                return FixedFeatures(), f"features without a network, as there is no official one: {reason}"
            file = found
    except FeatureFileError as error:
        raise MetricError(str(error)) from None
    if inception.is_state_dict(file):
        reason = "weights in a state_dict, of which no hash tells that they are those of the official Inception"
        return StateDictFeatures(file), reason
    other = "" if file.sha256 == wanted.sha256 else f"features of another network than {wanted.description}"
    return NetworkFeatures(file), other
