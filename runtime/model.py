"""A generator's bundle: mapping from latent to style, synthesis from style to picture."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .at_once import in_order
from .errors import BundleError, InputError, brief
from .manifest import Manifest, load_manifest
from .net import FloatArray, Net, check_threads
from .noise import Noise, NoiseChoice
from .strangers import printable
from .values import array_of, number_of, whole_number


class RandomWeightsWarning(UserWarning):
    """The bundle holds random weights: its pictures are noise."""


class Model:
    """A bundle that ``python -m stylegan.export`` wrote.

    Args:
        path: ``dir/NAME`` or ``dir/NAME.json``.
        threads: at least 1; None takes the physical cores, no more than a container's quota.
        verify: compares the files with the sizes and SHA-256 sums of the manifest.
        options: further options of ``Net``, such as isolate=True for a bundle of a stranger.

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
        **options: Any,
    ) -> None:
        threads = check_threads(threads)
        self.manifest: Manifest = load_manifest(path)
        with ThreadPoolExecutor(1, thread_name_prefix="sums") as beside:
            checked = beside.submit(self.manifest.check_files) if verify and threads > 1 else None
            # The nets first: what they say about a damaged file is more telling than a checksum.
            self.mapping_net = self._load("mapping", threads, options)
            self.synthesis_net = self._load("synthesis", threads, options)
            if checked:
                checked.result()
            elif verify:
                self.manifest.check_files()
        self._noise = Noise(self.manifest)
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
        for blob, shape in files.inputs.items():
            if net.inputs[blob] not in (None, shape):
                raise BundleError(
                    f"the input {blob} of the {name} net has not the shape of the manifest",
                    file=str(self.manifest.file(files.param)),
                    expected=str(list(shape)),
                    got=str(list(net.inputs[blob] or ())),
                )
        return net

    @property
    def warning(self) -> str | None:
        """One sentence if the weights are random, else None."""
        weights = self.manifest.weights
        if not weights.random:
            return None
        return printable(
            f"{self.manifest.path.name} holds random weights ({weights.source}): its pictures are noise", ""
        )

    def mapping(
        self, z: npt.ArrayLike, psi: float = 1.0, c: npt.ArrayLike | None = None, cutoff: int | None = None
    ) -> FloatArray:
        """Style of a latent.

        Args:
            z: [z_dim]; of a model whose z_dim is 0 no numbers.
            psi: truncation; 1 leaves the style as it is, 0 gives the mean one.
            c: [c_dim] label, for a model with labels only.
            cutoff: truncates the first `cutoff` styles only, 0 to num_ws; None: all.

        Returns:
            w, float32 [w_dim]; with cutoff [num_ws, w_dim].

        Raises:
            InputError: a wrong length, a label missing or superfluous, a number that is not finite as float32,
                psi not a number, or not 1 where the network keeps no w_avg, a cutoff out of range.
        """
        c_dim = self.manifest.c_dim
        inputs = self._latent(array_of("z", z, (self.manifest.z_dim,)))
        coeff = self._psi(psi)
        if c_dim and c is None:
            raise InputError("the model has labels and none is given", expected=f"c of [{c_dim}]")
        if not c_dim and c is not None:
            raise InputError("the model has no labels", expected="no c")
        if c is not None:
            inputs["c"] = array_of("c", c, (c_dim,))
        if cutoff is None:
            return self._run_mapping(inputs, coeff)
        return self.truncate(self._run_mapping(inputs, 1.0), psi, cutoff)

    def truncate(self, w: npt.ArrayLike, psi: float, cutoff: int | None = None) -> FloatArray:
        """w_avg + psi * (w - w_avg): for styles that come from elsewhere, such as a projected picture's.

        w [w_dim] or [num_ws, w_dim]; cutoff as in `mapping`. Returns float32 of w's shape, with cutoff [num_ws, w_dim].
        Raises InputError as `mapping` does.
        """
        style, coeff = self._style("w", w), np.float32(self._psi(psi))
        num_ws = self.manifest.num_ws
        if cutoff is not None:
            first = _count("cutoff", cutoff, num_ws)
            style = np.array(np.broadcast_to(style, (num_ws, self.manifest.w_dim)))
            if coeff != 1:
                style[:first] = self.w_avg + coeff * (style[:first] - self.w_avg)
            return style
        return style if coeff == 1 else self.w_avg + coeff * (style - self.w_avg)

    @cached_property
    def w_avg(self) -> FloatArray:
        """The mean style, [w_dim]. Raises InputError where the network keeps none."""
        self._psi(0.0)
        inputs = self._latent(np.zeros(self.manifest.z_dim, np.float32))
        if self.manifest.c_dim:
            # The mean of the classes', where each has its own; else it is the same for every label.
            inputs["c"] = np.full(self.manifest.c_dim, 1 / self.manifest.c_dim, np.float32)
        return self._run_mapping(inputs, 0.0)

    def _latent(self, z: FloatArray) -> dict[str, FloatArray]:
        """The mapping net's input, which it has not where z_dim is 0."""
        return {"z": z} if self.manifest.z_dim else {}

    def _run_mapping(self, inputs: dict[str, FloatArray], coeff: float) -> FloatArray:
        arrays = {**inputs, "coeff": np.array([coeff], np.float32)}
        return self.mapping_net.run(arrays, ["output"])["output"]

    def _psi(self, psi: float) -> float:
        coeff = number_of("psi", psi)
        if coeff != 1 and not self.manifest.truncation:
            raise InputError(
                "this network keeps no w_avg, so there is no truncation", expected="psi (trunc=) 1", got=str(psi)
            )
        return coeff

    def synthesis(
        self,
        w: npt.ArrayLike,
        w1: npt.ArrayLike | None = None,
        mixing: Sequence[float] | FloatArray | None = None,
        *,
        transform: npt.ArrayLike | None = None,
        noise: NoiseChoice = None,
        noise_seed: int | None = None,
        noise_strength: float = 1.0,
    ) -> FloatArray:
        """Picture of a style, or of two mixed ones.

        Args:
            w, w1: [w_dim], or [num_ws, w_dim] for a style of its own in each layer.
            mixing: [num_ws] numbers from 0 (w) to 1 (w1); needed exactly if w1 is given.
            transform: [3, 3], for a StyleGAN3 network exported with the input `transform`: where each point of the
                picture is looked up, see `transform_matrix`. None: the network's own.
            noise: StyleGAN2, as far as `noise_choices` goes: "const" (the network's own planes), "random" (fresh
                ones), "none"; or planes [H, W] by layer (such as "b8.conv0"), the others as by default.
            noise_seed: of random noise, 0 to 2^32 - 1: planes in the order of the layers from
                numpy.random.RandomState(noise_seed).randn. None: new noise for every picture.
            noise_strength: multiplies all planes.

        Returns:
            The network's raw output, float32 [C, H, W], about -1..1.

        Raises:
            InputError: a wrong shape, a number that is not finite as float32 or outside 0..1 in mixing, only one
                of w1 and mixing, a transform or a noise that the bundle has no input for.
        """
        given = self.synthesis_inputs(
            w, w1, mixing, transform=transform, noise=noise, noise_seed=noise_seed, noise_strength=noise_strength
        )
        return self.synthesis_net.run(given, ["output"])["output"]

    def synthesis_inputs(
        self,
        w: npt.ArrayLike,
        w1: npt.ArrayLike | None = None,
        mixing: Sequence[float] | FloatArray | None = None,
        *,
        transform: npt.ArrayLike | None = None,
        noise: NoiseChoice = None,
        noise_seed: int | None = None,
        noise_strength: float = 1.0,
    ) -> dict[str, FloatArray]:
        """What `synthesis` gives to `synthesis_net`: for blobs in its middle. Raises InputError as `synthesis` does."""
        ws0 = self._style("w", w)
        num_ws = self.manifest.num_ws
        if (w1 is None) != (mixing is None):
            raise InputError("w1 and mixing belong together", got="only " + ("mixing" if w1 is None else "w1"))
        ws1 = ws0 if w1 is None else self._style("w1", w1)
        blend = array_of("mixing", [0.0] * num_ws if mixing is None else mixing, (num_ws,))
        if not ((blend >= 0) & (blend <= 1)).all():
            worst = int(np.argmax(~((blend >= 0) & (blend <= 1))))
            raise InputError("mixing has a bad number", expected="0 to 1", got=f"{blend[worst]} at {worst}")
        inputs = {"ws0": self._rows("ws0", ws0), "ws1": self._rows("ws1", ws1), "mixing": blend}
        if transform is not None and self.manifest.transform is None:
            raise InputError("the model takes no transform", fix="Export StyleGAN3 with --transform-input")
        if self.manifest.transform is not None:
            own = self.manifest.transform
            inputs["transform"] = array_of("transform", own if transform is None else transform, (3, 3))
        inputs.update(self._noise.inputs(noise, noise_seed, noise_strength))
        return inputs

    @property
    def noise_choices(self) -> list[str]:
        """What `noise` may be in `synthesis`; the first is the default."""
        return self._noise.choices()

    def image(
        self,
        w: npt.ArrayLike,
        w1: npt.ArrayLike | None = None,
        mixing: Sequence[float] | FloatArray | None = None,
        **controls: Any,
    ) -> npt.NDArray[np.uint8]:
        """`synthesis` as a picture: uint8 [H, W, C], clip(img * 127.5 + 128, 0, 255) cut to whole numbers.

        controls: the further arguments of `synthesis`. Raises InputError as `synthesis` does, and where the network's
        output is not finite.
        """
        return to_picture(self.synthesis(w, w1, mixing, **controls))

    def images(
        self, styles: Iterable[npt.ArrayLike], *, at_once: int = 1, **controls: Any
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """`image` of each style in turn, `at_once` of them at the same time.

        Small pictures, or a machine that has other work, want a model with threads=1 and as many pictures at once as
        there are cores; the pictures are the same to the bit. Styles are taken as pictures are: neither pile up.
        Raises InputError as `image` does, at the place of the style that is wrong.
        """
        count = whole_number(at_once)
        if count is None or not 1 <= count <= 1024:
            raise InputError("at_once is out of range", expected="1 to 1024", got=brief(at_once))
        return in_order(lambda w: self.image(w, **controls), styles, count, self.stop)

    def stop(self, gently: bool = False) -> None:
        """Ends what other threads compute: as ``Net.stop``."""
        self.mapping_net.stop(gently)
        self.synthesis_net.stop(gently)

    def _style(self, name: str, value: npt.ArrayLike) -> FloatArray:
        w_dim, num_ws = self.manifest.w_dim, self.manifest.num_ws
        return array_of(name, value, (w_dim,), (num_ws, w_dim))

    def _rows(self, name: str, style: FloatArray) -> FloatArray:
        """The style as the net's input takes it: repeated where that is [num_ws, w_dim], as of the target stock."""
        shape = self.manifest.graphs["synthesis"].inputs.get(name, ())
        if len(shape) == 2 and style.ndim == 1:
            return np.ascontiguousarray(np.broadcast_to(style, (self.manifest.num_ws, len(style))))
        return style

    def __repr__(self) -> str:
        return f"Model({str(self.manifest.path)!r}, threads={self.synthesis_net.threads})"


def to_picture(img: FloatArray) -> npt.NDArray[np.uint8]:
    """Float [C, H, W], about -1..1 -> uint8 [H, W, C]. Raises InputError where a number is not finite."""
    if not np.isfinite(img).all():
        raise InputError(
            "the picture is not finite: its style, noise or transform lies far outside what the network knows"
        )
    picture = np.empty((*img.shape[1:], len(img)), np.uint8)
    for c, channel in enumerate(img):  # a third of the memory, and half the time
        levels = channel * np.float32(127.5)
        levels += np.float32(128)
        np.clip(levels, 0, 255, out=levels)
        picture[..., c] = levels
    return picture


def _count(name: str, value: object, most: int) -> int:
    number = whole_number(value)
    if number is None or not 0 <= number <= most:
        raise InputError(f"{name} is out of range", expected=f"0 to {most}", got=brief(value))
    return number
