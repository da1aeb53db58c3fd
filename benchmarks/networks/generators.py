"""Generative networks of diffusers: pictures, films, what they are coded as."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.networks.network import Made, Network, numbers

_TIME = torch.tensor([7.0])
_STEP = torch.tensor([7])
_BLOCKS = {"block_out_channels": (32, 64), "norm_num_groups": 8}
_HEADS = {"num_attention_heads": 2, "attention_head_dim": 16}
_CODER = {
    **_BLOCKS,
    "down_block_types": ("DownEncoderBlock2D", "DownEncoderBlock2D"),
    "up_block_types": ("UpDecoderBlock2D", "UpDecoderBlock2D"),
}
_PICTURE = {"sample": {2: "2*h", 3: "2*w"}}


def _ddpm(d: Any) -> Made:
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    net = d.UNet2DModel(sample_size=16, layers_per_block=1, attention_head_dim=8, **blocks, **_BLOCKS)
    return net, (numbers(1, 3, 16, 16), _TIME)


def _conditional(d: Any) -> Made:
    blocks = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    options = {"sample_size": 16, "layers_per_block": 1, "cross_attention_dim": 32, "attention_head_dim": 8}
    net = d.UNet2DConditionModel(**options, **blocks, **_BLOCKS)
    return net, (numbers(1, 4, 16, 16), _TIME, numbers(1, 7, 32))


def _controlnet(d: Any) -> Made:
    net = d.ControlNetModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=8,
        conditioning_embedding_out_channels=(16, 32),
        **_BLOCKS,
    )
    return net, (numbers(1, 4, 16, 16), _TIME, numbers(1, 7, 32), numbers(1, 3, 32, 32))


def _dit(d: Any) -> Made:
    options = {"in_channels": 4, "num_layers": 2, "sample_size": 8, "patch_size": 2, "norm_num_groups": 8}
    net = d.DiTTransformer2DModel(num_embeds_ada_norm=10, **options, **_HEADS)
    return net, (numbers(1, 4, 8, 8), _STEP, torch.tensor([3]))


def _pixart(d: Any) -> Made:
    options = {"in_channels": 4, "out_channels": 8, "num_layers": 2, "sample_size": 8, "norm_num_groups": 8}
    texts = {"cross_attention_dim": 32, "caption_channels": 24, "use_additional_conditions": False}
    net = d.PixArtTransformer2DModel(**options, **texts, **_HEADS)
    return net, (numbers(1, 4, 8, 8), numbers(1, 5, 24), _STEP)


def _sd3(d: Any) -> Made:
    options = {"sample_size": 8, "patch_size": 2, "in_channels": 4, "out_channels": 4, "num_layers": 2}
    texts = {"joint_attention_dim": 24, "caption_projection_dim": 32, "pooled_projection_dim": 20}
    net = d.SD3Transformer2DModel(pos_embed_max_size=8, **options, **texts, **_HEADS)
    return net, (numbers(1, 4, 8, 8), numbers(1, 5, 24), numbers(1, 20), _TIME)


def _flux(d: Any) -> Made:
    options = {"patch_size": 1, "in_channels": 4, "num_layers": 1, "num_single_layers": 1, "axes_dims_rope": (4, 6, 6)}
    net = d.FluxTransformer2DModel(joint_attention_dim=24, pooled_projection_dim=20, **options, **_HEADS)
    places = torch.rand(16, 3), torch.zeros(5, 3)
    return net, (numbers(1, 16, 4), numbers(1, 5, 24), numbers(1, 20), torch.tensor([0.5]), *places)


def _sana(d: Any) -> Made:
    options = {"in_channels": 4, "out_channels": 4, "num_layers": 2, "sample_size": 8, "patch_size": 1}
    cross = {"num_cross_attention_heads": 2, "cross_attention_head_dim": 16, "cross_attention_dim": 32}
    net = d.SanaTransformer2DModel(caption_channels=24, **options, **cross, **_HEADS)
    return net, (numbers(1, 4, 8, 8), numbers(1, 5, 24), _STEP)


def _ltx(d: Any) -> Made:
    options = {"in_channels": 4, "out_channels": 4, "num_layers": 2, "cross_attention_dim": 32, "caption_channels": 24}
    net = d.LTXVideoTransformer3DModel(**options, **_HEADS)
    return net, (numbers(1, 32, 4), numbers(1, 5, 24), _STEP, torch.ones(1, 5))


def _wan(d: Any) -> Made:
    options = {"in_channels": 4, "out_channels": 4, "num_layers": 2, "patch_size": (1, 2, 2)}
    net = d.WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, text_dim=24, freq_dim=16, ffn_dim=32, **options
    )
    return net, (numbers(1, 4, 2, 8, 8), _STEP, numbers(1, 5, 24))


def _uvit(d: Any) -> Made:
    net = d.UVit2DModel(
        hidden_size=32,
        cond_embed_dim=16,
        encoder_hidden_size=24,
        vocab_size=17,
        codebook_size=16,
        in_channels=32,
        block_out_channels=32,
        num_res_blocks=1,
        num_hidden_layers=2,
        num_attention_heads=2,
        micro_cond_encode_dim=4,
        micro_cond_embed_dim=20,
        intermediate_size=64,
        sample_size=4,
        block_num_heads=2,
    )
    return net, (torch.randint(0, 16, (1, 4, 4)), numbers(1, 5, 24), numbers(1, 16), numbers(1, 5))


def _coder_dc(d: Any) -> Made:
    ends = {f"{end}_block_types": ("ResBlock", "EfficientViTBlock") for end in ("encoder", "decoder")}
    ends |= {f"{end}_block_out_channels": (16, 32) for end in ("encoder", "decoder")}
    ends |= {f"{end}_layers_per_block": (1, 1) for end in ("encoder", "decoder")}
    ends |= {f"{end}_qkv_multiscales": ((), (5,)) for end in ("encoder", "decoder")}
    samplers = {"upsample_block_type": "interpolate", "downsample_block_type": "stride_conv"}
    net = d.AutoencoderDC(in_channels=3, latent_channels=4, attention_head_dim=8, **ends, **samplers)
    return net.decoder, (numbers(1, 4, 8, 8),)


def _tiny(d: Any) -> Made:
    sizes = {f"{end}_block_out_channels": (16, 16) for end in ("encoder", "decoder")}
    net = d.AutoencoderTiny(num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1), **sizes)
    return net.decoder, (numbers(1, 4, 8, 8),)


def _unet_1d(d: Any) -> Made:
    net = d.UNet1DModel(
        block_out_channels=(16, 32),
        sample_size=32,
        in_channels=2,
        out_channels=2,
        extra_in_channels=32,
        down_block_types=("DownBlock1DNoSkip", "DownBlock1D"),
        up_block_types=("UpBlock1D", "UpBlock1DNoSkip"),
        mid_block_type="UNetMidBlock1D",
    )
    return net, (numbers(1, 2, 32), _TIME)


def _of(name: str, purpose: str, make: Any, dynamic: Any = None, **kwargs: Any) -> tuple[str, Network]:
    return name, Network("diffusers", purpose, make, kwargs, dynamic or {})


GENERATORS: dict[str, Network] = dict(
    [
        _of("UNet2DModel", "DDPM", _ddpm, _PICTURE),
        _of(
            "UNet2DConditionModel",
            "Stable Diffusion",
            _conditional,
            {**_PICTURE, "encoder_hidden_states": {1: "n"}},
        ),
        _of("ControlNetModel", "ControlNet", _controlnet),
        _of(
            "AutoencoderKL.decoder",
            "Stable Diffusion: pictures of latents",
            lambda d: (d.AutoencoderKL(latent_channels=4, **_CODER).decoder, (numbers(1, 4, 8, 8),)),
            {"sample": {2: "h", 3: "w"}},
        ),
        _of(
            "AutoencoderKL.encoder",
            "Stable Diffusion: latents of pictures",
            lambda d: (d.AutoencoderKL(latent_channels=4, **_CODER).encoder, (numbers(1, 3, 16, 16),)),
            _PICTURE,
        ),
        _of("AutoencoderTiny.decoder", "TAESD", _tiny, {"x": {2: "h", 3: "w"}}),
        _of(
            "VQModel.decoder",
            "VQ-VAE",
            lambda d: (d.VQModel(latent_channels=3, num_vq_embeddings=16, **_CODER).decoder, (numbers(1, 3, 8, 8),)),
        ),
        _of("AutoencoderDC.decoder", "DC-AE", _coder_dc),
        _of("DiTTransformer2DModel", "DiT", _dit),
        _of(
            "PixArtTransformer2DModel",
            "PixArt",
            _pixart,
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
        ),
        _of("SD3Transformer2DModel", "Stable Diffusion 3", _sd3),
        _of("FluxTransformer2DModel", "FLUX.1", _flux),
        _of("SanaTransformer2DModel", "Sana", _sana),
        _of("LTXVideoTransformer3DModel", "LTX-Video", _ltx, num_frames=2, height=4, width=4),
        _of("WanTransformer3DModel", "Wan 2.1", _wan),
        _of("UVit2DModel", "aMUSEd", _uvit),
        _of("UNet1DModel", "Dance Diffusion", _unet_1d),
    ]
)
"""Class -> what is tried of it."""
