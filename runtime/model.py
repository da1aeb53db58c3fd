"""A generator's bundle: mapping from latent to style, synthesis from style to picture."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import BundleError, InputError, brief
from .manifest import Manifest, load_manifest
from .net import FloatArray, Net, check_threads


class RandomWeightsWarning(UserWarning):
    """The bundle holds random weights: its pictures are noise."""


class Model:
    """A bundle that ``python -m stylegan.export`` wrote.

    Args:
        path: ``dir/NAME`` or ``dir/NAME.json``.
        threads: at least 1; None takes the physical cores.
        verify: compares the files with the sizes and SHA-256 sums of the manifest.
        options: further options of ``Net``.

    Raises:
        BundleError: the manifest is missing or damaged, or a file has changed since the export.
        ParamError, WeightsError: a file of the bundle cannot be loaded.

    Warns with RandomWeightsWarning when the exporter had no checkpoint.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        verify: bool = True,
        **options: bool,
    ) -> None:
        threads = check_threads(threads)
        self.manifest: Manifest = load_manifest(path)
        # The nets first: what they say about a damaged file is more telling than a checksum.
        self.mapping_net = self._load("mapping", threads, options)
        self.synthesis_net = self._load("synthesis", threads, options)
        if verify:
            self.manifest.check_files()
        if self.manifest.weights.random:
            warnings.warn(self.warning or "", RandomWeightsWarning, stacklevel=2)

    def _load(self, name: str, threads: int, options: dict[str, Any]) -> Net:
        files = self.manifest.graphs[name]
        net = Net(self.manifest.file(files.param), self.manifest.file(files.bin), threads=threads, **options)
        for what, listed, found in (
            ("inputs", files.inputs, list(net.inputs)),
            ("outputs", files.outputs, net.blobs),
        ):
            missing = [blob for blob in listed if blob not in found]
            if missing:
                raise BundleError(
                    f"the {name} net has not the {what} of the manifest",
                    file=str(self.manifest.file(files.param)),
                    expected=", ".join(listed),
                    got="no " + ", ".join(missing),
                )
        return net

    @property
    def warning(self) -> str | None:
        """One sentence if the weights are random, else None."""
        weights = self.manifest.weights
        if not weights.random:
            return None
        return f"{self.manifest.path.name} holds random weights ({weights.source}): its pictures are noise"

    def mapping(self, z: npt.ArrayLike, psi: float = 1.0, c: npt.ArrayLike | None = None) -> FloatArray:
        """Style of a latent.

        Args:
            z: [z_dim].
            psi: truncation; 1 leaves the style as it is, 0 gives the mean one.
            c: [c_dim] label, for a model with labels only.

        Returns:
            w, float32 [w_dim].

        Raises:
            InputError: a wrong length, a label missing or superfluous, a number that is not finite as float32,
                psi not a number, or not 1 where the network keeps no w_avg.
        """
        c_dim = self.manifest.c_dim
        inputs = {"z": _vector("z", z, self.manifest.z_dim)}
        inputs["coeff"] = _vector("psi", [_number("psi", psi)], 1)
        if inputs["coeff"][0] != 1 and not self.manifest.truncation:
            raise InputError(
                "this network keeps no w_avg, so there is no truncation", expected="psi (trunc=) 1", got=str(psi)
            )
        if c_dim and c is None:
            raise InputError("the model has labels and none is given", expected=f"c of [{c_dim}]")
        if not c_dim and c is not None:
            raise InputError("the model has no labels", expected="no c")
        if c is not None:
            inputs["c"] = _vector("c", c, c_dim)
        return self.mapping_net.run(inputs, ["output"])["output"]

    def synthesis(
        self,
        w: npt.ArrayLike,
        w1: npt.ArrayLike | None = None,
        mixing: Sequence[float] | FloatArray | None = None,
        *,
        transform: npt.ArrayLike | None = None,
    ) -> FloatArray:
        """Picture of a style, or of two mixed ones.

        Args:
            w, w1: [w_dim], or [num_ws, w_dim] for a style of its own in each layer.
            mixing: [num_ws] numbers from 0 (w) to 1 (w1); needed exactly if w1 is given.
            transform: [3, 3], for a StyleGAN3 network exported with the input `transform`: where each point of the
                picture is looked up, see `transform_matrix`. None: the network's own.

        Returns:
            The network's raw output, float32 [C, H, W], about -1..1.

        Raises:
            InputError: a wrong shape, a number that is not finite as float32 or outside 0..1 in mixing, only one
                of w1 and mixing, a transform for a model that takes none.
        """
        ws0 = self._style("w", w)
        num_ws = self.manifest.num_ws
        if (w1 is None) != (mixing is None):
            raise InputError("w1 and mixing belong together", got="only " + ("mixing" if w1 is None else "w1"))
        ws1 = ws0 if w1 is None else self._style("w1", w1)
        blend = _vector("mixing", [0.0] * num_ws if mixing is None else mixing, num_ws)
        if not ((blend >= 0) & (blend <= 1)).all():
            worst = int(np.argmax(~((blend >= 0) & (blend <= 1))))
            raise InputError("mixing has a bad number", expected="0 to 1", got=f"{blend[worst]} at {worst}")
        inputs = {"ws0": ws0, "ws1": ws1, "mixing": blend}
        if transform is not None and self.manifest.transform is None:
            raise InputError("the model takes no transform", fix="Export StyleGAN3 with --transform-input")
        if self.manifest.transform is not None:
            own = self.manifest.transform
            inputs["transform"] = _shaped("transform", own if transform is None else transform, (3, 3))
        return self.synthesis_net.run(inputs, ["output"])["output"]

    def image(
        self,
        w: npt.ArrayLike,
        w1: npt.ArrayLike | None = None,
        mixing: Sequence[float] | FloatArray | None = None,
        *,
        transform: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.uint8]:
        """`synthesis` as a picture: uint8 [H, W, C], clip(img * 127.5 + 128, 0, 255) cut to whole numbers.

        Raises InputError as `synthesis` does, and where the network's output is not finite.
        """
        return to_picture(self.synthesis(w, w1, mixing, transform=transform))

    def _style(self, name: str, value: npt.ArrayLike) -> FloatArray:
        array = _real(name, value)
        w_dim, num_ws = self.manifest.w_dim, self.manifest.num_ws
        if array.shape not in ((w_dim,), (num_ws, w_dim)):
            expected = f"[{w_dim}] or [{num_ws}, {w_dim}]"
            raise InputError(f"{name} has the wrong shape", expected=expected, got=str(list(array.shape)))
        return array

    def __repr__(self) -> str:
        return f"Model({str(self.manifest.path)!r}, threads={self.synthesis_net.threads})"


def to_picture(img: FloatArray) -> npt.NDArray[np.uint8]:
    """Float [C, H, W], about -1..1 -> uint8 [H, W, C]. Raises InputError where a number is not finite."""
    if not np.isfinite(img).all():
        raise InputError("the picture is not finite: its style lies far outside what the network knows")
    levels = img * np.float32(127.5)
    levels += np.float32(128)
    np.clip(levels, 0, 255, out=levels)
    return np.ascontiguousarray(levels.transpose(1, 2, 0)).astype(np.uint8)


def _real(name: str, value: npt.ArrayLike) -> FloatArray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} cannot be made into an array", reason=str(error)) from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} has the wrong type", expected="real numbers", got=str(array.dtype))
    with np.errstate(over="ignore"):
        result: FloatArray = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(result).all():
        raise InputError(f"{name} holds numbers that are NaN, infinite or too large", expected="finite float32")
    return result


def _number(name: str, value: object) -> float:
    """A Python or numpy number, or an array without dimensions; text and truth values are none."""
    try:
        if np.ndim(value) or np.asarray(value).dtype.kind in "bSU":  # type: ignore[arg-type]
            raise TypeError
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise InputError(f"{name} is not a number", got=brief(value)) from None


def _vector(name: str, value: npt.ArrayLike, length: int) -> FloatArray:
    return _shaped(name, value, (length,))


def _shaped(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = _real(name, value)
    if array.shape != shape:
        raise InputError(f"{name} has the wrong shape", expected=str(list(shape)), got=str(list(array.shape)))
    return array
