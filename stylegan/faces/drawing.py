"""A face as a picture."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stylegan.faces.canvas import Canvas, Colour, Points, blend, curve, ellipse, hsl, moved, rotated
from stylegan.faces.parameters import Face

WHITE: Colour = (255, 252, 246)
DARK: Colour = (38, 28, 28)


class Colours:
    """What follows from a face's colours: of shadows, of light fur, of lines."""

    def __init__(self, face: Face) -> None:
        hue, saturation, lightness = face.fur_hue, face.fur_saturation, face.fur_lightness
        self.fur = hsl(hue, saturation, lightness)
        self.shadow = hsl(hue - 6, saturation, lightness * 0.72)
        self.dark = hsl(hue - 10, saturation, lightness * 0.5)
        self.light = blend(self.fur, WHITE, 0.25 + 0.7 * face.muzzle_light)
        self.inner_ear = blend(self.light, (238, 150, 150), 0.55)
        # A tone near the fur's own would not be seen.
        step = math.copysign(0.18 + 0.3 * abs(face.pattern_tone), face.pattern_tone)
        room = lightness if step < 0 else 1 - lightness
        self.pattern = hsl(hue - 4, saturation * 0.9, lightness + step * min(1, 0.3 + 1.2 * room))
        self.eye = hsl(face.eye_hue, 0.62, face.eye_lightness)
        self.nose = hsl(face.nose_hue, 0.38, face.nose_lightness)
        self.whisker = WHITE if lightness < 0.6 else blend(self.dark, DARK, 0.4)


def draw(face: Face, resolution: int) -> npt.NDArray[np.uint8]:
    """The picture, [resolution, resolution, 3] in RGB: the same bytes for the same face.

    Raises ValueError for a resolution below 1.
    """
    if resolution < 1:
        raise ValueError(f"resolution: expected 1 or more, got {resolution}")
    colours = Colours(face)
    canvas = Canvas(resolution, hsl(face.back_hue, face.back_saturation, face.back_lightness))
    bright = hsl(face.back_hue + 15, face.back_saturation, face.back_lightness + 0.25 * abs(face.light))
    canvas.shade(bright, 1, up=face.light < 0)
    _body(canvas, face, colours)
    canvas.place(0.5 + face.x, 0.5 + face.y, face.size, face.tilt)
    behind = face.ears != "floppy"
    if behind:
        _ears(canvas, face, colours)
    _head(canvas, face, colours)
    if not behind:
        _ears(canvas, face, colours)
    _eyes(canvas, face, colours)
    _muzzle(canvas, face, colours)
    return canvas.finished()


def _body(canvas: Canvas, face: Face, colours: Colours) -> None:
    canvas.place(0.5 + face.x * 0.7, 0.5 + face.y, face.size, 0)
    canvas.fill(ellipse(0, 2.1, 1.02, 1.65), colours.shadow)
    canvas.fill(ellipse(face.turn * 0.12, 2.05, 0.6, 1.2), blend(colours.light, colours.shadow, 0.35))


def _outline(face: Face) -> Points:
    """Of the head, [96, 2]: an ellipse that is wider below by the cheeks, with tufts there."""
    t = np.arange(96) * (math.tau / 96)
    x, y = np.cos(t), np.sin(t)  # y downwards: t from 0 to pi is the lower half
    lower = np.clip(y + 0.15, 0, None)
    wide = 1 + face.cheeks * 0.2 * lower * (1.15 - lower) * 2
    side = np.clip(1 - np.abs(y - 0.42) / 0.45, 0, 1)  # where cheeks are
    saw = np.abs(t * (8 / math.pi) % 1 - 0.5) * 2
    tuft = 1 + face.fluff * 0.2 * side * saw
    top = 1 - 0.1 * np.clip(-y, 0, 1) ** 2
    return np.stack([x * wide * tuft, y * face.height * top * (1 + 0.3 * (tuft - 1))], 1)


def _head(canvas: Canvas, face: Face, colours: Colours) -> None:
    outline = _outline(face)
    chin = blend(colours.shadow, colours.dark, 0.6)
    canvas.fill(moved(outline * (0.92, 0.98), 0, 0.09), chin)  # its shadow on the body
    canvas.fill(outline, colours.fur)
    mask = canvas.mask([outline])
    shapes = _pattern(face)
    if shapes:
        canvas.fill_within(mask, shapes, colours.pattern)
    canvas.shade(colours.dark, 0.42, mask)


def _pattern(face: Face) -> list[Points]:
    """What is to be seen of it lies on the head; looks and turns with it."""
    random = np.random.default_rng(int(face.pattern_place * 2**32))
    u, v = face.turn * 0.2, face.nod * 0.12
    h = face.height
    if face.pattern == "stripes":
        sway = random.uniform(-0.06, 0.06)
        found = []
        for side in (-1, 0, 1):
            x, long = u + side * random.uniform(0.2, 0.28) + sway, random.uniform(0.32, 0.5) - 0.12 * abs(side)
            top = -h * 1.02
            found.append(np.array([(x * 1.2 - 0.075, top), (x * 1.2 + 0.075, top), (x, top + long + 0.15)]))
        for side in (-1, 1):
            for y in np.array([-0.02, 0.24, 0.5]) + random.uniform(-0.08, 0.08):
                tip = side * (0.74 - random.uniform(0, 0.16)) + u * 0.6
                found.append(np.array([(side * 1.5, y - 0.08), (side * 1.5, y + 0.1), (tip, y + v + 0.07)]))
        return found
    if face.pattern == "spots":
        angles = random.uniform(0, math.tau, 16)
        radii = np.sqrt(random.uniform(0.08, 1.0, 16))
        sizes = random.uniform(0.07, 0.17, 16)
        return [
            ellipse(r * math.cos(a) + u * 0.6, r * math.sin(a) * h + v * 0.6, s, s * 0.85)
            for a, r, s in zip(angles, radii, sizes, strict=True)
        ]
    if face.pattern == "patch":
        side = 1 if random.random() < 0.5 else -1
        x, y = side * random.uniform(0.38, 0.62) + u, random.uniform(-0.3, -0.05) + v
        return [ellipse(x, y, random.uniform(0.36, 0.55), random.uniform(0.42, 0.7), side * random.uniform(-10, 30))]
    if face.pattern == "blaze":
        top, low = random.uniform(0.08, 0.2), random.uniform(0.3, 0.6)
        middle = 0.05 + v
        left = [(u - low, h), (u * 1.1 - top, middle), (u - top, -h * 1.1)]
        return [curve([*left, (u + top, -h * 1.1), (u * 1.1 + top, middle), (u + low, h)])]
    if face.pattern == "mask":
        y = random.uniform(-0.25, 0.0) + v
        dip = random.uniform(0.15, 0.4)
        brows = [(-1.4, y - dip), (u - 0.5, y), (u, y - dip), (u + 0.5, y), (1.4, y - dip)]
        return [curve([*brows, (1.4, 1.6), (-1.4, 1.6)])]
    return []


def _ears(canvas: Canvas, face: Face, colours: Colours) -> None:
    outer, inner, angle, x, y = _ear(face)
    for side in (-1, 1):
        size = face.ear_size * (1 + 0.12 * side * face.turn)  # the ear that is nearer is larger

        def put(points: Points, side: int = side, size: float = size) -> Points:
            on_the_right = moved(rotated(points * size, angle), x, y)
            return moved(on_the_right * (side, 1), -0.07 * face.turn, -0.05 * face.nod)

        if inner is None:
            canvas.fill(moved(put(outer), 0, 0.03), colours.dark)
            canvas.fill(put(outer * 0.97), blend(colours.shadow, colours.dark, 0.25))
        else:
            canvas.fill(put(outer), blend(colours.fur, colours.shadow, 0.7))
            canvas.fill(put(inner), colours.inner_ear)


def _ear(face: Face) -> tuple[Points, Points | None, float, float, float]:
    """The right one: outline, what is light in it, degrees that it is turned by, and where it goes."""
    spread, h = face.ear_spread, face.height
    if face.ears == "pointed":
        return _pointed(0.36, 0.98), _pointed(0.22, 0.72), 27 + 9 * spread, 0.52 + 0.06 * spread, -0.4 * h
    if face.ears == "round":
        outer, inner = ellipse(0, -0.3, 0.37, 0.38), ellipse(0, -0.28, 0.23, 0.24)
        return outer, inner, 40 + 9 * spread, 0.6 + 0.08 * spread, -0.58 * h
    if face.ears == "long":
        half = [(0.2, -1.05), (0.25, -0.6), (0.17, 0.1), (-0.17, 0.1), (-0.25, -0.6), (-0.2, -1.05)]
        outer = curve([*half, (0, -1.28)])
        return outer, moved(outer * (0.56, 0.78), 0, -0.06), 15 + 13 * spread, 0.4 + 0.07 * spread, -0.68 * h
    corners = [(-0.1, -0.26), (0.2, -0.2), (0.36, 0.2), (0.37, 0.7), (0.2, 1.0), (-0.02, 0.9), (-0.12, 0.4)]
    return curve(corners), None, -4 - 14 * spread, 0.74, -0.52 * h


def _pointed(width: float, long: float) -> Points:
    """An ear like a triangle whose sides bulge."""
    return curve([(-width, 0.25), (-width * 0.95, -long * 0.3), (-width * 0.3, -long * 0.86), (0, -long),
                  (width * 0.3, -long * 0.86), (width * 0.95, -long * 0.3), (width, 0.25)])  # fmt: skip


def _eyes(canvas: Canvas, face: Face, colours: Colours) -> None:
    v = -0.1 * face.height + face.nod * 0.12
    for side in (-1, 1):
        u = side * face.eye_distance + face.turn * 0.2
        foreshortened = 1 + 0.14 * side * -face.turn
        rx, ry = face.eye_size * foreshortened, face.eye_size * 1.08

        def put(points: Points, u: float = u, side: int = side) -> Points:
            return moved(rotated(points, -side * face.eye_slant), u, v)

        def lidded(scale: float, rx: float = rx, ry: float = ry) -> Points:
            points = ellipse(0, 0, rx * scale, ry * scale)
            return points * np.where(points[:, 1:] < 0, (1, face.eye_open), (1.0, 1.0))

        canvas.fill(put(lidded(1.2)), DARK)
        canvas.fill(put(lidded(1)), colours.eye)
        canvas.fill(put(moved(lidded(1) * (0.8, 0.5), 0, ry * 0.42)), blend(colours.eye, WHITE, 0.3))
        look = face.gaze * rx * (1 - face.pupil) * 0.6
        pupil = moved(lidded(0.86) * (face.pupil, 1), look, 0)
        canvas.fill(put(pupil), (16, 12, 16))
        shine = ellipse(look - 0.28 * rx, -0.3 * ry * face.eye_open, rx * 0.26, ry * 0.26 * (0.4 + 0.6 * face.eye_open))
        canvas.fill(put(shine), (255, 255, 255))
        canvas.fill(put(ellipse(look + 0.3 * rx, 0.38 * ry, rx * 0.13, ry * 0.13)), (255, 255, 255))


def _muzzle(canvas: Canvas, face: Face, colours: Colours) -> None:
    m = face.muzzle
    u, v = face.turn * 0.3, face.muzzle_drop * face.height + face.nod * 0.14
    line = blend(colours.dark, DARK, 0.7)
    corner = v + 0.3 * m
    if face.tongue > 0:
        open_ = 0.06 + 0.26 * face.tongue
        canvas.fill(ellipse(u, corner + 0.04, face.mouth * 0.85 + 0.09, open_ + 0.1), colours.light)
        canvas.fill(ellipse(u, corner + 0.02, face.mouth * 0.85, open_), (92, 30, 40))
        canvas.fill(ellipse(u, corner + open_ * 0.55, face.mouth * 0.6, open_ * 0.48), (232, 112, 122))
    else:
        canvas.fill(ellipse(u, v + m * 0.55, m * 0.62, m * 0.5), colours.light)  # the chin
    for side in (-1, 1):
        canvas.fill(ellipse(u + side * m * 0.52, v + m * 0.06, m * 0.68, m * 0.56, side * 12), colours.light)
    nose_y = v - m * 0.38
    for side in (-1, 1):
        for i in range(face.whiskers):
            slope = (i - (face.whiskers - 1) / 2) * 0.26 + 0.03
            t = np.linspace(0, 1, 7)
            x = u + side * (m * 0.75 + t * face.whisker_length)
            y = v + 0.02 + slope * (0.25 + t * 0.9) + 0.1 * t**2
            canvas.line(np.stack([x, y], 1), colours.whisker, 0.022)
    t = np.linspace(0, math.pi, 13)
    for side in (-1, 1):  # the mouth: two arcs that meet below the nose
        outwards = (1 - np.cos(t)) / 2
        x = u + side * face.mouth * outwards
        y = corner + face.mouth * (0.1 + 0.3 * np.sin(t) - 0.55 * face.smile * outwards**2)
        canvas.line(np.stack([x, y], 1), line, 0.05)
    canvas.line(np.array([(u, nose_y), (u, corner + 0.1 * face.mouth)]), line, 0.05)
    n = face.nose
    canvas.fill(_nose(u, nose_y, n, face.nose_shape), colours.nose)
    canvas.fill(ellipse(u - n * 0.3, nose_y - n * 0.3, n * 0.3, n * 0.16), blend(colours.nose, WHITE, 0.5))


def _nose(x: float, y: float, size: float, oval: float) -> Points:
    """Between a triangle with round corners, tip down, and an oval."""
    corners = [(-1, -0.5), (-0.5, -0.72), (0, -0.7), (0.5, -0.72), (1, -0.5), (0.62, 0.2), (0, 0.8), (-0.62, 0.2)]
    triangle = curve(corners)  # as many points as the ellipse, which begins on the right
    return moved((triangle + (np.roll(ellipse(0, 0, 1.05, 0.78), 24, 0) - triangle) * oval) * size, x, y)
