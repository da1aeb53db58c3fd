"""How far two pictures are from each other: the squared distance of their features.

Features come from a network (LPIPS with VGG16, as the official projector has it) or, without one, from the pixels.
Pictures are [1, C, H, W] with values around 0..255; those larger than 256 x 256 are reduced to that.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path

from stylegan._torch import Tensor, functional, torch
from stylegan.checkpoints import efficientnet, feature_files
from stylegan.checkpoints.feature_files import VGG16, FeatureFile, FeatureFileError, first_line
from stylegan.errors import ProjectionError

SIZE = 256
PIXELS, OFFICIAL = "pixels", VGG16.word
"""The words that choose() takes in place of a file."""


class Distance(ABC):
    """features(picture) gives what is compared; `description` says in plain words what that is.

    sha256: of the network's file, None where there is none.
    """

    description: str
    sha256: str | None = None

    @property
    def is_official(self) -> bool:
        """Whether it is LPIPS as published figures have it."""
        return self.sha256 == VGG16.sha256

    def features(self, picture: Tensor) -> Tensor:
        """[1, C, H, W] -> [1, n], differentiable."""
        if max(picture.shape[2:]) > SIZE:
            picture = functional.interpolate(picture, size=(SIZE, SIZE), mode="area")
        return self._features(picture)

    def of(self, pictures: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, n]: features() of several, in the size that they have."""
        return self._features(pictures)

    @abstractmethod
    def _features(self, picture: Tensor) -> Tensor:
        """features(), of pictures that are not too large."""

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Move what it computes with to the pictures' device."""


class PixelDistance(Distance):
    """The normalised Laplacian pyramid of the pixels, after Laparra et al. 2016 ("Perceptual image quality assessment
    using a normalized Laplacian pyramid"): no network, and nothing learned.

    Each octave's details (the picture less its blurred self) are divided by their local root mean square, as an eye
    sees contrast relative to what is around; what is left below 8 x 8 pixels is the colours of large areas. The coarse
    octaves count as much as the fine ones, though they have few pixels: they lead to the place where the fine ones can
    match. The distance of two pictures that have nothing to do with each other is about 1, as with LPIPS.
    """

    description = "normalised Laplacian pyramid of the pixels, without a perceptual network"
    SMALLEST = 8
    VISIBLE = 0.1  # details much weaker than this part of the range are not amplified
    DETAILS, COLOURS = 0.5, 4.0  # normalised details are about 1, differences of colours a fraction of 1

    def to(self, device: torch.device) -> None:
        pass  # there is nothing to move

    def _features(self, picture: Tensor) -> Tensor:
        x = picture / 255
        parts = []
        while min(x.shape[2:]) >= self.SMALLEST:
            low = _blurred(x)
            details = x - low
            contrast = (_blurred(details.square()) + self.VISIBLE**2).sqrt()
            parts.append(details / contrast * self.DETAILS)
            x = functional.avg_pool2d(low, 2)
        parts.append(x * self.COLOURS)
        return torch.cat([part.flatten(1) / math.sqrt(part[0].numel()) for part in parts], dim=1)


def _blurred(x: Tensor) -> Tensor:
    """x [1, C, H, W], filtered with the binomial filter of 5 taps along both axes, mirrored at the borders."""
    channels = x.shape[1]
    taps = x.new_tensor([1, 4, 6, 4, 1]) / 16
    x = functional.pad(x, [2, 2, 2, 2], mode="reflect")
    x = functional.conv2d(x, taps.expand(channels, 1, 1, 5), groups=channels)
    return functional.conv2d(x, taps[:, None].expand(channels, 1, 5, 1), groups=channels)


class NetworkDistance(Distance):
    """Features of a TorchScript network in the official form: net(pictures [N, 3, H, W] of 0..255,
    resize_images=False, return_lpips=True) -> [N, n], scaled so that squared differences add up to LPIPS.

    A TorchScript file is a program: only give bytes that are trusted. Raises ProjectionError for others.
    """

    def __init__(self, data: bytes, name: str, sha256: str) -> None:
        self.name, self.sha256 = name, sha256
        self.description = f"features of the network {name} (sha256 {sha256[:16]}...)"
        try:
            self._network = feature_files.load(FeatureFile(data, name, sha256))
        except FeatureFileError as error:
            raise ProjectionError(str(error)) from None

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    def _features(self, picture: Tensor) -> Tensor:
        if picture.shape[1] == 1:
            picture = picture.expand(-1, 3, -1, -1)
        try:
            # Without it the first runs are watched and the later ones optimised: a continued run would not be the same.
            with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                found = self._network(picture, resize_images=False, return_lpips=True)
        except (RuntimeError, TypeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise ProjectionError(
                f"features {self.name}: expected a network that is called as net(pictures, resize_images=False, "
                f"return_lpips=True) with {list(picture.shape)}: {first_line(error)}; --features {PIXELS} needs none"
            ) from None
        if (
            not isinstance(found, Tensor)
            or found.ndim != 2
            or len(found) != len(picture)
            or not found.is_floating_point()
        ):
            got = f"{found.dtype} of {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise ProjectionError(f"features {self.name}: expected features, floats of [{len(picture)}, n], got {got}")
        if picture.requires_grad and not found.requires_grad:
            raise ProjectionError(f"features {self.name}: no gradient comes back from it: it cannot lead to a style")
        return found.float()


class EfficientNetDistance(Distance):
    """The maps of EfficientNet-Lite0, each pixel's channels of length one as in LPIPS (Zhang et al. 2018, "The
    unreasonable effectiveness of deep features"), with no weights of their own; a mean over places and maps."""

    description = f"features of {efficientnet.DESCRIPTION}"

    def __init__(self) -> None:
        try:
            self._network, self.sha256 = efficientnet.installed()
        except FeatureFileError as error:
            raise ProjectionError(str(error)) from None

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    def _features(self, picture: Tensor) -> Tensor:
        maps = self._network.maps(efficientnet.prepared(picture.expand(-1, 3, -1, -1)))
        parts = [functional.normalize(x, eps=1e-6).flatten(1) / math.sqrt(len(maps) * x[0, 0].numel()) for x in maps]
        return torch.cat(parts, dim=1)


def choose(named: str | None, channels: int) -> tuple[Distance, str]:
    """The distance, and why it is not the official network's although nothing else was named (else empty).

    named: a TorchScript file, which is executed; "pixels"; "efficientnet", whose weights are a package's; "vgg16", the
    official file; None: that file from the cache or the network, and else the pixels. The official file is executed
    only if its hash is the known one. channels: of the pictures; a network takes 1 or 3. Raises ProjectionError.
    """
    if named == PIXELS:
        return PixelDistance(), ""
    if channels not in (1, 3):
        reason = f"a network of features takes pictures of 1 or 3 channels, these have {channels}"
        if named is not None:
            raise ProjectionError(f"features {named}: {reason}: choose --features {PIXELS}")
        return PixelDistance(), reason
    if named == efficientnet.WORD:
        return EfficientNetDistance(), ""
    try:
        if named not in (None, OFFICIAL):
            assert named is not None
            file, reason = feature_files.named(Path(named)), ""
        else:
            found, reason = feature_files.official(VGG16)
            if found is None:
                if named is not None:
                    raise ProjectionError(f"features {named}: {reason}")
                return PixelDistance(), reason
            file = found
    except FeatureFileError as error:
        raise ProjectionError(str(error)) from None
    return NetworkDistance(file.data, file.name, file.sha256), ""
