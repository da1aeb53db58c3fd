"""mode=film: where a cell's style is at each frame, as a sum of the styles of its key frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..values import FloatArray

Weights = npt.NDArray[np.float64]
"""[frames, key frames]: each row sums to one."""

WRAPS, GUARD = 2, 40
"""How often the key frames are repeated on each side, as the official gen_video does; beyond so many key frames once is
enough: what lies further away weighs less than 1e-22."""
FINE = 32
"""Places between two frames at which the length of a path is measured."""
BLOCK = 4096


@dataclass(frozen=True)
class Course:
    """The styles of one cell.

    stops: of its key frames, [n, ...]; at: where each frame is, in key frames, or on a circle in turns.
    """

    stops: FloatArray
    at: Weights
    loop: bool
    path: str

    def __len__(self) -> int:
        return len(self.at)

    def row(self, frame: int) -> Weights:
        """[n]: how much of each key frame; they sum to one. Without what rounding leaves of zero and one."""
        here = self.at[frame : frame + 1]
        circle = self.path == "circle"
        (found,) = _circle(self.stops, here) if circle else _weights(len(self.stops), here, self.loop, self.path)
        near = np.rint(found)
        return np.asarray(np.where(abs(found - near) < 1e-12, near, found))

    def style(self, frame: int) -> FloatArray:
        row = self.row(frame)
        if np.count_nonzero(row) == 1:
            return np.asarray(self.stops[np.argmax(row)])  # itself, not what rounding leaves of it
        style: FloatArray = np.tensordot(row, self.stops, 1).astype(np.float32)
        return style


def frames_of_course(keyframes: int, steps: int, loop: bool) -> int:
    """keyframes * steps; without loop (keyframes - 1) * steps + 1, which ends at the last one. One alone stays."""
    return keyframes * steps if loop or keyframes == 1 else (keyframes - 1) * steps + 1


def course(stops: FloatArray, steps: int, loop: bool = True, path: str = "cubic", speed: str = "even") -> Course:
    """Through key frames of one shape, [n, w_dim] or [n, num_ws, w_dim], with `steps` frames for each.

    path: "cubic", a spline as of the official gen_video of StyleGAN3, "linear", or "circle", the one through three key
    frames. loop: back to the first, else to the last. speed: "even", the key frames are `steps` frames apart;
    "constant", every frame is as far from the last one along the path as the next, in w. Raises UsageError.
    """
    n = len(stops)
    frames = frames_of_course(n, steps, loop)
    at = np.arange(frames) / steps
    if path == "circle":  # of constant speed by itself
        _axes(stops)
        at = at / n if loop else at / (n - 1) * _arc_to_last(stops)
    elif speed == "constant" and n > 1:
        at = _even_in_length(stops, n if loop else n - 1, frames, loop, path)
    return Course(stops, at, loop, path)


def _weights(n: int, at: Weights, loop: bool, path: str) -> Weights:
    """at: in key frames, from 0."""
    if n == 1:
        return np.ones((len(at), 1))
    if path == "linear":
        before = np.minimum(np.floor(at).astype(int), n - 1)
        part = at - before
        found = np.zeros((len(at), n))
        np.add.at(found, (np.arange(len(at)), before), 1 - part)
        np.add.at(found, (np.arange(len(at)), (before + 1) % n), part)
        return found
    if not loop:
        return _spline(n, at)
    wraps = WRAPS if n <= GUARD else 1
    tiled = _spline(n * (2 * wraps + 1), at + n * wraps)
    return np.asarray(np.sum(tiled.reshape(len(at), 2 * wraps + 1, n), axis=1))


def _spline(n: int, at: Weights) -> Weights:
    """Of the cubic spline through n points at 0, 1 ... whose third derivative does not jump at the second and the last
    but one; through fewer than four, the parabola or the line. Source: de Boor 1978, "A practical guide to splines"."""
    if n < 4:
        powers = np.vander(np.arange(n), n, increasing=True)
        return np.asarray(np.vander(at, n, increasing=True) @ np.linalg.inv(powers))
    before = np.clip(np.floor(at).astype(int), 0, n - 2)
    t = (at - before)[:, None]
    slopes = _slopes(n)
    points = np.eye(n)
    h00, h10, h01, h11 = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, 3 * t**2 - 2 * t**3, t**3 - t**2
    found: Weights = h00 * points[before] + h10 * slopes[before] + h01 * points[before + 1] + h11 * slopes[before + 1]
    return found


@lru_cache(maxsize=4)
def _slopes(n: int) -> Weights:
    """[n, n]: the slope at each point, as a sum of the points."""
    system, right = np.zeros((n, n)), np.zeros((n, n))
    inner = np.arange(1, n - 1)
    system[inner, inner - 1] = system[inner, inner + 1] = 1
    system[inner, inner] = 4
    right[inner, inner + 1], right[inner, inner - 1] = 3, -3
    system[0, :2] = 1, 2
    right[0, :3] = -2.5, 2, 0.5
    system[-1, -2:] = 2, 1
    right[-1, -3:] = -0.5, -2, 2.5
    return np.asarray(np.linalg.solve(system, right))


def _products(stops: FloatArray) -> Weights:
    """[n, n]: inner products of the key frames, from their mean on: what lengths are computed of."""
    flat = stops.reshape(len(stops), -1).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    return np.asarray(flat @ flat.T)


def _even_in_length(stops: FloatArray, end: int, frames: int, loop: bool, path: str) -> Weights:
    """Where on the path, in key frames, each frame is, so that all are equally far along it."""
    places = np.linspace(0, end, frames * FINE + 1)
    products = _products(stops)
    along = [np.zeros(1)]
    for first in range(0, len(places) - 1, BLOCK):
        weights = _weights(len(stops), places[first : first + BLOCK + 1], loop, path)
        steps = np.diff(weights, axis=0)
        lengths = np.sqrt(np.maximum(np.sum((steps @ products) * steps, axis=1), 0))
        along.append(along[-1][-1] + np.cumsum(lengths))
    far = np.concatenate(along)
    if not far[-1] > 0:
        raise UsageError("speed=constant needs styles that differ", fix="Choose other seeds, or trunc= above 0")
    return np.asarray(np.interp(np.arange(frames) / (frames if loop else frames - 1) * far[-1], far, places))


def _circle(stops: FloatArray, turns: Weights) -> Weights:
    """Weights of the three key frames at so many turns of the circle through them, from the first on."""
    middle, across = _axes(stops)
    first = np.array([1.0, 0, 0]) - middle
    angle = 2 * np.pi * turns[:, None]
    found: Weights = middle + np.cos(angle) * first + np.sin(angle) * across
    return found


def _axes(stops: FloatArray) -> tuple[Weights, Weights]:
    """The middle of the circle, and the radius a quarter further than the first key frame, as weights of the three.

    On the way from the first to the third it comes by the second.
    """
    if len(stops) != 3:
        raise UsageError("path=circle goes through three seeds", expected="3 for each cell", got=str(len(stops)))
    products = _products(stops)
    u, v = np.array([-1.0, 1, 0]), np.array([-1.0, 0, 1])
    uu, uv, vv = u @ products @ u, u @ products @ v, v @ products @ v
    area = uu * vv - uv * uv
    if not area > 1e-6 * uu * vv:
        raise UsageError("path=circle needs styles that are not on one line", fix="Choose other seeds")
    middle = np.array([1.0, 0, 0]) + (vv * (uu - uv) * u + uu * (vv - uv) * v) / (2 * area)
    first = np.array([1.0, 0, 0]) - middle
    squared = first @ products @ first
    across = v - (v @ products @ first) / squared * first
    if not across @ products @ across > 1e-9 * squared:  # the third is opposite to the first
        across = u - (u @ products @ first) / squared * first
    across = across * np.sqrt(squared / (across @ products @ across))
    if _turn(products, middle, across, 1) > _turn(products, middle, across, 2):
        across = -across
    return middle, across


def _turn(products: Weights, middle: Weights, across: Weights, which: int) -> float:
    """How much of a turn it is from the first key frame to another, 0 to 1."""
    first, to = np.array([1.0, 0, 0]) - middle, np.eye(3)[which] - middle
    return float(np.arctan2(to @ products @ across, to @ products @ first) / (2 * np.pi) % 1)


def _arc_to_last(stops: FloatArray) -> float:
    return _turn(_products(stops), *_axes(stops), 2)
