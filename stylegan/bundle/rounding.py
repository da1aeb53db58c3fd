"""What storing weights as float16 does to a picture, measured on the files themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import ncnn_builder as nb
from ncnn_builder.parity import compare
from runtime import Net
from stylegan.bundle.seeds import latent

PICTURE_SEED = 0


def picture_error(exact: Mapping[str, nb.EmittedModel], rounded: Mapping[str, nb.EmittedModel]) -> float:
    """The largest difference between the two pictures of seed 0, relative to the largest magnitude of the exact one.

    exact, rounded: the nets "mapping" and "synthesis". psi is 1, a label the first one, open noise the same random
    planes and an open transform the identity for both. Two digits: more depend on the machine, and equal exports
    shall be equal files.
    """
    pictures = [_picture(models) for models in (exact, rounded)]
    return float(f"{compare('picture', pictures[1], pictures[0], 1.0).required:.1e}")


def _picture(models: Mapping[str, nb.EmittedModel]) -> Any:
    given = models["mapping"].inputs
    inputs: dict[str, Any] = {"z": latent(PICTURE_SEED, given["z"][0]), "coeff": np.ones(1, np.float32)}
    if "c" in given:
        inputs["c"] = np.eye(given["c"][0], dtype=np.float32)[0]
    w = _run(models["mapping"], inputs)
    draw = np.random.RandomState(PICTURE_SEED)
    styles: dict[str, Any] = {}
    for name, shape in models["synthesis"].inputs.items():
        if name in ("ws0", "ws1"):
            styles[name] = np.array(np.broadcast_to(w, shape))  # a target may take num_ws of them
        elif name == "mixing":
            styles[name] = np.zeros(shape, np.float32)
        elif name == "transform":
            styles[name] = np.eye(3, dtype=np.float32)
        else:
            styles[name] = draw.randn(*shape).astype(np.float32)
    return _run(models["synthesis"], styles)


def _run(model: nb.EmittedModel, inputs: dict[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        param, weights = Path(folder, "m.param"), Path(folder, "m.bin")
        param.write_text(model.param)
        weights.write_bytes(model.bin)
        return Net(param, weights).run(inputs, ["output"])["output"]
