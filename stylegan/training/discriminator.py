"""The discriminator of StyleGAN2-ADA and StyleGAN3, with the official keyword arguments and state_dict keys.

`num_fp16_res` and `use_fp16` matter on GPUs (networks/precision.py). `fp16_channels_last` is accepted so that
official keywords load, and changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stylegan._torch import Tensor, nn, torch
from stylegan.networks.functional import downsample2d, setup_filter
from stylegan.networks.layers import FullyConnectedLayer, check_sizes, expect_shape
from stylegan.networks.precision import compute_dtype, first_half_resolution
from stylegan.networks.v2ada import ARCHITECTURES, MappingNetwork
from stylegan.networks.v2ada_layers import FIR, Conv2dLayer


class DiscriminatorBlock(nn.Module):
    """One resolution, halved: fromrgb, conv0, conv1, skip.

    x [N, in_channels, R, R] or None where in_channels is 0, img [N, img_channels, R, R] or None -> x [N, out_channels,
    R / 2, R / 2] and, in architecture 'skip', the picture of half the size. 'skip' reads the picture in every block,
    'orig' and 'resnet' in the first one only; 'resnet' adds a 1x1 convolution around conv0 and conv1.
    Layers are counted from the picture on, `first_layer_idx` is the number of this block's first one; the parameters of
    those below `freeze_layers` take no gradient (Mo et al. 2020, Freeze-D).
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        tmp_channels: int,
        out_channels: int,
        resolution: int,
        img_channels: int,
        first_layer_idx: int,
        architecture: str = "resnet",
        activation: str = "lrelu",
        resample_filter: Sequence[float] = FIR,
        conv_clamp: float | None = None,
        use_fp16: bool = False,
        fp16_channels_last: bool = False,
        freeze_layers: int = 0,
        init_res: Sequence[int] = (4, 4),
    ) -> None:
        _check_architecture(architecture)
        if in_channels not in (0, tmp_channels):
            raise ValueError(f"in_channels must be 0 or tmp_channels {tmp_channels}, got {in_channels}")
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.resolution, self.img_channels = resolution, img_channels
        self.size = tuple(side * resolution // 4 for side in init_res)
        self.architecture = architecture
        self.use_fp16 = use_fp16
        self.has_fromrgb = in_channels == 0 or architecture == "skip"
        self.register_buffer("resample_filter", setup_filter(resample_filter))
        common: dict[str, Any] = dict(activation=activation, conv_clamp=conv_clamp)
        layers = []
        # The official fromrgb and conv0 have the buffer of the usual filter, whatever conv1 and skip filter with.
        if self.has_fromrgb:
            self.fromrgb = Conv2dLayer(img_channels, tmp_channels, 1, **common)
            layers.append(self.fromrgb)
        self.conv0 = Conv2dLayer(tmp_channels, tmp_channels, 3, **common)
        self.conv1 = Conv2dLayer(tmp_channels, out_channels, 3, down=2, resample_filter=resample_filter, **common)
        layers += [self.conv0, self.conv1]
        if architecture == "resnet":
            self.skip = Conv2dLayer(tmp_channels, out_channels, 1, bias=False, down=2, resample_filter=resample_filter)
            layers.append(self.skip)
        self.num_layers = len(layers)
        for layer in layers[: max(0, freeze_layers - first_layer_idx)]:
            layer.requires_grad_(False)

    def forward(self, x: Tensor | None, img: Tensor | None) -> tuple[Tensor, Tensor | None]:
        size = self.resolution
        given = img if x is None else x
        dtype = torch.float32 if given is None else compute_dtype(self.use_fp16, self, given)
        x = x if x is None else x.to(dtype)
        if self.has_fromrgb:
            if img is None:
                raise ValueError(f"block b{size}: img is needed, got None")
            img = img.to(dtype)
            expect_shape(f"block b{size}: img", img, None, self.img_channels, *self.size)
            y: Tensor = self.fromrgb(img)
            x = y if x is None else x + y
            img = downsample2d(img, self.resample_filter) if self.architecture == "skip" else None
        if x is None:
            raise ValueError(f"block b{size}: x is needed, got None")
        if self.architecture != "resnet":
            return self.conv1(self.conv0(x)), img
        gain = math.sqrt(0.5)
        return self.skip(x, gain=gain) + self.conv1(self.conv0(x), gain=gain), img


def minibatch_std(x: Tensor, group_size: int | None = 4, num_channels: int = 1) -> Tensor:
    """x [N, C, H, W] -> [N, C + num_channels, H, W]: how much the samples of a group differ.

    Samples i, i + M, i + 2 M, ... are a group, M = N / group_size (None: all are one group). The standard deviation
    over the group, averaged over pixels and over each C / num_channels channels, is a plane that all of it get.
    Source: Karras et al. 2018, "Progressive Growing of GANs", section 3.
    Raises ValueError where the sizes do not divide.
    """
    n, c, h, w = x.shape
    size = n if group_size is None else min(group_size, n)
    if n % size or c % num_channels:
        raise ValueError(
            f"minibatch standard deviation: {n} samples in groups of {size}, {c} channels in {num_channels}"
        )
    y = x.reshape(size, -1, num_channels, c // num_channels, h, w)  # [G, M, F, C / F, H, W]
    y = (y - y.mean(dim=0)).square().mean(dim=0)
    y = (y + 1e-8).sqrt().mean(dim=[2, 3, 4])  # [M, F]
    return torch.cat([x, y[:, :, None, None].repeat(size, 1, h, w)], dim=1)


class DiscriminatorEpilogue(nn.Module):
    """The 4x4 end: minibatch standard deviation, one convolution, two fully connected layers.

    x [N, in_channels, R, R], in architecture 'skip' also img [N, img_channels, R, R] -> logits [N, 1]. With labels
    (cmap_dim > 0) the last layer gives cmap_dim numbers, and the logit is their product with cmap [N, cmap_dim]
    (Miyato and Koyama 2018), divided by sqrt(cmap_dim). mbstd_num_channels 0 leaves the standard deviation out.
    """

    def __init__(
        self,
        in_channels: int,
        cmap_dim: int,
        resolution: int,
        img_channels: int,
        architecture: str = "resnet",
        mbstd_group_size: int | None = 4,
        mbstd_num_channels: int = 1,
        activation: str = "lrelu",
        conv_clamp: float | None = None,
        init_res: Sequence[int] = (4, 4),
    ) -> None:
        _check_architecture(architecture)
        super().__init__()
        self.size = tuple(side * resolution // 4 for side in init_res)
        self.in_channels, self.cmap_dim, self.resolution = in_channels, cmap_dim, resolution
        self.img_channels, self.architecture = img_channels, architecture
        self.mbstd_group_size, self.mbstd_num_channels = mbstd_group_size, mbstd_num_channels
        if architecture == "skip":
            self.fromrgb = Conv2dLayer(img_channels, in_channels, 1, activation=activation)
        self.conv = Conv2dLayer(
            in_channels + mbstd_num_channels, in_channels, 3, activation=activation, conv_clamp=conv_clamp
        )
        self.fc = FullyConnectedLayer(in_channels * math.prod(self.size), in_channels, activation=activation)
        self.out = FullyConnectedLayer(in_channels, 1 if cmap_dim == 0 else cmap_dim)

    def forward(self, x: Tensor, img: Tensor | None, cmap: Tensor | None) -> Tensor:
        expect_shape("epilogue: x", x, None, self.in_channels, *self.size)
        x = x.float()
        if self.architecture == "skip":
            x = x + self.fromrgb(None if img is None else img.float())
        if self.mbstd_num_channels > 0:
            x = minibatch_std(x, self.mbstd_group_size, self.mbstd_num_channels)
        y: Tensor = self.out(self.fc(self.conv(x).flatten(1)))
        if cmap is None:
            return y
        expect_shape("epilogue: cmap", cmap, len(x), self.cmap_dim)
        return (y * cmap).sum(dim=1, keepdim=True) / math.sqrt(self.cmap_dim)


class Discriminator(nn.Module):
    """Picture [N, img_channels, img_resolution, img_resolution] (and labels c [N, c_dim]) -> logits [N, 1].

    Above 0 is real. Blocks are b{img_resolution} down to b8, then the epilogue b4, with
    min(channel_base / resolution, channel_max) channels. cmap_dim: size of the mapped label, None: the channels at 4x4.
    init_res: the size [H, W] of what the epilogue sees; pictures are img_resolution / 4 times that.
    block_kwargs, mapping_kwargs and epilogue_kwargs go to DiscriminatorBlock, MappingNetwork and DiscriminatorEpilogue.
    Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 4.1.
    """

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int,
        architecture: str = "resnet",
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        cmap_dim: int | None = None,
        init_res: Sequence[int] = (4, 4),
        block_kwargs: Mapping[str, Any] | None = None,
        mapping_kwargs: Mapping[str, Any] | None = None,
        epilogue_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        check_sizes(("c_dim", c_dim, 0), ("img_channels", img_channels, 1), ("img_resolution", img_resolution, 8))
        if img_resolution & (img_resolution - 1):
            raise ValueError(f"the discriminator's img_resolution must be a power of two, got {img_resolution}")
        super().__init__()
        check_sizes(*(("init_res", size, 1) for size in init_res))
        self.c_dim, self.img_resolution, self.img_channels = c_dim, img_resolution, img_channels
        self.size = tuple(side * img_resolution // 4 for side in init_res)
        self.block_resolutions = [2**i for i in range(img_resolution.bit_length() - 1, 2, -1)]
        channels = {res: min(channel_base // res, channel_max) for res in [*self.block_resolutions, 4]}
        if min(channels.values()) < 1:
            raise ValueError(f"channel_base {channel_base} leaves blocks without channels at {img_resolution} pixels")
        cmap_dim = 0 if c_dim == 0 else channels[4] if cmap_dim is None else cmap_dim
        common: dict[str, Any] = dict(img_channels=img_channels, architecture=architecture, conv_clamp=conv_clamp)
        common["init_res"] = init_res
        first = 0
        for res in self.block_resolutions:
            before = channels[res] if res < img_resolution else 0
            after = channels[res // 2]
            half = res >= first_half_resolution(img_resolution, num_fp16_res)
            kwargs = {**common, "use_fp16": half, **(block_kwargs or {})}
            block = DiscriminatorBlock(before, channels[res], after, res, first_layer_idx=first, **kwargs)
            setattr(self, f"b{res}", block)
            first += block.num_layers
        if c_dim > 0:
            self.mapping = MappingNetwork(0, c_dim, cmap_dim, None, w_avg_beta=None, **(mapping_kwargs or {}))
        self.b4 = DiscriminatorEpilogue(channels[4], cmap_dim, resolution=4, **{**common, **(epilogue_kwargs or {})})

    def forward(self, img: Tensor, c: Tensor | None = None, update_emas: bool = False) -> Tensor:
        """update_emas is an official keyword: a discriminator keeps no averages."""
        expect_shape("discriminator: img", img, None, self.img_channels, *self.size)
        x: Tensor | None = None
        y: Tensor | None = img
        for res in self.block_resolutions:
            x, y = getattr(self, f"b{res}")(x, y)
        cmap = self.mapping(None, c) if self.c_dim > 0 else None
        logits: Tensor = self.b4(x, y, cmap)
        return logits


def _check_architecture(architecture: str) -> None:
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}, got {architecture!r}")
