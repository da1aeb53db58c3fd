"""Small nets and bundles, written by hand as text and bytes."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime import _ncnn

TAG_FLOAT32 = b"\0\0\0\0"


def needs_bf16() -> None:
    if not _ncnn.has_bf16:
        pytest.skip("ncnn was built without bf16")


def param_text(*lines: str) -> str:
    """The lines of layers with the header that fits them."""
    blobs: set[str] = set()
    for line in lines:
        words = line.split()
        bottoms, tops = int(words[2]), int(words[3])
        blobs.update(words[4 + bottoms : 4 + bottoms + tops])
    return f"7767517\n{len(lines)} {len(blobs)}\n" + "".join(line + "\n" for line in lines)


def tagged(values: np.ndarray) -> bytes:
    return TAG_FLOAT32 + raw(values)


def raw(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()


def write_net(directory: Path, *lines: str, data: bytes = b"", name: str = "net") -> tuple[Path, Path]:
    param, bin_ = directory / f"{name}.param", directory / f"{name}.bin"
    param.write_text(param_text(*lines))
    bin_.write_bytes(data)
    return param, bin_


def everything(rng: np.random.Generator) -> tuple[list[str], bytes]:
    """Many layer types in one net: input x [3, 9, 11], outputs pooled and y."""
    lines = [
        "Input in 0 1 x 0=11 1=9 2=3",
        "Convolution conv 1 1 x a 0=8 1=3 4=1 5=1 6=216 9=2 -23310=1,2.00000000e-01",
        "BatchNorm bn 1 1 a b 0=8 1=1.00000000e-05",
        "PReLU prelu 1 1 b c 0=8",
        "Split split 1 3 c c0 c1 c2",
        "ConvolutionDepthWise dw 1 1 c0 d 0=8 1=3 4=1 5=0 6=72 7=8",
        "BinaryOp add 2 1 d c1 e 0=0",
        "Deconvolution deconv 1 1 e f 0=4 1=3 3=2 4=1 6=288",
        "Pooling pool 1 1 c2 g 0=1 4=1",
        "InnerProduct fc 1 1 g h 0=6 1=1 2=48",
        "Softmax softmax 1 1 h pooled 0=0 1=1",
        "Padding pad 1 1 f i 0=1 1=1 2=2 3=2 4=0 5=0.00000000e+00",
        "BiasAct act 1 1 i j 0=2 1=2.00000000e-01 2=1.41421354e+00 3=-1.00000000e+00 4=0",
        "Slice slice 1 2 j k l -23300=2,2,-233 1=0",
        "Concat concat 2 1 l k m 0=0",
        "Reshape reshape 1 1 m n 0=-1 1=4",
        "Shell shell 0 1 w 0=5 1=4 2=1 11=1 3=2 5=0 6=20",
        "MatMul matmul 2 1 n w o 0=0",
        "LayerNorm norm 1 1 o y 0=5 1=1.00000000e-05 2=1",
    ]
    lines[15] = "Reshape reshape 1 1 m n 0=4 1=-1"
    # The normalisation's statistics must be positive: absolute values.
    parts = [
        tagged(rng.standard_normal(216)),
        raw(rng.standard_normal(8)),
        *(raw(np.abs(rng.standard_normal(8)) + 0.5) for _ in range(4)),
        raw(rng.standard_normal(8)),
        tagged(rng.standard_normal(72)),
        tagged(rng.standard_normal(288)),
        tagged(rng.standard_normal(48)),
        raw(rng.standard_normal(6)),
        tagged(rng.standard_normal(20)),
        raw(rng.standard_normal(5)),
        raw(rng.standard_normal(5)),
    ]
    return lines, b"".join(parts)


def write_seed(path: Path, z: np.ndarray) -> Path:
    path.write_bytes(struct.pack("<i", 0) + raw(z))
    return path


NOISE_LAYERS = {"b4": (2, 3), "b8": (4, 4)}


def own_planes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in NOISE_LAYERS.items()}


def write_bundle(
    directory: Path, name: str = "tiny", *, z_dim: int = 6, w_dim: int = 4, num_ws: int = 3, c_dim: int = 0,
    channels: int = 3, height: int = 5, width: int = 6, random: bool = False,
    transform: list[list[float]] | None = None, noise: str = "const",
) -> Path:  # fmt: skip
    """A generator in small: w = lerp(mean, A [z, c], coeff); the picture is a matrix times all styles in a row.

    transform: there is such an input, with this default; its 9 numbers come behind the styles. noise: with random and
    input there are planes of NOISE_LAYERS, which come last; input has the file of own_planes().
    """
    rng = np.random.default_rng(7)
    matrix, mean = rng.standard_normal((w_dim, z_dim + c_dim)), rng.standard_normal(w_dim)
    label = ["Input in_c 0 1 c 0={c_dim}", "Concat zc 2 1 z c zc 0=0"] if c_dim else []
    write_net(
        directory,
        f"Input in_z 0 1 z 0={z_dim}",
        "Input in_coeff 0 1 coeff 0=1",
        *(line.format(c_dim=c_dim) for line in label),
        f"InnerProduct fc 1 1 {'zc' if c_dim else 'z'} raw_w 0={w_dim} 1=0 2={matrix.size}",
        f"MemoryData mean 0 1 w_avg 0={w_dim} 21=1",
        "Lerp truncate 3 1 w_avg raw_w coeff output",
        data=tagged(matrix) + raw(mean),
        name=f"{name}_mapping",
    )
    pixels = channels * height * width
    turned = transform is not None
    layers = NOISE_LAYERS if noise in ("random", "input") else {}
    more = 9 * turned + sum(h * w for h, w in layers.values())
    to_pixels = rng.standard_normal((pixels, w_dim * num_ws + more)) / 4
    splits = [
        f"Split {blob}_split 1 {num_ws} {blob} {' '.join(f'{blob}_{i}' for i in range(num_ws))}"
        for blob in ("ws0", "ws1", "mixing")
    ]
    parts = [*(f"style_{i}" for i in range(num_ws)), *(["nine"] * turned), *(f"flat_{name}" for name in layers)]
    planes = f"{name}_noise.bin" if noise == "input" else None
    if planes:
        (directory / planes).write_bytes(b"".join(raw(plane) for plane in own_planes().values()))
    write_net(
        directory,
        "Input in_ws0 0 1 ws0",
        "Input in_ws1 0 1 ws1",
        f"Input in_mixing 0 1 mixing 0={num_ws}",
        *splits,
        *(f"StyleMixingSwitcher pick_{i} 3 1 ws0_{i} ws1_{i} mixing_{i} style_{i} 0={i}" for i in range(num_ws)),
        *(["Input in_transform 0 1 transform 0=3 1=3", "Reshape flat_transform 1 1 transform nine 0=9"] * turned),
        *(f"Input in_{n} 0 1 noise_{n} 0={w} 1={h}" for n, (h, w) in layers.items()),
        *(f"Reshape reshape_{n} 1 1 noise_{n} flat_{n} 0={h * w}" for n, (h, w) in layers.items()),
        f"Concat styles {len(parts)} 1 {' '.join(parts)} styles 0=0",
        f"InnerProduct draw 1 1 styles flat 0={pixels} 1=0 2={to_pixels.size}",
        f"Reshape shape 1 1 flat output 0={width} 1={height} 2={channels}",
        data=tagged(to_pixels),
        name=f"{name}_synthesis",
    )
    names = [f"{name}_{part}.{kind}" for part in ("mapping", "synthesis") for kind in ("param", "bin")]
    inputs = {"z": [z_dim], "coeff": [1], **({"c": [c_dim]} if c_dim else {})}
    manifest = {
        "format": "ncnn-builder-bundle",
        "format_version": 2,
        "name": name,
        "family": "v2ada",
        "config": None,
        "target": "reference",
        "truncation": True,
        "noise": {
            "mode": noise,
            "planes": planes,
            "layers": {n: {"input": f"noise_{n}", "shape": list(shape)} for n, shape in layers.items()},
        },
        "transform": transform,
        "z_dim": z_dim,
        "c_dim": c_dim,
        "w_dim": w_dim,
        "num_ws": num_ws,
        "img_resolution": max(height, width),
        "img_channels": channels,
        "weights": {"source": "random:0" if random else "made.pt", "sha256": None, "random": random},
        "graphs": {
            "mapping": _graph(f"{name}_mapping", inputs, {"output": [w_dim]}),
            "synthesis": _graph(
                f"{name}_synthesis",
                {
                    **{"ws0": [w_dim], "ws1": [w_dim], "mixing": [num_ws]},
                    **({"transform": [3, 3]} if turned else {}),
                    **{f"noise_{n}": list(shape) for n, shape in layers.items()},
                },
                {"output": [channels, height, width]},
            ),
        },
        "files": {n: _record(directory / n) for n in [*names, *([planes] if planes else [])]},
        "made_by": {"ncnn_builder": "0.1.0", "ncnn": "1.0.20261020"},
    }
    path = directory / f"{name}.json"
    path.write_text(json.dumps(manifest))
    np.savez(directory / f"{name}.npz", matrix=matrix, mean=mean, to_pixels=to_pixels)
    return path


def _graph(stem: str, inputs: dict[str, list[int]], outputs: dict[str, list[int]]) -> dict[str, object]:
    return {"param": f"{stem}.param", "bin": f"{stem}.bin", "inputs": inputs, "outputs": outputs, "taps": {}}


def _record(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def latent(seed: int) -> np.ndarray:
    """z of a seed, for the bundle's z_dim."""
    return np.random.RandomState(seed).randn(6)


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)
