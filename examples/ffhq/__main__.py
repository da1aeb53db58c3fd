"""Faces of 1024 x 1024: convert the networks once, then draw with ncnn alone.

`pip install --no-deps random-face==2021.7.21.1`, then
`PYTHONPATH=examples python -m ffhq --seeds 1 2 3 --out faces.png`.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import ncnn_builder as nb
from runtime import Net

from .ir import IRError
from .network import STYLE, load

MEAN_OF = 4096
"""Styles whose mean is the face that --psi draws the others towards, as many as the package takes."""


def installed() -> Path | None:
    """The folder of random-face's files; it is not imported, as it asks for an OpenVINO of 2021."""
    found = find_spec("random_face")
    return None if found is None or found.origin is None else Path(found.origin).parent / "data"


def convert(folder: Path, name: str, target: str) -> np.ndarray:
    """Write NAME_mapping, NAME_synthesis and the mean style NAME_mean.npy, which is returned."""
    mapping, synthesis = load(folder)
    z = torch.tensor(np.random.RandomState(0).randn(MEAN_OF, STYLE).astype(np.float32))
    with torch.no_grad():
        mean = mapping(z).mean(0, keepdim=True)
    print(nb.convert(mapping, (z[:1],), f"{name}_mapping", target=target))
    print(nb.convert(synthesis, (mean,), f"{name}_synthesis", target=target))
    np.save(f"{name}_mean.npy", mean[0].numpy())
    return mean[0].numpy()


def picture(synthesis: Net, style: np.ndarray) -> np.ndarray:
    """uint8 [1024, 1024, 3]."""
    image = synthesis.run({"in0": style})["out0"]
    return np.rint((np.clip(image, -1, 1) + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ffhq", description=__doc__)
    parser.add_argument("--files", type=Path, default=installed(), help="folder of random-face's xml and bin files")
    parser.add_argument("--name", default="ffhq", help="of the nets; they are converted where they are not there yet")
    parser.add_argument("--target", default="fused", choices=("fused", "stock"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--psi", type=float, default=0.5, help="0: the mean face, 1: as drawn")
    parser.add_argument("--out", default="faces.png")
    args = parser.parse_args()
    name = args.name
    if all(Path(f"{name}{rest}").exists() for rest in ("_mapping.bin", "_synthesis.bin", "_mean.npy")):
        mean = np.load(f"{name}_mean.npy")
    elif args.files is None:
        print("ffhq: no files; pip install --no-deps random-face==2021.7.21.1, or name --files", file=sys.stderr)
        return 2
    else:
        try:
            mean = convert(args.files, name, args.target)
        except (IRError, OSError, nb.BuildError) as error:
            print(f"ffhq: {error}", file=sys.stderr)
            return 2
    mapping, synthesis = (Net(f"{name}_{part}.param", f"{name}_{part}.bin") for part in ("mapping", "synthesis"))
    faces = []
    for seed in args.seeds:
        z = np.random.RandomState(seed).randn(STYLE).astype(np.float32)
        style = mapping.run({"in0": z})["out0"]
        faces.append(picture(synthesis, mean + args.psi * (style - mean)))
    Image.fromarray(np.concatenate(faces, 1)).save(args.out)
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
