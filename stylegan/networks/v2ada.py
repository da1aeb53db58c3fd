"""StyleGAN2-ADA's generator, with the keyword arguments and state_dict keys of the official one.

Trained networks are computed in fp32, because that is what ncnn's results are compared with: `num_fp16_res` and
`use_fp16` matter in training on GPUs alone (precision.py). The keywords about memory format
(`fp16_channels_last`, `channels_last`) are accepted so that official init_kwargs load, and change nothing.

Shapes: N samples, C channels; noise_mode is 'random' (new noise each call), 'const' (the noise in the
checkpoint) or 'none'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import ncnn_builder as nb
from stylegan._torch import Tensor, nn, torch
from stylegan.networks.doctor_cases import generator_case, synthesis_case
from stylegan.networks.functional import setup_filter, upsample2d
from stylegan.networks.layers import check_sizes, expect_shape
from stylegan.networks.mapping import StyleMapping
from stylegan.networks.precision import compute_dtype, first_half_resolution
from stylegan.networks.v2ada_layers import FIR, Conv2dLayer, SynthesisLayer, ToRGBLayer, upsample2d_ncnn

ARCHITECTURES = ("orig", "skip", "resnet")


class MappingNetwork(StyleMapping):
    """z (and labels c) -> w, repeated num_ws times: mapping.StyleMapping with StyleGAN2-ADA's keywords.

    num_ws None is a discriminator's; `w_avg` is kept unless num_ws or w_avg_beta is None.
    """

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int | None,
        num_layers: int = 8,
        embed_features: int | None = None,
        layer_features: int | None = None,
        activation: str = "lrelu",
        lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.995,
    ) -> None:
        embed_features = 0 if c_dim == 0 else embed_features or w_dim
        features = [
            z_dim + embed_features,
            *[layer_features or w_dim] * (num_layers - 1),
            *[w_dim] * min(num_layers, 1),
        ]
        has_w_avg = num_ws is not None and w_avg_beta is not None
        super().__init__(z_dim, c_dim, w_dim, num_ws, features, activation, lr_multiplier, w_avg_beta, has_w_avg)

    def forward(
        self,
        z: Tensor | None,
        c: Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        skip_w_avg_update: bool = False,
    ) -> Tensor:
        """As StyleMapping.styles; in training mode w_avg follows unless skip_w_avg_update."""
        return self.styles(z, c, truncation_psi, truncation_cutoff, self.training and not skip_w_avg_update)


class SynthesisBlock(nn.Module):
    """One resolution: conv0 (doubles the size; the first block has a constant instead), conv1, torgb, skip.

    Architecture 'skip' has a torgb in every block, 'orig' and 'resnet' in the last one only; 'resnet' adds a
    1x1 convolution `skip` around conv0 and conv1. init_res: the size [H, W] of the network's first block; a picture has
    resolution / 4 times that. `layer_kwargs` go to the SynthesisLayers (kernel_size, use_noise, activation).
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        img_channels: int,
        is_last: bool,
        architecture: str = "skip",
        resample_filter: Sequence[float] = FIR,
        conv_clamp: float | None = None,
        use_fp16: bool = False,
        fp16_channels_last: bool = False,
        init_res: Sequence[int] = (4, 4),
        **layer_kwargs: Any,
    ) -> None:
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}, got {architecture!r}")
        super().__init__()
        self.in_channels = in_channels
        self.w_dim = w_dim
        self.resolution = resolution
        self.architecture = architecture
        self.use_fp16 = use_fp16
        self.has_torgb = is_last or architecture == "skip"
        self.num_conv = 1 if in_channels == 0 else 2
        self.num_torgb = int(self.has_torgb)
        self.register_buffer("resample_filter", setup_filter(resample_filter))

        layer_kwargs = dict(
            w_dim=w_dim, resolution=resolution, conv_clamp=conv_clamp, init_res=init_res, **layer_kwargs
        )
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn(out_channels, *init_res))
        else:
            self.conv0 = SynthesisLayer(
                in_channels, out_channels, up=2, resample_filter=resample_filter, **layer_kwargs
            )
        # The official conv1 has the buffer of the usual filter, whatever the network's is, and does not use it.
        self.conv1 = SynthesisLayer(out_channels, out_channels, **layer_kwargs)
        if self.has_torgb:
            self.torgb = ToRGBLayer(out_channels, img_channels, w_dim, conv_clamp=conv_clamp)
        if in_channels != 0 and architecture == "resnet":
            self.skip = Conv2dLayer(in_channels, out_channels, 1, bias=False, up=2, resample_filter=resample_filter)

    def forward(
        self, x: Tensor | None, img: Tensor | None, ws: Tensor, noise_mode: str = "random"
    ) -> tuple[Tensor, Tensor | None]:
        """One resolution further.

        x [N, in_channels, H / 2, W / 2] (None in the first block),
        img [N, img_channels, H / 2, W / 2] or None, ws [N, num_conv + num_torgb, w_dim]
        -> x [N, out_channels, H, W], img [N, img_channels, H, W] or None.
        """
        num_ws = self.num_conv + self.num_torgb
        expect_shape(f"synthesis.b{self.resolution}: ws", ws, None, num_ws, self.w_dim)
        w = iter(ws.unbind(dim=1))  # of [N, w_dim]
        dtype = compute_dtype(self.use_fp16, self, ws)
        if x is None:
            x = self.const.expand(len(ws), -1, -1, -1).to(dtype)
            x = self.conv1(x, next(w), noise_mode)
        elif self.architecture == "resnet":
            x = x.to(dtype)
            y = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv0(x, next(w), noise_mode)
            x = y + self.conv1(x, next(w), noise_mode, gain=math.sqrt(0.5))
        else:
            x = self.conv0(x.to(dtype), next(w), noise_mode)
            x = self.conv1(x, next(w), noise_mode)

        if img is not None:
            img = upsample2d(img, self.resample_filter)
        if self.has_torgb:
            y = self.torgb(x, next(w)).float()
            img = y if img is None else img + y
        return x, img

    def export_ncnn(
        self, g: nb.Graph, x: Any, img: Any, ws: nb.ValueLike, ws_i: int, noise_mode: str
    ) -> tuple[Any, Any]:
        """One resolution further; ws is [ws0, ws1, mixing], and the block's first style is number ws_i."""
        if x is None:
            # 3 dimensions: a constant of 4 would go wrong in a convolution.
            x = nb.shell(g, ws, self.const[:, None], None, ncnn_weight_dims=3)
            x = nb.child(g, self, "conv1", [x, ws], ws_i, noise_mode)
        elif self.architecture == "resnet":
            skip = nb.child(g, self, "skip", x, gain=math.sqrt(0.5))
            y = nb.child(g, self, "conv0", [x, ws], ws_i, noise_mode)
            y = nb.child(g, self, "conv1", [y, ws], ws_i + 1, noise_mode, gain=math.sqrt(0.5))
            x = skip + y
        else:
            y = nb.child(g, self, "conv0", [x, ws], ws_i, noise_mode)
            x = nb.child(g, self, "conv1", [y, ws], ws_i + 1, noise_mode)

        if img is not None:
            img = upsample2d_ncnn(g, img, self.resample_filter)
        if self.has_torgb:
            rgb = nb.child(g, self, "torgb", [x, ws], ws_i + self.num_conv)
            img = rgb if img is None else img + rgb
        return x, img


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] -> picture [N, img_channels, img_resolution, img_resolution], about -1..1.

    Blocks are b4, b8, ... up to img_resolution, with min(channel_base / resolution, channel_max) channels. init_res:
    the size [H, W] of the first block, in networks of forks not [4, 4]; pictures are img_resolution / 4 times that.
    `block_kwargs` go to the SynthesisBlocks (architecture, resample_filter, conv_clamp, ...).
    """

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_fp16_res: int = 0,
        init_res: Sequence[int] = (4, 4),
        **block_kwargs: Any,
    ) -> None:
        if len(init_res) != 2:
            raise ValueError(f"init_res must be a height and a width, got {init_res}")
        check_sizes(*(("init_res", size, 1) for size in init_res))
        if img_resolution < 4 or img_resolution & (img_resolution - 1):
            raise ValueError(f"img_resolution must be a power of two of at least 4, got {img_resolution}")
        super().__init__()
        self.w_dim = w_dim
        self.img_resolution = img_resolution
        self.img_channels = img_channels
        self.img_size = (img_resolution * init_res[0] // 4, img_resolution * init_res[1] // 4)
        self.block_resolutions = [2**i for i in range(2, img_resolution.bit_length())]
        self.num_ws = 0
        in_channels = 0
        for res in self.block_resolutions:
            out_channels = min(channel_base // res, channel_max)
            if out_channels < 1:
                raise ValueError(f"channel_base {channel_base} leaves a block of {res} pixels without channels")
            last, half = res == img_resolution, res >= first_half_resolution(img_resolution, num_fp16_res)
            options = {"use_fp16": half, "init_res": init_res, **block_kwargs}
            block = SynthesisBlock(in_channels, out_channels, w_dim, res, img_channels, last, **options)
            setattr(self, f"b{res}", block)
            self.num_ws += block.num_conv
            in_channels = out_channels
        self.num_ws += 1  # of the last torgb; any other torgb shares the style of the next block's conv0

    def forward(self, ws: Tensor, noise_mode: str = "random") -> Tensor:
        expect_shape("synthesis: ws", ws, None, self.num_ws, self.w_dim)
        ws = ws.float()
        x: Tensor | None = None
        img: Tensor | None = None
        first = 0
        for res in self.block_resolutions:
            block = getattr(self, f"b{res}")
            x, img = block(x, img, ws.narrow(1, first, block.num_conv + block.num_torgb), noise_mode)
            first += block.num_conv
        assert img is not None
        return img

    def export_ncnn(self, g: nb.Graph, bottom_names: nb.ValueLike, noise_mode: str = "const") -> nb.Values:
        """Inputs [ws0, ws1, mixing]: the picture [img_channels, R, R].

        noise_mode: const or none; random and input make the planes inputs of the graph, see SynthesisLayer.
        """
        x: nb.Value | None = None
        img: nb.Value | None = None
        ws_i = 0
        for res in self.block_resolutions:
            x, img = nb.child(g, self, f"b{res}", x, img, bottom_names, ws_i, noise_mode)
            ws_i += getattr(self, f"b{res}").num_conv
        assert img is not None
        return nb.Values([img])

    def noise_planes(self) -> dict[str, Tensor]:
        """noise_const [H, W] by layer, such as b8.conv0, of the layers whose noise has a strength other than 0."""
        layers = ((name, m) for name, m in self.named_modules() if isinstance(m, SynthesisLayer))
        return {name: m.noise_const for name, m in layers if m.use_noise and m.noise_strength}

    def doctor_case(self, arrays: Mapping[str, Any]) -> Any:
        """For ncnn_builder.doctor: arrays holds ws [1, num_ws, w_dim]."""
        return synthesis_case(self, arrays)


class Generator(nn.Module):
    """z [N, z_dim] (and labels c [N, c_dim]) -> picture [N, img_channels, img_resolution, img_resolution].

    To build one for a checkpoint without the cost of random weights, see `checkpoint.build_generator`.
    """

    family = "v2ada"

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        mapping_kwargs: Mapping[str, Any] | None = None,
        synthesis_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, **(synthesis_kwargs or {}))
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, **(mapping_kwargs or {}))

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        **synthesis_kwargs: Any,
    ) -> Tensor:
        ws = self.mapping(z, c, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
        img: Tensor = self.synthesis(ws, **synthesis_kwargs)
        return img

    def doctor_case(self, arrays: Mapping[str, Any]) -> Any:
        """For ncnn_builder.doctor: arrays holds ws, or z and c."""
        return generator_case(self, arrays)
