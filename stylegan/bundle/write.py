"""The bundle of a generator: its two nets, their manifest, and the files beside them, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import ncnn_builder as nb
from stylegan.bundle.seeds import checked_seeds, seed_bytes
from stylegan.networks.configs import Config
from stylegan.networks.graphs import mapping_graph, noise_input_name, synthesis_graph

NOISE_MODES = ("const", "none", "random", "input")
FORMAT_VERSION = 2
NCNN_VERSION = "1.0.20261020"


def export_generator(
    G: Any,
    out: str | PathLike[str],
    target: str = "fused",
    seeds: Iterable[int] = (),
    *,
    noise_mode: str = "const",
    transform_input: bool = False,
    seeds_dir: str | PathLike[str] | None = None,
    config: Config | None = None,
    weights: dict[str, Any] | None = None,
    storage: str = "fp32",
    dump_passes: str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """Write the bundle of generator `G` and its seed files; return the manifest.

    out: DIR/NAME. target: one of ncnn_builder.TARGETS. noise_mode: "const" (the network's own planes) or "none" are
    built in; with "random" and "input" the planes are inputs, by default fresh ones or the network's own.
    transform_input: the synthesis network takes StyleGAN3's transform [3, 3] as an input; the manifest keeps the
    network's own, for when none is given. seeds_dir: where N.bin go, by default DIR/seeds. weights: what the
    manifest says of their origin. storage: "fp32", or "fp16" for files of half the size; the manifest then says what
    the rounding does to weights and to a picture. dump_passes: a folder for the graphs as text, before and after
    every step of the compiler.
    Raises ncnn_builder.NcnnBuilderError, and SeedError; nothing is written then.
    """
    out, seeds = bundle_path(out), checked_seeds(seeds)
    if noise_mode not in NOISE_MODES:
        raise nb.BuildError("unknown noise mode", argument="noise_mode", expected=list(NOISE_MODES), got=noise_mode)
    if transform_input and G.family != "v3":
        raise nb.BuildError(
            "only StyleGAN3 networks have a transform", argument="transform_input", expected="False", got=G.family
        )
    if transform_input and not (G.synthesis.input.transform.abs() <= 1e30).all():
        raise nb.BuildError(
            "the network's transform is out of range",
            argument="transform_input",
            expected="numbers of at most 1e30",
            got=G.synthesis.input.transform.tolist(),
        )
    graphs = {"mapping": mapping_graph(G), "synthesis": synthesis_graph(G, noise_mode, transform_input)}
    noise, planes = _noise(G, noise_mode, out)
    files: dict[Path, list[bytes | memoryview]] = {out.with_name(name): [data] for name, data in planes.items()}
    described: dict[str, Any] = {}
    models = {
        kind: nb.compile_graph(graph, target, weights=storage, dump=dump_passes) for kind, graph in graphs.items()
    }
    for kind, model in models.items():
        names = {suffix: f"{out.name}_{kind}.{suffix}" for suffix in ("param", "bin")}
        files[out.with_name(names["param"])] = [model.param.encode()]
        files[out.with_name(names["bin"])] = [model.bin]
        described[kind] = {
            **names,
            "inputs": _lists(model.inputs),
            "outputs": _lists(model.outputs),
            "taps": model.taps,
        }
    manifest = {
        "format": "ncnn-builder-bundle",
        "format_version": FORMAT_VERSION,
        "name": out.name,
        "family": G.family,
        "config": config.name if config else None,
        "target": target,
        "noise": noise,
        "z_dim": G.z_dim,
        "c_dim": G.c_dim,
        "w_dim": G.w_dim,
        "num_ws": G.num_ws,
        "img_resolution": G.img_resolution,
        "img_channels": G.img_channels,
        "truncation": G.mapping.has_w_avg,
        "transform": G.synthesis.input.transform.tolist() if transform_input else None,
        "weights": {
            **(weights or {"source": "a network in memory", "sha256": None, "random": False}),
            "storage": storage,
            **({} if storage == "fp32" else _rounding(graphs, models, target)),
        },
        "graphs": described,
        "files": {
            path.name: {"bytes": sum(map(len, data)), "sha256": hashlib.sha256(b"".join(data)).hexdigest()}
            for path, data in files.items()
        },
        "made_by": {"ncnn_builder": nb.__version__, "ncnn": NCNN_VERSION},
    }
    folder = out.parent / "seeds" if seeds_dir is None else Path(seeds_dir)
    files.update({folder / f"{seed}.bin": [seed_bytes(seed, G.z_dim)] for seed in seeds})
    files[out.with_name(f"{out.name}.json")] = [json.dumps(manifest, indent=1).encode() + b"\n"]  # last to appear
    nb.write_files(files)
    return manifest


def _rounding(graphs: dict[str, nb.Graph], models: dict[str, nb.EmittedModel], target: str) -> dict[str, Any]:
    """What the manifest says of rounded weights: the error of a weight and of a picture, and what is not rounded."""
    from stylegan.bundle.rounding import picture_error

    exact = {kind: nb.compile_graph(graph, target) for kind, graph in graphs.items()}
    return {
        "weight_error": float(f"{max(model.weights.error for model in models.values()):.1e}"),
        "picture_error": picture_error(exact, models),
        "kept_fp32": [text for model in models.values() for text in model.weights.kept],
    }


def _noise(G: Any, noise_mode: str, out: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the manifest says of the noise, and the file of the network's own planes where that is needed."""
    if noise_mode in ("const", "none"):
        return {"mode": noise_mode, "planes": None, "layers": {}}, {}
    if G.family != "v2ada":
        raise nb.BuildError(
            "only StyleGAN2 networks have noise", argument="noise_mode", expected="const or none", got=noise_mode
        )
    planes = {name: plane.detach().cpu().float().numpy() for name, plane in G.synthesis.noise_planes().items()}
    layers = {name: {"input": noise_input_name(name), "shape": list(plane.shape)} for name, plane in planes.items()}
    if noise_mode == "random":
        return {"mode": noise_mode, "planes": None, "layers": layers}, {}
    file = f"{out.name}_noise.bin"
    data = b"".join(plane.astype("<f4").tobytes() for plane in planes.values())
    return {"mode": noise_mode, "planes": file, "layers": layers}, {file: data}


def bundle_path(out: str | PathLike[str]) -> Path:
    path = Path(out)
    if not path.name or os.path.isdir(path):  # Path.is_dir raises where the name is too long
        raise nb.EmitError("it names a folder", argument="out", expected="DIR/NAME", got=repr(os.fspath(out)))
    return path


def _lists(shapes: dict[str, tuple[int, ...]]) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in shapes.items()}
