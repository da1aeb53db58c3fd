"""A generator's two graphs: their inputs and outputs have the names of the predecessor's."""

from __future__ import annotations

from typing import Any

import ncnn_builder as nb


def mapping_graph(G: Any) -> nb.Graph:
    """z [z_dim] (unless that is 0), coeff [1] (the truncation psi) and, with labels, c [c_dim] -> output [w_dim]."""
    g = nb.Graph("mapping")
    inputs = [*([g.input("z", (G.z_dim,))] if G.z_dim else []), g.input("coeff", (1,))]
    if G.c_dim:
        inputs.append(g.input("c", (G.c_dim,)))
    with g.scope("mapping"):
        g.output("output", G.mapping.export_ncnn(g, inputs))
    return g


def synthesis_graph(G: Any, noise_mode: str = "const", transform_input: bool = False) -> nb.Graph:
    """ws0, ws1 [w_dim] or [num_ws, w_dim], mixing [num_ws] -> output [img_channels, R, R], about -1..1.

    transform_input: StyleGAN3's input.transform is a fourth input, transform [3, 3], and not the network's buffer.
    """
    g = nb.Graph("synthesis")
    ws0, ws1 = (g.input(name, (G.w_dim,), any_shape=True) for name in ("ws0", "ws1"))
    mixing = g.input("mixing", (G.num_ws,))
    options: dict[str, Any] = {"transform": g.input("transform", (3, 3))} if transform_input else {}
    g.output("output", nb.child(g, G, "synthesis", [ws0, ws1, mixing], noise_mode=noise_mode, **options))
    return g


def noise_input_name(layer: str) -> str:
    """The synthesis graph's input for the noise of a layer, such as b8.conv0."""
    return "noise_" + layer.replace(".", "_")
