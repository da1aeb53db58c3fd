"""A restorer: a net from a picture to a larger or better one, and how it wants its pictures."""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..net import Net
from ..strangers import open_regular
from ..values import FloatArray
from .facts import Facts, card, check_shape, read_facts, try_facts
from .reach import Reach, reach_of, read_lines

SUFFIXES = (".param", ".bin", ".json")
NEAR = 64
"""Up to so many pixels the reach of a net is its overlap; a longer one is mostly faint at its end, and is measured."""
FAR = 32
"""The overlap of nets that look at everything, which none makes right."""
SEEN = 0.5 / 255
"""A difference that may change a level."""
UNKNOWN_STRIDE = 16
"""What windows of a net start at multiples of where its strides are not known."""


class Restorer:
    """A loaded net with one input and one output, both pictures [channels, height, width] of numbers from 0 to 1.

    model: the way to its files, with or without .param. Raises ParamError, WeightsError ... as Net does, BundleError,
    and UsageError where it makes no pictures of pictures.
    """

    def __init__(self, model: str, threads: int | None = None, isolate: bool = False) -> None:
        self.param, self.bin, manifest = _files(model)
        self._options = dict(threads=threads, isolate=isolate)
        self._net = self._load()
        inputs = self._net.inputs
        if len(inputs) != 1 or len(self._net.outputs) != 1:
            raise UsageError(
                "the net is none from a picture to a picture",
                file=str(self.param),
                expected="one input and one output",
                got=f"inputs {', '.join(inputs)}; outputs {', '.join(self._net.outputs)}",
            )
        (self._input, shape), (self._output,) = *inputs.items(), self._net.outputs
        self.facts: Facts = read_facts(manifest) or try_facts(self._raw, shape, str(self.param))

    def _load(self) -> Net:
        return Net(self.param, self.bin, **self._options)  # type: ignore[arg-type]

    def fresh(self) -> None:
        """Gives the memory of earlier runs back."""
        self._net = self._load()

    def _raw(self, picture: FloatArray) -> FloatArray:
        return self._net.run({self._input: picture})[self._output]

    def run(self, picture: FloatArray) -> FloatArray:
        """[channels, h, w] -> [outputs, scale * h, scale * w]. Raises UsageError for numbers that are none."""
        result = self._raw(picture)
        check_shape(result, self.facts, picture.shape[1], picture.shape[2], str(self.param))
        if not np.isfinite(result).all():
            raise UsageError("the net makes numbers that are NaN or infinite", file=str(self.param))
        return result

    @property
    def memory(self) -> int:
        """Bytes that its blobs took at most."""
        return self._net.memory[0]

    @cached_property
    def digest(self) -> str:
        """A hash of its files."""
        digest = hashlib.sha256()
        for path in (self.param, self.bin):
            with open_regular(path) as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    @cached_property
    def reach(self) -> Reach | None:
        """How far an output pixel looks; None where that is not known of a layer."""
        lines = read_lines(self.param.read_text(encoding="utf-8", errors="replace"))
        return reach_of(lines, self._input, self._output)

    @property
    def align(self) -> int:
        """Windows that start at its multiples make what the whole picture does."""
        return math.lcm(self.facts.multiple, self.reach.stride if self.reach else UNKNOWN_STRIDE)

    @cached_property
    def overlap(self) -> tuple[int, float]:
        """(pixels that a window has to show around what is kept of it, the most that the rest then still changes).

        The reach, where it is known and small. Else measured on a picture of our own that is cut off more and more far
        away: the distance beyond which nothing changes by half a level.
        """
        if self.reach is not None and self.reach.pixels <= NEAR:
            return self.reach.pixels, 0.0
        f, align = self.facts, self.align
        height = _up(max(48, f.least), align)
        seen, cut = _up(160, align), _up(max(32, f.least), align)
        if f.most is not None and f.most < seen + cut:
            return FAR, 0.0
        picture = card(f.channels, height, cut + seen)
        whole = self.run(picture)[:, :, f.scale * cut :]
        change = np.abs(whole - self.run(np.ascontiguousarray(picture[:, :, cut:]))).max(axis=(0, 1))
        by_pixel = change.reshape(-1, f.scale).max(axis=1)
        far = np.flatnonzero(by_pixel > SEEN)
        reached = int(far[-1]) + 1 if far.size else 0
        return (reached, 0.0) if reached <= seen * 3 // 4 else (FAR, float(by_pixel[FAR:].max()))


def _files(model: str) -> tuple[Path, Path, Path]:
    base = Path(model)
    if not base.name:
        raise UsageError(f"model={model} is a directory", expected="model=PATH of a .param and a .bin file")
    name = base.name.removesuffix(base.suffix) if base.suffix.lower() in SUFFIXES else base.name
    param, bin_, manifest = (base.with_name(name + suffix) for suffix in SUFFIXES)
    if not param.exists():
        raise UsageError(
            f"there is no net {param}",
            expected="model=PATH of a .param and a .bin file",
            fix="python -m ncnn_builder convert makes one of a checkpoint",
        )
    return param, bin_, manifest


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
