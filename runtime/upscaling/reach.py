"""How far a pixel of a net's output looks around itself, from the text of its .param file.

A blob's pixel i depends on pixels jump * i + low to jump * i + high of the input; each layer makes such an interval of
that of its inputs. Layers that are not listed here, and forms of them whose interval depends on the size of the
picture, are unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

SAME_PADDING = (-233, -234)
POINTWISE = {
    *("AbsVal", "BatchNorm", "Bias", "BNLL", "Cast", "CELU", "Clip", "Dropout", "ELU", "Erf", "Exp", "GELU"),
    *("HardSigmoid", "HardSwish", "Log", "Mish", "Noop", "Power", "PReLU", "ReLU", "Scale", "SELU", "Shrink"),
    *("ShuffleChannel", "Sigmoid", "Softplus", "Split", "Swish", "TanH", "Threshold", "UnaryOp", "BinaryOp", "Eltwise"),
    *("Abs", "Activation", "BiasAct", "Clamp", "MulConstant", "Rsqrt", "Sin", "Sqrt", "Square"),
}
"""Layers each of whose output pixels looks at the same pixel of each input."""


class Unknown(Exception):
    """A layer, or a form of it, that is not described here."""


@dataclass(frozen=True)
class Interval:
    jump: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)

    def over(self, scale: Fraction | int, low: Fraction | int, high: Fraction | int) -> Interval:
        """Of a layer whose pixel i reads pixels scale * i + low to scale * i + high."""
        jump = self.jump
        return Interval(jump * scale, self.low + jump * low, self.high + jump * high)

    def __or__(self, other: Interval) -> Interval:
        if self.jump != other.jump:
            raise Unknown("inputs of several sizes")
        return Interval(self.jump, min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Reach:
    """pixels: how far an output pixel looks, in those of the input. stride: shifts by its multiples are harmless."""

    pixels: int
    stride: int


@dataclass(frozen=True)
class Line:
    """One layer, with the parameters that are single numbers."""

    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    params: dict[int, str]

    def whole(self, key: int, default: int) -> int:
        return int(self.params.get(key, default))

    def of_axis(self, key: int, axis: int, default: int) -> int:
        """Parameters of windows: key for the width, and 10 more for the height, by default that of the width."""
        width = self.whole(key, default)
        return self.whole(key + 10, width) if axis else width


def read_lines(text: str) -> list[Line]:
    """The layers of a .param text that a Net has loaded, hence in order."""
    lines = []
    for words in (row.split() for row in text.splitlines()[2:]):
        if len(words) < 4:
            continue
        bottoms, tops = int(words[2]), int(words[3])
        names, pairs = words[4 : 4 + bottoms + tops], words[4 + bottoms + tops :]
        params = {int(key): value for key, _, value in (pair.partition("=") for pair in pairs)}
        lines.append(Line(words[0], tuple(names[:bottoms]), tuple(names[bottoms:]), params))
    return lines


def reach_of(lines: list[Line], input: str, output: str) -> Reach | None:
    """The reach of one blob into another; None where a layer between them is unknown."""
    found: list[Reach] = []
    for axis in (0, 1):
        blobs: dict[str, Interval] = {input: Interval()}
        constants: set[str] = set()
        stride = 1
        try:
            for line in lines:
                constants.update(line.tops if _is_alike_everywhere(line) else ())
                sources = [blobs[name] for name in line.bottoms if name in blobs]
                if not sources:
                    continue
                if any(name not in blobs and name not in constants for name in line.bottoms):
                    raise Unknown("an input that is no picture")
                interval = sources[0]
                for other in sources[1:]:
                    interval |= other
                result = _through(line, interval, axis)
                stride = math.lcm(stride, result.jump.numerator)
                blobs |= dict.fromkeys(line.tops, result)
            interval = blobs[output]
        except (Unknown, KeyError, ValueError, ZeroDivisionError):
            return None
        found.append(Reach(math.ceil(max(-interval.low, interval.high, Fraction(0))), stride))
    return Reach(max(r.pixels for r in found), math.lcm(*(r.stride for r in found)))


def _is_alike_everywhere(line: Line) -> bool:
    """Numbers of channels, or a single one, which are the same at every pixel."""
    if line.type != "MemoryData":
        return False
    width, height, channels = (line.whole(key, 0) for key in (0, 1, 2))
    return height <= 1 and (width <= 1 or not (height or channels))


def _through(line: Line, interval: Interval, axis: int) -> Interval:
    if line.type in POINTWISE:
        return interval
    if line.type not in RULES:
        raise Unknown(line.type)
    return RULES[line.type](line, interval, axis)


def _window(line: Line, interval: Interval, kernel: int, stride: int, pad: int) -> Interval:
    """A window of `kernel` pixels; padding of the kinds "same" lies anywhere from 0 to that."""
    low, high = (-(kernel - 1), kernel - 1) if pad in SAME_PADDING else (-pad, kernel - 1 - pad)
    if pad < 0 and pad not in SAME_PADDING:
        raise Unknown("negative padding")
    return interval.over(stride, low, high)


def _convolution(line: Line, interval: Interval, axis: int) -> Interval:
    if line.whole(19, 0):
        raise Unknown("weights that are inputs")
    kernel = line.of_axis(2, axis, 1) * (line.of_axis(1, axis, 0) - 1) + 1
    return _window(line, interval, kernel, line.of_axis(3, axis, 1), line.of_axis(4, axis, 0))


def _deconvolution(line: Line, interval: Interval, axis: int) -> Interval:
    pad = line.of_axis(4, axis, 0)
    if line.whole(28, 0) or pad < 0 or line.whole(20, 0) or line.whole(21, 0):
        raise Unknown("weights that are inputs, or a size of the output")
    extent, stride = line.of_axis(2, axis, 1) * (line.of_axis(1, axis, 0) - 1), line.of_axis(3, axis, 1)
    return interval.over(Fraction(1, stride), Fraction(pad - extent, stride), Fraction(pad, stride))


def _pooling(line: Line, interval: Interval, axis: int) -> Interval:
    if line.whole(4, 0) or line.whole(7, 0):
        raise Unknown("a window as large as the picture")
    kernel, stride, pad = line.of_axis(1, axis, 0), line.of_axis(2, axis, 1), line.of_axis(3, axis, 0)
    return _window(line, interval, kernel, stride, SAME_PADDING[0] if line.whole(5, 0) > 1 else pad)


def _interp(line: Line, interval: Interval, axis: int) -> Interval:
    scale = Fraction(line.params.get(1 if axis else 2, "1")).limit_denominator(1000)
    if {3, 4, 9} & {key for key in line.params if line.params[key] not in ("0", '""')} or len(line.bottoms) > 1:
        raise Unknown("a size of the output")
    if line.whole(6, 0) or scale <= 0:
        raise Unknown("corners that are aligned")
    if line.whole(0, 0) == 1:
        return interval.over(1 / scale, -1, 0)
    taps = {2: 1, 3: 2}[line.whole(0, 0)]
    middle = 1 / (2 * scale) - Fraction(1, 2)
    return interval.over(1 / scale, middle - taps, middle + taps)


def _pixel_shuffle(line: Line, interval: Interval, axis: int) -> Interval:
    factor = line.whole(0, 1)
    return interval.over(Fraction(1, factor), Fraction(1 - factor, factor), 0)


def _reorg(line: Line, interval: Interval, axis: int) -> Interval:
    return interval.over(line.whole(0, 1), 0, line.whole(0, 1) - 1)


def _channels(line: Line, interval: Interval, axis: int) -> Interval:
    """Concat and Slice: along the channels each pixel stays where it is."""
    if line.whole(0 if line.type == "Concat" else 1, 0) != 0:
        raise Unknown("pixels that are joined or parted")
    return interval


def _padding(line: Line, interval: Interval, axis: int) -> Interval:
    before, after = (line.whole(key, 0) for key in ((0, 1) if axis else (2, 3)))
    if min(before, after) < 0 or line.whole(7, 0) or line.whole(8, 0):
        raise Unknown("padding that is an input, or of channels")
    most = 2 * max(before, after) if line.whole(4, 0) == 2 else max(before, after)  # a mirror shows what lies as far in
    return interval.over(1, -most - before, most - before)


RULES: dict[str, Callable[[Line, Interval, int], Interval]] = {
    **dict.fromkeys(("Convolution", "ConvolutionDepthWise"), _convolution),
    **dict.fromkeys(("Deconvolution", "DeconvolutionDepthWise"), _deconvolution),
    "Pooling": _pooling,
    "Interp": _interp,
    "PixelShuffle": _pixel_shuffle,
    "Reorg": _reorg,
    **dict.fromkeys(("Concat", "Slice"), _channels),
    "Padding": _padding,
}
