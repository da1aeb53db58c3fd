"""Every architecture of spandrel and spandrel_extra_arches with random weights: small ones where the class allows."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.utils.spectral_norm import SpectralNorm


@dataclass(frozen=True)
class Network:
    """kind: the class within its architecture's module, where it has the same name as that; options: of the class.

    size: the only one of the architecture.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None
    extra: bool = False
    size: str | None = None

    def state(self, architecture: str) -> dict[str, Any]:
        """A checkpoint: seeded weights, none of them zero, as a gate of zero would hide what it multiplies."""
        package = "spandrel_extra_arches" if self.extra else "spandrel"
        module = importlib.import_module(f"{package}.architectures.{architecture}")
        torch.manual_seed(0)
        made = getattr(module, self.kind or architecture)(**self.options)
        g = torch.Generator().manual_seed(1)
        for name, t in made.state_dict().items():
            if name.endswith("running_var"):
                t.copy_(torch.rand(t.shape, generator=g) + 0.5)
            elif name.endswith("running_mean"):
                t.copy_(torch.randn(t.shape, generator=g) * 0.1)
            elif t.is_floating_point() and t.numel() and not t.any():
                t.copy_(torch.randn(t.shape, generator=g) * 0.05)
        _settle(made)
        return dict(made.state_dict())


def _settle(module: torch.nn.Module) -> None:
    """Vectors of spectral norms as after training, which divide by the largest singular value, not by any number."""
    for part in module.modules():
        norms = [h for h in part._forward_pre_hooks.values() if isinstance(h, SpectralNorm)]
        for norm in norms:
            matrix = norm.reshape_weight_to_matrix(getattr(part, f"{norm.name}_orig").detach())
            left, _, right = torch.linalg.svd(matrix, full_matrices=False)
            getattr(part, f"{norm.name}_u").copy_(left[:, 0])
            getattr(part, f"{norm.name}_v").copy_(right[0])


_WINDOWS = {"embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2], "window_size": 8, "mlp_ratio": 2.0}

NETWORKS: dict[str, Network] = {
    "Compact": Network({"num_conv": 4}),
    "SwiftSRGAN": Network({"num_channels": 16, "num_blocks": 2}),
    "HAT": Network(
        {
            "embed_dim": 24,
            "depths": (2, 2),
            "num_heads": (2, 2),
            "window_size": 8,
            "squeeze_factor": 8,
            "mlp_ratio": 2.0,
            "upscale": 2,
        }
    ),
    "GRL": Network(
        {
            "embed_dim": 24,
            "depths": [2, 2],
            "num_heads_window": [2, 2],
            "num_heads_stripe": [2, 2],
            "upsampler": "pixelshuffledirect",
            "upscale": 2,
            "mlp_ratio": 2.0,
        }
    ),
    "Swin2SR": Network({**_WINDOWS, "upscale": 2, "upsampler": "pixelshuffle"}),
    "SwinIR": Network({**_WINDOWS, "upscale": 2, "upsampler": "pixelshuffle"}),
    "GFPGAN": Network({}, size="512"),
    "RestoreFormer": Network(
        {"ch": 32, "ch_mult": (1, 1, 1, 1, 1, 1), "num_res_blocks": 1, "n_embed": 64, "embed_dim": 32, "z_channels": 32}
    ),
    "LaMa": Network({"in_nc": 4}),
    "OmniSR": Network({"num_feat": 16}),
    "SCUNet": Network({"config": [1, 1, 1, 1, 1, 1, 1], "dim": 64}),
    "FBCNN": Network({"nc": [8, 16, 32, 512], "nb": 2}),
    "Uformer": Network({"embed_dim": 8, "depths": [1] * 9}),
    "RGT": Network({"embed_dim": 24, "depth": [2, 2], "num_heads": [2, 2], "mlp_ratio": 2.0}),
    "DAT": Network({"embed_dim": 24, "depth": [2, 2], "num_heads": [2, 2], "expansion_factor": 2.0}),
    "CRAFT": Network({"embed_dim": 24, "depths": [1, 1], "num_heads": [2, 2]}),
    "KBNet": Network(
        {
            "width": 8,
            "middle_blk_num": 1,
            "enc_blk_nums": [1, 1, 1, 1],
            "dec_blk_nums": [1, 1, 1, 1],
        },
        kind="KBNet_s",
    ),
    "DITN": Network({"dim": 12, "ITL_blocks": 1, "SAL_blocks": 1}),
    "MMRealSR": Network(
        {
            "num_in_ch": 3,
            "num_out_ch": 3,
            "num_feat": 16,
            "num_block": 2,
            "num_grow_ch": 8,
            "num_feats": [16, 16, 16, 16],
        },
        kind="MMRealSR",
    ),
    "SPAN": Network({"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 16}),
    "RealCUGAN": Network({}, kind="UpCunet2x"),
    "SAFMN": Network({"dim": 16, "n_blocks": 2}),
    "SAFMNBCIE": Network({"dim": 16, "n_blocks": 2, "num_layers": 2}),
    "DCTLSA": Network({"nf": 15, "num_modules": 6}),
    "FFTformer": Network({"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1}),
    "NAFNet": Network({"width": 8, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}),
    "ATD": Network(
        {
            **_WINDOWS,
            "category_size": 32,
            "num_tokens": 8,
            "reducted_dim": 4,
            "upscale": 2,
            "upsampler": "pixelshuffledirect",
        }
    ),
    "MixDehazeNet": Network({"embed_dims": [8, 16, 24, 16, 8], "depths": [1, 1, 1, 1, 1]}),
    "DRUNet": Network({"in_nc": 4, "out_nc": 3, "nc": [8, 16, 24, 32], "nb": 2}),
    "DnCNN": Network({"nc": 16, "nb": 5}),
    "IPT": Network({"n_feats": 16, "num_heads": 4, "num_layers": 1, "patch_size": 24}),
    "DRCT": Network(
        {
            "embed_dim": 24,
            "depths": (6, 6),
            "num_heads": (2, 2),
            "gc": 8,
            "window_size": 8,
            "upscale": 2,
            "upsampler": "pixelshuffle",
        }
    ),
    "ESRGAN": Network({"num_filters": 16, "num_blocks": 2}),
    "PLKSR": Network({"dim": 16, "n_blocks": 2}),
    "RetinexFormer": Network({"n_feat": 8, "stage": 1}),
    "HVICIDNet": Network({"channels": [8, 8, 16, 32], "heads": [1, 2, 4, 8]}, kind="HVICIDNet"),
    "SeemoRe": Network({"embedding_dim": 16, "num_layers": 2, "num_experts": 3}),
    "MoSR": Network({"n_block": 2, "dim": 16}),
    "MoESR": Network({"n_blocks": 1, "n_block": 2, "dim": 16}),
    "RCAN": Network({"n_resgroups": 2, "n_resblocks": 2, "n_feats": 16}),
    "FDAT": Network({"embed_dim": 24, "num_groups": 1, "depth_per_group": 2, "num_heads": 2}),
    "AuraSR": Network(
        {
            "dim": 8,
            "image_size": None,
            "input_image_size": None,
            "style_network": {"dim_in": 16, "dim_out": 64, "depth": 2},
            "up_dim_mults": (1, 1, 2, 2, 4),
            "down_dim_mults": (2, 2, 4),
            "attn_depths": (2, 2, 2, 1, 1),
            "mid_attn_depth": 1,
            "num_conv_kernels": 2,
        }
    ),
    "SRFormer": Network({**_WINDOWS, "upscale": 2, "upsampler": "pixelshuffle"}, extra=True),
    "CodeFormer": Network(
        {"dim_embd": 64, "n_layers": 2, "codebook_size": 64, "connect_list": ["32", "64"]}, extra=True, size="512"
    ),
    "MAT": Network({}, extra=True, size="512"),
    "DDColor": Network(
        {"encoder_name": "convnext-t", "num_output_channels": 2, "num_queries": 16, "dec_layers": 3},
        extra=True,
    ),
    "AdaCode": Network(extra=True),
    "FeMaSR": Network(extra=True),
    "M3SNet": Network({"width": 8, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}, extra=True),
    "Restormer": Network({"dim": 8, "num_blocks": [1, 1, 1, 1], "num_refinement_blocks": 1}, extra=True),
    "MPRNet": Network(
        {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 2},
        extra=True,
    ),
    "MIRNet2": Network({"n_feat": 16, "n_MRB": 1}, extra=True),
}
"""spandrel's id -> what is tried of it."""
