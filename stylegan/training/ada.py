"""Adaptive discriminator augmentation: how often pictures are transformed follows how far the discriminator overfits.

Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 3.
"""

from __future__ import annotations

from stylegan._torch import Tensor, torch
from stylegan.training import distributed


class AdaController:
    """Moves `p` [], a probability, so that the mean sign of the logits of real pictures stays near `target`.

    Every `interval` batches p goes up or down, at a speed that takes it from 0 to 1 in `kimg` thousand pictures.
    `seen` [2] is the sum of the signs and their number since the last change: part of the training's state.
    """

    def __init__(self, p: Tensor, target: float = 0.6, interval: int = 4, kimg: float = 500) -> None:
        self.p = p
        self.target, self.interval, self.kimg = target, interval, kimg
        self.seen = torch.zeros(2, dtype=torch.float64, device=p.device)

    def observe(self, logits: Tensor) -> None:
        """Logits, or their signs, of real pictures, of any shape."""
        self.seen += torch.stack([logits.detach().sign().sum().double(), self.seen.new_tensor(logits.numel())])

    def update(self, batches: int, batch: int) -> None:
        """After batch number `batches` (from 1), each of `batch` pictures over all processes."""
        if batches % self.interval:
            return
        distributed.average([self.seen])
        if self.seen[1] > 0:
            direction = (self.seen[0] / self.seen[1] - self.target).sign()
            change = direction * (batch * self.interval) / (self.kimg * 1000)
            self.p.copy_((self.p + change).clamp(min=0))
        self.seen.zero_()
