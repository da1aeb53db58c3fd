"""Parts of a generator as cases of ncnn_builder.doctor: their export takes other inputs than their forward()."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

import ncnn_builder as nb
from ncnn_builder.doctor import Case
from stylegan._torch import torch
from stylegan.networks.graphs import mapping_graph, synthesis_graph


def generator_case(G: Any, arrays: Mapping[str, Any]) -> Case:
    """The synthesis network where there is an array ws, else the mapping network."""
    return synthesis_case(G.synthesis, arrays) if "ws" in arrays else mapping_case(G.mapping, arrays)


def mapping_case(network: Any, arrays: Mapping[str, Any]) -> Case:
    """arrays: z [1, z_dim] unless that is 0; c [1, c_dim] with labels; coeff [1], the truncation psi, 1 where it
    is left out.

    Raises BuildError for other arrays.
    """
    wanted = {name: (1, n) for name, n in (("z", network.z_dim), ("c", network.c_dim)) if n} | {"coeff": (1,)}
    given = _checked({"coeff": np.ones(1, np.float32), **arrays}, wanted)
    z, c = (torch.from_numpy(given[name]) if name in given else None for name in ("z", "c"))
    psi = float(given["coeff"][0])
    inputs = {name: array if name == "coeff" else array[0] for name, array in given.items()}
    return Case(
        network,
        lambda: mapping_graph(SimpleNamespace(mapping=network, z_dim=network.z_dim, c_dim=network.c_dim)),
        lambda: network(z, c, truncation_psi=psi),
        inputs,
        "mapping",
    )


def synthesis_case(network: Any, arrays: Mapping[str, Any]) -> Case:
    """arrays: ws [1, num_ws, w_dim]. Noise is the network's own (const). Raises BuildError for other arrays."""
    given = _checked(arrays, {"ws": (1, network.num_ws, network.w_dim)})
    ws = torch.from_numpy(given["ws"])
    whole = SimpleNamespace(synthesis=network, w_dim=network.w_dim, num_ws=network.num_ws)
    inputs = {"ws0": given["ws"][0], "ws1": given["ws"][0], "mixing": np.zeros(network.num_ws, np.float32)}
    return Case(
        network,
        lambda: synthesis_graph(whole),
        lambda: network(ws, noise_mode="const"),
        inputs,
        "synthesis",
    )


def _checked(arrays: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The arrays as float32, in the order wanted."""
    got = {name: tuple(array.shape) for name, array in arrays.items()}
    if got != dict(wanted):
        raise nb.BuildError("the inputs are not those of this network", expected=dict(wanted), got=got)
    return {name: np.ascontiguousarray(arrays[name], np.float32) for name in wanted}
