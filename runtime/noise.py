"""The noise planes of StyleGAN2: which of them a picture gets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .errors import BundleError, InputError, brief, byte_count
from .manifest import Manifest
from .strangers import open_regular
from .values import FloatArray, array_of, number_of, whole_number

NoiseChoice = str | Mapping[str, npt.ArrayLike] | None


class Noise:
    """Fills a bundle's noise inputs: with the network's own planes, fresh ones, none, or the caller's.

    Which are possible the export decided (--noise-mode): `const` and `none` are built in, `random` and `input` leave
    the planes open, and `input` also keeps the network's own.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._layers = manifest.noise.layers

    def choices(self) -> list[str]:
        """What the word `noise` may be; the first is the default."""
        mode = self._manifest.noise.mode
        return {"random": ["random", "none"], "input": ["const", "random", "none"]}.get(mode, [mode])

    def inputs(self, noise: NoiseChoice, seed: int | None, strength: float) -> dict[str, FloatArray]:
        """The arrays for the synthesis net, by the names of its inputs. See Model.synthesis for the arguments.

        Raises InputError for what the bundle or the arguments do not allow.
        """
        choices = self.choices()
        given: Mapping[str, npt.ArrayLike] = noise if isinstance(noise, Mapping) else {}
        kind = choices[0] if noise is None or isinstance(noise, Mapping) else noise
        if kind not in choices:
            raise InputError(
                f"noise {kind!r} is not in this model",
                expected=" or ".join(choices),
                fix="Export with --noise-mode input for all of const, random and none",
            )
        factor = number_of("noise_strength", strength)
        if seed is not None and kind != "random":
            raise InputError(f"noise_seed is for random noise, and the noise is {kind}", expected="noise 'random'")
        if not self._layers:
            if given or factor != 1:
                raise InputError(
                    "the noise of this model is built in", fix="Export with --noise-mode input to change it"
                )
            return {}
        planes = self._planes(kind, seed)
        for layer, values in given.items():
            if layer not in self._layers:
                raise InputError(f"no layer {layer!r} takes noise", expected=", ".join(self._layers))
            planes[layer] = array_of(f"noise of {layer}", values, self._layers[layer].shape)
        scale = np.float32(factor)
        return {self._layers[name].input: plane * scale for name, plane in planes.items()}

    def _planes(self, kind: str, seed: int | None) -> dict[str, FloatArray]:
        if kind == "const":
            return dict(self._own)
        if kind == "none":
            return {name: np.zeros(layer.shape, np.float32) for name, layer in self._layers.items()}
        draw = np.random.RandomState(None if seed is None else seed_of(seed))
        return {name: draw.randn(*layer.shape).astype(np.float32) for name, layer in self._layers.items()}

    @cached_property
    def _own(self) -> dict[str, FloatArray]:
        """The network's planes, from the file that `input` comes with: float32, one after another."""
        manifest = self._manifest
        path = manifest.file(manifest.noise.planes or "")
        sizes = [4 * int(np.prod(layer.shape)) for layer in self._layers.values()]
        try:
            with open_regular(path) as stream:
                data = stream.read(sum(sizes) + 1)
        except OSError as error:
            raise BundleError("the noise planes cannot be read", file=str(path), reason=error.strerror) from None
        if len(data) != sum(sizes):
            raise BundleError(
                "the noise planes have the wrong length",
                file=str(path),
                expected=byte_count(sum(sizes)),
                got="more" if len(data) > sum(sizes) else byte_count(len(data)),
                fix="Export the bundle again",
            )
        planes, start = {}, 0
        for (name, layer), size in zip(self._layers.items(), sizes, strict=True):
            values = np.frombuffer(data, "<f4", size // 4, start)
            planes[name] = values.reshape(layer.shape).astype(np.float32)
            start += size
        return planes


def seed_of(value: object) -> int:
    """A whole number from 0 to 2^32 - 1, as numpy.random.RandomState takes it. Raises InputError."""
    seed = whole_number(value)
    if seed is None or not 0 <= seed < 2**32:
        raise InputError("noise_seed is not a seed", expected="a whole number from 0 to 4294967295", got=brief(value))
    return seed
