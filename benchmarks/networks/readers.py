"""Networks of transformers: texts, sounds, pictures that are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.networks.network import Made, Network, numbers, words

VOCABULARY = 50
_V = {"vocab_size": VOCABULARY}
_SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_TEXT = {**_SIZE, "intermediate_size": 64, **_V}
_GROUPS = {**_TEXT, "num_key_value_heads": 2}
_SIGHT = {**_SIZE, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
_MAMBA = {"hidden_size": 16, "state_size": 4, "num_hidden_layers": 1, **_V}
_ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


def _text(purpose: str, name: str, config: str, open_length: bool = True, **options: Any) -> tuple[str, Network]:
    """A network of words, and of as many as there are."""

    def make(t: Any) -> Made:
        return getattr(t, name)(getattr(t, config)(**{**_ENDS, **options})), (words(8, VOCABULARY),)

    kwargs = {"use_cache": False} if "CausalLM" in name or "LMHead" in name else {}
    dynamic = {"input_ids": {1: "n=2..16"}} if open_length else {}
    return name, Network("transformers", purpose, make, kwargs, dynamic)


def _sight(purpose: str, name: str, config: str, size: int, **options: Any) -> tuple[str, Network]:
    """A network of pictures."""

    def make(t: Any) -> Made:
        return getattr(t, name)(getattr(t, config)(**options)), (numbers(1, 3, size, size),)

    return name, Network("transformers", purpose, make)


def _part(name: str, purpose: str, make: Callable[[Any], Made], **kwargs: Any) -> tuple[str, Network]:
    return name, Network("transformers", purpose, make, kwargs)


def _masked(t: Any) -> Made:
    return t.BertModel(t.BertConfig(**_TEXT)), (words(8, VOCABULARY), torch.tensor([[1, 1, 1, 1, 1, 0, 0, 0]]))


def _whisper(t: Any) -> Any:
    ends = {f"{end}_{key}": n for end in ("encoder", "decoder") for key, n in _HALF.items()}
    config = t.WhisperConfig(
        d_model=32,
        num_mel_bins=16,
        max_source_positions=20,
        max_target_positions=16,
        vocab_size=60,
        decoder_start_token_id=2,
        **ends,
        **_ENDS,
    )
    return t.WhisperModel(config)


_HALF = {"layers": 2, "attention_heads": 4, "ffn_dim": 64}


def _wav2vec2(t: Any) -> Made:
    convolutions = {"conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2}
    places = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    config = t.Wav2Vec2Config(intermediate_size=64, **_SIZE, **convolutions, **places)
    return t.Wav2Vec2Model(config), (numbers(1, 400),)


def _vits(t: Any) -> Made:
    config = t.VitsConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=64,
        flow_size=32,
        vocab_size=38,
        spectrogram_bins=17,
        upsample_initial_channel=32,
        upsample_rates=[4, 4],
        upsample_kernel_sizes=[8, 8],
        prior_encoder_num_wavenet_layers=1,
    )
    return t.VitsModel(config).decoder, (numbers(1, 32, 10),)


def _encodec(t: Any) -> Made:
    options = {"num_filters": 4, "hidden_size": 16, "codebook_size": 16, "codebook_dim": 16, "num_lstm_layers": 1}
    return t.EncodecModel(t.EncodecConfig(upsampling_ratios=[4, 2], **options)).decoder, (numbers(1, 16, 8),)


def _dac(t: Any) -> Made:
    ends = {"downsampling_ratios": [2, 2], "upsampling_ratios": [2, 2], "encoder_hidden_size": 8}
    codes = {"hidden_size": 32, "codebook_size": 16, "codebook_dim": 4, "n_codebooks": 2}
    return t.DacModel(t.DacConfig(decoder_hidden_size=16, **ends, **codes)).decoder, (numbers(1, 32, 8),)


def _musicgen(t: Any) -> Made:
    options = {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = t.MusicgenDecoderConfig(vocab_size=20, num_codebooks=2, max_position_embeddings=32, **options)
    return t.MusicgenForCausalLM(config), (torch.randint(0, 20, (2, 6)),)


def _depth(t: Any) -> Made:
    stages = [f"stage{i}" for i in range(1, 5)]
    backbone = t.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=28,
        patch_size=7,
        out_features=stages,
        reshape_hidden_states=False,
    )
    head = {
        "fusion_hidden_size": 16,
        "head_in_channels": 16,
        "head_hidden_size": 8,
        "neck_hidden_sizes": [8, 8, 16, 16],
    }
    config = t.DepthAnythingConfig(backbone_config=backbone, reassemble_hidden_size=32, patch_size=7, **head)
    net = t.DepthAnythingForDepthEstimation(config)
    torch.nn.init.ones_(net.head.conv3.bias)  # a depth of zero everywhere would say nothing
    return net, (numbers(1, 3, 28, 28),)


def _detr(t: Any) -> Made:
    backbone = t.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    ends = {f"{end}_{key}": n for end in ("encoder", "decoder") for key, n in _DETR.items()}
    plain = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None}
    config = t.DetrConfig(backbone_config=backbone, d_model=32, num_queries=5, **plain, **ends)
    return t.DetrForObjectDetection(config), (numbers(1, 3, 64, 64),)


_DETR = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}


def _sam(t: Any) -> Made:
    sight = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 4}
    sight |= {"window_size": 3, "global_attn_indexes": [1], "mlp_dim": 32, "output_channels": 16}
    prompts = {"hidden_size": 16, "image_size": 32, "patch_size": 4, "mask_input_channels": 4}
    masks = {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    config = t.SamConfig(vision_config=sight, prompt_encoder_config=prompts, mask_decoder_config=masks)
    return t.SamModel(config).vision_encoder, (numbers(1, 3, 32, 32),)


def _whisper_encoder(t: Any) -> Made:
    return _whisper(t).encoder, (numbers(1, 16, 40),)


def _whisper_both(t: Any) -> Made:
    return _Listening(_whisper(t)), (numbers(1, 16, 40), words(5, 60))


class _Listening(torch.nn.Module):
    """Sounds and the words so far -> the last states of the decoder."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, sounds: Any, so_far: Any) -> Any:
        return self.net(input_features=sounds, decoder_input_ids=so_far, use_cache=False)[0]


READERS: dict[str, Network] = dict(
    [
        _text("GPT-2", "GPT2LMHeadModel", "GPT2Config", n_embd=32, n_layer=2, n_head=2, n_positions=32, **_V),
        _text("Llama", "LlamaForCausalLM", "LlamaConfig", **_GROUPS),
        _text("Qwen 3", "Qwen3ForCausalLM", "Qwen3Config", head_dim=8, **_GROUPS),
        _text("Gemma 2", "Gemma2ForCausalLM", "Gemma2Config", head_dim=8, sliding_window=4, **_GROUPS),
        _text("Phi 3", "Phi3ForCausalLM", "Phi3Config", num_key_value_heads=4, **_TEXT),
        _text("Mamba", "MambaForCausalLM", "MambaConfig", False, **_MAMBA),
        _text("BERT", "BertModel", "BertConfig", **_TEXT),
        _part("BertModel, masked", "BERT with an attention_mask", _masked),
        _text(
            "DistilBERT",
            "DistilBertModel",
            "DistilBertConfig",
            dim=32,
            hidden_dim=64,
            n_layers=2,
            n_heads=4,
            vocab_size=50,
        ),
        _text(
            "T5", "T5EncoderModel", "T5Config", d_model=32, d_ff=64, num_layers=2, num_heads=4, d_kv=8, vocab_size=50
        ),
        _text("CLIP: texts", "CLIPTextModel", "CLIPTextConfig", max_position_embeddings=16, **_TEXT),
        _sight("CLIP: pictures", "CLIPVisionModel", "CLIPVisionConfig", 32, **_SIGHT),
        _sight("SigLIP", "SiglipVisionModel", "SiglipVisionConfig", 32, **_SIGHT),
        _sight("ViT", "ViTModel", "ViTConfig", 32, **_SIGHT),
        _sight("DINOv2", "Dinov2Model", "Dinov2Config", 28, image_size=28, patch_size=7, **_SIZE),
        _sight(
            "Swin",
            "SwinModel",
            "SwinConfig",
            32,
            embed_dim=16,
            depths=[2, 2],
            num_heads=[2, 4],
            image_size=32,
            patch_size=2,
            window_size=4,
        ),
        _sight(
            "ConvNeXt V2", "ConvNextV2Model", "ConvNextV2Config", 32, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1]
        ),
        _sight(
            "SegFormer",
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            64,
            hidden_sizes=[8, 16, 16, 32],
            depths=[1, 1, 1, 1],
            num_attention_heads=[1, 2, 2, 4],
            decoder_hidden_size=16,
        ),
        _part("DepthAnythingForDepthEstimation", "Depth Anything", _depth),
        _part("DetrForObjectDetection", "DETR", _detr),
        _part("SamModel.vision_encoder", "Segment Anything", _sam),
        _part("WhisperModel.encoder", "Whisper: sounds", _whisper_encoder),
        _part("WhisperModel", "Whisper: sounds and the words so far", _whisper_both),
        _part("Wav2Vec2Model", "wav2vec 2.0", _wav2vec2),
        _part("VitsModel.decoder", "VITS: waves of spectrograms", _vits),
        _part("EncodecModel.decoder", "EnCodec", _encodec),
        _part("DacModel.decoder", "Descript Audio Codec", _dac),
        _part("MusicgenForCausalLM", "MusicGen", _musicgen, use_cache=False),
    ]
)
"""Class -> what is tried of it."""
