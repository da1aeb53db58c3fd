"""Augmentation of what the discriminator sees, with a probability that adapts to how much it overfits.

Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 2 and appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stylegan._torch import Tensor, nn, torch
from stylegan.networks.functional import setup_filter
from stylegan.training import augment_filter as filtering
from stylegan.training import matrices
from stylegan.training.augment_geometry import resample
from stylegan.training.draws import Draws, RandomDraws
from stylegan.training.wavelets import symlet_taps


@dataclass(frozen=True)
class AugmentSettings:
    """Each transformation is applied with probability (its multiplier here) * p.

    Pixel blitting: xflip, rotate90, xint (translation by whole pixels, at most xint_max of the size).
    Geometry: scale, rotate, aniso (stretching), xfrac (translation). Scales are 2^normal, of standard deviation
    scale_std and aniso_std; rotate_max is a part of half a turn, xfrac_std of the size.
    Colour: brightness, contrast, lumaflip, hue, saturation; brightness_std, contrast_std and saturation_std (of
    logarithms to base 2), hue_max a part of half a turn.
    imgfilter: amplifies or weakens bands of frequencies, imgfilter_bands are further multipliers, lowest band first;
    imgfilter_std of the logarithm to base 2. Corruption: noise, of a standard deviation that is itself drawn with
    noise_std; cutout, a rectangle of cutout_size of the picture's size.
    """

    xflip: float = 0
    rotate90: float = 0
    xint: float = 0
    xint_max: float = 0.125
    scale: float = 0
    rotate: float = 0
    aniso: float = 0
    xfrac: float = 0
    scale_std: float = 0.2
    rotate_max: float = 1
    aniso_std: float = 0.2
    xfrac_std: float = 0.125
    brightness: float = 0
    contrast: float = 0
    lumaflip: float = 0
    hue: float = 0
    saturation: float = 0
    brightness_std: float = 0.2
    contrast_std: float = 0.5
    hue_max: float = 1
    saturation_std: float = 1
    imgfilter: float = 0
    imgfilter_bands: Sequence[float] = (1, 1, 1, 1)
    imgfilter_std: float = 1
    noise: float = 0
    cutout: float = 0
    noise_std: float = 0.1
    cutout_size: float = 0.5


GROUPS = {
    "blit": ("xflip", "rotate90", "xint"),
    "geom": ("scale", "rotate", "aniso", "xfrac"),
    "color": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
    "filter": ("imgfilter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
PIPES = {
    **{name: (name,) for name in GROUPS},
    "bg": ("blit", "geom"),
    "bgc": ("blit", "geom", "color"),
    "bgcf": ("blit", "geom", "color", "filter"),
    "bgcfn": ("blit", "geom", "color", "filter", "noise"),
    "bgcfnc": ("blit", "geom", "color", "filter", "noise", "cutout"),
}
"""Names of the paper for groups that are used together; bgc is what it recommends."""


def pipe_settings(name: str = "bgc") -> AugmentSettings:
    """All multipliers of the groups of PIPES[name] at 1. Raises ValueError for an unknown name."""
    if name not in PIPES:
        raise ValueError(f"augmentation pipe {name!r} is unknown: expected one of {', '.join(PIPES)}")
    multipliers: dict[str, Any] = {field: 1.0 for group in PIPES[name] for field in GROUPS[group]}
    return AugmentSettings(**multipliers)


class AugmentPipe(nn.Module):
    """pictures [N, C, H, W] about -1..1 -> the same shape, each sample transformed in its own way.

    C is 1, 3, or 4: of a transparent picture the colours change without its alpha, and all the rest goes for both.
    The buffer `p` [] is the overall probability, 1 at first. `draws` gives the random numbers. The result can be
    differentiated twice with respect to the pictures.
    """

    p: Tensor
    Hz_geom: Tensor
    Hz_fbank: Tensor

    def __init__(self, settings: AugmentSettings | None = None, draws: Draws | None = None) -> None:
        super().__init__()
        self.settings = settings if settings is not None else AugmentSettings()
        self.draws = draws
        self.register_buffer("p", torch.ones([]))
        self.register_buffer("Hz_geom", setup_filter(symlet_taps(6)))
        self.register_buffer("Hz_fbank", filtering.filter_bank(symlet_taps(2), len(self.settings.imgfilter_bands)))

    def forward(self, images: Tensor) -> Tensor:
        n, c, h, w = images.shape
        s = self.settings
        if c not in (1, 3, 4):
            raise ValueError(f"augmentation: expected pictures of 1, 3 or 4 channels, got {c}")
        with torch.no_grad():
            G_inv = self._geometry(n, h, w)
            C = self._colour(n, c)
        if G_inv is not None:
            images = resample(images, G_inv, self.Hz_geom)
        if C is not None:
            images = apply_colour(images, C)
        if s.imgfilter > 0:
            images = filtering.amplify(images, self._band_gains(n), self.Hz_fbank)
        if s.noise > 0:
            sigma = self._normal("noise", n).abs() * s.noise_std
            sigma = torch.where(self._chosen("noise", s.noise, n), sigma, 0.0)
            images = images + self._normal("noise pixels", n, c, h, w) * sigma[:, None, None, None]
        if s.cutout > 0:
            size = torch.where(self._chosen("cutout", s.cutout, n), s.cutout_size, 0.0)
            images = filtering.cut_out(images, size, self._uniform("cutout", n, 2))
        return images

    def _geometry(self, n: int, h: int, w: int) -> Tensor | None:
        """[N, 3, 3], from pixels of the result to pixels of the picture, both counted from the middle; None: identity.

        Each transformation comes after those before it, so that its inverse stands to the right of theirs.
        """
        s, G_inv = self.settings, torch.eye(3, device=self.p.device).expand(n, 3, 3)
        like = self.p.expand(n)
        if s.xflip > 0:
            i = torch.floor(self._where("xflip", s.xflip, self._uniform("xflip", n), 0) * 2)
            G_inv = G_inv @ matrices.scale2d(1 - 2 * i, 1, like)
        if s.rotate90 > 0:
            i = torch.floor(self._where("rotate90", s.rotate90, self._uniform("rotate90", n), 0) * 4)
            G_inv = G_inv @ matrices.rotate2d(i * (math.pi / 2))
        if s.xint > 0:
            t = (self._uniform("xint", n, 2) * 2 - 1) * s.xint_max
            t = self._where("xint", s.xint, t, 0)
            G_inv = G_inv @ matrices.translate2d(-torch.round(t[:, 0] * w), -torch.round(t[:, 1] * h), like)
        if s.scale > 0:
            a = self._where("scale", s.scale, torch.exp2(self._normal("scale", n) * s.scale_std), 1)
            G_inv = G_inv @ matrices.scale2d(1 / a, 1 / a, like)
        # Two rotations, so that stretching has any direction; together they have the probability `rotate * p`.
        p_rotate = 1 - (1 - s.rotate * self.p).clamp(0, 1).sqrt()
        if s.rotate > 0:
            G_inv = G_inv @ matrices.rotate2d(self._angle("rotate before", p_rotate, s.rotate_max, n))
        if s.aniso > 0:
            a = self._where("aniso", s.aniso, torch.exp2(self._normal("aniso", n) * s.aniso_std), 1)
            G_inv = G_inv @ matrices.scale2d(1 / a, a, like)
        if s.rotate > 0:
            G_inv = G_inv @ matrices.rotate2d(self._angle("rotate after", p_rotate, s.rotate_max, n))
        if s.xfrac > 0:
            t = self._where("xfrac", s.xfrac, self._normal("xfrac", n, 2) * s.xfrac_std, 0)
            G_inv = G_inv @ matrices.translate2d(-t[:, 0] * w, -t[:, 1] * h, like)
        used = any(getattr(s, name) > 0 for group in ("blit", "geom") for name in GROUPS[group])
        return G_inv if used else None

    def _colour(self, n: int, c: int) -> Tensor | None:
        """[N, 4, 4] for colours (red, green, blue, 1); None: identity. Grey has neither hue nor saturation."""
        s, C = self.settings, torch.eye(4, device=self.p.device).expand(n, 4, 4)
        grey = torch.tensor([1.0, 1, 1, 0], device=self.p.device) / math.sqrt(3)  # the axis of the luma
        luma = torch.outer(grey, grey)
        if s.brightness > 0:
            b = self._where("brightness", s.brightness, self._normal("brightness", n) * s.brightness_std, 0)
            C = matrices.translate3d(b) @ C
        if s.contrast > 0:
            a = self._where("contrast", s.contrast, torch.exp2(self._normal("contrast", n) * s.contrast_std), 1)
            C = matrices.scale3d(a) @ C
        if s.lumaflip > 0:
            i = torch.floor(self._where("lumaflip", s.lumaflip, self._uniform("lumaflip", n), 0) * 2)
            C = (torch.eye(4, device=self.p.device) - 2 * luma * i[:, None, None]) @ C
        if s.hue > 0 and c > 1:
            C = matrices.rotate3d_around_grey(self._angle("hue", s.hue * self.p, s.hue_max, n)) @ C
        if s.saturation > 0 and c > 1:
            a = torch.exp2(self._normal("saturation", n) * s.saturation_std)
            a = self._where("saturation", s.saturation, a, 1)
            C = (luma + (torch.eye(4, device=self.p.device) - luma) * a[:, None, None]) @ C
        return C if any(getattr(s, name) > 0 for name in GROUPS["color"]) else None

    def _band_gains(self, n: int) -> Tensor:
        """[N, bands]: each band is amplified in its turn, and the power of a typical picture restored after it."""
        s = self.settings
        power = torch.ones(len(s.imgfilter_bands), device=self.p.device)  # natural pictures: 1/f
        power[0] = 10
        power = power / power.sum()
        gains = torch.ones(n, len(power), device=self.p.device)
        for i, strength in enumerate(s.imgfilter_bands):
            a = torch.exp2(self._normal(f"imgfilter {i}", n) * s.imgfilter_std)
            gain = torch.ones_like(gains)
            gain[:, i] = self._where(f"imgfilter {i}", s.imgfilter * strength, a, 1)
            gains = gains * gain / (power * gain.square()).sum(dim=1, keepdim=True).sqrt()
        return gains

    def _source(self) -> Draws:
        return RandomDraws(self.p.device) if self.draws is None else self.draws

    def _uniform(self, name: str, *shape: int) -> Tensor:
        return self._source().uniform(name, *shape)

    def _normal(self, name: str, *shape: int) -> Tensor:
        return self._source().normal(name, *shape)

    def _chosen(self, name: str, strength: float | Tensor, n: int, times_p: bool = True) -> Tensor:
        """[N]: which samples are transformed."""
        return self._uniform(f"{name}?", n) < (strength * self.p if times_p else strength)

    def _where(self, name: str, strength: float, value: Tensor, neutral: float) -> Tensor:
        """value [N] or [N, 2] for the chosen samples, `neutral` for the others."""
        chosen = self._chosen(name, strength, len(value))
        return torch.where(chosen if value.ndim == 1 else chosen[:, None], value, neutral)

    def _angle(self, name: str, probability: Tensor, most: float, n: int) -> Tensor:
        """[N] in radians, 0 for samples that are not chosen."""
        angle = (self._uniform(name, n) * 2 - 1) * (math.pi * most)
        return torch.where(self._chosen(name, probability, n, times_p=False), angle, 0.0)


def apply_colour(images: Tensor, C: Tensor) -> Tensor:
    """images [N, 1, 3 or 4, H, W] by C [N, 4, 4]: grey as the grey of its picture becomes, and no alpha channel."""
    n, c, h, w = images.shape
    if c == 4:
        return torch.cat([apply_colour(images[:, :3], C), images[:, 3:]], dim=1)
    if c == 3:
        return (C[:, :3, :3] @ images.reshape(n, 3, h * w) + C[:, :3, 3:]).reshape(n, c, h, w)
    row = C[:, :3].mean(dim=1)  # [N, 4]
    return images * row[:, :3].sum(dim=1)[:, None, None, None] + row[:, 3][:, None, None, None]
