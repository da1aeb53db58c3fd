"""Export a generator: `python -m stylegan.export --cfg v2ada_512_afhqcat --out afhqcat`.

A bundle is NAME_mapping.param/.bin, NAME_synthesis.param/.bin and the manifest NAME.json, which `runtime.Model`
and `python -m runtime.run` read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import ncnn_builder as nb
from stylegan import command_line
from stylegan.bundle.seeds import parse_seeds, seed_bytes
from stylegan.bundle.write import NCNN_VERSION, NOISE_MODES, bundle_path, export_generator
from stylegan.networks.graphs import mapping_graph, synthesis_graph

__all__ = ["NCNN_VERSION", "NOISE_MODES", "export_generator", "main", "mapping_graph", "synthesis_graph"]


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
    parser.add_argument("--fp16", dest="weights", action="store_const", const="fp16", help="the same as --weights fp16")
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
        "--dump-passes",
        metavar="DIR",
        help="write the graphs as text, before and after every step of the compiler, and why a pattern was not found",
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
    seeds, out = parse_seeds(args.seeds), bundle_path(args.out)
    from stylegan.checkpoints import checkpoint

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
        from stylegan.bundle.rounding import PICTURE_SEED

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
