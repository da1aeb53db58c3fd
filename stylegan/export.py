"""Export a generator: `python -m stylegan.export --cfg v2ada_512_afhqcat --out afhqcat`.

A bundle is NAME_mapping.param/.bin, NAME_synthesis.param/.bin and the manifest NAME.json, which `runtime.Model`
and `python -m runtime.run` read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import ncnn_builder as nb
from stylegan import command_line
from stylegan.configs import Config
from stylegan.seeds import checked_seeds, parse_seeds, seed_bytes

NOISE_MODES = ("const", "none", "random", "input")
NCNN_VERSION = "1.0.20261020"


def mapping_graph(G: Any) -> nb.Graph:
    """z [z_dim] (unless that is 0), coeff [1] (the truncation psi) and, with labels, c [c_dim] -> output [w_dim]."""
    g = nb.Graph("mapping")
    inputs = [*([g.input("z", (G.z_dim,))] if G.z_dim else []), g.input("coeff", (1,))]
    if G.c_dim:
        inputs.append(g.input("c", (G.c_dim,)))
    with g.scope("mapping"):
        g.output("output", G.mapping.export_ncnn(g, inputs))
    return g


def synthesis_graph(G: Any, noise_mode: str = "const", transform_input: bool = False) -> nb.Graph:
    """ws0, ws1 [w_dim] or [num_ws, w_dim], mixing [num_ws] -> output [img_channels, R, R], about -1..1.

    transform_input: StyleGAN3's input.transform is a fourth input, transform [3, 3], and not the network's buffer.
    """
    g = nb.Graph("synthesis")
    ws0, ws1 = (g.input(name, (G.w_dim,), any_shape=True) for name in ("ws0", "ws1"))
    mixing = g.input("mixing", (G.num_ws,))
    options: dict[str, Any] = {"transform": g.input("transform", (3, 3))} if transform_input else {}
    g.output("output", nb.child(g, G, "synthesis", [ws0, ws1, mixing], noise_mode=noise_mode, **options))
    return g


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
    out, seeds = _bundle_path(out), checked_seeds(seeds)
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
        "format_version": 2,
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
    from stylegan.rounding import picture_error

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
    from stylegan.v2ada_layers import noise_input_name

    planes = {name: plane.detach().cpu().float().numpy() for name, plane in G.synthesis.noise_planes().items()}
    layers = {name: {"input": noise_input_name(name), "shape": list(plane.shape)} for name, plane in planes.items()}
    if noise_mode == "random":
        return {"mode": noise_mode, "planes": None, "layers": layers}, {}
    file = f"{out.name}_noise.bin"
    data = b"".join(plane.astype("<f4").tobytes() for plane in planes.values())
    return {"mode": noise_mode, "planes": file, "layers": layers}, {file: data}


def _bundle_path(out: str | PathLike[str]) -> Path:
    path = Path(out)
    if not path.name or os.path.isdir(path):  # Path.is_dir raises where the name is too long
        raise nb.EmitError("it names a folder", argument="out", expected="DIR/NAME", got=repr(os.fspath(out)))
    return path


def _lists(shapes: dict[str, tuple[int, ...]]) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in shapes.items()}


# -- the command line -------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.export",
        description="Export a StyleGAN generator to ncnn: OUT_mapping.param/.bin, OUT_synthesis.param/.bin, OUT.json, "
        "and seed files.",
        epilog=command_line.EPILOG,
    )
    command_line.add_arguments(parser)
    parser.add_argument("--out", required=True, metavar="PATH", help="where the bundle goes: DIR/NAME")
    parser.add_argument("--seeds", default="0-1500", metavar="LIST", help="seed files to write (default %(default)s)")
    parser.add_argument(
        "--seeds-dir",
        default="seeds",
        metavar="DIR",
        help="where they go; the default is the folder %(default)s of the working directory, not of --out",
    )
    parser.add_argument(
        "--target",
        default="fused",
        choices=sorted(nb.TARGETS),
        help="fused: our fused layers, the fastest on CPUs; reference: as forward() says it; stock: layers of "
        "unmodified ncnn only, for any ncnn and its Vulkan; default %(default)s",
    )
    parser.add_argument(
        "--weights",
        default="fp32",
        choices=nb.STORAGES,
        help="how weights are stored; fp16 halves the files, and the error that this makes is reported; "
        "default %(default)s",
    )
    parser.add_argument(
        "--noise-mode",
        default="const",
        choices=NOISE_MODES,
        help="StyleGAN2: build in the network's own noise (const) or none, or leave it open: fresh noise for every "
        "picture (random), or any of these when running (input); default %(default)s",
    )
    parser.add_argument(
        "--transform-input",
        action="store_true",
        help="StyleGAN3: the 3x3 matrix that rotates and translates the picture becomes an input (rotate= and "
        "translate= of runtime.run); without it the network's own is built in",
    )
    parser.add_argument(
        "--dump-passes", metavar="DIR", help="write the graphs as text, before and after every step of the compiler"
    )
    return parser


def _seeds_of_another_length(folder: Path, seeds: list[int], z_dim: int) -> list[Path]:
    """Seed files of one working directory serve several models only while these agree in z_dim."""
    size = len(seed_bytes(0, z_dim))
    paths = [folder / f"{seed}.bin" for seed in seeds]
    return [path for path in paths if path.is_file() and path.stat().st_size != size]


def _warn_seeds(other: list[Path], z_dim: int) -> None:
    sys.stderr.write(
        f"WARNING: {len(other)} seed files of another length (another z_dim than {z_dim}) were overwritten, the first "
        f"is {other[0]}: the model they were made for needs them; --seeds-dir DIR keeps them apart\n"
    )


def _export(args: argparse.Namespace) -> None:
    config = command_line.configuration(args)
    seeds, out = parse_seeds(args.seeds), _bundle_path(args.out)
    from stylegan import checkpoint

    weights = command_line.load(args, config)
    loaded = weights.checkpoint
    G = checkpoint.build_generator(loaded.family, loaded.init_kwargs, loaded.state, loaded.source)
    other = _seeds_of_another_length(Path(args.seeds_dir), seeds, G.z_dim)
    manifest = export_generator(
        G,
        out,
        args.target,
        seeds,
        noise_mode=args.noise_mode,
        transform_input=args.transform_input,
        seeds_dir=args.seeds_dir,
        config=config,
        weights=weights.origin,
        storage=args.weights,
        dump_passes=args.dump_passes,
    )
    for name, file in manifest["files"].items():
        print(f"{out.with_name(name)}  {file['bytes'] / 1e6:.1f} MB")
    print(f"{out.with_name(out.name + '.json')}")
    print(f"{Path(args.seeds_dir)}/N.bin for {len(seeds)} seeds: {args.seeds}")
    print(f"num_ws {manifest['num_ws']}, target {args.target}, weights {weights.origin['source']}")
    if args.weights == "fp16":
        from stylegan.rounding import PICTURE_SEED

        said = manifest["weights"]
        print(
            f"weights stored as {args.weights}: rounding changes a weight by up to {said['weight_error']:.1e} and the "
            f"picture of seed {PICTURE_SEED} by up to {said['picture_error']:.1e} of the largest magnitude"
        )
        for text in said["kept_fp32"]:
            print(f"stored as fp32 all the same: {text}")
    if loaded.inferred and config is None:
        print(f"inferred from the shapes of the tensors, as the file does not say it: {dict(loaded.init_kwargs)}")
    for note in loaded.notes:
        print(f"{loaded.source}: {note}")
    if other:
        _warn_seeds(other, G.z_dim)
    if weights.reason:
        command_line.warn_random(weights.reason)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one message for anything the user can mend."""
    args = _parser().parse_args(argv)
    return command_line.exit_code("stylegan.export", lambda: _export(args))


if __name__ == "__main__":
    sys.exit(main())
