"""EG3D's files: the StyleGAN2 in them, which draws three planes of features that a renderer then looks at.

Source: Chan et al. 2022, "Efficient Geometry-aware 3D Generative Adversarial Networks", section 4.1.
"""

from __future__ import annotations

import math

from stylegan.checkpoints import official
from stylegan.checkpoints.parts import Parts
from stylegan.checkpoints.torch_files import Module
from stylegan.errors import CheckpointError

PREFIX = "backbone."
NOTE = "it is of EG3D: this is the network that draws the planes of a scene, and nothing here renders them"
UNSCALED = "its labels are taken as they are: the file does not say what the camera is multiplied by"
SCALE, ZERO = "c_scale", "c_gen_conditioning_zero"


def planes(found: Parts, around: Module) -> Parts:
    """The network with what is around it: the camera is multiplied by a number, or left out, before it is its label.

    Its labels are the camera then, as that of the file's own mapping. Raises CheckpointError.
    """
    said = around.state.get("rendering_kwargs")
    if said is None:
        return found._replace(notes=(*found.notes, NOTE, UNSCALED))
    rendering = official.plain(said, "rendering_kwargs")
    scale, zero = rendering.get(SCALE, 0), rendering.get(ZERO)
    if type(scale) not in (int, float) or not math.isfinite(scale):
        raise CheckpointError(f"rendering_kwargs: {SCALE} is {scale!r}, expected a number")
    state = dict(found.state)
    if "mapping.embed.weight" in state:
        state["mapping.embed.weight"] = state["mapping.embed.weight"] * (0.0 if zero else float(scale))
    return found._replace(state=state, notes=(*found.notes, NOTE))
