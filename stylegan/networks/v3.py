"""StyleGAN3's generator (configurations T and R), with the keyword arguments and state_dict keys of the official one.

Trained networks are computed in fp32, because that is what ncnn's results are compared with: `num_fp16_res` and
`use_fp16` matter in training on GPUs alone (precision.py). Configuration R is `conv_kernel=1,
use_radial_filters=True` with twice the channels.

Shapes: N samples, C channels. There is no noise: noise_mode is accepted everywhere and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ncnn_builder as nb
from stylegan._torch import Tensor, nn
from stylegan.networks.class_mapping import ClassMapping
from stylegan.networks.doctor_cases import generator_case, synthesis_case
from stylegan.networks.layers import check_sizes, expect_shape
from stylegan.networks.mapping import StyleMapping
from stylegan.networks.v3_layers import SynthesisInput, SynthesisLayer
from stylegan.networks.v3_stages import layers_of


class MappingNetwork(StyleMapping):
    """z (and labels c) -> w, repeated num_ws times: mapping.StyleMapping with StyleGAN3's keywords."""

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int,
        num_layers: int = 2,
        lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.998,
    ) -> None:
        features = [z_dim + (w_dim if c_dim else 0)] + [w_dim] * num_layers
        super().__init__(z_dim, c_dim, w_dim, num_ws, features, "lrelu", lr_multiplier, w_avg_beta)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
    ) -> Tensor:
        """As StyleMapping.styles; w_avg follows if update_emas."""
        return self.styles(z, c, truncation_psi, truncation_cutoff, update_emas)


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] -> picture [N, img_channels, img_resolution, img_resolution], about -1..1.

    `input`, then the layers L{index}_{size}_{channels}, num_layers of them and a ToRGB layer. Cutoff and stopband
    frequencies grow geometrically from first_cutoff and first_stopband to those of the last num_critical layers,
    which are critically sampled. square False, as StyleGAN-Human has it: pictures, and all features, are half as wide
    as high. heads: (how many times the size, layers) of each network that StyleGAN-XL puts behind that of num_layers
    layers, whose critically sampled ones go. `layer_kwargs` go to the SynthesisLayers (conv_kernel, ...).
    Source: Karras et al. 2021, section 3.2 and appendix C.
    """

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        num_layers: int = 14,
        num_critical: int = 2,
        first_cutoff: float = 2,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin_size: int = 10,
        output_scale: float = 0.25,
        num_fp16_res: int = 4,
        square: bool = True,
        heads: Sequence[Sequence[int]] = (),
        **layer_kwargs: Any,
    ) -> None:
        check_sizes(
            *(("w_dim", w_dim, 1), ("img_resolution", img_resolution, 0), ("img_channels", img_channels, 1)),
            *(("channel_base", channel_base, 1), ("channel_max", channel_max, 1), ("num_layers", num_layers, 1)),
            *(("num_critical", num_critical, 0), ("margin_size", margin_size, 0)),
        )
        last_cutoff = img_resolution / 2  # in cycles per picture
        if img_resolution < 4:
            raise ValueError(f"img_resolution must be at least 4, got {img_resolution}")
        if not 0 < first_cutoff <= last_cutoff or not first_cutoff < first_stopband or last_stopband_rel < 1:
            raise ValueError(
                f"img_resolution {img_resolution} does not fit the constants: expected 0 < first_cutoff <= "
                f"img_resolution / 2, first_cutoff < first_stopband and last_stopband_rel >= 1, got first_cutoff "
                f"{first_cutoff:g} of {last_cutoff:g}, first_stopband {first_stopband:g}, last_stopband_rel "
                f"{last_stopband_rel:g}"
            )
        if not 0 <= num_critical < num_layers:
            raise ValueError(f"num_critical must be 0 to num_layers - 1 = {num_layers - 1}, got {num_critical}")
        super().__init__()
        self.w_dim = w_dim
        self.img_resolution = img_resolution
        self.img_channels = img_channels
        self.num_layers = num_layers
        self.output_scale = output_scale

        layers = layers_of(
            *(img_resolution, img_channels, channel_base, channel_max, num_layers, num_critical, first_cutoff),
            *(first_stopband, last_stopband_rel, margin_size, heads),
        )

        def size(n: int) -> tuple[int, int]:
            """Width and height."""
            return n // (1 if square else 2), n

        self.img_size = size(layers[-1].after.size)[::-1]
        first = layers[0].before
        self.input = SynthesisInput(w_dim, first.channels, size(first.size), first.rate, first.cutoff)
        self.num_ws = len(layers) + 1
        self.layer_names: list[str] = []
        for each in layers:
            before, after = each.before, each.after
            layer = SynthesisLayer(
                w_dim=w_dim,
                is_torgb=each.torgb,
                is_critically_sampled=each.critical,
                use_fp16=bool(after.rate * 2**num_fp16_res > img_resolution),
                in_channels=before.channels,
                out_channels=after.channels,
                in_size=size(before.size),
                out_size=size(after.size),
                in_sampling_rate=before.rate,
                out_sampling_rate=after.rate,
                in_cutoff=before.cutoff,
                out_cutoff=after.cutoff,
                in_half_width=before.half_width,
                out_half_width=after.half_width,
                **layer_kwargs,
            )
            name = f"L{each.index}_{layer.out_size[0]}_{layer.out_channels}"
            setattr(self, name, layer)
            self.layer_names.append(name)

    def forward(self, ws: Tensor, **layer_kwargs: Any) -> Tensor:
        """layer_kwargs: noise_mode, force_fp32, update_emas of the layers."""
        expect_shape("synthesis: ws", ws, None, self.num_ws, self.w_dim)
        first, *others = ws.float().unbind(dim=1)  # of [N, w_dim]
        x: Tensor = self.input(first)
        for name, w in zip(self.layer_names, others, strict=True):
            x = getattr(self, name)(x, w, **layer_kwargs)
        return x.float() * self.output_scale

    def export_ncnn(
        self,
        g: nb.Graph,
        bottom_names: nb.ValueLike,
        noise_mode: str = "const",
        transform: nb.Value | None = None,
    ) -> nb.Values:
        """Inputs [ws0, ws1, mixing]: the picture [img_channels, R, R].

        noise_mode changes nothing. transform: a graph input [3, 3] that takes the place of the buffer.
        """
        ws = nb.check_bottom_names(bottom_names)
        x = nb.child(g, self, "input", ws, transform)
        for i, name in enumerate(self.layer_names):
            x = nb.child(g, self, name, [*x, *ws], ws_i=i + 1)
        return x if self.output_scale == 1 else nb.MulConstant(g, x, scale=self.output_scale)

    def doctor_case(self, arrays: Mapping[str, Any]) -> Any:
        """For ncnn_builder.doctor: arrays holds ws [1, num_ws, w_dim]."""
        return synthesis_case(self, arrays)


class Generator(nn.Module):
    """z [N, z_dim] (and labels c [N, c_dim]) -> picture [N, img_channels, img_resolution, img_resolution].

    `synthesis.input.transform` [3, 3] rotates and translates the picture. To build one for a checkpoint without
    the cost of random weights, see `checkpoint.build_generator`.
    """

    family = "v3"

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        mapping_kwargs: Mapping[str, Any] | None = None,
        **synthesis_kwargs: Any,
    ) -> None:
        check_sizes(("z_dim", z_dim, 0), ("c_dim", c_dim, 0))
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, **synthesis_kwargs)
        self.num_ws = self.synthesis.num_ws
        mapping_kwargs = mapping_kwargs or {}
        kind = ClassMapping if "embed_features" in mapping_kwargs else MappingNetwork
        self.mapping: MappingNetwork | ClassMapping = kind(z_dim, c_dim, w_dim, self.num_ws, **mapping_kwargs)

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
        **synthesis_kwargs: Any,
    ) -> Tensor:
        ws = self.mapping(z, c, truncation_psi, truncation_cutoff, update_emas)
        img: Tensor = self.synthesis(ws, update_emas=update_emas, **synthesis_kwargs)
        return img

    def doctor_case(self, arrays: Mapping[str, Any]) -> Any:
        """For ncnn_builder.doctor: arrays holds ws, or z and c."""
        return generator_case(self, arrays)
