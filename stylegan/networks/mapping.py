"""The mapping network, z -> w, which both generations have: they differ in keywords and defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ncnn_builder as nb
from stylegan._torch import Tensor, nn, torch
from stylegan.networks.doctor_cases import mapping_case
from stylegan.networks.layers import FullyConnectedLayer, expect_shape, normalize_2nd_moment, normalize_2nd_moment_ncnn


class StyleMapping(nn.Module):
    """Fully connected layers on the normalised z and, with labels, the normalised embedding of c.

    z [N, z_dim], c [N, c_dim] -> ws [N, num_ws, w_dim], or w [N, w_dim] where num_ws is None (as in a
    discriminator). features: the sizes between the layers, features[0] = z_dim + the size of the embedding,
    features[-1] = w_dim; without layers w is what they would be given. `w_avg` [w_dim] is the running mean of w, if
    has_w_avg; without it there is no truncation.
    """

    w_avg: Tensor
    embed: nn.Module

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int | None,
        features: Sequence[int],
        activation: str = "lrelu",
        lr_multiplier: float = 0.01,
        w_avg_beta: float | None = None,
        has_w_avg: bool = True,
    ) -> None:
        if features[-1] != w_dim:
            raise ValueError(f"a mapping without layers gives {features[-1]} numbers, expected w_dim {w_dim}")
        if not z_dim and not c_dim:
            raise ValueError("z_dim and c_dim are both 0: nothing tells one picture from another")
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.num_ws = num_ws
        self.num_layers = len(features) - 1
        self.w_avg_beta = w_avg_beta
        self.has_w_avg = has_w_avg
        if c_dim > 0:
            self.embed = FullyConnectedLayer(c_dim, features[0] - z_dim)
        for i in range(self.num_layers):
            fc = FullyConnectedLayer(features[i], features[i + 1], True, activation, lr_multiplier)
            setattr(self, f"fc{i}", fc)
        if has_w_avg:
            self.register_buffer("w_avg", torch.zeros(self.w_dim))

    def styles(self, z: Tensor | None, c: Tensor | None, psi: float, cutoff: int | None, update_w_avg: bool) -> Tensor:
        """z may be None where z_dim is 0, and c where c_dim is 0.

        Truncation: w_avg + psi * (w - w_avg) for the first `cutoff` styles (None: all).
        """
        parts = []
        if self.z_dim > 0:
            if z is None:
                raise ValueError(f"mapping: z of shape [N, {self.z_dim}] is needed, got None")
            expect_shape("mapping: z", z, None, self.z_dim)
            parts.append(normalize_2nd_moment(z.float()))
        if self.c_dim > 0:
            if c is None:
                raise ValueError(f"mapping: c of shape [N, {self.c_dim}] is needed, got None")
            expect_shape("mapping: c", c, None, self.c_dim)
            parts.append(normalize_2nd_moment(self.embed(c.float())))
        x = torch.cat(parts, dim=1)  # [N, features[0]]
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)  # [N, w_dim]

        if self.w_avg_beta is not None and self.has_w_avg and update_w_avg:
            self.w_avg.copy_(x.detach().mean(dim=0).lerp(self.w_avg, self.w_avg_beta))
        if self.num_ws is not None:
            x = x[:, None].repeat(1, self.num_ws, 1)  # [N, num_ws, w_dim]
        if psi != 1:
            if not self.has_w_avg:
                raise ValueError("mapping: truncation_psi must be 1, this network keeps no w_avg")
            cutoff = self.num_ws if cutoff is None else cutoff
            x = torch.cat([self.w_avg.lerp(x[:, :cutoff], psi), x[:, cutoff:]], dim=1)
        return x

    def export_ncnn(self, g: nb.Graph, bottom_names: nb.ValueLike) -> nb.Values:
        """Inputs [z, coeff] or, with labels, [z, coeff, c], where z_dim is 0 without z: one w [w_dim], truncated by
        coeff (psi).

        Not repeated num_ws times: the synthesis network takes one w for all styles.
        """
        bottoms = list(nb.check_bottom_names(bottom_names))
        parts = [normalize_2nd_moment_ncnn(g, bottoms.pop(0))] if self.z_dim > 0 else []
        coeff, *c = bottoms
        if self.c_dim > 0:
            parts.append(normalize_2nd_moment_ncnn(g, nb.child(g, self, "embed", c)))
        x = nb.concat(g, parts, dim=1) if len(parts) > 1 else parts[0]
        for i in range(self.num_layers):
            x = nb.child(g, self, f"fc{i}", x)
        if not self.has_w_avg:
            return x
        w_avg = nb.shell(g, x, self.w_avg[None, None, None], None, ncnn_weight_dims=1)
        return nb.lerp(g, [*w_avg, *x, coeff])

    def doctor_case(self, arrays: Mapping[str, Any]) -> Any:
        """For ncnn_builder.doctor: arrays holds z [1, z_dim], with labels c [1, c_dim], and may hold coeff [1]."""
        return mapping_case(self, arrays)
