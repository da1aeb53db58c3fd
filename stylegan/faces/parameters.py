"""What a drawn animal is made of, and how it is drawn by lot."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

EARS = ("pointed", "round", "long", "floppy")
"""As of cats, bears, rabbits and dogs; their places in it are the classes of a data set with labels."""
PATTERNS = ("plain", "stripes", "spots", "patch", "blaze", "mask")


def within(low: float, high: float) -> Any:
    """A field whose value is any number between the two, each as likely."""
    return dataclasses.field(metadata={"range": (low, high)})


def one_of(*values: str | int) -> Any:
    """A field whose value is one of these, each as likely."""
    return dataclasses.field(metadata={"values": values})


@dataclasses.dataclass(frozen=True)
class Face:
    """An animal's face. Every field is independent of every other: any combination can be drawn.

    Lengths are parts of half the head's width unless said otherwise, angles degrees, colours hue (degrees),
    saturation and lightness (0 to 1).
    """

    # Pose
    x: float = within(-0.09, 0.09)
    """The head's centre, in widths of the picture to the right of the middle."""
    y: float = within(0.0, 0.12)
    """Likewise, downwards."""
    size: float = within(0.24, 0.34)
    """Half the head's width, in widths of the picture."""
    tilt: float = within(-22, 22)
    """Of the head, clockwise."""
    turn: float = within(-1, 1)
    """Where the head looks: to the left of the picture, to its right."""
    nod: float = within(-1, 1)
    """Up, down."""

    # Shape
    ears: str = one_of(*EARS)
    ear_size: float = within(0.75, 1.2)
    ear_spread: float = within(-1, 1)
    """Nearer to each other, further apart."""
    height: float = within(0.8, 1.05)
    """Of the head, in widths."""
    cheeks: float = within(0, 1)
    """A head like an egg, a head wider below."""
    fluff: float = within(0, 1)
    """Tufts at the cheeks."""
    eye_size: float = within(0.17, 0.27)
    eye_distance: float = within(0.38, 0.52)
    """From the middle."""
    eye_open: float = within(0.35, 1)
    """How far the upper lid is up."""
    eye_slant: float = within(-18, 18)
    """Outer corners down, up."""
    pupil: float = within(0.3, 0.85)
    """A slit, a round one."""
    gaze: float = within(-1, 1)
    """The eyes look to the left of the picture, to its right."""
    muzzle: float = within(0.27, 0.42)
    muzzle_drop: float = within(0.3, 0.5)
    """How far it is below the head's centre."""
    nose: float = within(0.09, 0.17)
    nose_shape: float = within(0, 1)
    """A triangle, an oval."""
    mouth: float = within(0.1, 0.24)
    """Half its width."""
    smile: float = within(-0.35, 1)
    """Corners down, up."""
    tongue: float = within(-1, 1)
    """How far the mouth is open; below 0 it is closed."""
    whiskers: int = one_of(0, 2, 3)
    """On each side."""
    whisker_length: float = within(0.5, 0.95)

    # Colour
    fur_hue: float = within(14, 44)
    fur_saturation: float = within(0, 0.75)
    fur_lightness: float = within(0.25, 0.88)
    muzzle_light: float = within(0.3, 1)
    """Muzzle, belly and ears inside: as the fur, nearly white."""
    pattern: str = one_of(*PATTERNS)
    pattern_tone: float = within(-1, 1)
    """Darker than the fur, lighter."""
    pattern_place: float = within(0, 1)
    """Which stripes, spots or patch: a number that all of their places follow from."""
    eye_hue: float = within(25, 225)
    eye_lightness: float = within(0.32, 0.62)
    nose_hue: float = within(-25, 25)
    nose_lightness: float = within(0.12, 0.62)
    back_hue: float = within(0, 360)
    back_saturation: float = within(0.1, 0.6)
    back_lightness: float = within(0.35, 0.9)
    light: float = within(-1, 1)
    """Where the background is brighter: above, below."""

    @property
    def label(self) -> int:
        """The class in a data set with labels: the kind of ears, of EARS."""
        return EARS.index(self.ears)


def parameters(index: int, seed: int = 0) -> Face:
    """The face of a number, 0 and above; each seed has other ones. Every field is drawn by itself."""
    fields = dataclasses.fields(Face)
    values: dict[str, Any] = {}
    for field, number in zip(fields, np.random.default_rng((seed, index)).random(len(fields)).tolist(), strict=True):
        if "values" in field.metadata:
            choices = field.metadata["values"]
            values[field.name] = choices[int(number * len(choices))]
        else:
            low, high = field.metadata["range"]
            values[field.name] = low + (high - low) * number
    return Face(**values)
