"""The mapping network of StyleGAN-XL: labels go through a table of features, and each class has a mean style."""

from __future__ import annotations

import ncnn_builder as nb
from stylegan._torch import Tensor, nn, torch
from stylegan.networks.layers import FullyConnectedLayer, expect_shape, normalize_2nd_moment, normalize_2nd_moment_ncnn
from stylegan.networks.mapping import StyleMapping


class ClassMapping(StyleMapping):
    """z [N, z_dim], c [N, c_dim] with a one for the class -> ws [N, num_ws, w_dim].

    `embed` is a table of `embeddings` rows of embed_features numbers, those of a network that knows ImageNet's classes;
    `embed_proj` makes z_dim numbers of a row. `w_avg` [c_dim, w_dim] is the mean style of each class, which truncation
    goes towards. Source: Sauer et al. 2022, "StyleGAN-XL: Scaling StyleGAN to Large Diverse Datasets", section 3.1.
    """

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int,
        embed_features: int,
        embeddings: int = 1000,
        num_layers: int = 2,
        lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.998,
    ) -> None:
        if not 1 <= c_dim <= embeddings:
            raise ValueError(f"c_dim must be 1 to {embeddings}, the rows of the table, got {c_dim}")
        features = [2 * z_dim] + [w_dim] * num_layers
        super().__init__(z_dim, c_dim, w_dim, num_ws, features, "lrelu", lr_multiplier, w_avg_beta)
        self.embed = nn.Embedding(embeddings, embed_features)
        self.embed_proj = FullyConnectedLayer(embed_features, z_dim, activation="lrelu")
        self.register_buffer("w_avg", torch.zeros(c_dim, w_dim))

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
        update_emas: bool = False,
    ) -> Tensor:
        """As StyleMapping.styles, towards the mean style of the class, which follows if update_emas."""
        expect_shape("mapping: z", z, None, self.z_dim)
        if c is None:
            raise ValueError(f"mapping: c of shape [N, {self.c_dim}] is needed, got None")
        expect_shape("mapping: c", c, None, self.c_dim)
        c = c.float()
        y = self.embed_proj(c @ self.table())
        x = torch.cat([normalize_2nd_moment(z.float()), normalize_2nd_moment(y)], dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        if self.w_avg_beta is not None and update_emas:
            for style, label in zip(x.detach(), c.argmax(dim=1), strict=True):
                self.w_avg[label] = style.lerp(self.w_avg[label], self.w_avg_beta)
        ws = x[:, None].repeat(1, self.num_ws or 1, 1)
        if truncation_psi != 1:
            cutoff = self.num_ws if truncation_cutoff is None else truncation_cutoff
            near = (c @ self.w_avg)[:, None].lerp(ws[:, :cutoff], truncation_psi)
            ws = torch.cat([near, ws[:, cutoff:]], dim=1)
        return ws

    def table(self) -> Tensor:
        """[c_dim, embed_features]: the rows that classes of this network have."""
        weight: Tensor = self.embed.weight  # type: ignore[assignment]
        return weight[: self.c_dim]

    def export_ncnn(self, g: nb.Graph, bottom_names: nb.ValueLike) -> nb.Values:
        """Inputs [z, coeff, c]: one w [w_dim], truncated by coeff (psi) towards the mean style of c."""
        z, coeff, c = nb.check_bottom_names(bottom_names)
        row = nb.fully_connected(g, c, self.table().t())
        y = nb.child(g, self, "embed_proj", row)
        x = nb.concat(g, [normalize_2nd_moment_ncnn(g, z), normalize_2nd_moment_ncnn(g, y)], dim=1)
        for i in range(self.num_layers):
            x = nb.child(g, self, f"fc{i}", x)
        mean = nb.fully_connected(g, c, self.w_avg.t())
        return nb.lerp(g, [*mean, *x, coeff])
