"""The networks that are converted and timed, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.frontend import pictures, sequences


@dataclass(frozen=True)
class Network:
    """make: the module; shape: of its one input; words: of an input of whole numbers, how many there are."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    words: int = 0

    def built(self) -> nn.Module:
        """The same module each time, in evaluation mode."""
        torch.manual_seed(0)
        module = self.make()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, std=0.1)
                nn.init.normal_(part.running_mean, std=0.1)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
        return module.eval().requires_grad_(False)

    def input(self) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        if self.words:
            return torch.randint(self.words, self.shape, generator=generator)
        return torch.randn(self.shape, generator=generator)


_ALL = (
    Network("resnet", pictures.resnet, (1, 3, 160, 160)),
    Network("mobilenet", pictures.mobilenet, (1, 3, 224, 224)),
    Network("shufflenet", pictures.shufflenet, (1, 3, 224, 224)),
    Network("densenet", pictures.densenet, (1, 3, 160, 160)),
    Network("convnext", pictures.convnext, (1, 3, 128, 128)),
    Network("unet", pictures.UNet, (1, 3, 96, 96)),
    Network("upscaler", pictures.Upscaler, (1, 3, 64, 64)),
    Network("yolo", partial(pictures.Yolo, False), (1, 3, 192, 192)),
    Network("yolo-focus", partial(pictures.Yolo, True), (1, 3, 192, 192)),
    Network("modulated", pictures.Modulated, (1, 64)),
    Network("recurrent", sequences.Recurrent, (1, 50, 64)),
    Network("vit", partial(sequences.ViT, sequences.Heads), (1, 3, 224, 224)),
    Network("vit-timm", partial(sequences.ViT, sequences.Packed), (1, 3, 224, 224)),
    Network("swin", sequences.Swin, (1, 3, 112, 112)),
    Network("bert", partial(sequences.encoder, sequences.Written), (1, 64), 1000),
    Network("encoder", partial(sequences.encoder, sequences.Multi), (1, 64), 1000),
    Network("torch-encoder", sequences.torch_encoder, (1, 64), 1000),
    Network("llama", sequences.Llama, (1, 64, 128)),
)
NETWORKS = {network.name: network for network in _ALL}
