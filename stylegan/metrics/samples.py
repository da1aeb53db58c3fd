"""What is measured of a generator by itself: path lengths of its latents, and how it moves and turns.

Samples are drawn, and batched, as the official code does it: from one seed both give the same figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from stylegan._torch import Tensor, torch
from stylegan.checkpoints import feature_files
from stylegan.dataset.pictures import PictureDataset
from stylegan.errors import MetricError, ProjectionError
from stylegan.metrics import equivariance
from stylegan.metrics.painters import Painter
from stylegan.metrics.shards import data_elsewhere, starts, whole_batches
from stylegan.projector import PIXELS, Distance, choose

EPSILON = 1e-4
LARGEST = 256  # pixels of a picture whose features are compared
FIXED = "fixed"


@dataclass(frozen=True)
class Path:
    """space: "z" or "w", in which latents are joined. end: at the first of the two, and not anywhere. crop: to where
    faces are."""

    space: str
    end: bool
    crop: bool


PATHS = {
    "ppl2_wend": Path("w", True, False),
    "ppl_zfull": Path("z", False, True),
    "ppl_wfull": Path("w", False, True),
    "ppl_zend": Path("z", True, True),
    "ppl_wend": Path("w", True, True),
}
MOVES = ("eqt_int", "eqt_frac", "eqr")
"""Moved by pixels, by parts of them, and turned."""


@cache
def distance(features: str | None, channels: int) -> tuple[Distance, str]:
    """What paths are measured by, and why lengths cannot be held against published ones. Raises MetricError.

    features: as features.choose() takes them; "fixed" is the pyramid of the pixels.
    """
    if features == "inception":
        raise MetricError("features inception: path lengths are of vgg16, efficientnet, fixed, or a file")
    try:
        found, reason = choose(PIXELS if features == FIXED else features, 3 if channels == 4 else channels)
    except ProjectionError as error:
        raise MetricError(str(error)) from None
    return found, reason


@dataclass
class Samples:
    """A generator's, in shards: each [n, columns]. labels: the data that labels are drawn from, or None."""

    painter: Painter
    count: int
    seed: int
    labels: PictureDataset | None
    batch: int = field(default=1, init=False)
    shard: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.shard = whole_batches(self.batch)

    def elsewhere(self) -> Samples:
        labels = None if self.labels is None else data_elsewhere(self.labels)
        return replace(self, painter=self.painter.elsewhere(), labels=labels)

    def feed(self, shards: Sequence[int], device: torch.device, readers: int) -> Iterator[Tensor]:
        for shard in shards:
            torch.manual_seed(self.seed + (shard << 32))
            random = np.random.RandomState([self.seed, shard])
            for first in starts(self, shard):
                n, c = min(self.batch, self.count - first), None
                if self.labels is not None:
                    numbers = random.randint(len(self.labels), size=n)
                    c = torch.from_numpy(np.stack([self.labels.label(int(i)) for i in numbers])).to(device)
                yield self._sample(n, c, device)

    def _sample(self, n: int, c: Tensor | None, device: torch.device) -> Tensor:
        raise NotImplementedError


@dataclass
class PathSamples(Samples):
    """[N, 1]: squared distances of pictures whose latents lie EPSILON apart, of its square.

    Karras et al. 2019 ("A style-based generator architecture"), section 4.1, and 2020 ("Analyzing and improving the
    image quality of StyleGAN"), appendix A, which does without the crop.
    """

    path: Path = PATHS["ppl2_wend"]
    features: str | None = None
    batch: int = field(default=2, init=False)

    def elsewhere(self) -> Samples:
        return replace(super().elsewhere(), features=feature_files.elsewhere(self.features))  # type: ignore[call-arg]

    def _sample(self, n: int, c: Tensor | None, device: torch.device) -> Tensor:
        t = torch.rand([n], device=device) * (0 if self.path.end else 1)
        z = torch.randn([2 * n, self.painter.z_dim], device=device)
        both = None if c is None else torch.cat([c, c])
        if self.path.space == "w":
            a, b = self.painter.styles(z, both).to(device).chunk(2)
            ws = torch.cat([a.lerp(b, place[:, None, None]) for place in (t, t + EPSILON)])
        else:
            a, b = z.chunk(2)
            points = torch.cat([on_the_sphere(a, b, place[:, None]) for place in (t, t + EPSILON)])
            ws = self.painter.styles(points, both).to(device)
        self.painter.draw_noise()
        x = self.painter.synthesis(ws).to(device)[:, :3]
        if self.path.crop:
            eighth = x.shape[2] // 8
            x = x[:, :, eighth * 3 : eighth * 7, eighth * 2 : eighth * 6]
        factor = self.painter.img_resolution // LARGEST
        if factor > 1:
            x = torch.nn.functional.avg_pool2d(x, factor)
        by, _ = distance(self.features, self.painter.img_channels)
        by.to(device)
        first, second = by.of((x + 1) * 127.5).chunk(2)
        found: Tensor = (first - second).square().sum(dim=1, keepdim=True) / EPSILON**2
        return found


def on_the_sphere(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The unit vectors that lie from a to b on a great circle, at t [N, 1] of the way; a, b [N, n] of any length."""
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    cosine = (a * b).sum(dim=1, keepdim=True)
    aside = b - cosine * a
    aside = aside / aside.norm(dim=1, keepdim=True)
    angle = t * torch.acos(cosine)
    c = a * torch.cos(angle) + aside * torch.sin(angle)
    found: Tensor = c / c.norm(dim=1, keepdim=True)
    return found


@dataclass
class MovedSamples(Samples):
    """[N, 2 * len(moves)]: for each of MOVES the sum of squared differences, and how many numbers it is of."""

    moves: tuple[str, ...] = MOVES
    batch: int = field(default=4, init=False)

    def _sample(self, n: int, c: Tensor | None, device: torch.device) -> Tensor:
        painter, size = self.painter, self.painter.img_resolution
        painter.draw_noise()
        ws = painter.styles(torch.randn([n, painter.z_dim], device=device), c)
        still = painter.synthesis(ws, equivariance.transform()).to(device)
        columns = []
        for move in (move for move in MOVES if move in self.moves):
            if move == "eqr":
                angle = float((torch.rand([], device=device) * 2 - 1) * math.pi)
                made = painter.synthesis(ws, equivariance.transform(angle)).to(device)
                (wanted, a), (got, b) = equivariance.turned(still, angle), equivariance.as_if_turned(made, angle)
                mask = a * b
            else:
                t = (torch.rand([2], device=device) * 2 - 1) * equivariance.MOST_MOVED
                if move == "eqt_int":
                    t = (t * size).round() / size
                x, y = t.tolist()
                got = painter.synthesis(ws, equivariance.transform(x=x, y=y)).to(device)
                if move == "eqt_int":
                    wanted, mask = equivariance.moved_by_pixels(still, round(x * size), round(y * size))
                else:
                    wanted, mask = equivariance.moved(still, x * size, y * size)
            columns += [((wanted - got).double().square() * mask).sum(dim=(1, 2, 3)), mask.sum(dim=(1, 2, 3)).double()]
        return torch.stack(columns, dim=1).float()
