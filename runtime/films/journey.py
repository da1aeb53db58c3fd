"""mode=a2b: the styles of a video, from each seed to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..values import FloatArray


def frame_count(stops: int, steps: int, loop: bool) -> int:
    """Frames of a journey: (stops - 1) * steps + 1, with the last stop; with loop stops * steps."""
    return stops * steps if loop else (stops - 1) * steps + 1


@dataclass(frozen=True)
class Journey:
    """The style of each frame, straight in w from stop to stop.

    Args:
        stops: styles of one shape, [w_dim] or [num_ws, w_dim]; at least two.
        steps: frames from one stop to the next.
        loop: goes on from the last stop to the first, and ends one frame before it: played again and again, the
            video has no seam.
        ease: "linear", or "cubic": 3t^2 - 2t^3, which rests for a moment at each stop.

    """

    stops: Sequence[FloatArray]
    steps: int
    loop: bool = False
    ease: str = "linear"

    def __len__(self) -> int:
        return frame_count(len(self.stops), self.steps, self.loop)

    def style(self, frame: int) -> FloatArray:
        stop, step = divmod(frame, self.steps)
        part = step / self.steps
        if self.ease == "cubic":
            part = part * part * (3 - 2 * part)
        before = self.stops[stop]
        after = self.stops[(stop + 1) % len(self.stops)] if step else before
        style: FloatArray = before + np.float32(part) * (after - before)
        return style
