"""Networks of timm: one of each family, at its own size."""

from __future__ import annotations

from typing import Any

from benchmarks.networks.network import Made, Network, numbers

_NAMES = """
bat_resnext26ts beit_base_patch16_224 botnet26t_256 caformer_s18 cait_xxs24_224 coatnet_nano_rw_224 convnext_atto
crossvit_tiny_240 davit_tiny densenet121 dla34 dpn68 edgenext_xx_small efficientnet_b0 efficientvit_b0
eva02_tiny_patch14_224 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny ghostnet_100 gmlp_ti16_224 halonet26t hgnetv2_b0
hiera_tiny_224 hrnet_w18_small inception_next_atto inception_v4 lambda_resnet26t lcnet_050 levit_128s mambaout_femto
maxvit_tiny_rw_224 mixer_s16_224 mobilenetv4_conv_small mobileone_s0 mobilevit_xxs mobilevitv2_050 nasnetalarge
nfnet_l0 pit_ti_224 poolformer_s12 pvt_v2_b0 regnety_002 repvit_m0_9 res2net50_14w_8s resmlp_12_224 resnest14d
rexnet_100 selecsls42 sequencer2d_s starnet_s1 swin_tiny_patch4_window7_224 tiny_vit_5m_224 tinynet_e twins_svt_small
vgg11 visformer_tiny vit_tiny_patch16_224 volo_d1_224 vovnet39a xception41 xcit_nano_12_p16_224
"""


def _of(name: str) -> Network:
    def make(timm: Any) -> Made:
        net = timm.create_model(name, pretrained=False)
        return net, (numbers(1, *net.default_cfg["input_size"]),)

    return Network("timm", "classification", make)


SEERS: dict[str, Network] = {name: _of(name) for name in _NAMES.split()}
"""timm's name -> what is tried of it."""
