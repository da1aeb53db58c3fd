"""Directions of the styles without training: by closed-form factorisation, what changes the picture most; and by the
main axes of many styles.

SeFa (Shen and Zhou, Closed-Form Factorization of Latent Semantics in GANs, CVPR 2021): the eigenvectors of A^T A, where
A holds the weights by which the layers read their style, each output's to length one. The weights are not looked up in
the files, which differ from target to target: the affine layers are run on unit vectors.

GANSpace (Harkonen et al., GANSpace: Discovering Interpretable GAN Controls, NeurIPS 2020): the principal components
of w.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .model import Model
from .values import FloatArray

AFFINE = ".affine"
MOST_DIRECTIONS = 16

_known: weakref.WeakKeyDictionary[Model, tuple[FloatArray, ...]] = weakref.WeakKeyDictionary()


def directions(model: Model, styles: Iterable[int], count: int = MOST_DIRECTIONS) -> FloatArray:
    """The first directions of these styles' layers, [count, w_dim], of length one, the strongest first.

    The largest component of each is positive. Of a w_dim below `count` there are as many as that. Raises InputError
    where the bundle does not say which blobs the affine layers make, or none of them reads these styles.
    """
    weights = style_weights(model)
    rows = [weights[i] for i in sorted(set(styles)) if 0 <= i < len(weights)]
    a = np.concatenate([np.zeros((0, model.manifest.w_dim), np.float32), *rows]).astype(np.float64)
    a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    if not len(a):
        raise InputError("no layer reads these styles, so they have no directions")
    return _upright(np.linalg.eigh(a.T @ a)[1][:, ::-1].T[:count])


def _upright(found: npt.NDArray[np.float64]) -> FloatArray:
    """Each with its largest component positive."""
    largest = np.take_along_axis(found, np.abs(found).argmax(1, keepdims=True), 1)
    result: FloatArray = (found * np.sign(largest)).astype(np.float32)
    return result


def principal_directions(
    model: Model, count: int, numbers: Iterable[int], samples: int, seed: int = 0, label: FloatArray | None = None
) -> tuple[FloatArray, list[float]]:
    """[count, w_dim], each as long as the standard deviation of styles along it; and its share of the variance.

    numbers: 0 to samples - 1, which may be watched. seed: of RandomState, whose latents the styles are of. label:
    [c_dim], for a model with labels. Raises InputError.
    """
    random, w_dim = np.random.RandomState(seed), model.manifest.w_dim
    total, products = np.zeros(w_dim), np.zeros((w_dim, w_dim))
    for _ in numbers:
        w = model.mapping(random.randn(model.manifest.z_dim), c=label).astype(np.float64)
        total += w
        products += w[:, None] * w
    mean = total / samples
    values, vectors = np.linalg.eigh(products / samples - mean[:, None] * mean)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1].T
    found = _upright(vectors[:count] * np.sqrt(values[:count, None]))
    return found, [float(value / max(values.sum(), 1e-30)) for value in values[:count]]


def style_weights(model: Model) -> tuple[FloatArray, ...]:
    """Of each style the weights of the affine layers that read it, [outputs, w_dim]; kept for as long as the model."""
    if model not in _known:
        _known[model] = _style_weights(model)
    return _known[model]


def _style_weights(model: Model) -> tuple[FloatArray, ...]:
    manifest, net = model.manifest, model.synthesis_net
    graph = manifest.graphs["synthesis"]
    blobs = sorted({blob for tap, blob in graph.taps.items() if tap.endswith(AFFINE)} & set(net.blobs))
    if not blobs:
        raise InputError("the bundle does not say which blobs its affine layers make", file=str(manifest.path))
    num_ws, w_dim = manifest.num_ws, manifest.w_dim
    rest = {name: np.zeros(shape, np.float32) for name, shape in graph.inputs.items()}

    def outputs(ws: FloatArray) -> dict[str, FloatArray]:
        made = net.run({**rest, "ws0": ws, "ws1": ws}, blobs)
        return {blob: np.array(made[blob]).ravel() for blob in blobs}

    zero = outputs(np.zeros((num_ws, w_dim), np.float32))
    readers: list[list[str]] = []
    for i in range(num_ws):
        ws = np.zeros((num_ws, w_dim), np.float32)
        ws[i] = np.linspace(1, 2, w_dim)
        made = outputs(ws)
        readers.append([blob for blob in blobs if (made[blob] != zero[blob]).any()])
    units = [outputs(np.broadcast_to(row, (num_ws, w_dim)).copy()) for row in np.eye(w_dim, dtype=np.float32)]
    weights = {blob: np.stack([unit[blob] - zero[blob] for unit in units], axis=1) for blob in blobs}
    none = np.zeros((0, w_dim), np.float32)
    return tuple(np.concatenate([none, *(weights[blob] for blob in found)]) for found in readers)
